"""Whether a story's words and its recording can be on one clock, as far as lengths tell."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError

OUTSIDE = 1 / 2
"""Share of words outside the recording above which they are not this recording's."""
UNSEEN = 1 / 20
"""Share of words after all that the rows see above which something may be wrong."""
WORDLESS = 1 / 5
"""Share of rows without a word from which on something may be wrong."""
FASTEST_WORDS_PER_S = 10
"""Nobody speaks faster for long: times that would ask for it are not milliseconds."""
LONGEST_WORD_S = 10
MILLISECONDS = "are its times in milliseconds? Give seconds after the sound's onset."


def check_clocks(
    onset_s: np.ndarray,
    offset_s: np.ndarray,
    tr_times_s: np.ndarray,
    *,
    transcript: str,
    n_volumes: int,
    tr_s: float,
    sound_onset_s: float,
    delays_s: Sequence[float],
    window: int,
    is_segment: bool = False,
    sound_onset_name: str = "sound_onset_s",
) -> list[str]:
    """Compare the times of a story's words with those of its recording.

    The recording lasts from -sound_onset_s to n_volumes tr_s - sound_onset_s. A row at t sees the words that are
    heard, even in part, within `window` TRs of t - delay, for any delay. Words before the sound's onset (negative
    times) are context, and judged no further. A segment's transcript is that of a longer recording: any number of
    words may lie outside the segment, but its rows must see some.

    Parameters
    ----------
    onset_s, offset_s : (word,) s after sound onset, at least one.
    tr_times_s : (time,) of the response's rows, s after sound onset, increasing.
    transcript : what sentences call the words: their file and the story.
    n_volumes : of the recording, before any are trimmed.
    sound_onset_s : s after the recording's first volume; may be negative.
    delays_s, window : of the features; the window in TRs.
    is_segment : whether the words are those of a recording that the story is a segment of.
    sound_onset_name : what sentences call `sound_onset_s`.

    Returns
    -------
    Sentences for the user: if more than `UNSEEN` of the words begin more than the largest delay and the window after
    the last row, unless the story is a segment; if `WORDLESS` of the rows or more see no word.

    Raises
    ------
    InputError : if more than `OUTSIDE` of the words begin after the recording's end or end before it begins; of a
        segment, if more than `OUTSIDE` of the rows see no middle of a word (a word in milliseconds lasts minutes); if
        all words lie before the sound's onset; if fewer than two rows are left of the recording.
    """
    if len(tr_times_s) < 2:
        raise InputError(
            f"{transcript}: {len(tr_times_s)} rows (TRs) are left of its recording after trimming, but two are "
            "needed: check the trim and the story's number of volumes in respdict.json."
        )
    start_s, end_s = -sound_onset_s, n_volumes * tr_s - sound_onset_s
    reach_s = window * tr_s
    onset_given = f"{sound_onset_name} ({_seconds(sound_onset_s)})"
    if is_segment:
        _check_segment(onset_s, offset_s, tr_times_s, delays_s, reach_s, transcript, onset_given)
        found = []
    else:
        seen_until_s = tr_times_s[-1] + max(delays_s) + reach_s
        found = _check_words(
            onset_s, offset_s, tr_times_s, (start_s, end_s), seen_until_s, transcript, onset_given
        )
    wordless = ~_sees_a_word(onset_s, offset_s, tr_times_s, delays_s, reach_s)
    if wordless.sum() >= WORDLESS * len(tr_times_s):
        found.append(
            f"{transcript}: {wordless.sum()} of {len(tr_times_s)} rows (TRs) have no word within {_seconds(reach_s)} "
            f"of any delay: its words last from {_seconds(onset_s.min())} to {_seconds(offset_s.max())}, the "
            f"recording from {_seconds(start_s)} to {_seconds(end_s)}: is a part of the transcript missing, is it "
            f"another story's, or is {onset_given} wrong?"
        )
    return found


