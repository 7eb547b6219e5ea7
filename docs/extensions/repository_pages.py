"""Pages of the site and files of the repository are one text: links between them lead somewhere in both.

A page may include a file that lies outside of docs/. Its links, and those of pages to such files, are written as
GitHub needs them; here they are turned to the page that shows the file.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGE_OF = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code_of_conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "config/README.md": "reference/settings.md",
}
"""File of the repository -> the page that includes it."""
_INCLUDE = re.compile(r"^```\{include\} (\S+)\n((?::[\w-]+: .*\n)*)```$", re.MULTILINE)
_OPTION = re.compile(r"^:([\w-]+): (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def included(match: re.Match[str], page: Path) -> str:
    """What an `{include}` stands for, with links as the page needs them."""
    file, options = (page.parent / match[1]).resolve(), dict(_OPTION.findall(match[2]))
    text = file.read_text(encoding="utf-8")
    if "start-after" in options:
        text = text.split(options["start-after"], 1)[1]
    if "end-before" in options:
        text = text.split(options["end-before"], 1)[0]
    return with_links_of_page(text, file, page)


def with_links_of_page(text: str, file: Path, page: Path) -> str:
    """The text of a file, with links as they are seen from a page; code stays as it is.

    What lies outside of the repository, such as its host's list of issues, is no link here.
    """

    def link(match: re.Match[str]) -> str:
        text, address, heading = match.groups()
        target = (file.parent / address).resolve()
        if not target.is_relative_to(REPOSITORY):
            return text
        inside = target.relative_to(REPOSITORY).as_posix()
        shown = DOCS / PAGE_OF[inside] if inside in PAGE_OF else target
        return f"[{text}]({os.path.relpath(shown, page.parent)}{heading or ''})"

    parts = _FENCED.split(text)
    return "".join(part if part.startswith("```") else _LINK.sub(link, part) for part in parts)


def _prepare(app: "Sphinx", docname: str, source: list[str]) -> None:
    page = DOCS / f"{docname}.md"
    text = with_links_of_page(source[0], page, page)
    source[0] = _INCLUDE.sub(lambda match: included(match, page), text)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Prepare every page before it is parsed."""
    app.connect("source-read", _prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
