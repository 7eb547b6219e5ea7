from pathlib import Path

import pytest

from brainlm.errors import InputError
from brainlm.files import check_downloaded, whole_file


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
