"""What was being said when a latent was most active, and whether a theme explains it (paper, section 4.4)."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from brainlm.errors import InputError
from brainlm.scores.shifts import require_shifts

_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\uff07\u00b4`", "'") | dict.fromkeys("\u2010\u2011", "-")
)


def words_heard(words: pd.DataFrame, time_s: float, span_s: float) -> pd.DataFrame:
    """Words that overlap [time - span, time], in order.

    Parameters
    ----------
    words: columns word, onset_s, offset_s.
    """
    return words[(words["offset_s"] > time_s - span_s) & (words["onset_s"] < time_s)]


def heard_in_rows(words: pd.DataFrame, tr_times_s: np.ndarray, span_s: float) -> NDArray[np.bool_]:
    """Which words overlap [t - span, t] of any TR; a segment's transcript has those of the whole recording.

    Parameters
    ----------
    words: columns word, onset_s, offset_s.
    tr_times_s: (time,) s after sound onset, increasing.

    Returns
    -------
    (word,) bool.
    """
    # The first TR that comes after the word's onset has the earliest span that can hold the word.
    after = np.searchsorted(tr_times_s, words["onset_s"].to_numpy(), side="right")
    earliest_s = np.append(tr_times_s, np.inf)[after] - span_s
    return words["offset_s"].to_numpy() > earliest_s


def maximal_passages(
    activations: Mapping[str, np.ndarray],
    tr_times_s: Mapping[str, np.ndarray],
    words: Mapping[str, pd.DataFrame],
    *,
    span_s: float,
    n_passages: int,
) -> pd.DataFrame:
    """Each latent's top passages: one per story, around the TR of its maximum there, best stories first.

    Parameters
    ----------
    activations: story -> (time, latent).
    tr_times_s: story -> (time,) s after sound onset.
    words: story -> columns word, onset_s, offset_s.
    span_s: length of a passage before its TR.
    n_passages: how many a latent keeps at most.

    Returns
    -------
    Columns latent, rank (from 1), story, time_s, activation, passage. Stories in which a latent never has a
    positive value give it no passage.

    Raises
    ------
    InputError: a story with other numbers of times than rows.
    """
    rows = []
    for story, activation in activations.items():
        if len(activation) != len(tr_times_s[story]):
            raise InputError(
                f"Story '{story}' has {len(activation)} rows of activations, but {len(tr_times_s[story])} times: run "
                "the step that writes its latents again."
            )
        peak = activation.argmax(axis=0)
        for latent in np.flatnonzero(activation.max(axis=0) > 0):
            time_s = float(tr_times_s[story][peak[latent]])
            rows.append((latent, story, time_s, float(activation[peak[latent], latent])))
    table = pd.DataFrame(rows, columns=["latent", "story", "time_s", "activation"])
    table = table.sort_values(["latent", "activation", "story"], ascending=[True, False, True])
    table.insert(1, "rank", table.groupby("latent").cumcount() + 1)
    table = table[table["rank"] <= n_passages].reset_index(drop=True)
    heard = (
        words_heard(words[s], t, span_s)["word"] for s, t in zip(table["story"], table["time_s"], strict=True)
    )
    return table.assign(passage=[" ".join(passage) for passage in heard])


def words_of_theme(words: Sequence[str], listed: Iterable[str]) -> NDArray[np.bool_]:
    """Which words of a story a theme's list names.

    Capitals, the ways to write accents (Unicode NFC), and the shapes of apostrophes and hyphens make no difference.
    An entry of several words names them wherever they follow one another.

    Returns
    -------
    (word,) bool.
    """
    told = [comparable(word) for word in words]
    phrases = {tuple(comparable(entry).split()) for entry in listed}
    named = np.zeros(len(told), bool)
    for length in {len(phrase) for phrase in phrases}:
        for start, passage in enumerate(zip(*(told[first:] for first in range(length)), strict=False)):
            if passage in phrases:
                named[start : start + length] = True
    return named


def unheard(stories: Iterable[Sequence[str]], listed: Iterable[str]) -> list[str]:
    """The entries of a theme's list that are heard in none of the stories, each given by its words."""
    stories = [[comparable(word) for word in words] for words in stories]
    phrase_of = {entry: tuple(comparable(entry).split()) for entry in listed}
    told = {
        passage
        for length in {len(phrase) for phrase in phrase_of.values()}
        for words in stories
        for passage in zip(*(words[first:] for first in range(length)), strict=False)
    }
    return [entry for entry, phrase in phrase_of.items() if phrase not in told]


@cache
def comparable(text: str) -> str:
    """A word as it is compared: without capitals, accents (Unicode NFC), apostrophes and hyphens in one shape."""
    composed = unicodedata.normalize("NFC", text).translate(_ALIKE)
    # Lower case may take composed letters apart.
    return unicodedata.normalize("NFC", composed.casefold())


