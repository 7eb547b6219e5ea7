"""Praat's text formats: the tiers of a TextGrid.

Praat's long and short text formats are the same sequence of texts in quotes, numbers and flags, once the keys
and comments between them are left out; see "TextGrid file formats" in Praat's manual.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brainlm.annex import check_downloaded
from brainlm.errors import InputError

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
class Tier:
    """A tier of a TextGrid."""

    name: str
    kind: str
    """IntervalTier, or TextTier for points"""
    intervals: list[tuple[float, float, str]]
    """(onset_s, offset_s, label); a point tier has none"""


class _MalformedError(Exception):
    """What is wrong with a TextGrid, in words that follow the file's name."""


def read_tiers(path: Path) -> list[Tier]:
    """Read the tiers of a TextGrid, in the file's order; points are left out.

    The file may be in the long or the short text format, in UTF-8, in UTF-16 with a byte order mark, or in
    Latin-1.

    Raises
    ------
    InputError : if the file is missing, not downloaded, no TextGrid, truncated or damaged.
    """
    check_downloaded(path)
    try:
        return _parse(_decode(path.read_bytes()))
    except _MalformedError as problem:
        raise InputError(f"{path} {problem}") from None


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


def _parse(text: str) -> list[Tier]:
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


def _parse_tier(items: Iterator[tuple[str, str]]) -> Tier:
    kind = _take(items, "text")
    name = _take(items, "text")
    _take_numbers(items, 2)
    intervals = []
    for _ in range(_take_count(items)):
        if kind == "IntervalTier":
            onset_s, offset_s = _take_numbers(items, 2)
            intervals.append((onset_s, offset_s, _take(items, "text")))
        else:
            _take_numbers(items, 1)
            _take(items, "text")
    return Tier(name, kind, intervals)


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
