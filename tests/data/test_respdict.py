"""respdict.json as people and their tools write it."""

import json

import pytest

from brainlm.data.respdict import read_json_object, read_respdict, volumes_of
from brainlm.errors import InputError


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_the_encoding_does_not_matter(tmp_path, encoding):
    path = tmp_path / "respdict.json"
    path.write_bytes(
        json.dumps({"forêt": 90}, indent=1, ensure_ascii=False).replace("\n", "\r\n").encode(encoding)
    )
    assert read_json_object(path) == {"forêt": 90}
    assert volumes_of("forêt", read_respdict(path), path) == 90


@pytest.mark.parametrize("content", [b"", b"[90]", b"{'a': 90}", b'{"a": 90', b"\xff\xfe{", b'{"\xff": 1}'])
def test_what_is_no_json_object_is_refused(tmp_path, content):
    path = tmp_path / "respdict.json"
    path.write_bytes(content)
    assert read_json_object(path) is None
    with pytest.raises(InputError, match=r"respdict\.json must be a JSON object"):
        read_respdict(path)


@pytest.mark.parametrize(
    ("volumes", "sentence"),
    [({}, "does not list the story 'a'"), *(({"a": n}, "whole number") for n in ("90", 9.5, True, None))],
)
def test_a_story_without_volumes_is_named(tmp_path, volumes, sentence):
    with pytest.raises(InputError, match=sentence):
        volumes_of("a", volumes, tmp_path / "respdict.json")
