"""An exported run can be verified, and what has been changed in it is found."""

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from brainlm.errors import InputError
from brainlm.store import add_array, new_store
from pipeline import export
from pipeline.provenance import write_record

JOB = {"wildcards": {}, "params": {}, "device": None, "seed": None}
EXPORT = Path(export.__file__)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def results(tmp_path) -> Path:
    folder = tmp_path / "run" / "demo"
    responses = write(folder / "responses" / "story.zarr" / "c", "large")
    model = write(folder / "SIM01" / "matched" / "seed0" / "crosscoder.safetensors", bytes(range(256)) * 100)
    with new_store(folder / "SIM01" / "ceiling.zarr", {}) as group:
        add_array(group, "ceiling", np.arange(5), ("voxel",))
    table = write(folder / "tables" / "a table.tsv", "r\n0.1\n")
    # What was planted is a result, but the recordings for which `make bids-demo` asks are a dataset.
    planted = write(folder / "simulation" / "planted.tsv", "feature\n")
    recordings = write(folder / "simulation" / "bids" / "sub-SIM01" / "bold.nii.gz", "large")
    write_record(planted, folder, rule="simulate", inputs=[], **JOB)
    write_record(recordings.parents[1], folder, rule="simulate_fmriprep", inputs=[planted], **JOB)
    write_record(responses.parent, folder, rule="responses", inputs=[], **JOB)
    write_record(folder / "SIM01" / "ceiling.zarr", folder, rule="ceiling", inputs=[responses.parent], **JOB)
    write_record(model, folder, rule="train", inputs=[responses.parent], **JOB)
    write_record(table, folder, rule="table", inputs=[model], **JOB)
    (folder / "SIM01" / "ceiling.zarr" / ".snakemake_timestamp").touch()
    write(folder / "logs" / "train.log", "12:00 on this machine")
    write(folder / "tables" / "b.tsv.partial", "half")
    return folder


@pytest.fixture
def archive(results, tmp_path) -> Path:
    export.export(results, tmp_path / "demo.tar.gz")
    return tmp_path / "demo.tar.gz"


def unpack(archive: Path, folder: Path) -> Path:
    shutil.unpack_archive(archive, folder, "gztar")
    return folder / "demo"


def repack(top: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(top, top.name)
    return archive


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, EXPORT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_an_archive_holds_the_results_their_records_and_the_environment(archive, tmp_path):
    top = unpack(archive, tmp_path / "unpacked")
    names = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    rules = {name for name in names if name.startswith("workflow/")}
    assert sorted(names - rules) == [
        "README.txt",
        "SHA256SUMS",
        "envs/requirements.lock",
        "results/SIM01/ceiling.zarr/ceiling/c/0",
        "results/SIM01/ceiling.zarr/ceiling/zarr.json",
        "results/SIM01/ceiling.zarr/zarr.json",
        "results/SIM01/matched/seed0/crosscoder.safetensors",
        "results/provenance/SIM01/ceiling.zarr.json",
        "results/provenance/SIM01/matched/seed0/crosscoder.safetensors.json",
        "results/provenance/responses/story.zarr.json",
        "results/provenance/simulation/bids.json",
        "results/provenance/simulation/planted.tsv.json",
        "results/provenance/tables/a table.tsv.json",
        "results/simulation/planted.tsv",
        "results/tables/a table.tsv",
        "ro-crate-metadata.json",
    ]
    assert {"workflow/Snakefile", "workflow/rules/common.smk"} <= rules
    assert (top / "envs" / "requirements.lock").read_bytes() == export.LOCK.read_bytes()


def test_equal_results_give_equal_bytes(archive, results, tmp_path):
    first = archive.read_bytes()
    copy = tmp_path / "elsewhere" / "demo"
    shutil.copytree(results, copy)
    for file in copy.rglob("*"):
        os.utime(file, (10**9, 10**9))
        file.chmod(0o700)
    export.export(copy, tmp_path / "other.tar.gz")
    assert (tmp_path / "other.tar.gz").read_bytes() == first
    # The time in gzip's header, which two exports within a second would share.
    assert first[4:8] == bytes(4)
    with tarfile.open(archive) as tar:
        assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in tar} == {(0, 0, 0, "")}
        names = [name for name in tar.getnames() if "/results/" in name]
    assert names == sorted(names)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_verifies_an_unpacked_archive(archive, tmp_path):
    top = unpack(archive, tmp_path / "unpacked")

    def check():
        return subprocess.run(
            ["sha256sum", "--strict", "-c", "SHA256SUMS"],
            cwd=top,
            capture_output=True,
            text=True,
            check=False,
        )

    good = check()
    files = sum(path.is_file() for path in top.rglob("*"))
    assert good.returncode == 0 and good.stdout.count(": OK") == files - 1
    write(top / "results" / "tables" / "a table.tsv", "r\n0.2\n")
    assert check().returncode == 1


def test_a_good_archive_is_verified(archive):
    assert export.check(archive) == []


def test_what_was_tampered_with_is_named(archive, tmp_path):
    top = unpack(archive, tmp_path / "unpacked")
    write(top / "results" / "tables" / "a table.tsv", "r\n0.2\n")
    (top / "README.txt").unlink()
    write(top / "results" / "more.tsv", "")
    assert export.check(repack(top, tmp_path / "bad.tar.gz")) == [
        "README.txt is missing.",
        "results/more.tsv is not listed in SHA256SUMS.",
        "results/tables/a table.tsv differs from its checksum.",
        "results/tables/a table.tsv differs from its record.",
    ]