def theme_share(
    in_theme: np.ndarray, words: pd.DataFrame, tr_times_s: np.ndarray, span_s: float
) -> NDArray[np.float64]:
    """Share of the words heard in [t - span, t] that belong to a theme.

    Parameters
    ----------
    in_theme: (word,) bool: inside an annotated span, or in the theme's word list.

    Returns
    -------
    (time,) float64; 0 where no word is heard.

    Raises
    ------
    InputError: other numbers of words with a theme than in the story.
    """
    if len(in_theme) != len(words):
        raise InputError(
            f"A theme is given for {len(in_theme)} words, but the story has {len(words)}: both must come from the "
            "same transcript."
        )
    heard = (words["offset_s"].to_numpy() > tr_times_s[:, None] - span_s) & (
        words["onset_s"].to_numpy() < tr_times_s[:, None]
    )
    return (heard @ in_theme.astype(float)) / np.maximum(heard.sum(axis=1), 1)


@dataclass(frozen=True)
class Separation:
    """How well latents tell the TRs of a theme from the others."""

    auc: np.ndarray
    """(latent,) area under the ROC curve: 0.5 is chance, 1 perfect."""
    null: np.ndarray
    """(shift, latent) the same with the theme's labels turned around in time."""


def separation(activation: np.ndarray, in_theme: np.ndarray, *, minimum_shift: int) -> Separation:
    """Area under the ROC curve of each latent's activation for a theme, and its null under shifted labels.

    The labels are turned around in a circle by every circular shift of at least `minimum_shift` rows, so that shifted
    labels come in runs as long as the real ones. AUC = (sum of ranks in the theme - n₁(n₁+1)/2) / (n₁ n₀).

    Parameters
    ----------
    activation: (time, latent).
    in_theme: (time,) bool.

    Returns
    -------
    AUCs, NaN where all or none of the rows are in the theme.

    Raises
    ------
    InputError: other numbers of rows in the theme than of activations, or too few for a shift.
    """
    if len(in_theme) != len(activation):
        raise InputError(f"A theme is given for {len(in_theme)} TRs, but activations for {len(activation)}.")
    n_rows, n_in = len(in_theme), int(in_theme.sum())
    require_shifts(n_rows, minimum_shift)
    ranks = rankdata(activation, axis=0)
    # The sum of ranks over shifted labels is a circular correlation.
    spectrum = np.fft.rfft(ranks, axis=0) * np.conj(np.fft.rfft(in_theme.astype(float)))[:, None]
    rank_sums = np.fft.irfft(spectrum, n=n_rows, axis=0)
    pairs = n_in * (n_rows - n_in)
    auc = (rank_sums - n_in * (n_in + 1) / 2) / (pairs if pairs else np.nan)
    return Separation(auc[0], auc[minimum_shift : n_rows - minimum_shift + 1])


def theme_rows(share: np.ndarray, *, annotated: bool) -> NDArray[np.bool_]:
    """Which TRs belong to a theme, by the share of words that do.

    With annotated spans, those in which more than half of the words do. Lists of words hit few words even of
    a passage that is all about their theme: with them, the tenth of the TRs that are hit most.

    Parameters
    ----------
    share: (time,) from `theme_share`.

    Returns
    -------
    (time,) bool.
    """
    if annotated:
        return share > 0.5
    return (share > 0) & (share >= np.quantile(share, 0.9))


def interpret(
    separations: Mapping[str, Separation],
    candidates: Mapping[str, np.ndarray],
    wanted: Sequence[tuple[str, str]],
    *,
    n_best: int = 1,
) -> pd.DataFrame:
    """The latents of a class that separate a theme best, with the null for the best of as many latents.

    Parameters
    ----------
    separations: theme -> separation over all latents.
    candidates: class -> (candidate,) indices of its live latents.
    wanted: pairs (class, theme).
    n_best: rows for each pair.

    Returns
    -------
    Columns class, theme, rank, latent, auc, null_95 (95th percentile, over shifted labels, of the class's
    best AUC), n_candidates. A class without live latents, or a theme that no TR or every TR belongs to, has
    one row with latent -1.
    """
    rows = []
    for class_name, theme in wanted:
        latents, found = candidates[class_name], separations[theme]
        if latents.size == 0 or np.isnan(found.auc).all():
            rows.append((class_name, theme, 1, -1, np.nan, np.nan, latents.size))
            continue
        null_95 = float(np.quantile(found.null[:, latents].max(axis=1), 0.95))
        ranked = latents[np.argsort(-found.auc[latents], kind="stable")][:n_best]
        rows += [
            (class_name, theme, rank, int(latent), float(found.auc[latent]), null_95, latents.size)
            for rank, latent in enumerate(ranked, start=1)
        ]
    columns = ["class", "theme", "rank", "latent", "auc", "null_95", "n_candidates"]
    return pd.DataFrame(rows, columns=columns)
