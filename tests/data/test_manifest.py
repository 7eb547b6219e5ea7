from pathlib import Path

import pytest

from brainlm.data.manifest import RemoteFile, read_manifest
from brainlm.errors import InputError

HEADER = "path\tbytes\tmd5\ts3_version\n"
MD5 = "0123456789abcdef0123456789abcdef"


def manifest(folder: Path, text: str) -> Path:
    (folder / "manifest.tsv").write_text(text)
    return folder / "manifest.tsv"


def test_a_manifest_is_read(tmp_path):
    rows = f"a/x.json\t12\t{MD5}\t\nb/y 1.hf5\t0\t{MD5.upper()}\tq.Z_1\n"
    assert read_manifest(manifest(tmp_path, HEADER + rows)) == {
        "a/x.json": RemoteFile("a/x.json", 12, MD5, ""),
        "b/y 1.hf5": RemoteFile("b/y 1.hf5", 0, MD5, "q.Z_1"),
    }


def test_columns_may_be_in_another_order_and_with_others(tmp_path):
    text = f"md5\tnote\ts3_version\tbytes\tpath\r\n{MD5}\tfine\tv\t3\ta\r\n"
    assert read_manifest(manifest(tmp_path, text)) == {"a": RemoteFile("a", 3, MD5, "v")}


def test_a_manifest_of_a_spreadsheet_program_is_read(tmp_path):
    text = f"\ufeff{HEADER}a\t3\t{MD5}\tv\n"
    assert read_manifest(manifest(tmp_path, text)) == {"a": RemoteFile("a", 3, MD5, "v")}


@pytest.mark.parametrize("text", ["", "path,bytes,md5,s3_version\n", "path\tbytes\ts3_version\n"])
def test_missing_columns_are_named(tmp_path, text):
    with pytest.raises(InputError, match=r"manifest\.tsv has no column .*md5"):
        read_manifest(manifest(tmp_path, text))


@pytest.mark.parametrize(
    "row",
    [
        f"a\t1\t{MD5}",
        f"a\t1\t{MD5}\tv\tmore",
        f"a\t-1\t{MD5}\tv",
        f"a\t1.5\t{MD5}\tv",
        f"a\t\t{MD5}\tv",
        f"a\t1\t{MD5[1:]}\tv",
        f"a\t1\t{MD5[1:]}g\tv",
        "a\t1\t\tv",
        f"\t1\t{MD5}\tv",
        f"/etc/a\t1\t{MD5}\tv",
        f"b/../../a\t1\t{MD5}\tv",
    ],
)
def test_a_malformed_row_is_refused_by_its_line(tmp_path, row):
    with pytest.raises(InputError, match=r"manifest\.tsv, line 3: "):
        read_manifest(manifest(tmp_path, f"{HEADER}fine\t1\t{MD5}\tv\n{row}\n"))


def test_a_file_listed_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 3: a/b is listed twice"):
        read_manifest(manifest(tmp_path, HEADER + f"a/b\t1\t{MD5}\tv\n" * 2))


def test_a_manifest_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv cannot be read"):
        read_manifest(tmp_path / "none.tsv")
    (tmp_path / "binary.tsv").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r"binary\.tsv cannot be read"):
        read_manifest(tmp_path / "binary.tsv")
