"""Which words are heard more often when a latent is strongest than elsewhere.

A word's keyness is its log-odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, Fightin' Words,
Political Analysis 16): with y_a of n_a words in the passages of a latent's strongest TRs, y_b of n_b words elsewhere,
and the prior's α of α₀ words,

    δ = log[(y_a + α) / (n_a + α₀ - y_a - α)] - log[(y_b + α) / (n_b + α₀ - y_b - α)]
    σ² = 1 / (y_a + α) + 1 / (y_b + α)
    ζ = δ / σ

The prior holds each word as often as all stories together do, and weighs as many words as the passages of a latent
that is as often strong as it may be. Words that are heard once or twice must be far more frequent there to count as
more frequent, and "the" is compared with how often anybody says it: no list of function words is needed.

ζ takes words for independent, but they come in runs, and so do a latent's activations. Both are kept when the
activations of all stories, one after the other, are turned around in a circle. A word's *z* is ζ less its mean over
shifts, in units of its standard deviation over them where that exceeds the 1 of independent words: else words that
come in long runs would set the null for all others. A word is *above the null* if its z exceeds the highest z of any
word in all but 5 % of shifts: of latents that have nothing to do with the words, 5 % have one such word or more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from brainlm.errors import InputError, TooLittleDataError
from brainlm.scores.interpretation import comparable
from brainlm.scores.shifts import n_shifts

STRONGEST = 0.1
"""Share of the rows that are a latent's strongest, if it is active in as many."""
N_SHIFTS = 199
"""Of the null, at most."""
FEWEST_SHIFTS = 19
"""With fewer, nothing can exceed all but 5 %."""
FEWEST_STORIES = 2
"""In whose strongest passages a word must be heard: one that is heard in one story alone tells of that story."""
_BLOCK_BYTES = 256 * 2**20
"""Of the z of some latents' words over all shifts, which are kept at once."""


@dataclass(frozen=True)
class PassageWords:
    """How often each word is heard in the passages of rows, of stories one after the other."""

    words: np.ndarray
    """(word,) str, sorted; capitals, accents and apostrophes as `comparable` makes them."""
    counts: sparse.csr_array
    """(word, time) float64: each time that a word is said is shared out evenly among the passages that hold it, so
    that a word's sum is how often it is said in any passage."""
    story: np.ndarray
    """(time,) int, number of the story, from 0."""


@dataclass(frozen=True)
class Keyness:
    """How much more frequent words are in the passages of latents' strongest rows than elsewhere."""

    words: np.ndarray
    """(word,) str: those that are heard in two stories or more."""
    z: NDArray[np.float32]
    """(word, latent) float32, against circular shifts."""
    least_log_odds: NDArray[np.float32]
    """(word, latent) float32: δ - 1.96 σ, the lower end of its 95 % interval."""
    above_null: NDArray[np.bool_]
    """(word, latent) bool; never of a word that is heard in the strongest passages of one story alone."""


def passage_words(
    words: Mapping[str, pd.DataFrame], tr_times_s: Mapping[str, np.ndarray], span_s: float
) -> PassageWords:
    """Which words overlap [t - span, t] of each TR, as `words_heard` has it.

    Parameters
    ----------
    words: story -> columns word, onset_s, offset_s; more stories than needed do no harm.
    tr_times_s: story -> (time,) s after sound onset, increasing; their order is that of the rows.
    span_s: length of a passage before its TR.

    Raises
    ------
    InputError: a story without a table of words.
    """
    spoken, rows, shares, story_of_row, first = [], [], [], [], 0
    for number, (story, times_s) in enumerate(tr_times_s.items()):
        if story not in words:
            raise InputError(
                f"Story '{story}' has no table of words: give one, with no lines if nobody speaks."
            )
        said = words[story]
        # Of the rows, in which a passage has begun before the word ends, and has not ended before it begins.
        begin = np.searchsorted(times_s, said["onset_s"].to_numpy(float), side="right")
        end = np.searchsorted(times_s - span_s, said["offset_s"].to_numpy(float), side="left")
        held_by = np.maximum(end - begin, 0)
        spoken.append(np.repeat([comparable(word) for word in said["word"]], held_by))
        within = np.arange(held_by.sum()) - np.repeat(np.cumsum(held_by) - held_by, held_by)
        rows.append(first + np.repeat(begin, held_by) + within)
        shares.append(1 / np.repeat(held_by, held_by))
        story_of_row.append(np.full(len(times_s), number))
        first += len(times_s)
    types, word = np.unique(np.concatenate(spoken), return_inverse=True)
    counts = sparse.coo_array((np.concatenate(shares), (word, np.concatenate(rows))), (len(types), first))
    return PassageWords(types, counts.tocsr(), np.concatenate(story_of_row))


def strongest_rows(activation: sparse.csc_array, share: float = STRONGEST) -> sparse.csc_array:
    """In which rows a latent is strongest: the given share of all rows, or those in which it is positive if fewer.

    Parameters
    ----------
    activation: (time, latent), 0 where a latent is not active.

    Returns
    -------
    (time, latent) float64, 1 or 0; of rows as strong as the weakest of them all are among them.
    """
    n_kept = max(int(share * activation.shape[0]), 1)
    strong = sparse.csc_array(activation, dtype=np.float64, copy=True)
    for latent in range(strong.shape[1]):
        values = strong.data[strong.indptr[latent] : strong.indptr[latent + 1]]
        weakest = np.partition(values, -n_kept)[-n_kept] if len(values) > n_kept else 0
        values[:] = (values > 0) & (values >= weakest)
    strong.eliminate_zeros()
    return strong


