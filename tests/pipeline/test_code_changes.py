"""What makes results out of date besides the code that imports reach."""

from pathlib import Path

import pytest

from pipeline.code_changes import templates_param


@pytest.fixture
def templates(tmp_path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "page.html").write_text("<p>{{ text }}</p>")
    (folder / "style.css").write_text("p { color: black }")
    return folder


def test_templates_that_are_the_same_have_the_same_param_wherever_they_lie(templates, tmp_path):
    before = templates_param(templates)
    (templates / "style.css").touch()
    assert templates_param(templates.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "page.html").write_text("<b>{{ text }}</b>"),
        lambda folder: (folder / "page.html").rename(folder / "sheet.html"),
        lambda folder: (folder / "another.html").write_text(""),
        lambda folder: (folder / "style.css").unlink(),
    ],
    ids=["an edit", "a name", "one more", "one less"],
)
def test_a_change_of_the_templates_changes_their_param(templates, edit):
    before = templates_param(templates)
    edit(templates)
    assert templates_param(templates) != before
