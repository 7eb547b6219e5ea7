"""What is done to pages and docstrings before Sphinx reads them."""

import importlib.util
from types import ModuleType

import pytest

from tests.docs.pages import DOCS


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / "extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DOCSTRING = """Sums of rows.

Parameters
----------
a, b: (time, voxel) arrays,
    of equal shape.
**more: passed on.

Returns
-------
(voxel,) float32; of b,
as above.

And (time,) bool.

Raises
------
InputError: other shapes."""


def test_sections_of_a_docstring_become_fields_and_all_words_stay():
    lines = extension("plain_docstrings").as_fields(DOCSTRING.splitlines())
    assert lines[:2] == ["Sums of rows.", ""]
    assert ":param a, b: (time, voxel) arrays," in lines and "    of equal shape." in lines
    returned = lines.index(":returns:")
    assert lines[returned + 1 : returned + 5] == [
        *("    (voxel,) float32; of b,", "    as above.", "    ", "    And (time,) bool."),
    ]
    assert ":raises InputError: other shapes." in lines
    assert "----------" not in lines


def test_a_docstring_without_sections_is_left_alone():
    lines = ["Sums of rows.", "", "Returns", "nothing."]
    assert extension("plain_docstrings").as_fields(lines) == lines


@pytest.mark.parametrize(
    ("written", "on_the_page"),
    [
        ("[a](../../config/README.md#keys)", "[a](../reference/settings.md#keys)"),
        ("[b](../bids.md)", "[b](../bids.md)"),
        ("[c](https://x.org/y.md)", "[c](https://x.org/y.md)"),
        ("[d](#here)", "[d](#here)"),
        ("[e](../../LICENSE)", "[e](../../LICENSE)"),
        # Of the repository's host.
        ("[f](../../../issues)", "f"),
    ],
)
def test_links_into_the_repository_lead_to_the_page_that_shows_the_file(written, on_the_page):
    page = DOCS / "howto" / "several.md"
    found = extension("repository_pages").with_links_of_page(f"See {written}.", page, page)
    assert found == f"See {on_the_page}."


def test_an_included_files_links_are_seen_from_the_page_and_its_code_stays():
    pages = extension("repository_pages")
    readme = pages.REPOSITORY / "README.md"
    text = "![p](docs/images/p.png) [c](CONTRIBUTING.md)\n```\n[k](docs/k.md)\n```\n"
    assert pages.with_links_of_page(text, readme, DOCS / "index.md") == (
        "![p](images/p.png) [c](contributing.md)\n```\n[k](docs/k.md)\n```\n"
    )


def test_every_file_that_a_page_shows_is_included_by_it():
    pages = extension("repository_pages")
    for file, page in pages.PAGE_OF.items():
        shown = (DOCS / page).read_text(encoding="utf-8")
        included = {match[1] for match in pages._INCLUDE.finditer(shown)}
        assert {(DOCS / page).parent.joinpath(path).resolve() for path in included} == {
            pages.REPOSITORY / file
        }
