from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.files import check_downloaded, read_tsv, whole_file, write_tsv


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.tsv"
    path.write_text("old")
    with pytest.raises(error), whole_file(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


# Tables


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    wide=st.lists(st.floats(), min_size=1, max_size=20),
    narrow=st.floats(width=32),
    count=st.integers(-(2**53), 2**53),
)
def test_a_table_with_all_digits_comes_back_as_it_was(tmp_path_factory, wide, narrow, count):
    path = tmp_path_factory.mktemp("tables") / "a.b.tsv"
    frame = pd.DataFrame({"wide": wide, "count": count, "story": "007", "done": True})
    write_tsv(frame.assign(narrow=np.float32(narrow)), path, digits=None)
    back = read_tsv(path)
    for column in frame:
        np.testing.assert_array_equal(back[column].to_numpy(), frame[column].to_numpy())
    np.testing.assert_array_equal(back["narrow"].to_numpy(np.float32), np.float32(narrow))
    assert path.read_text().count("n/a") == np.isnan(wide).sum() + len(wide) * np.isnan(narrow)


@pytest.mark.parametrize("digits", [7, None])
def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path, digits):
    path = tmp_path / "table.tsv"
    write_tsv(pd.DataFrame({"r": [0.5]}), path, digits=digits)
    with pytest.raises(UnicodeEncodeError):
        write_tsv(pd.DataFrame({"word": ["\ud800"]}), path, digits=digits)
    assert path.read_text() == "r\n0.5\n" and list(tmp_path.iterdir()) == [path]


# Files that are not here


KEY = "annex/objects/MD5E-s872355--24e95f7dd974af6644c139b55a0d8f35.TextGrid"


def test_a_file_that_is_here_passes(tmp_path):
    (tmp_path / "story.hf5").write_bytes(b"\x89HDF")
    check_downloaded(tmp_path / "story.hf5")
    (tmp_path / "link.hf5").symlink_to(tmp_path / "story.hf5")
    check_downloaded(tmp_path / "link.hf5")


def test_a_missing_file_does_not_exist(tmp_path):
    with pytest.raises(InputError, match=r"story\.hf5 does not exist"):
        check_downloaded(tmp_path / "story.hf5")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        check_downloaded(tmp_path)


def test_a_dangling_link_has_not_been_downloaded(tmp_path):
    (tmp_path / "story.hf5").symlink_to(Path("../.git") / KEY)
    with pytest.raises(InputError, match=r"story\.hf5 has not been downloaded.*`datalad get`"):
        check_downloaded(tmp_path / "story.hf5")


@pytest.mark.parametrize("content", [f"/{KEY}\n", f"../../.git/{KEY}"])
def test_a_pointer_file_has_not_been_downloaded(tmp_path, content):
    (tmp_path / "story.hf5").write_text(content)
    with pytest.raises(InputError, match=r"story\.hf5 has not been downloaded"):
        check_downloaded(tmp_path / "story.hf5")


def test_a_real_file_may_mention_the_annex(tmp_path):
    (tmp_path / "story.TextGrid").write_text(f"! fetched from {KEY}\n" + "x" * 2000)
    check_downloaded(tmp_path / "story.TextGrid")
