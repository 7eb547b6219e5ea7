"""What docs/methods.md names is there: functions, settings with their defaults, constants, sources and files."""

import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from pipeline.reference import entries

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"
TEXT, REFERENCES = re.sub(
    r"^```math\n.*?^```\n", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
).split("\n## References\n")
DEFAULTS = {key: default for key, default, _ in entries()}


def tables() -> Iterator[list[dict[str, str]]]:
    """Rows of each table: heading of a column -> cell."""
    for table in re.findall(r"(?:^\|.+\|\n)+", TEXT, re.MULTILINE):
        heads, _, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
        )
        yield [dict(zip(heads, cells, strict=True)) for cells in rows]


def test_every_name_of_the_library_can_be_imported():
    names = set(re.findall(r"`(brainlm(?:\.\w+)+)`", TEXT))
    assert names
    for name in sorted(names):
        pkgutil.resolve_name(name)


def test_every_key_is_a_setting():
    dotted = {
        name for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", TEXT) if not name.startswith("brainlm.")
    }
    sections = set(re.findall(r"setting\s+`(\w+)`", TEXT))
    assert dotted and sections
    assert sorted(dotted - set(DEFAULTS)) == []
    assert sorted(sections - {key.partition(".")[0] for key in DEFAULTS}) == []


def test_defaults_are_those_of_the_settings():
    rows = [row for table in tables() if "setting" in table[0] for row in table]
    assert rows
    for row in rows:
        key = row["setting"].strip("`")
        told = yaml.safe_load(row["default"]) if row["default"] else None
        assert told == (yaml.safe_load(yaml.safe_dump(DEFAULTS[key])) if key else None), key


def test_constants_have_the_values_that_are_told():
    told = re.findall(r"`(brainlm[\w.]+)`\s=\s([\d.]+\d|\d)", TEXT)
    assert told
    assert {name: float(value) for name, value in told} == {
        name: pkgutil.resolve_name(name) for name, _ in told
    }


def test_every_source_is_in_the_references_and_every_reference_is_cited():
    cited = re.findall(r"\b([A-Z]\w+)(?: & [A-Z]\w+| et al\.)? ((?:19|20)\d\d)\b", " ".join(TEXT.split()))
    entries_of_list = REFERENCES.strip().splitlines()
    # Of "Dupré la Tour T, ..." and "von Neumann J" the last word is what a citation begins with.
    listed = [re.match(r"- (?:.*? )??(\w+) [A-Z]+(?=,| \().*?\((\d{4})\)", line) for line in entries_of_list]
    assert all(listed), [line for line, found in zip(entries_of_list, listed, strict=True) if not found]
    assert set(cited) == {found.groups() for found in listed}


def test_every_linked_file_is_there():
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
    assert targets
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []
