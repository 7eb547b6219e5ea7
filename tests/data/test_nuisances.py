"""Columns that a dataset brings: what they hold comes back, and what cannot be one value a TR is named."""

from pathlib import Path

import numpy as np
import pytest

from brainlm.data import nuisance_faults, read_nuisances
from brainlm.errors import InputError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_come_back_with_their_names(tmp_path):
    values = np.random.default_rng(0).standard_normal((30, 3)) * [1, 1e-9, 1e12]
    # Names that the workflow's own tables keep for text, with blanks at their ends.
    lines = ["word\t pitch \tclass", *("\t".join(map(repr, row)) for row in values.tolist())]
    path = write(tmp_path / "forest.tsv", "\n".join(lines) + "\n\n")
    names, found = read_nuisances(path, "forest", n_rows=30)
    assert names == ["word", "pitch", "class"] and found.dtype == np.float64
    # How pandas rounds the last digit of a text depends on its version.
    np.testing.assert_allclose(found, values, rtol=1e-14)


@pytest.mark.parametrize(
    "content", ["\ufeffa\tb\r\n1\t2\r\n3\t4e0\r\n", 'a\t"b"\n"1"\t 2 \n3\t4', "a\tb\r1\t2\r3\t4"]
)
def test_tables_of_other_programs_are_read_alike(tmp_path, content):
    names, found = read_nuisances(write(tmp_path / "forest.tsv", content), "forest", n_rows=2)
    assert names == ["a", "b"]
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a\tb\n1\t2\n", r"it has 1 lines of values, but the story's responses have 2 rows \(TRs\)"),
        ("a\tb\n1\t2\n3\t4\n5\t6\n", "it has 3 lines of values"),
        ("a\tb\n1\t2\n3\t\n", r"the column 'b' has no finite number in 1 of 2 rows \(TRs\): 1"),
        ("a\tb\nn/a\t2\ninf\t4\n", r"the column 'a' has no finite number in 2 of 2 rows \(TRs\): 0, 1"),
        ("a\n0,5\n1\n", "the column 'a' has no finite number in 1 of 2"),
        ("a,b\n1,2\n3,4\n", "the column 'a,b' has no finite number"),
        ("1\t2\n3\t4\n5\t6\n", "its first line has the number 1, but must name the columns"),
        ("a\t\n1\t2\n3\t4\n", "a column has no name"),
        ("a\tb\ta \n1\t2\t3\n3\t4\t5\n", "the column 'a' more than once"),
        ("words_2s\n1\n2\n", "its column 'words_2s' has the name of one that is computed"),
        # As R writes them, with the numbers of rows before the first column.
        ("a\tb\n0\t1\t2\n1\t3\t4\n", "as many cells as names"),
        ("a\tb\n1\t2\n3\t4\t5\n", "as many cells as names"),
        ("", "cannot be read as a table"),
        ("a\tb\n1\t2\n3\t4\n".encode("utf-16"), "in UTF-8"),
    ],
)
def test_what_is_not_a_value_a_tr_is_told_in_a_sentence(tmp_path, content, fault):
    path = write(tmp_path / "forest.tsv", content)
    with pytest.raises(InputError, match=fault) as caught:
        read_nuisances(path, "forest", n_rows=2, taken=["words_2s"])
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}, story 'forest': ") and "\n" not in sentence and sentence[-1] == "."


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="forest.tsv does not exist"):
        read_nuisances(tmp_path / "forest.tsv", "forest", n_rows=2)
    pointer = write(tmp_path / "harbour.tsv", "../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9c0\n")
    with pytest.raises(InputError, match="harbour.tsv has not been downloaded"):
        read_nuisances(pointer, "harbour", n_rows=2)


def test_all_stories_need_the_same_columns(tmp_path):
    contents = {
        "forest": "a\tb\n1\t2\n3\t4\n",
        "harbour": "a\tb\n1\t2\n3\t4\n5\t6\n",
        "turned": "b\ta\n1\t2\n3\t4\n",
        "short": "a\tb\n1\t2\n",
        "fewer": "a\n1\n3\n",
    }
    files = {story: write(tmp_path / f"{story}.tsv", text) for story, text in contents.items()}
    turned, short, fewer = nuisance_faults(files, dict.fromkeys(files, 2) | {"harbour": 3})
    for sentence, found in ((turned, "b, a"), (fewer, "a")):
        assert f"its columns are {found}, but those of {files['forest']} are a, b; give all" in sentence
    assert f"{files['short']}, story 'short': it has 1 lines of values" in short
    # Without the lengths only names and numbers can be looked at.
    assert nuisance_faults(files, {}) == [turned, fewer]
    assert nuisance_faults({}, {}) == []