def log_odds(
    inside: np.ndarray,
    n_inside: np.ndarray | float,
    elsewhere: np.ndarray,
    n_elsewhere: np.ndarray | float,
    prior: np.ndarray,
    n_prior: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Words' log-odds with an informative Dirichlet prior; the module's docstring has the equations.

    Parameters
    ----------
    inside, elsewhere: how often a word is heard, y_a and y_b.
    n_inside, n_elsewhere: all words there, n_a and n_b.
    prior, n_prior: α, above 0, and α₀.

    Returns
    -------
    δ, positive where a word is more frequent inside, and σ; of the shape that the arrays have together.
    """
    a, b = inside + prior, elsewhere + prior
    difference = np.log(a / (n_inside + n_prior - a)) - np.log(b / (n_elsewhere + n_prior - b))
    return difference, np.sqrt(1 / a + 1 / b)


def keyness(heard: PassageWords, strongest: sparse.csc_array, *, minimum_shift: int) -> Keyness:
    """Which words are heard more often in the passages of latents' strongest rows; the module's docstring has how.

    Words that are heard in one story alone are left out.

    Parameters
    ----------
    strongest: (time, latent) 1 or 0, of `strongest_rows`.
    minimum_shift: rows; smallest circular shift, either way.

    Raises
    ------
    InputError: other numbers of rows.
    TooLittleDataError: no word is heard in two stories, or there are too few rows for the null.
    """
    n_rows, n_latents = strongest.shape
    if n_rows != heard.counts.shape[1]:
        raise InputError(
            f"There are words for {heard.counts.shape[1]} TRs, but activations for {n_rows}: both must come from the "
            "same stories."
        )
    shifts = _null_shifts(n_rows, minimum_shift)
    kept = np.flatnonzero(_n_stories(heard) >= FEWEST_STORIES)
    if kept.size == 0:
        raise TooLittleDataError("No word is heard in two stories or more, so that none can name a latent.")
    counts, per_row = heard.counts[kept], heard.counts.sum(axis=0)
    total, n_total = counts.sum(axis=1)[:, None], per_row.sum()

    def of_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inside, n_inside = counts @ rows, per_row @ rows
        prior, n_prior = STRONGEST * total, STRONGEST * n_total
        return log_odds(inside, n_inside, total - inside, n_total - n_inside, prior, n_prior)

    z, least = (np.empty((kept.size, n_latents), np.float32) for _ in range(2))
    threshold = np.empty(n_latents, np.float32)
    size = max(1, _BLOCK_BYTES // (4 * kept.size * (1 + len(shifts))))
    for first in range(0, n_latents, size):
        block = slice(first, first + size)
        rows = strongest[:, block].toarray()
        difference, error = of_rows(rows)
        least[:, block] = difference - 1.96 * error
        by_shift = np.empty((1 + len(shifts), *difference.shape), np.float32)
        by_shift[0] = difference / error
        for number, shift in enumerate(shifts, start=1):
            by_shift[number] = np.divide(*of_rows(np.roll(rows, shift, axis=0)))
        z[:, block], threshold[block] = _against_shifts(by_shift)
    above = (z > threshold) & _in_several_stories(heard, kept, strongest)
    return Keyness(heard.words[kept], z, least, above)


def _null_shifts(n_rows: int, minimum_shift: int) -> np.ndarray:
    """As many shifts as there may be, evenly spaced among the possible ones."""
    possible = n_shifts(n_rows, minimum_shift)
    if possible < FEWEST_SHIFTS:
        raise TooLittleDataError(
            f"{n_rows} training TRs leave {possible} circular shifts of at least {minimum_shift} TRs (the minimum "
            f"shift), but {FEWEST_SHIFTS} are needed to tell which words name a latent: give the training split "
            f"{2 * minimum_shift + FEWEST_SHIFTS - 1} TRs or more."
        )
    spaced = np.linspace(minimum_shift, n_rows - minimum_shift, min(possible, N_SHIFTS))
    return spaced.round().astype(int)


def _against_shifts(by_shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From (shift, word, latent) ζ, the first of them without a shift, the z and the threshold above the null."""
    by_shift -= by_shift.mean(axis=0)
    by_shift /= np.maximum(by_shift.std(axis=0), 1)
    highest = np.sort(by_shift[1:].max(axis=1), axis=0)
    # A further maximum is as likely to have one rank among them as another: 10 in 200 exceed the tenth of 199.
    return by_shift[0], highest[-((len(highest) + 1) // 20)]


def _n_stories(heard: PassageWords) -> np.ndarray:
    """(word,) stories in which each word is heard."""
    n_rows = heard.story.size
    of_story = sparse.csr_array((np.ones(n_rows), (np.arange(n_rows), heard.story)))
    return np.diff((heard.counts @ of_story).indptr)


def _in_several_stories(
    heard: PassageWords, kept: np.ndarray, strongest: sparse.csc_array
) -> NDArray[np.bool_]:
    """(word, latent) bool: a word is heard in the strongest passages of enough stories."""
    n_stories = np.zeros((kept.size, strongest.shape[1]), np.int32)
    counts, rows = heard.counts[kept].tocsc(), strongest.tocsr()
    for story in np.unique(heard.story):
        of_story = np.flatnonzero(heard.story == story)
        n_stories += ((counts[:, of_story] @ rows[of_story]) > 0).toarray()
    return n_stories >= FEWEST_STORIES
