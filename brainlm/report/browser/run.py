"""All that the pages of one model and one brain are made of, as plain arrays and tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.report.browser.passages import Story


@dataclass(frozen=True, eq=False)
class Recordings:
    """A model's latents over the test stories, one story after the other."""

    stories: Sequence[Story]
    activation: NDArray[np.float32]
    """(time, latent) float32 code of all latents."""
    brain: NDArray[np.float64]
    """(time, live latent) float64: what the brain alone says of each live latent, nuisances taken out."""
    lm: NDArray[np.float64]
    """(time, live latent) float64: the same of the LM."""

    def __post_init__(self) -> None:
        n_rows = sum(len(story.time_s) for story in self.stories)
        if {len(self.activation), len(self.brain), len(self.lm)} != {n_rows}:
            raise InputError(
                f"The test stories have {n_rows} TRs, but the code {len(self.activation)} and the halves "
                f"{len(self.brain)} and {len(self.lm)}: take all from one model."
            )

    @cached_property
    def story_of_row(self) -> np.ndarray:
        """(time,) int story of each row."""
        return np.repeat(np.arange(len(self.stories)), [len(story.time_s) for story in self.stories])

    @cached_property
    def time_s(self) -> np.ndarray:
        """(time,) s after the sound onset of the row's story."""
        return np.concatenate([story.time_s for story in self.stories])

    def rows_of(self, story: int) -> slice:
        """The rows of a story."""
        first, last = np.flatnonzero(self.story_of_row == story)[[0, -1]]
        return slice(int(first), int(last) + 1)

    def row_at(self, name: str, time_s: float) -> int:
        """The row of a story that is nearest to a time."""
        number = next(number for number, story in enumerate(self.stories) if story.name == name)
        rows = self.rows_of(number)
        return rows.start + int(np.abs(self.time_s[rows] - time_s).argmin())


@dataclass(frozen=True, eq=False)
class Tables:
    """What the run has written about the latents; rows of other models and brains are left out."""

    evidence: pd.DataFrame
    """Of `brainlm.scores.evidence.table.evidence_table`, all latents in order."""
    summary: Mapping[str, Any]
    """Of the model as a whole, from the same."""
    passages: pd.DataFrame
    """Of `brainlm.scores.interpretation.maximal_passages`."""
    names: pd.DataFrame
    """Columns latent, name, n_words, z, auc, null_95, n_stories, above_null; latents without a row have no name."""
    found_again: pd.DataFrame
    """Of `brainlm.scores.evidence.found_again.found_again`, of this subject and seed; it may have no rows."""
    found_in_seeds: pd.DataFrame
    """Of `found_in_seeds` there."""
    shown: frozenset[int]
    """Latents of which figures and tables show, or that are pinned: their weights can be downloaded."""
    r0: float
    """Median r of white noise; NaN if not known."""

    @cached_property
    def live(self) -> pd.DataFrame:
        """The evidence of live latents, in order."""
        return self.evidence[self.evidence["alive"].astype(bool)].reset_index(drop=True)


@dataclass(frozen=True)
class Titles:
    """Whose latents these are."""

    dataset: str
    subject: str
    seed: int
    simulated: bool
    language_model: str
    model_file: str
    """Path of the crosscoder, as the code that loads it names it."""
    source: str
    """The brain's name in the model."""
    delays_s: tuple[float, ...]
    """Haemodynamic delays of the LM's rows."""
    colormap: str
    """Of decoder maps."""

    @property
    def delays(self) -> str:
        """The delays in words; "" if there are none."""
        low, high = min(self.delays_s), max(self.delays_s)
        return f"{low:g} to {high:g} s" if low < high else f"{low:g} s" if high > 0 else ""
