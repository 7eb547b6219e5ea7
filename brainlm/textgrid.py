"""Praat TextGrids: the words of a story and when they are spoken.

Praat's long and short text formats are the same sequence of texts in quotes, numbers and flags, once the keys
and comments between them are left out; see "TextGrid file formats" in Praat's manual.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from brainlm.annex import check_downloaded
from brainlm.errors import InputError

WORDS_TIER = 1
NON_WORDS = frozenset({"", "sentence_start", "sentence_end", "br", "lg", "ls", "ns", "sp", "sl", "cg", "ig"})
"""Labels that stand for pauses, breaths, laughter, lip smacks, noise and the like."""

# Praat reads blank-separated items: a number counts only when it stands alone, so that the index in
# `intervals [12]:` does not, and `!` begins a comment only where an item may begin.
_ITEM = re.compile(
    r'"(?P<text>[^"]*(?:""[^"]*)*)"'
    r'|(?P<open_text>")'
    r"|(?P<comment>![^\r\n]*)"
    r"|(?P<flag><[^<>\s]*>)"
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?!\S)"
    r'|[^\s"]+'
)
_HEADER = re.compile(r'\s*(?:File type\s*=\s*)?"ooTextFile')


@dataclass(frozen=True)
class _Tier:
    kind: str
    intervals: list[tuple[float, float, str]]
    """(onset_s, offset_s, label); a point tier has none"""


class _MalformedError(Exception):
    """What is wrong with a TextGrid, in words that follow the file's name."""


def read_words(path: Path | str) -> pd.DataFrame:
    """Read the words of a story's TextGrid: tier 1, after the phones in tier 0.

    The file may be in the long or the short text format, in UTF-8, in UTF-16 with a byte order mark, or in
    Latin-1. A label with blanks or line breaks in it stays one word, because it has one interval; each run of
    them becomes a single blank. Labels in `NON_WORDS` are dropped, in any case, with or without braces.

    Returns
    -------
    DataFrame with a row per word in order of onset: ``word`` (str, lower case, no blanks at its ends),
    ``onset_s`` and ``offset_s`` (float64, seconds after sound onset). ``.attrs["dropped"]`` is the number of
    dropped intervals by label, e.g. ``{"": 3, "sp": 120}``.

    Raises
    ------
    InputError : if the file is missing, not downloaded, no TextGrid, truncated or damaged; if its tier 1 is
        missing or has no intervals; if an interval ends before it begins; if no word is left.
    """
    path = Path(path)
    check_downloaded(path)
    try:
        intervals = _words_tier(_parse(_decode(path.read_bytes())))
    except _MalformedError as problem:
        raise InputError(f"{path} {problem}") from None

    words, dropped = [], Counter()
    for onset_s, offset_s, label in sorted(intervals, key=lambda interval: interval[0]):
        word = " ".join(label.split()).lower()
        bare = word.casefold().strip("{} ")
        if bare in NON_WORDS:
            dropped[bare] += 1
        else:
            words.append((word, onset_s, offset_s))
    if not words:
        raise InputError(
            f"{path} has no words: none of the {len(intervals)} intervals of its second tier is one. "
            "Check that its first tier holds the phones and its second the words."
        )
    table = pd.DataFrame(words, columns=["word", "onset_s", "offset_s"])
    table.attrs["dropped"] = dict(sorted(dropped.items()))
    return table


def write(
    path: Path | str, tiers: Mapping[str, pd.DataFrame], duration_s: float, *, short: bool = False
) -> None:
    """Write interval tiers as a TextGrid (UTF-8) that Praat reads, in its long or its short text format.

    Parameters
    ----------
    tiers : in order, a tier's name and its intervals: a DataFrame with columns ``label`` (str), ``onset_s``
        and ``offset_s``. Stretches without an interval get the empty label. Times are rounded to 1 ns, so
        that ends and beginnings that differ by a rounding error meet.
    duration_s : end of every tier; all begin at 0.

    Raises
    ------
    ValueError : if intervals overlap, are empty or reach beyond 0 ... `duration_s`.
    """
    end_s = round(float(duration_s), 9)
    filled = {name: _fill_gaps(name, tier, end_s) for name, tier in tiers.items()}
    text = _short_format(filled, end_s) if short else _long_format(filled, end_s)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise _truncated() from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _parse(text: str) -> list[_Tier]:
    if not _HEADER.match(text):
        raise _not_a_textgrid()
    items = _items(text)
    _take(items, "text")
    if _take(items, "text") != "TextGrid":
        raise _not_a_textgrid()
    _take_numbers(items, 2)
    if _take(items, "flag") != "<exists>":
        return []
    return [_parse_tier(items) for _ in range(_take_count(items))]


