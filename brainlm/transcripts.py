"""Transcripts: the words of a story and when they are spoken, from a Praat TextGrid or from a plain table."""

import csv
import io
import math
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from brainlm.annex import check_downloaded
from brainlm.errors import InputError
from brainlm.labels import oddities, sort_labels
from brainlm.textgrid import read_words

COLUMNS = ("word", "onset", "offset")


def read_transcript(
    path: Path | str, *, non_words: Collection[str] | None = None, words_tier: str | None = None
) -> pd.DataFrame:
    """Read a story's words from a table (``.tsv``), or from a TextGrid as `brainlm.textgrid.read_words` does.

    A table is UTF-8, with or without byte order mark. Its first line names the columns, which stand between
    tabs: ``word``, ``onset`` and ``offset`` (s after sound onset), in any order, among others that are left
    alone. Each further line holds one word; cells may stand in double quotes. Words are taken as they are, "nan",
    "null" and "sp" among them, but in lower case; lines without a word are dropped.

    Returns
    -------
    DataFrame with a row per word in order of onset: ``word`` (str, lower case, no blanks at its ends),
    ``onset_s`` and ``offset_s`` (float64, seconds after sound onset). ``.attrs["dropped"]`` is the number of
    dropped intervals or lines by label, e.g. ``{"": 3}``.

    Raises
    ------
    InputError : if the file is missing, not downloaded or not readable; if a table is not UTF-8, lacks a column
        or has no words; with the number of the line, if it has another number of cells than the first one, a
        quote that is not closed, several words in a cell, or a time that is no number, negative, or an offset
        before its onset. For TextGrids see `brainlm.textgrid.read_words`.
    """
    path = Path(path)
    try:
        words = (
            _read_table(path, non_words)
            if path.suffix == ".tsv"
            else read_words(path, non_words=non_words, words_tier=words_tier)
        )
    except PermissionError:
        raise InputError(
            f"{path} cannot be read: its permissions, or those of its folder, do not allow it. Change them "
            "(`chmod u+r`) or ask its owner."
        ) from None
    words.attrs["warnings"] = words.attrs["warnings"] + [
        f"{path} {what}" for what in oddities(words["word"].tolist())
    ]
    return words


def _read_table(path: Path, non_words: Collection[str] | None) -> pd.DataFrame:
    check_downloaded(path)
    rows = _rows(path)
    line, header = next(rows, (1, []))
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InputError(
            f"{path}, line {line}: there is no column '{missing[0]}'; the first line must name the columns "
            f"{', '.join(COLUMNS)}, with tabs between them."
        )

    lines, cells_of_lines = [], []
    for line, cells in rows:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {line}: it has {len(cells)} cells, but the first line has {len(header)}; put one "
                "tab between two cells."
            )
        lines.append(line)
        cells_of_lines.append([cells[header.index(column)] for column in COLUMNS])
    labels = sort_labels((word for word, *_ in cells_of_lines), non_words)
    words = [
        _word(*cells, f"{path}, line {line}")
        for line, cells, is_word in zip(lines, cells_of_lines, labels.is_word, strict=True)
        if is_word
    ]
    if not words:
        raise InputError(f"{path} has no words: give it a line with word, onset and offset for each one.")
    table = pd.DataFrame(words, columns=["word", "onset_s", "offset_s"])
    table = table.sort_values("onset_s", kind="stable", ignore_index=True)
    table.attrs |= {
        "dropped": labels.dropped,
        "in_brackets": labels.in_brackets,
        "notes": [],
        "warnings": [],
    }
    return table


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells, without blanks at their ends, of each line that is not empty."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: this is not UTF-8; save the table as UTF-8.") from None
    # Lines are parsed one by one, so that a quote that is not closed ends with its line.
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if not line.strip():
            continue
        try:
            cells = next(csv.reader([line.rstrip("\n")], delimiter="\t", strict=True))
        except csv.Error:
            raise InputError(
                f'{path}, line {number}: a cell begins with a " that does not close it; remove it, or write '
                'a word with quotes as """word""".'
            ) from None
        yield number, [cell.strip() for cell in cells]


def _word(word: str, onset: str, offset: str, place: str) -> tuple[str, float, float]:
    if len(word.split()) > 1:
        raise InputError(f"{place}: {word!r} is more than one word; give each its own line and times.")
    onset_s, offset_s = _time(onset, "onset", place), _time(offset, "offset", place)
    if offset_s < onset_s:
        raise InputError(
            f"{place}: '{word}' ends before it begins ({onset_s} to {offset_s} s); mend its times."
        )
    return word.lower(), onset_s, offset_s


def _time(cell: str, column: str, place: str) -> float:
    try:
        time_s = float(cell)
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s):
        raise InputError(f"{place}: the {column} '{cell}' is no number; give seconds, for example 12.345.")
    if time_s < 0:
        raise InputError(
            f"{place}: the {column} {cell} is negative; times are in seconds after the sound's onset."
        )
    return time_s
