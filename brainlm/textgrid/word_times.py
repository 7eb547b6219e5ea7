"""When the words of a transcript are spoken: times that are missing or cannot be, and what becomes of them."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from brainlm.errors import InputError

NO_TIME = frozenset({"", "na", "n/a", "nan", "none", "null"})
"""What programs write, in any case, in place of a time that they do not have."""
SLIP_S = 0.1
"""A word that ends earlier than it begins by less than this, in s, is a slip of its aligner."""
LONGEST_ACROSS_ONSET_S = 2.0
FAULTS_NAMED = 5
_PLACED = "without times are placed between their neighbours"
_HALF = "with one time alone are placed there"
_SLIPPED = f"that end before they begin by less than {SLIP_S} s are given no length"

Times = tuple[float, float]
"""(onset_s, offset_s)"""


@dataclass(frozen=True)
class Spoken:
    """A word as it stands in a transcript."""

    line: int
    """of the file"""
    word: str
    onset_s: float | None
    """None: not given"""
    offset_s: float | None


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line of a transcript."""

    line: int
    what: str
    """without a full stop"""
    advice: str = ""
    """a sentence that is said once for all faults alike"""


def parse_time(cell: str) -> float | None:
    """A time in s; None if the cell stands for none.

    Raises
    ------
    ValueError: a cell that is no number.
    """
    if cell.strip().casefold() in NO_TIME:
        return None
    time_s = float(cell)
    if math.isinf(time_s):
        raise ValueError(cell)
    return None if math.isnan(time_s) else time_s


def settle_times(
    spoken: Sequence[Spoken], words_without_times: str
) -> tuple[list[tuple[str, float, float]], list[str], list[Fault]]:
    """Give every word an onset and an offset, or say why that cannot be.

    Some aligners write -1 for a time that they do not have. It counts as a time only of a word before the sound's
    onset, or of one across it that lasts at most `LONGEST_ACROSS_ONSET_S`. A word that ends before it begins by less
    than `SLIP_S` keeps its onset and has no length.

    Parameters
    ----------
    spoken: in the order of the text.
    words_without_times: "refuse", or "between": of m words in a row without times, word k (from 0) is heard, without
        length, at the share (k + 0.5) / m of the gap between the offset of the word before them and the onset of the
        word after; at the file's beginning or end at the only edge there is. A word of which one time is given is
        heard then, without length.

    Returns
    -------
    (word, onset_s, offset_s) of all words in their order; sentences for a log, without the file's name; faults, with
    which there are no words.
    """
    faults: list[Fault] = []
    times: list[Times | None] = []
    counts: Counter[str] = Counter()
    for entry in spoken:
        onset_s, offset_s = _given(entry.onset_s, entry.offset_s)
        if onset_s is None or offset_s is None:
            if words_without_times == "refuse":
                faults.append(_untimed(entry, onset_s, offset_s))
            only_s = offset_s if onset_s is None else onset_s
            times.append(None if only_s is None else (only_s, only_s))
            counts[_PLACED if only_s is None else _HALF] += 1
        elif round(onset_s - offset_s, 9) >= SLIP_S:
            what = f"'{entry.word}' ends before it begins ({onset_s} to {offset_s} s); mend its times"
            faults.append(Fault(entry.line, what))
        else:
            times.append((onset_s, max(onset_s, offset_s)))
            counts[_SLIPPED] += offset_s < onset_s
    faults = faults or _impossible_places(spoken, times)
    if faults:
        return [], [], faults
    words = [(entry.word, *at) for entry, at in zip(spoken, _between(times), strict=True)]
    return words, [f"words {what}: {count}" for what, count in counts.items() if count], []


def check_faults(path: Path, faults: Iterable[Fault]) -> None:
    """Raise InputError if there are faults, as `error_of` says them."""
    found = list(faults)
    if found:
        raise error_of(path, found)


def error_of(path: Path, faults: Iterable[Fault]) -> InputError:
    """What is wrong with a file: the first few faults with their lines, and how many others there are."""
    ordered = sorted(faults, key=lambda fault: fault.line)
    named = [f"line {fault.line}: {fault.what}" for fault in ordered[:FAULTS_NAMED]]
    sentences = [named[0], *(f"L{name[1:]}" for name in named[1:])]
    n_others = len(ordered) - len(named)
    if n_others:
        sentences.append(f"And {n_others} more such fault{'s' * (n_others > 1)}")
    advice = [f" {text}" for text in dict.fromkeys(fault.advice for fault in ordered) if text]
    return InputError(f"{path}, {'. '.join(sentences)}.{''.join(advice)}")


def _given(onset_s: float | None, offset_s: float | None) -> tuple[float | None, float | None]:
    no_onset = onset_s == -1 and (offset_s in (None, -1) or offset_s + 1 > LONGEST_ACROSS_ONSET_S)
    no_offset = offset_s == -1 and (onset_s in (None, -1) or onset_s >= 0)
    return None if no_onset else onset_s, None if no_offset else offset_s


def _untimed(entry: Spoken, onset_s: float | None, offset_s: float | None) -> Fault:
    if onset_s is None and offset_s is None:
        what = "has no times"
    else:
        what = "has an offset but no onset" if onset_s is None else "has an onset but no offset"
    return Fault(
        entry.line,
        f"'{entry.word}' {what}",
        "Drop the lines of words without times, give them interpolated ones, or set words_without_times to "
        "between, which places them between their neighbours.",
    )


def _impossible_places(spoken: Sequence[Spoken], times: Sequence[Times | None]) -> list[Fault]:
    """Words without times whose neighbours do not say where they are."""
    known = [(number, at) for number, at in enumerate(times) if at is not None]
    if spoken and not known:
        return [Fault(spoken[0].line, f"none of the {len(spoken)} words has a time; align them again")]
    return [
        Fault(
            spoken[before + 1].line,
            f"'{spoken[before + 1].word}' has no times and stands between words that are not in the order of their "
            "onsets; sort the lines, or drop it",
        )
        for (before, (begin_s, _)), (after, (end_s, _)) in pairwise(known)
        if after - before > 1 and begin_s > end_s
    ]


def _between(times: Sequence[Times | None]) -> list[Times]:
    known = [(number, at) for number, at in enumerate(times) if at is not None]
    if not known:
        return []
    placed: list[Times] = []
    for number, at in [*known, (len(times), None)]:
        n_missing = number - len(placed)
        end_s = placed[-1][1] if at is None else at[0]
        # Not after the next word's onset, where words overlap: the order of the text is kept.
        begin_s = min(placed[-1][1], end_s) if placed else end_s
        for k in range(n_missing):
            time_s = begin_s + (end_s - begin_s) * (k + 0.5) / n_missing
            placed.append((time_s, time_s))
        placed += [] if at is None else [at]
    return placed
