"""Transcripts: the words of a story and when they are spoken, from a TextGrid, a table or gentle's align.csv."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd

from brainlm.errors import InputError
from brainlm.files import check_downloaded
from brainlm.textgrid.labels import oddities, sort_labels
from brainlm.textgrid.tiers import read_words
from brainlm.textgrid.word_times import Fault, Spoken, check_faults, error_of, parse_time, settle_times

COLUMNS = ("word", "onset", "offset")


def read_transcript(
    path: Path | str,
    *,
    non_words: Collection[str] | None = None,
    words_tier: str | None = None,
    words_without_times: str = "refuse",
) -> pd.DataFrame:
    """Read a story's words from a table (``.tsv``), from what the aligner gentle writes (``.csv``), or from a
    TextGrid as `brainlm.textgrid.tiers.read_words` does.

    A table is UTF-8, with or without byte order mark. Its first line names the columns, which stand between
    tabs: ``word``, ``onset`` and ``offset`` (s after sound onset, negative before it), in any order, among others
    that are left alone. Each further line holds one word; cells may stand in double quotes. Words are taken as they
    are, "nan", "null" and "sp" among them, but in lower case; lines without a word are dropped.

    gentle's align.csv has no line of names, and between commas the word of the text, the word that was recognized (a
    column that may lack), onset and offset. Both times are empty where it has not found the word, which is then
    placed between its neighbours, as with ``words_without_times="between"``, and counted.

    Parameters
    ----------
    non_words, words_tier : see `brainlm.textgrid.tiers.read_words`.
    words_without_times : see `brainlm.textgrid.word_times.settle_times`; times are not given where cells are
        empty or hold one of `brainlm.textgrid.word_times.NO_TIME`. Not of gentle's words.

    Returns
    -------
    DataFrame with a row per word in order of onset: ``word`` (str, lower case, no blanks at its ends),
    ``onset_s`` and ``offset_s`` (float64, seconds after sound onset). Of ``.attrs``, ``["dropped"]`` is the number of
    dropped intervals or lines by label, e.g. ``{"": 3}``, ``["in_brackets"]`` lists those of these labels that only
    their brackets betray, and ``["notes"]`` and ``["warnings"]`` list sentences for a log and for the user.

    Raises
    ------
    InputError : if the file is missing, not downloaded or not readable; if a table is not UTF-8, lacks a column
        or has no words; with the numbers of the lines, if some have another number of cells than the first one, a
        quote that is not closed, several words in a cell, a time that is no number or not given, or an offset
        before its onset. For TextGrids see `brainlm.textgrid.tiers.read_words`.
    """
    path = Path(path)
    try:
        if path.suffix == ".tsv":
            words = _read_table(path, non_words, words_without_times)
        elif path.suffix == ".csv":
            words = _read_gentle(path, non_words)
        else:
            words = read_words(
                path, non_words=non_words, words_tier=words_tier, words_without_times=words_without_times
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


def _read_table(path: Path, non_words: Collection[str] | None, words_without_times: str) -> pd.DataFrame:
    check_downloaded(path)
    rows = _rows(path)
    line, header = next(rows, (1, []))
    if isinstance(header, Fault):
        raise error_of(path, [header])
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InputError(
            f"{path}, line {line}: there is no column '{missing[0]}'; the first line must name the columns "
            f"{', '.join(COLUMNS)}, with tabs between them."
        )

    lines, cells_of_lines, faults = [], [], []
    for line, cells in rows:
        if isinstance(cells, Fault):
            faults.append(cells)
        elif len(cells) != len(header):
            what = f"it has {len(cells)} cells, but the first line has {len(header)}; put one tab between two cells"
            faults.append(Fault(line, what))
        else:
            lines.append(line)
            cells_of_lines.append([cells[header.index(column)] for column in COLUMNS])
    return _words_of(path, lines, cells_of_lines, faults, non_words, words_without_times)


def _read_gentle(path: Path, non_words: Collection[str] | None) -> pd.DataFrame:
    check_downloaded(path)
    lines, cells_of_lines, faults = [], [], []
    for line, cells in _rows(path, delimiter=","):
        if isinstance(cells, Fault):
            faults.append(cells)
        elif len(cells) not in (3, 4):
            what = (
                f"it has {len(cells)} cells, but gentle's align.csv has word, recognized word, onset and offset; "
                "save a table of your own as .tsv, with tabs between its cells"
            )
            faults.append(Fault(line, what))
        elif line > 1 or cells[0].casefold() not in COLUMNS or cells[-1].casefold() not in COLUMNS:
            lines.append(line)
            cells_of_lines.append([cells[0], *cells[-2:]])
    return _words_of(path, lines, cells_of_lines, faults, non_words, "between")


def _words_of(
    path: Path,
    lines: Sequence[int],
    cells_of_lines: Sequence[Sequence[str]],
    faults: list[Fault],
    non_words: Collection[str] | None,
    words_without_times: str,
) -> pd.DataFrame:
    """The table that `read_transcript` returns, of cells word, onset and offset of each line."""
    labels = sort_labels((word for word, *_ in cells_of_lines), non_words)
    spoken = []
    for line, cells, is_word in zip(lines, cells_of_lines, labels.is_word, strict=True):
        if is_word:
            found = _faults_of_cells(line, *cells)
            faults += found
            spoken += [] if found else [Spoken(line, cells[0].lower(), *map(parse_time, cells[1:]))]
    words, notes, of_times = settle_times(spoken, words_without_times)
    check_faults(path, faults + of_times)
    if not words:
        raise InputError(f"{path} has no words: give it a line with word, onset and offset for each one.")
    table = pd.DataFrame(words, columns=["word", "onset_s", "offset_s"])
    table = table.sort_values("onset_s", kind="stable", ignore_index=True)
    table.attrs |= {
        "dropped": labels.dropped,
        "in_brackets": labels.in_brackets,
        "notes": notes,
        "warnings": [],
    }
    return table


def _rows(path: Path, delimiter: str = "\t") -> Iterator[tuple[int, list[str] | Fault]]:
    """The number of each line that is not empty, and its cells, without blanks at their ends, or what is wrong."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: this is not UTF-8; save the table as UTF-8.") from None
    # Lines are parsed one by one, so that a quote that is not closed ends with its line.
    for number, row in enumerate(io.StringIO(text, newline=None), start=1):
        if not row.strip():
            continue
        try:
            cells = next(csv.reader([row.rstrip("\n")], delimiter=delimiter, strict=True))
        except csv.Error:
            what = (
                'a cell begins with a " that does not close it; remove it, or write a word with quotes as '
                '"""word"""'
            )
            yield number, Fault(number, what)
        else:
            yield number, [cell.strip() for cell in cells]


def _faults_of_cells(line: int, word: str, onset: str, offset: str) -> list[Fault]:
    found = []
    if len(word.split()) > 1:
        found.append(Fault(line, f"{word!r} is more than one word; give each its own line and times"))
    for column, cell in (("onset", onset), ("offset", offset)):
        try:
            parse_time(cell)
        except ValueError:
            what = f"the {column} '{cell}' is no number; give seconds, for example 12.345"
            found.append(Fault(line, what))
    return found
