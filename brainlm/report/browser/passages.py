"""What was said before a TR, word by word, shaded by how much of it the TR's row can have taken up."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from scipy import sparse

from brainlm.report.write import formatted
from brainlm.resample import lanczos_weights

SHADES = 3
"""A word's shade is a whole number from 0 (none) to this one."""


@dataclass(frozen=True, eq=False)
class Story:
    """A test story as it was heard."""

    name: str
    time_s: np.ndarray
    """(time,) s after sound onset of the TRs."""
    words: pd.DataFrame
    """Columns word, onset_s, offset_s (s after sound onset)."""
    uptake: sparse.csr_array
    """(time, word) weight of each word in each TR's row, of `word_uptake`."""


@dataclass(frozen=True)
class Shaded:
    """Words that follow one another, of one shade."""

    text: str
    shade: int
    """From 0 to SHADES."""


@dataclass(frozen=True)
class Passage:
    """What was said before a TR."""

    story: str
    time_s: float
    """Of the TR, s after sound onset."""
    activation: float
    """Of the latent at the TR."""
    share: float
    """Of the latent's largest activation over all test stories, from 0 to 1."""
    words: tuple[Shaded, ...]

    @property
    def text(self) -> str:
        """All words, without their shades."""
        return " ".join(shaded.text for shaded in self.words)

    @property
    def shaded_text(self) -> str:
        """The words that have a shade."""
        return " ".join(shaded.text for shaded in self.words if shaded.shade)

    @property
    def clock(self) -> str:
        """The TR's time, in minutes and seconds."""
        sign, seconds = "−" * (self.time_s < 0), round(abs(self.time_s))
        return f"{sign}{seconds // 60}:{seconds % 60:02d}"

    @property
    def strength(self) -> str:
        """The activation for reading."""
        return formatted(self.activation, ".2g")


def word_uptake(
    words: pd.DataFrame, time_s: np.ndarray, *, delays_s: Sequence[float], window: int
) -> sparse.csr_array:
    """How much each word weighs in each TR's row of the LM: the mean over delays d of the Lanczos weight at t - d.

    A word counts at its midpoint, however its tokens are spread, and as if nothing were normalized: what is shown are
    ratios between words.

    Parameters
    ----------
    words: columns onset_s, offset_s, s after sound onset.
    time_s: (time,) s after sound onset, increasing.
    delays_s: haemodynamic delays, s.
    window: lobes of the Lanczos window on each side, TRs.

    Returns
    -------
    (time, word) float64, sparse.

    Raises
    ------
    InputError: as `brainlm.resample.lanczos_weights`.
    """
    middle_s = (words["onset_s"].to_numpy(float) + words["offset_s"].to_numpy(float)) / 2
    return sum(lanczos_weights(middle_s, time_s - delay, window=window) for delay in delays_s) / len(delays_s)


def passage(story: Story, row: int, activation: float, *, largest: float, reach_s: float) -> Passage:
    """The words before a TR.

    Parameters
    ----------
    row: the TR.
    activation: of the latent at this TR.
    largest: its largest one over all test stories.
    reach_s: how long before the TR the passage begins, s.

    Returns
    -------
    Words that overlap [t - reach, t]. Shades go with the words' weights, in SHADES steps up to the largest of the
    passage; weights of 0 and below have none.
    """
    time_s, words = float(story.time_s[row]), story.words
    heard = (words["offset_s"].to_numpy() > time_s - reach_s) & (words["onset_s"].to_numpy() < time_s)
    weights = story.uptake[[row]].toarray()[0, heard]
    most = weights.max(initial=0)
    # Weights that are 0 but for rounding would else be shaded beside nothing.
    shares = np.clip(weights / most, 0, 1) if most > 1e-9 else np.zeros(weights.size)
    shades = np.rint(SHADES * shares).astype(int)
    told = zip(words["word"][heard], shades.tolist(), strict=True)
    runs = (
        Shaded(" ".join(str(word) for word, _ in run), shade)
        for shade, run in groupby(told, lambda pair: pair[1])
    )
    share = min(max(activation / largest, 0.0), 1.0) if largest > 0 else 0.0
    return Passage(story.name, time_s, activation, share, tuple(runs))