def _parse_tier(items: Iterator[tuple[str, str]]) -> _Tier:
    kind = _take(items, "text")
    _take(items, "text")
    _take_numbers(items, 2)
    intervals = []
    for _ in range(_take_count(items)):
        if kind == "IntervalTier":
            onset_s, offset_s = _take_numbers(items, 2)
            intervals.append((onset_s, offset_s, _take(items, "text")))
        else:
            _take_numbers(items, 1)
            _take(items, "text")
    return _Tier(kind, intervals)


def _words_tier(tiers: list[_Tier]) -> list[tuple[float, float, str]]:
    if len(tiers) <= WORDS_TIER:
        raise _MalformedError(
            f"has {len(tiers)} tier(s), but words are read from its second one: "
            "give it a tier of phones, which may be empty, and a tier of words."
        )
    tier = tiers[WORDS_TIER]
    if tier.kind != "IntervalTier":
        raise _MalformedError(
            f"has a {tier.kind} as its second tier, but words need intervals (an IntervalTier): "
            "put the words into the second tier."
        )
    for onset_s, offset_s, label in tier.intervals:
        if offset_s < onset_s:
            raise _MalformedError(
                f"has an interval that ends before it begins ({label!r}, {onset_s} to {offset_s} s): "
                "mend its times in the words tier."
            )
    return tier.intervals


def _items(text: str) -> Iterator[tuple[str, str]]:
    """The (kind, value) of each text, number and flag; keys and comments are left out."""
    for match in _ITEM.finditer(text):
        kind = match.lastgroup
        if kind == "open_text":
            raise _truncated()
        if kind == "text":
            yield kind, match["text"].replace('""', '"')
        elif kind in ("number", "flag"):
            yield kind, match[kind]


def _take(items: Iterator[tuple[str, str]], kind: str) -> str:
    found, value = next(items, ("end", ""))
    if found == "end":
        raise _truncated()
    if found != kind:
        raise _MalformedError(
            f"is damaged: there is the {found} {value!r} where a {kind} is due. "
            "Get the file again, or open it in Praat and save it as a text file."
        )
    return value


def _take_numbers(items: Iterator[tuple[str, str]], count: int) -> list[float]:
    return [float(_take(items, "number")) for _ in range(count)]


def _take_count(items: Iterator[tuple[str, str]]) -> int:
    value = _take(items, "number")
    if not value.isdecimal():
        raise _MalformedError(
            f"is damaged: {value} is no number of tiers or intervals. "
            "Get the file again, or open it in Praat and save it as a text file."
        )
    return int(value)


def _not_a_textgrid() -> _MalformedError:
    return _MalformedError("is not a Praat TextGrid: open it in Praat and save it as a text file.")


def _truncated() -> _MalformedError:
    return _MalformedError("is truncated: it ends in the middle. Get the file again.")


def _fill_gaps(name: str, tier: pd.DataFrame, end_s: float) -> list[tuple[float, float, str]]:
    filled, last_s = [], 0.0
    ordered = tier.sort_values("onset_s", kind="stable")
    times_s = ordered[["onset_s", "offset_s"]].to_numpy(dtype="float64").round(9).tolist()
    for label, (onset_s, offset_s) in zip(ordered["label"], times_s, strict=True):
        if not last_s <= onset_s < offset_s <= end_s:
            raise ValueError(
                f"tier {name!r}: the interval {label!r} ({onset_s} to {offset_s} s) is empty, overlaps the "
                f"one before it (which ends at {last_s} s) or ends after {end_s} s"
            )
        if onset_s > last_s:
            filled.append((last_s, onset_s, ""))
        filled.append((onset_s, offset_s, label))
        last_s = offset_s
    if last_s < end_s:
        filled.append((last_s, end_s, ""))
    return filled


def _long_format(tiers: Mapping[str, list[tuple[float, float, str]]], end_s: float) -> str:
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        f"xmax = {end_s} ",
        "tiers? <exists> ",
        f"size = {len(tiers)} ",
        "item []: ",
    ]
    for tier_number, (name, intervals) in enumerate(tiers.items(), start=1):
        lines += [
            f"    item [{tier_number}]:",
            '        class = "IntervalTier" ',
            f"        name = {_quoted(name)} ",
            "        xmin = 0 ",
            f"        xmax = {end_s} ",
            f"        intervals: size = {len(intervals)} ",
        ]
        for number, (onset_s, offset_s, label) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{number}]:",
                f"            xmin = {onset_s} ",
                f"            xmax = {offset_s} ",
                f"            text = {_quoted(label)} ",
            ]
    return "\n".join(lines) + "\n"


def _short_format(tiers: Mapping[str, list[tuple[float, float, str]]], end_s: float) -> str:
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end_s}", "<exists>"]
    lines.append(f"{len(tiers)}")
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', _quoted(name), "0", f"{end_s}", f"{len(intervals)}"]
        for onset_s, offset_s, label in intervals:
            lines += [f"{onset_s}", f"{offset_s}", _quoted(label)]
    return "\n".join(lines) + "\n"


def _quoted(label: str) -> str:
    return '"' + label.replace('"', '""') + '"'
