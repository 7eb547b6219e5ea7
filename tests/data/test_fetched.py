"""Records of files that were downloaded, or found and checked."""

import json

import pytest

from brainlm.data.fetched import fetched_file, save_fetched
from brainlm.data.manifest import RemoteFile
from brainlm.errors import InputError

FILE = RemoteFile("derivative/a b/story.hf5", 4, "0" * 32, "v1")


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "records" / "story.hf5.json"
    path.parent.mkdir()
    save_fetched(FILE, path)
    return path


def test_a_record_leads_to_its_file_below_any_root(record, tmp_path):
    for root in (tmp_path / "here", tmp_path / "there"):
        (root / "derivative" / "a b").mkdir(parents=True)
        (root / FILE.path).write_bytes(b"1234")
        assert fetched_file(record, root) == root / FILE.path
    # It names no place on a disk, so that equal runs have equal records.
    assert json.loads(record.read_text()) == {"path": FILE.path, "bytes": 4, "md5": "0" * 32, "version": "v1"}


@pytest.mark.parametrize(
    ("content", "now"), [(None, "is gone"), (b"123", "has 3 bytes"), (b"12345", "has 5 bytes")]
)
def test_a_file_that_has_gone_or_changed_is_named_with_what_to_do(record, tmp_path, content, now):
    path = tmp_path / FILE.path
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        fetched_file(record, tmp_path)
    assert str(caught.value).startswith(f"{path} had 4 bytes when it was checked and {now}")
    assert f"delete {record}" in str(caught.value)
