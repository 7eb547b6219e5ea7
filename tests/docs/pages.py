"""The pages that a reader opens, and the blocks of code in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
# Tutorials are notebooks, and tested as such.
PAGES = sorted(
    page
    for page in [*REPOSITORY.glob("*.md"), REPOSITORY / "config" / "README.md", *DOCS.rglob("*.md")]
    if not page.is_relative_to(DOCS / "_build") and not page.is_relative_to(DOCS / "tutorials")
)
_BLOCK = re.compile(r"(?:^ *<!-- ([^\n]+?) -->\n)?^( *)```(\S*)\n(.*?)^\2```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code."""

    page: str
    """Its path below the repository."""
    mark: str
    """The comment in the line before: what a test does with the block; "" if there is none."""
    language: str
    code: str


def blocks(*pages: Path) -> Iterator[Block]:
    """All blocks of the pages, directives of Sphinx apart."""
    for page in pages or PAGES:
        for mark, _, language, code in _BLOCK.findall(page.read_text(encoding="utf-8")):
            if not language.startswith("{"):
                yield Block(page.relative_to(REPOSITORY).as_posix(), mark, language, code)


def without_blocks(page: Path) -> str:
    """The prose of a page."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))