def _check_words(
    onset_s: np.ndarray,
    offset_s: np.ndarray,
    tr_times_s: np.ndarray,
    recording_s: tuple[float, float],
    seen_until_s: float,
    transcript: str,
    onset_given: str,
) -> list[str]:
    """What may be wrong with where a story's own words lie; see `check_clocks`."""
    start_s, end_s = recording_s
    judged = onset_s >= 0
    if not judged.any():
        raise InputError(
            f"{transcript}: all {len(onset_s)} words begin before the sound's onset: give times in s after it."
        )
    onset_s, offset_s = onset_s[judged], offset_s[judged]
    n_words = len(onset_s)
    late, early = onset_s > end_s, offset_s < start_s
    cause = _cause(onset_s, offset_s, start_s, end_s, onset_given)
    if late.sum() + early.sum() > OUTSIDE * n_words:
        where = [
            f"{of.sum()} of {n_words} words {what}"
            for of, what in (
                (late, f"begin after the recording's end ({_seconds(end_s)})"),
                (early, f"end before the recording's beginning ({_seconds(start_s)})"),
            )
            if of.any()
        ]
        segment = " Of a segment, name the recording in the table of stories." if early.any() else ""
        raise InputError(f"{transcript}: {' and '.join(where)}: {cause}{segment}")
    n_unseen = int((onset_s > seen_until_s).sum())
    if n_unseen <= UNSEEN * n_words:
        return []
    if not late.any():
        cause = "does the trim cut off too much at the end, " + _another_clock(onset_given)
    return [
        f"{transcript}: {n_unseen} of {n_words} words begin after {_seconds(seen_until_s)} and are in no row: "
        f"the last row (TR) is at {_seconds(tr_times_s[-1])}, the recording's end at {_seconds(end_s)}: {cause}"
    ]


def _check_segment(
    onset_s: np.ndarray,
    offset_s: np.ndarray,
    tr_times_s: np.ndarray,
    delays_s: Sequence[float],
    reach_s: float,
    transcript: str,
    onset_given: str,
) -> None:
    """Check that the rows of a segment lie among the words of its recording; see `check_clocks`."""
    middle_s = (onset_s + offset_s) / 2
    n_wordless = int((~_sees_a_word(middle_s, middle_s, tr_times_s, delays_s, reach_s)).sum())
    if n_wordless <= OUTSIDE * len(tr_times_s):
        return
    in_milliseconds = np.median(offset_s - onset_s) > LONGEST_WORD_S
    raise InputError(
        f"{transcript}: {n_wordless} of the segment's {len(tr_times_s)} rows (TRs), {_seconds(tr_times_s[0])} to "
        f"{_seconds(tr_times_s[-1])} after the recording's sound onset, have no word in the recording's transcript, "
        f"which lasts from {_seconds(onset_s.min())} to {_seconds(offset_s.max())}: "
        + (MILLISECONDS if in_milliseconds else _another_clock(onset_given))
    )


def _sees_a_word(
    onset_s: np.ndarray,
    offset_s: np.ndarray,
    tr_times_s: np.ndarray,
    delays_s: Sequence[float],
    reach_s: float,
) -> NDArray[np.bool_]:
    """(time,) bool: whether a word is heard within `reach_s` of the row's time less any delay."""
    times_s = tr_times_s - np.asarray(delays_s, float)[:, None]
    n_begun = np.searchsorted(np.sort(onset_s), times_s + reach_s, side="right")
    n_over = np.searchsorted(np.sort(offset_s), times_s - reach_s, side="left")
    return (n_begun > n_over).any(axis=0)


def _cause(onset_s: np.ndarray, offset_s: np.ndarray, start_s: float, end_s: float, onset_given: str) -> str:
    """What to ask of words that lie outside their recording."""
    length_s = offset_s.max() - onset_s.min()
    in_seconds = onset_s / 1000
    n_outside = ((in_seconds > end_s) | (in_seconds < start_s)).sum()
    if n_outside <= UNSEEN * len(onset_s) and len(onset_s) <= FASTEST_WORDS_PER_S * length_s / 1000:
        return MILLISECONDS
    if length_s > end_s - start_s:
        return (
            f"it lasts {_seconds(length_s)} and the recording {_seconds(end_s - start_s)}: is it another story's "
            "transcript, is the story's number in respdict.json or tr_s wrong, or are its times no seconds?"
        )
    return _another_clock(onset_given)


def _another_clock(onset_given: str) -> str:
    return f"is {onset_given} wrong, or is it another story's transcript?"


def _seconds(time_s: float) -> str:
    return f"{time_s:,.1f} s".replace(".0 s", " s")
