"""Where the data come from: one module, with a class `Source`, for each `dataset.source` of a config."""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pipeline.datasets.base import Dataset

SOURCES = tuple(sorted({module.name for module in iter_modules(__path__)} - {"base", "layout"}))
"""Every `dataset.source` that a config can name."""


def dataset_of(config: Mapping[str, Any]) -> Dataset:
    """The dataset that a config with all defaults names."""
    return import_module(f"pipeline.datasets.{config['dataset']['source']}").Source(config)