def test_a_changed_store_differs_from_its_record_even_if_its_checksums_were_changed(archive, tmp_path):
    top = unpack(archive, tmp_path / "unpacked")
    changed = top / "results" / "SIM01" / "ceiling.zarr" / "zarr.json"
    sums = (top / "SHA256SUMS").read_text()
    before = export.digest(changed).removeprefix("sha256:")
    write(changed, "{}")
    write(top / "SHA256SUMS", sums.replace(before, export.digest(changed).removeprefix("sha256:")))
    assert export.check(repack(top, tmp_path / "bad.tar.gz")) == [
        "results/SIM01/ceiling.zarr differs from its record."
    ]


def test_a_truncated_archive_is_refused_wherever_it_ends(archive, tmp_path):
    whole = archive.read_bytes()
    for length in (0, 5, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        short = write(tmp_path / "short.tar.gz", whole[:length])
        with pytest.raises(InputError, match=r"short\.tar\.gz"):
            export.check(short)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_archive_is_refused(archive, tmp_path, place):
    content = bytearray(archive.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    with pytest.raises(InputError, match=r"damaged\.tar\.gz"):
        export.check(write(tmp_path / "damaged.tar.gz", bytes(content)))


@pytest.mark.parametrize(
    "content", [b"text", gzip.compress(b"text" * 1000, mtime=0), gzip.compress(bytes(1024), mtime=0)]
)
def test_what_is_no_archive_of_a_run_is_refused(tmp_path, content):
    with pytest.raises(InputError, match=r"other\.tar\.gz"):
        export.check(write(tmp_path / "other.tar.gz", content))
    with pytest.raises(InputError, match=r"missing\.tar\.gz cannot be read"):
        export.check(tmp_path / "missing.tar.gz")


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        tarfile.TarInfo("../brainlm-escaped"),
        tarfile.TarInfo("demo/../../brainlm-escaped"),
        link("demo/link", "/etc/passwd", tarfile.SYMTYPE),
        link("demo/link", "demo/README.txt", tarfile.LNKTYPE),
        link("demo/pipe", "", tarfile.FIFOTYPE),
    ],
    ids=lambda entry: entry.name,
)
def test_archives_that_reach_beyond_their_folder_are_refused(tmp_path, entry):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.addfile(entry, io.BytesIO())
    with pytest.raises(InputError, match=f"bad.tar.gz is refused: it holds '{entry.name}'"):
        export.check(tmp_path / "bad.tar.gz")


def test_absolute_names_lie_below_the_archives_own_folder(tmp_path):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(f"{tmp_path}/escaped"), io.BytesIO())
    with pytest.raises(InputError, match="is no archive of a run"):
        export.check(tmp_path / "bad.tar.gz")
    assert not (tmp_path / "escaped").exists()


def test_a_python_without_tarfiles_filters_is_told(archive, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(InputError, match=r"verify it with Python 3\.11\.4 or later"):
        export.check(archive)


def test_a_name_that_no_file_can_have_is_refused(tmp_path):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo("demo/a")
        entry.pax_headers = {"path": "demo/a\0b"}
        tar.addfile(entry, io.BytesIO())
    with pytest.raises(InputError, match="cannot be read as an archive"):
        export.check(tmp_path / "bad.tar.gz")


def test_what_is_no_results_folder_is_not_exported(results, tmp_path):
    for folder in (results.parent, results / "tables", tmp_path / "missing"):
        with pytest.raises(InputError, match="is no results folder"):
            export.export(folder, tmp_path / "demo.tar.gz")
    for archive in (results / "demo.tar.gz", tmp_path / "missing" / "demo.tar.gz"):
        with pytest.raises(InputError, match="name a file in another folder"):
            export.export(results, archive)
    assert not (tmp_path / "demo.tar.gz").exists()


@pytest.mark.parametrize("name", ["tables/a table.tsv", "responses/story.zarr/c"])
def test_changed_results_are_not_exported_and_an_older_archive_stays(results, archive, name):
    before = archive.read_bytes()
    write(results / name, "changed")
    with pytest.raises(InputError, match="has changed since it was written"):
        export.export(results, archive)
    assert archive.read_bytes() == before and list(archive.parent.glob("*.partial")) == []


def test_what_is_not_archived_may_be_missing_and_nothing_else(results, archive):
    before = archive.read_bytes()
    shutil.rmtree(results / "responses")
    export.export(results, archive)
    assert archive.read_bytes() == before
    (results / "tables" / "a table.tsv").unlink()
    with pytest.raises(InputError, match=r"a table\.tsv is missing"):
        export.export(results, archive)


def test_on_the_command_line(results, tmp_path):
    exported = run(results)
    archive = results.with_name("demo.tar.gz")
    assert exported.returncode == 0 and export.digest(archive) in exported.stdout
    assert run("--verify", archive).returncode == 0

    top = unpack(archive, tmp_path / "unpacked")
    (top / "README.txt").unlink()
    bad = run("--verify", repack(top, tmp_path / "bad.tar.gz"))
    assert (bad.returncode, bad.stdout) == (1, "README.txt is missing.\n")

    for arguments in ([tmp_path], ["--verify", tmp_path / "missing.tar.gz"]):
        refused = run(*arguments)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    for arguments in ([], [results, "--verify", archive]):
        assert run(*arguments).returncode == 2
