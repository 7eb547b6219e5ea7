"""Rows of some sources in stores, as a run leaves them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brainlm.rows.sources import Source
from brainlm.store import add_array, new_store


def write_source(folder: Path, name: str, stories: Mapping[str, np.ndarray]) -> Source:
    """Story -> (time, column), a store a story."""
    array = "features" if name == "lm" else "bold"
    stores = {}
    for story, rows in stories.items():
        stores[story] = folder / name / f"{story}.zarr"
        with new_store(stores[story], {}) as group:
            add_array(group, array, np.asarray(rows, np.float32), ("time", "column"))
    return Source(array, stores)


def write_sources(folder: Path, sources: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Source]:
    """Source -> story -> (time, column)."""
    return {name: write_source(folder, name, stories) for name, stories in sources.items()}
