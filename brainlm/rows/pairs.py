"""Pair the sources row by row: which brain row goes with which LM row, and the rows a model is trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization, SourceSummary, fit_normalization
from brainlm.store import open_store

BRAIN_TIMES = ("matched", "shuffled", "shifted", "noise")


@dataclass(frozen=True)
class Recording:
    """One source: an array of the same name in one store a story."""

    array: str
    """Name of the (time, column) array in each store."""
    stores: Mapping[str, Path]
    """Story -> store."""

    def read(self, story: str) -> np.ndarray:
        """The story's (time, column) raw array."""
        return self._array(story)[:]

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
        return group["time"][:] if "time" in group else None

    def _array(self, story: str) -> zarr.Array:
        group = open_store(self.stores[story])
        if self.array not in group:
            raise InputError(
                f"{self.stores[story]} has no array '{self.array}': remove it and run the step that writes it again."
            )
        return group[self.array]

    def valid_columns(self, stories: Sequence[str]) -> np.ndarray:
        """(column,) bool: columns that no story marks as invalid (NaN or constant).

        Raises
        ------
        InputError: stories with different numbers of columns.
        """
        valid = None
        for story in stories:
            group = open_store(self.stores[story])
            width = self._array(story).shape[1]
            here = group["valid"][:] if "valid" in group else np.ones(width, bool)
            if valid is not None and width != valid.size:
                raise InputError(
                    f"{self.stores[story]} has {width} columns, the stories before it {valid.size}: "
                    "all stories have the same voxels of a subject, and the same hidden dimensions. Replace the "
                    "file, or leave the story out."
                )
            valid = here if valid is None else valid & here
        return valid


@dataclass(frozen=True)
class StackedRows:
    """Raw rows of some stories, one story after the other, read only when they are sliced."""

    arrays: Sequence[zarr.Array]
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
            parts.append(array[start:stop][:, self.columns])
            first += array.shape[0]
        return np.concatenate(parts)


@dataclass(frozen=True)
class Rows:
    """Normalized rows of some stories, all sources side by side."""

    values: np.ndarray
    """(time, column) float32."""
    slices: dict[str, slice]
    """Source -> its columns."""
    story: np.ndarray
    """(time,) index into `stories`."""
    stories: tuple[str, ...]

    def source(self, name: str) -> np.ndarray:
        """(time, width) float32 view of one source."""
        return self.values[:, self.slices[name]]


def fit_sources(
    recordings: Mapping[str, Recording],
    *,
    training: Sequence[str],
    all_stories: Sequence[str],
    standardize: Mapping[str, str],
) -> tuple[dict[str, Normalization], dict[str, SourceSummary]]:
    """Each source's normalization, from the training stories.

    Columns that are invalid in any story that will be used are left out of the model altogether.
    """
    fitted = {}
    for source, recording in recordings.items():
        kept = recording.valid_columns(all_stories)
        fitted[source] = fit_normalization(
            lambda recording=recording, kept=kept: (recording.read_finite(story, kept) for story in training),
            standardize=standardize[source],
            kept=kept,
            source=source,
        )
    return {s: pair[0] for s, pair in fitted.items()}, {s: pair[1] for s, pair in fitted.items()}


