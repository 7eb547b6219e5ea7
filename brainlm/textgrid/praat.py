"""Praat's text formats: the tiers of a TextGrid.

Praat's long and short text formats are the same sequence of texts in quotes, numbers and flags, once the keys
and comments between them are left out; see "TextGrid file formats" in Praat's manual.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brainlm.errors import InputError
from brainlm.files import check_downloaded

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
_LINE_END = re.compile(r"\r\n?|\n")
_HEADER = re.compile(r'\s*(?:File type\s*=\s*)?"ooTextFile')


@dataclass(frozen=True)
class Tier:
    """A tier of a TextGrid."""

    name: str
    kind: str
    """IntervalTier, or TextTier for points"""
    intervals: list[tuple[float, float, str]]
    """(onset_s, offset_s, label); a point tier has none"""
    lines: list[int]
    """of the file, on which each interval's onset stands"""


@dataclass(frozen=True)
class _Item:
    kind: str
    """text, number or flag"""
    value: str
    line: int


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


def _parse_tier(items: Iterator[_Item]) -> Tier:
    kind = _take(items, "text")
    name = _take(items, "text")
    _take_numbers(items, 2)
    intervals, lines = [], []
    for _ in range(_take_count(items)):
        if kind == "IntervalTier":
            onset = _next(items, "number")
            (offset_s,) = _take_numbers(items, 1)
            intervals.append((float(onset.value), offset_s, _take(items, "text")))
            lines.append(onset.line)
        else:
            _take_numbers(items, 1)
            _take(items, "text")
    return Tier(name, kind, intervals, lines)


def _items(text: str) -> Iterator[_Item]:
    """Each text, number and flag; keys and comments are left out."""
    line, counted_to = 1, 0
    for match in _ITEM.finditer(text):
        kind = match.lastgroup
        if kind == "open_text":
            raise _truncated()
        if kind in ("text", "number", "flag"):
            line += len(_LINE_END.findall(text, counted_to, match.start()))
            counted_to = match.start()
            value = match[kind].replace('""', '"') if kind == "text" else match[kind]
            yield _Item(kind, value, line)


def _next(items: Iterator[_Item], kind: str) -> _Item:
    item = next(items, None)
    if item is None:
        raise _truncated()
    if item.kind != kind:
        raise _damaged(f"there is the {item.kind} {item.value!r} where a {kind} is due", item.line)
    return item


def _take(items: Iterator[_Item], kind: str) -> str:
    return _next(items, kind).value


def _take_numbers(items: Iterator[_Item], count: int) -> list[float]:
    return [float(_take(items, "number")) for _ in range(count)]


def _take_count(items: Iterator[_Item]) -> int:
    item = _next(items, "number")
    if not item.value.isdecimal():
        raise _damaged(f"{item.value} is no number of tiers or intervals", item.line)
    return int(item.value)


def _damaged(what: str, line: int) -> _MalformedError:
    return _MalformedError(
        f"is damaged: {what} (line {line}). Get the file again, or open it in Praat and save it as a text file."
    )


def _not_a_textgrid() -> _MalformedError:
    return _MalformedError("is not a Praat TextGrid: open it in Praat and save it as a text file.")


def _truncated() -> _MalformedError:
    return _MalformedError("is truncated: it ends in the middle. Get the file again.")
