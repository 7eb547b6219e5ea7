"""Docstrings as this library writes them, for Sphinx.

Their sections have the headings of NumPy's, and in them plain sentences: "rows: (time, column) float32." below
Parameters, "InputError: no such file." below Raises, and whole paragraphs below Returns.
"""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FIELDS = {"Parameters": "param", "Raises": "raises", "Returns": "returns", "Yields": "yields"}
_ENTRY = re.compile(r"(\w+(?:, \w+)*) ?: (.*)")
# |r| is a magnitude here, and no substitution.
_MAGNITUDE = re.compile(r"\|(\w+)\|")


def sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Heading ("" of what stands before the first one) and lines of each part of a docstring."""
    heading, part, position = "", [], 0
    while position < len(lines):
        if lines[position] in FIELDS and set(lines[position + 1 : position + 2]) == {
            "-" * len(lines[position])
        }:
            yield heading, part
            heading, part = lines[position], []
            position += 1
        else:
            part.append(lines[position])
        position += 1
    yield heading, part


def as_fields(lines: list[str]) -> list[str]:
    """The docstring with its sections as reStructuredText's lists of fields."""
    result: list[str] = []
    for heading, part in sections(lines):
        if not heading:
            result += part
        elif heading in ("Returns", "Yields"):
            result += [f":{FIELDS[heading]}:", *(f"    {line}" for line in part), ""]
        else:
            for line in part:
                entry = _ENTRY.match(line)
                result.append(f":{FIELDS[heading]} {entry[1]}: {entry[2]}" if entry else line)
            result.append("")
    return result


def _convert(
    app: "Sphinx", what: str, name: str, described: object, options: object, lines: list[str]
) -> None:
    lines[:] = [_MAGNITUDE.sub(r"\|\1\|", line) for line in as_fields(lines)]


def _without_fields(
    app: "Sphinx", what: str, name: str, described: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """What a dataclass takes stands below it, field by field."""
    return ("", "") if what == "class" and is_dataclass(described) else None


def _handed_on(app: "Sphinx", env: Any, node: Any, shown: Any) -> Any:
    """Docstrings name a function by the module that it stands in; pages have it in the package that hands it on."""
    *modules, name = node.get("reftarget", "").split(".")
    if node.get("refdomain") != "py" or modules[:1] != ["brainlm"]:
        return None
    python = env.get_domain("py")
    names = (".".join([*modules[:n], name]) for n in range(len(modules) - 1, 0, -1))
    found = (
        python.resolve_xref(env, node["refdoc"], app.builder, "obj", handed_on, node, shown)
        for handed_on in names
    )
    return next((link for link in found if link is not None), None)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Convert every docstring that autodoc reads, and find what it names."""
    app.connect("autodoc-process-docstring", _convert)
    app.connect("autodoc-process-signature", _without_fields)
    app.connect("missing-reference", _handed_on)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