def row_order(n_rows: int, *, brain_time: str, seed: int) -> np.ndarray:
    """Which brain row is paired with each LM row.

    Parameters
    ----------
    n_rows: rows of a whole split (training, validation or test).
    brain_time: "matched" keeps the pairs; "shuffled" draws one random permutation, the paper's ablation;
        "shifted" turns the rows around in a circle by between a quarter and three quarters of the split,
        which keeps their smoothness in time and destroys the correspondence.
    seed: of the permutation or the shift, apart from the seeds of training.

    Returns
    -------
    (time,) int: brain row `order[t]` goes with LM row t.
    """
    if brain_time in ("matched", "noise"):
        return np.arange(n_rows)
    random = np.random.default_rng(seed)
    if brain_time == "shuffled":
        return random.permutation(n_rows)
    if brain_time == "shifted":
        return np.roll(np.arange(n_rows), random.integers(n_rows // 4, n_rows - n_rows // 4 + 1))
    raise ValueError(f"unknown pairing {brain_time!r}; known are {', '.join(BRAIN_TIMES)}")


def story_lengths(recordings: Mapping[str, Recording], stories: Sequence[str]) -> list[int]:
    """Rows of each story, after checking that all sources agree.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or rows at different times.
    """
    lengths = []
    for story in stories:
        of_source = {source: recording.n_rows(story) for source, recording in recordings.items()}
        if len(set(of_source.values())) > 1:
            counts = ", ".join(f"{source} {n}" for source, n in of_source.items())
            raise InputError(
                f"Story '{story}' has different numbers of rows in its sources ({counts}); "
                "check the dataset's trim and the files named "
                + ", ".join(str(recording.stores[story]) for recording in recordings.values())
                + "."
            )
        _require_same_times(recordings, story)
        lengths.append(next(iter(of_source.values())))
    return lengths


def _require_same_times(recordings: Mapping[str, Recording], story: str) -> None:
    known = {recording.stores[story]: recording.time_s(story) for recording in recordings.values()}
    known = {store: times for store, times in known.items() if times is not None}
    for store, times in known.items():
        first_store, first = next(iter(known.items()))
        # To the microsecond: sums of seconds are rounded.
        if times.shape != first.shape or np.abs(times - first).max(initial=0) > 1e-6:
            raise InputError(
                f"The rows of story '{story}' lie at other times in {store} than in {first_store}: both must be made "
                "with the same tr_s, sound_onset_s and trim; run the steps that write them again."
            )


def side_by_side(recordings: Mapping[str, Recording], stories: Sequence[str]) -> np.ndarray:
    """Raw rows of some stories, the columns of all recordings beside each other.

    Returns
    -------
    (time, column) float32.

    Raises
    ------
    InputError: recordings with different numbers of rows for a story, or stories with different numbers of columns.
    """
    story_lengths(recordings, stories)
    for recording in recordings.values():
        recording.valid_columns(stories)
    return np.concatenate(
        [
            np.concatenate([recording.read(story) for recording in recordings.values()], axis=1)
            for story in stories
        ],
        dtype=np.float32,
    )


def assemble(
    recordings: Mapping[str, Recording],
    normalization: Mapping[str, Normalization],
    stories: Sequence[str],
    *,
    brain_time: str,
    seed: int,
    reference: str = "lm",
) -> Rows:
    """Normalized rows of a split, loaded story by story into one array.

    Parameters
    ----------
    stories: the split's stories, in order.
    brain_time, seed: see `row_order`; "noise" replaces all sources with white Gaussian noise of mean norm
        about 1, the floor that every score must return when there is nothing to find.
    reference: the source that keeps its time when the rows of all others are shuffled or shifted, together.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or values that are not finite.
    """
    lengths = story_lengths(recordings, stories)
    n_rows = sum(lengths)
    widths = {source: normalization[source].width for source in recordings}
    edges = np.cumsum([0, *widths.values()])
    slices = {source: slice(int(a), int(b)) for source, a, b in zip(widths, edges, edges[1:], strict=False)}
    values = np.empty((n_rows, edges[-1]), np.float32)
    if brain_time == "noise":
        # Seeded by the stories as well, or splits of as many rows would share their noise.
        random = np.random.default_rng([seed, *"\n".join(stories).encode()])
        random.standard_normal(out=values, dtype=np.float32)
        for source, columns in slices.items():
            values[:, columns] /= np.float32(np.sqrt(widths[source]))
    else:
        order = row_order(n_rows, brain_time=brain_time, seed=seed)
        target_of = np.empty(n_rows, int)
        target_of[order] = np.arange(n_rows)
        for source, recording in recordings.items():
            for story, rows in _consecutive(stories, lengths):
                target = rows if source == reference else target_of[rows]
                raw = recording.read_finite(story, normalization[source].kept)
                name = f"Source '{source}' in {recording.stores[story]}"
                values[target, slices[source]] = normalization[source].apply(raw, name)
    story_of_row = np.repeat(np.arange(len(stories)), lengths)
    return Rows(values, slices, story_of_row, tuple(stories))


def _consecutive(stories: Sequence[str], lengths: Sequence[int]) -> Iterator[tuple[str, slice]]:
    start = 0
    for story, length in zip(stories, lengths, strict=True):
        yield story, slice(start, start + length)
        start += length
