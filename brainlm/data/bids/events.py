"""What a run's events.tsv says of its story: when the sound begins, and maybe its words."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from brainlm.data.bids.agreement import LARGEST_ONSET_DIFFERENCE
from brainlm.errors import InputError
from brainlm.files import check_downloaded

SOUND_TYPES = ("story", "sound", "audio")
"""`trial_type` of the row that tells of the sound, in any case, besides the story's own name."""
WORD_COLUMNS = ("word", "value")
"""Columns that may hold the word of a row whose `trial_type` is word; the first that there is."""


def read_events(path: Path) -> pd.DataFrame:
    """A run's events: a row each, in their order, all cells as text, with a column trial_type (lower case).

    Raises
    ------
    InputError: the file is missing, not downloaded, no table, or lacks onset or duration.
    """
    check_downloaded(path)
    try:
        events = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError:
        raise InputError(f"{path} is no tab-separated table in UTF-8: mend it.") from None
    for column in ("onset", "duration"):
        if column not in events:
            raise InputError(f"{path} has no column {column}, as every events.tsv must: mend it.")
    of_rows = events["trial_type"] if "trial_type" in events else pd.Series("", index=events.index)
    return events.assign(trial_type=of_rows.str.strip().str.casefold())


def sound_onset(path: Path, story: str) -> float | None:
    """When the story's sound begins, s after the run's first volume; None if no row tells.

    It is the onset of the only row whose trial_type is the story's name, story, sound or audio.

    Raises
    ------
    InputError: several such rows, an onset that is no number, or no events; another row plays the same stim_file
        before, so that a transcript of the file has another clock than the story.
    """
    events = read_events(path)
    rows = events[events["trial_type"].isin([story.casefold(), *SOUND_TYPES])]
    if rows.empty:
        return None
    if len(rows) > 1:
        raise InputError(
            f"{path} has {len(rows)} rows whose trial_type is '{story}' or {', '.join(SOUND_TYPES)}: give the "
            "story's onset_s in the table of stories."
        )
    row = rows.index[0]
    onset_s = _time(path, row, "onset", events["onset"][row])
    file = events["stim_file"][row].strip() if "stim_file" in events else ""
    for other in events.index[events["stim_file"].str.strip() == file] if file not in ("", "n/a") else ():
        file_s = _time(path, other, "onset", events["onset"][other])
        if file_s < onset_s:
            raise InputError(
                f"{path} has the story at {onset_s:g} s, but its {file} begins at {file_s:g} s "
                f"('{events['trial_type'][other]}'): give onset_s in the table of stories, {file_s:g} if the "
                "transcript's times count from the beginning of the file."
            )
    return onset_s


def has_words(path: Path) -> bool:
    """Whether an events.tsv has rows of words.

    Raises
    ------
    InputError: as `read_events`.
    """
    return bool((read_events(path)["trial_type"] == "word").any())


def spoken_words(path: Path) -> pd.DataFrame:
    """The words of an events.tsv: its rows whose trial_type is word.

    Returns
    -------
    Columns word (str), onset and offset (float64, s after the run's first volume), in the file's order.

    Raises
    ------
    InputError: there are none, no column holds the words, or a time is no number.
    """
    events = read_events(path)
    rows = events[events["trial_type"] == "word"]
    if rows.empty:
        raise InputError(f"{path} has no rows whose trial_type is word.")
    column = next((name for name in WORD_COLUMNS if name in rows), None)
    if column is None:
        raise InputError(
            f"{path} has no column {' or '.join(WORD_COLUMNS)} that holds the words (it has "
            f"{', '.join(events)[:200]}): call it word."
        )
    onset_s = [_time(path, line, "onset", cell) for line, cell in rows["onset"].items()]
    duration_s = [_time(path, line, "duration", cell) for line, cell in rows["duration"].items()]
    offset_s = [onset + max(duration, 0.0) for onset, duration in zip(onset_s, duration_s, strict=True)]
    return pd.DataFrame({"word": rows[column].tolist(), "onset": onset_s, "offset": offset_s})


def common_words(words: Mapping[str, pd.DataFrame], tr_s: float) -> pd.DataFrame:
    """The words of a story in all its runs, which must be the same and at the same times.

    Parameters
    ----------
    words: events.tsv -> its words, from `spoken_words`, their times from the sound's onset on.

    Returns
    -------
    Those of the first run.

    Raises
    ------
    InputError: other words, or times that differ by more than 0.05 TR.
    """
    (first, expected), *others = words.items()
    for path, own in others:
        if own["word"].tolist() != expected["word"].tolist():
            raise InputError(
                f"{path} has other words than {first}: are both of one story? Give the story a transcript of its own."
            )
        difference_s = float((own[["onset", "offset"]] - expected[["onset", "offset"]]).abs().max(axis=None))
        if difference_s > LARGEST_ONSET_DIFFERENCE * tr_s:
            raise InputError(
                f"{path} has words up to {difference_s:.3g} s earlier or later than {first}, from the sound's "
                f"onset on; {LARGEST_ONSET_DIFFERENCE} TR may be: leave out one of the runs."
            )
    return expected


def _time(path: Path, row: int, column: str, cell: str) -> float:
    try:
        time_s = float(cell)
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s):
        raise InputError(f"{path}, line {row + 2}: the {column} '{cell}' is no number; give seconds.")
    return time_s
