"""Where the rows of each source, brain and language model, are stored: one store a story."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from zarr.types import AnyArray

from brainlm.errors import InputError
from brainlm.files import write_atomically
from brainlm.store import open_store, read_array, stored_array


@dataclass(frozen=True)
class Source:
    """One source: an array of the same name in one store a story."""

    array: str
    """Name of the (time, column) array in each store."""
    stores: Mapping[str, Path]
    """Story -> store."""

    def read(self, story: str) -> np.ndarray:
        """The story's (time, column) raw array."""
        return np.asarray(self._array(story)[:])

    def read_finite(self, story: str, columns: np.ndarray) -> np.ndarray:
        """The story's (time, column) raw array, of which `columns`, (column,) bool, are numbers."""
        raw = self.read(story)
        # Of another width it is refused where it is used.
        if raw.shape[1] == columns.size and not np.isfinite(raw).all(axis=0)[columns].all():
            raise InputError(
                f"{self.stores[story]} holds NaN or infinite values in columns that count as valid: remove it, and "
                "run again."
            )
        return raw

    def stacked(self, stories: Sequence[str], columns: np.ndarray) -> "StackedRows":
        """Some columns of the stories, (time, column) raw, read when they are sliced."""
        return StackedRows([self._array(story) for story in stories], columns)

    def n_rows(self, story: str) -> int:
        """Number of rows (TRs) of the story."""
        return self._array(story).shape[0]

    def time_s(self, story: str) -> np.ndarray | None:
        """(time,) s of the story's rows after sound onset; None if its store does not say."""
        group = open_store(self.stores[story])
        return read_array(group, "time") if "time" in group else None

    def _array(self, story: str) -> AnyArray:
        group = open_store(self.stores[story])
        if self.array not in group:
            raise InputError(
                f"{self.stores[story]} has no array '{self.array}': remove it and run the step that writes it again."
            )
        return stored_array(group, self.array)

    def valid_columns(self, stories: Sequence[str]) -> NDArray[np.bool_]:
        """(column,) bool: columns that no story marks as invalid (NaN or constant).

        Raises
        ------
        InputError: stories with different numbers of columns.
        """
        valid: np.ndarray | None = None
        for story in stories:
            group = open_store(self.stores[story])
            width = self._array(story).shape[1]
            here = read_array(group, "valid") if "valid" in group else np.ones(width, bool)
            if valid is not None and width != valid.size:
                raise InputError(
                    f"{self.stores[story]} has {width} columns, the stories before it {valid.size}: "
                    "all stories have the same voxels of a subject, and the same hidden dimensions. Replace the "
                    "file, or leave the story out."
                )
            valid = here if valid is None else valid & here
        if valid is None:
            raise ValueError("columns of no story are asked for")
        return valid


@dataclass(frozen=True)
class StackedRows:
    """Raw rows of some stories, one story after the other, read only when they are sliced."""

    arrays: Sequence[AnyArray]
    """(time, column) of each story."""
    columns: np.ndarray
    """(column,) int, the columns that are read."""

    @property
    def shape(self) -> tuple[int, int]:
        """(time, column)."""
        return sum(array.shape[0] for array in self.arrays), self.columns.size

    def __getitem__(self, rows: slice) -> np.ndarray:
        """(time, column) of the rows from `rows.start` to `rows.stop`."""
        parts, first = [], 0
        for array in self.arrays:
            start, stop = (min(max(edge - first, 0), array.shape[0]) for edge in (rows.start, rows.stop))
            parts.append(np.asarray(array[start:stop])[:, self.columns])
            first += array.shape[0]
        return np.concatenate(parts)


def save_sources(sources: Mapping[str, Source], digests: Mapping[Path, str], path: Path) -> None:
    """Write a list of the sources' stores as JSON: source -> array, and story -> store and digest.

    Stores are named as seen from the list's folder. A small file so stands for all of them, and changes with what any
    of them holds.

    Parameters
    ----------
    digests: store -> digest of its content.
    """
    listed = {
        name: {
            "array": source.array,
            "stores": {
                story: {"store": os.path.relpath(store, path.parent), "digest": digests[store]}
                for story, store in source.stores.items()
            },
        }
        for name, source in sources.items()
    }
    write_atomically(path, (json.dumps(listed, indent=1, ensure_ascii=False) + "\n").encode())


def load_sources(path: Path) -> dict[str, Source]:
    """Read what `save_sources` wrote: source -> where its rows are."""
    listed = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Source(
            source["array"],
            {
                story: Path(os.path.normpath(path.parent / of["store"]))
                for story, of in source["stores"].items()
            },
        )
        for name, source in listed.items()
    }


def missing_stores(sources: Mapping[str, Source]) -> list[Path]:
    """Those of the sources' stores that are not there."""
    return [store for source in sources.values() for store in source.stores.values() if not store.exists()]
