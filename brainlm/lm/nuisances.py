"""What a brain may follow in a story without following its language, as columns beside the LM's features."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array
from brainlm.errors import InputError
from brainlm.resample import lanczos

DECAYS_S = (20, 60)
"""Time constants of what changes fast after the sound's onset and slowly later, s."""


def nuisance_names(delays_s: Sequence[float]) -> list[str]:
    """Names of the columns of `story_nuisances`, e.g. words_2s, letters_2s, story_position, onset_20s, lm_row_norm.

    Parameters
    ----------
    delays_s: haemodynamic delays, s; one that is given twice has one column.
    """
    of_words = [f"{what}_{delay:.12g}s" for what in ("words", "letters") for delay in dict.fromkeys(delays_s)]
    return [*of_words, "story_position", *(f"onset_{decay}s" for decay in DECAYS_S), "lm_row_norm"]


def story_nuisances(
    words: Sequence[str],
    onset_s: Any,
    offset_s: Any,
    tr_times_s: Any,
    features: Any,
    *,
    delays_s: Sequence[float],
    window: int,
) -> tuple[list[str], np.ndarray]:
    """Speech rate, time and the length of the LM's rows: what brain and LM may share without sharing language.

    - words and letters a TR: 1, and the number of letters, at each word's midpoint, resampled by the plain Lanczos
      sum of `brainlm.resample.lanczos_weights` (normalized, it would be the constant 1) at t - delay, a column for
      each delay, of which a weighted sum can follow any haemodynamic response. Letters are letters and digits.
    - story_position: t / length of the story. Its length is the end of the last word: the sound's end as far as the
      transcript tells, and the same for all segments of one recording, whose rows are those of the uncut recording.
      Rows after the last word have values above 1.
    - onset_20s and onset_60s: exp(-t / 20 s) and exp(-t / 60 s).
    - lm_row_norm: `row_norm` of the features.

    t is the row's time after the sound's onset, and 0 before it.

    Parameters
    ----------
    words: (word,), of a segment those of its recording.
    onset_s, offset_s: (word,) s after sound onset.
    tr_times_s: (time,) of the response's rows, s after sound onset.
    features: (time, hidden), the LM's rows before any scaling.
    delays_s: haemodynamic delays, s.
    window: lobes of the Lanczos window on each side, TRs.

    Returns
    -------
    The columns' names, as `nuisance_names` has them, and (time, nuisance) float64.

    Raises
    ------
    InputError: other than one onset and offset a word or one row of features a TR, no word that ends after the
        sound's onset, and as `brainlm.resample.lanczos`.
    """
    onset_s = real_array(onset_s, "The words' onsets", (len(words),), float)
    offset_s = real_array(offset_s, "The words' offsets", (len(words),), float)
    tr_times_s = real_array(tr_times_s, "The TR times", ("time",), float)
    norm = row_norm(features)
    if len(norm) != len(tr_times_s):
        raise InputError(
            f"{len(norm)} rows of features do not fit a story of {len(tr_times_s)} TRs: compute them again."
        )
    length_s = offset_s.max(initial=0)
    if length_s <= 0:
        raise InputError(
            f"None of the story's {len(words)} words ends after the sound's onset: give their times in s after it."
        )
    heard = np.array([[1, sum(map(str.isalnum, word))] for word in words], float)
    middle_s = (onset_s + offset_s) / 2
    # (delay, time, what): words and letters.
    of_words = np.array(
        [lanczos(heard, middle_s, tr_times_s - delay, window) for delay in dict.fromkeys(delays_s)]
    )
    time_s = np.maximum(tr_times_s, 0)
    others = [time_s / length_s, *(np.exp(-time_s / decay) for decay in DECAYS_S), norm]
    return nuisance_names(delays_s), np.column_stack([*of_words[:, :, 0], *of_words[:, :, 1], *others])


def row_norm(features: Any) -> NDArray[np.float64]:
    """Euclidean norm of each of the LM's rows, before any scaling.

    Parameters
    ----------
    features: (time, hidden).

    Returns
    -------
    (time,) float64, in the hidden state's units.

    Raises
    ------
    InputError: features that are no array of two axes.
    """
    return np.linalg.norm(real_array(features, "The features", ("time", "hidden"), float), axis=1)
