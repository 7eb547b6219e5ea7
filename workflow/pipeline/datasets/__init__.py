"""Where the data come from: one module, with a class `Source`, for each `dataset.source` of a config."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pipeline.datasets.base import Dataset


def dataset_of(config: Mapping[str, Any]) -> Dataset:
    """The dataset that a config with all defaults names."""
    return import_module(f"pipeline.datasets.{config['dataset']['source']}").Source(config)
