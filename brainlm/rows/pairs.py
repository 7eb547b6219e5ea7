"""Pair the sources row by row: which brain row goes with which LM row, and the rows a model is trained on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.rows.choices import BrainTime, Standardization
from brainlm.rows.normalization import Normalization, SourceSummary, fit_normalization
from brainlm.rows.sources import Source


@dataclass(frozen=True)
class Rows:
    """Normalized rows of some stories, all sources side by side."""

    values: NDArray[np.float32]
    """(time, column) float32."""
    slices: dict[str, slice]
    """Source -> its columns."""
    story: np.ndarray
    """(time,) index into `stories`."""
    stories: tuple[str, ...]

    def source(self, name: str) -> NDArray[np.float32]:
        """(time, width) float32 view of one source."""
        return self.values[:, self.slices[name]]


def fit_sources(
    sources: Mapping[str, Source],
    *,
    training: Sequence[str],
    all_stories: Sequence[str],
    standardize: Mapping[str, Standardization],
) -> tuple[dict[str, Normalization], dict[str, SourceSummary]]:
    """Each source's normalization, from the training stories.

    Columns that are invalid in any story that will be used are left out of the model altogether.
    """
    fitted = {}
    for name, source in sources.items():
        kept = source.valid_columns(all_stories)
        fitted[name] = fit_normalization(
            partial(_finite_rows, source, training, kept),
            standardize=standardize[name],
            kept=kept,
            source=name,
        )
    return {s: pair[0] for s, pair in fitted.items()}, {s: pair[1] for s, pair in fitted.items()}


def _finite_rows(source: Source, stories: Sequence[str], kept: np.ndarray) -> Iterator[np.ndarray]:
    return (source.read_finite(story, kept) for story in stories)


def row_order(n_rows: int, *, brain_time: BrainTime, seed: int) -> np.ndarray:
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
    raise ValueError(f"unknown pairing {brain_time!r}; known are {', '.join(get_args(BrainTime))}")


def story_lengths(sources: Mapping[str, Source], stories: Sequence[str]) -> list[int]:
    """Rows of each story, after checking that all sources agree.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or rows at different times.
    """
    lengths = []
    for story in stories:
        of_source = {name: source.n_rows(story) for name, source in sources.items()}
        if len(set(of_source.values())) > 1:
            counts = ", ".join(f"{name} {n}" for name, n in of_source.items())
            raise InputError(
                f"Story '{story}' has different numbers of rows in its sources ({counts}); "
                "check the dataset's trim and the files named "
                + ", ".join(str(source.stores[story]) for source in sources.values())
                + "."
            )
        _require_same_times(sources, story)
        lengths.append(next(iter(of_source.values())))
    return lengths


def _require_same_times(sources: Mapping[str, Source], story: str) -> None:
    given = {source.stores[story]: source.time_s(story) for source in sources.values()}
    known = {store: times for store, times in given.items() if times is not None}
    for store, times in known.items():
        first_store, first = next(iter(known.items()))
        # To the microsecond: sums of seconds are rounded.
        if times.shape != first.shape or np.abs(times - first).max(initial=0) > 1e-6:
            raise InputError(
                f"The rows of story '{story}' lie at other times in {store} than in {first_store}: both must be made "
                "with the same tr_s, sound_onset_s and trim; run the steps that write them again."
            )


def side_by_side(sources: Mapping[str, Source], stories: Sequence[str]) -> NDArray[np.float32]:
    """Raw rows of some stories, the columns of all sources beside each other.

    Returns
    -------
    (time, column) float32.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or stories with different numbers of columns.
    """
    story_lengths(sources, stories)
    for source in sources.values():
        source.valid_columns(stories)
    return np.concatenate(
        [np.concatenate([source.read(story) for source in sources.values()], axis=1) for story in stories],
        dtype=np.float32,
    )


def story_rows(
    sources: Mapping[str, Source],
    normalization: Mapping[str, Normalization],
    stories: Sequence[str],
    *,
    brain_time: BrainTime,
    seed: int,
) -> Iterator[dict[str, np.ndarray]]:
    """Normalized rows of each story of a split in turn, every source in its own time.

    Of all stories one after the other, `row_order` tells which brain row goes with which LM row.

    Parameters
    ----------
    stories: the split's stories, in order.
    brain_time, seed: see `row_order`; "noise" replaces all sources with white Gaussian noise of mean norm
        about 1, the floor that every score must return when there is nothing to find.

    Yields
    ------
    Source -> (time, width) float32 of one story.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or values that are not finite.
    """
    lengths = story_lengths(sources, stories)
    widths = {name: normalization[name].width for name in sources}
    # Seeded by the stories as well, or splits of as many rows would share their noise.
    random = np.random.default_rng([seed, *"\n".join(stories).encode()])
    for story, length in zip(stories, lengths, strict=True):
        if brain_time == "noise":
            drawn = random.standard_normal((length, sum(widths.values())), dtype=np.float32)
            parts = np.split(drawn, np.cumsum([*widths.values()])[:-1], axis=1)
            yield {
                name: part / np.float32(np.sqrt(widths[name]))
                for name, part in zip(widths, parts, strict=True)
            }
        else:
            yield {
                name: normalization[name].apply(
                    source.read_finite(story, normalization[name].kept),
                    f"Source '{name}' in {source.stores[story]}",
                )
                for name, source in sources.items()
            }


def assemble(
    sources: Mapping[str, Source],
    normalization: Mapping[str, Normalization],
    stories: Sequence[str],
    *,
    brain_time: BrainTime,
    seed: int,
    reference: str = "lm",
) -> Rows:
    """Normalized rows of a split, paired, loaded story by story into one array.

    Parameters
    ----------
    stories: the split's stories, in order.
    brain_time, seed: see `row_order` and `story_rows`.
    reference: the source that keeps its time when the rows of all others are shuffled or shifted, together.

    Raises
    ------
    InputError: sources with different numbers of rows for a story, or values that are not finite.
    """
    lengths = story_lengths(sources, stories)
    n_rows = sum(lengths)
    edges = np.cumsum([0, *(normalization[source].width for source in sources)]).tolist()
    slices = {source: slice(a, b) for source, a, b in zip(sources, edges, edges[1:], strict=False)}
    values = np.empty((n_rows, edges[-1]), np.float32)
    order = row_order(n_rows, brain_time=brain_time, seed=seed)
    target_of = np.empty(n_rows, int)
    target_of[order] = np.arange(n_rows)
    start = 0
    of_stories = story_rows(sources, normalization, stories, brain_time=brain_time, seed=seed)
    for length, of_story in zip(lengths, of_stories, strict=True):
        rows = slice(start, start + length)
        for name, normalized in of_story.items():
            values[rows if name == reference else target_of[rows], slices[name]] = normalized
        start += length
    story_of_row = np.repeat(np.arange(len(stories)), lengths)
    return Rows(values, slices, story_of_row, tuple(stories))
