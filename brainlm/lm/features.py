"""From a story's token-by-token hidden states to one feature row per fMRI volume."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.resample import delayed_weights


def token_times(
    word_index: np.ndarray, onset_s: np.ndarray, offset_s: np.ndarray, *, rule: str = "spread"
) -> NDArray[np.float64]:
    """Time at which each token counts as heard.

    Parameters
    ----------
    word_index: (token,) index of the word each token belongs to, non-decreasing.
    onset_s, offset_s: (word,) s after sound onset.
    rule: "spread" puts the m tokens of a word at the middles of m equal parts of its interval;
        "midpoint" puts all of them at the word's midpoint.

    Returns
    -------
    (token,) float64, s.
    """
    onset, duration = onset_s[word_index], (offset_s - onset_s)[word_index]
    if rule == "midpoint":
        return onset + duration / 2
    if rule != "spread":
        raise ValueError(f"unknown rule for token times: {rule!r}")
    first_of_word = np.searchsorted(word_index, word_index, side="left")
    tokens_in_word = np.bincount(word_index)[word_index]
    position = np.arange(word_index.size) - first_of_word
    return onset + duration * (position + 0.5) / tokens_in_word


def select_units(hidden: np.ndarray, word_index: np.ndarray, *, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Keep every token, or one vector a word.

    Parameters
    ----------
    hidden: (token, hidden).
    word_index: (token,), non-decreasing.
    unit: "token", "last_token" (of each word) or "word_mean" (over its tokens).

    Returns
    -------
    (unit, hidden) and (unit,) index of the unit's word.
    """
    if unit == "token":
        return hidden, word_index
    words, first, counts = np.unique(word_index, return_index=True, return_counts=True)
    if unit == "last_token":
        return hidden[first + counts - 1], words
    if unit == "word_mean":
        return np.add.reduceat(hidden, first, axis=0) / counts[:, None].astype(hidden.dtype), words
    raise ValueError(f"unknown unit: {unit!r}")


def story_features(
    hidden: np.ndarray,
    word_index: np.ndarray,
    onset_s: np.ndarray,
    offset_s: np.ndarray,
    tr_times_s: np.ndarray,
    *,
    unit: str,
    token_time: str,
    delays_s: Sequence[float],
    window: int,
    normalize: bool,
) -> NDArray[np.float32]:
    """The delayed LM representation of a story on its response's TRs (paper, section 3.1).

    Parameters
    ----------
    hidden: (token, hidden) float32, one block's output.
    word_index: (token,).
    onset_s, offset_s: (word,) s after sound onset.
    tr_times_s: (time,) s after sound onset.

    Returns
    -------
    (time, hidden) float32.

    Raises
    ------
    InputError: hidden states that are not those of the story's words.
    """
    in_order = word_index.size == 0 or (word_index[0] >= 0 and np.all(np.diff(word_index) >= 0))
    if len(hidden) != word_index.size or not in_order or np.any(word_index >= len(onset_s)):
        raise InputError(
            f"{len(hidden)} hidden states and {word_index.size} tokens do not fit a story of {len(onset_s)} words: "
            "run the step that reads the story with the language model again."
        )
    states, words = select_units(hidden, word_index, unit=unit)
    times_s = token_times(words, onset_s, offset_s, rule=token_time)
    weights = delayed_weights(times_s, tr_times_s, delays_s=delays_s, window=window, normalize=normalize)
    return (weights.astype(np.float32) @ states).astype(np.float32)
