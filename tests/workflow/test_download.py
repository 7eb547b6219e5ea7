"""A dataset is downloaded from its address, here one on this machine that has the tiny dataset."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import xarray

from tiny_dataset import STORIES, SUBJECT, Workspace

STORY = STORIES[0]
RESPONSES = f"results/remote/responses/{SUBJECT}/{STORY}.zarr"
TEXTGRID = f"derivative/TextGrids/{STORY}.TextGrid"


class Handler(SimpleHTTPRequestHandler):
    """Serves files and counts what it is asked for."""

    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments) -> None:
        pass


def write_manifest(root: Path, path: Path) -> None:
    lines = ["path\tbytes\tmd5\ts3_version"]
    for file in sorted(root.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            lines.append(
                f"{file.relative_to(root)}\t{len(content)}\t{hashlib.md5(content).hexdigest()}\tv{len(lines)}"
            )
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def remote(tiny, tmp_path) -> Iterator[Workspace]:
    """The tiny dataset behind an address."""
    Handler.asked = []
    root = tiny.results / "ds003020"
    write_manifest(root, tmp_path / "manifest.tsv")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Workspace(tmp_path, tiny.config).changed(
        dataset__name="remote",
        dataset__source="openneuro",
        dataset__simulation=None,
        dataset__manifest=f"{tmp_path}/manifest.tsv",
        dataset__mirror=f"http://127.0.0.1:{server.server_port}",
        themes={"place": ["house"]},
    )
    server.shutdown()
    server.server_close()


def test_what_is_needed_is_downloaded_once_and_is_the_dataset(tiny, remote):
    # Otherwise a story comes with the others of its batch.
    remote = remote.changed(language_model__stories_per_job=1)
    run = remote.snakemake(RESPONSES)
    assert run.returncode == 0, run.stdout[-3000:]
    here, there = (
        xarray.open_zarr(workspace.results / "responses" / SUBJECT / f"{STORY}.zarr", consolidated=False)
        for workspace in (remote, tiny)
    )
    np.testing.assert_array_equal(here["bold"], there["bold"])
    hdf5 = f"/derivative/preprocessed_data/{SUBJECT}/{STORY}.hf5"
    asked = [path.partition("?")[0] for path in Handler.asked]
    # Of 6 stories one; each file once, in the version that the manifest names.
    assert asked.count(hdf5) == 1 and len(asked) == len(set(asked)) < 6
    assert all("?versionId=v" in path for path in Handler.asked)
    assert not list(remote.folder.rglob("*.partial"))
    n_asked = len(Handler.asked)
    assert remote.snakemake(RESPONSES, "--forceall").returncode == 0
    assert len(Handler.asked) == n_asked


def test_another_address_makes_nothing_out_of_date(remote):
    assert remote.snakemake(RESPONSES).returncode == 0
    moved = remote.changed(dataset__mirror="http://127.0.0.1:9/elsewhere")
    assert moved.pending(RESPONSES) == []


def test_a_file_that_is_not_there_is_named_with_what_to_do(remote):
    manifest = remote.folder / "manifest.tsv"
    name = f"{STORY}.TextGrid"
    # The manifest promises what the address does not have.
    manifest.write_text(manifest.read_text().replace(name, f"lost-{name}"))
    (remote.folder / "stories.tsv").write_text(
        f"story\tsplit\nlost-{STORY}\ttrain\n{STORIES[1]}\ttrain\n{STORIES[2]}\ttrain\n{STORIES[3]}\tvalidation\n{STORIES[4]}\ttest\n"
    )
    text = manifest.read_text().replace(f"{STORY}.hf5", f"lost-{STORY}.hf5")
    manifest.write_text(text)
    lost = remote.changed(dataset__stories=f"{remote.folder}/stories.tsv")
    run = lost.snakemake(f"results/remote/words/lost-{STORY}.tsv")
    assert run.returncode != 0 and "Traceback" not in run.stdout
    said = [line for line in run.stdout.splitlines() if line.startswith("Error in fetch")]
    assert (
        len(said) == 1
        and "404" in said[0]
        and f"lost-{name}" in said[0]
        and "a mirror of the dataset" in said[0]
    )


def test_a_dataset_that_does_not_fit_on_the_disk_is_not_begun(remote):
    manifest = remote.folder / "manifest.tsv"
    lines = manifest.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith(TEXTGRID):
            path, _, *others = line.split("\t")
            lines[number] = "\t".join([path, str(10**18), *others])
    manifest.write_text("\n".join(lines) + "\n")
    run = remote.snakemake(f"results/remote/words/{STORY}.tsv")
    assert run.returncode != 0 and "Traceback" not in run.stdout
    assert "GB are to be downloaded" in run.stdout and "GB free" in run.stdout
    assert Handler.asked == []
    # What would be done can be seen without the space for it.
    assert remote.pending(f"results/remote/words/{STORY}.tsv")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_of_the_users_own_is_completed_and_never_emptied(tiny, remote, tmp_path):
    """Files that are there are checked and used, missing ones come beside them, and Snakemake deletes none."""
    root = tmp_path / "my data"
    shutil.copytree(tiny.results / "ds003020", root)
    missing = root / TEXTGRID
    missing.unlink()
    own = remote.changed(dataset__root=str(root))
    words = f"results/remote/words/{STORY}.tsv"
    run = own.snakemake(RESPONSES, words)
    assert run.returncode == 0, run.stdout[-3000:]
    assert [path.partition("?")[0] for path in Handler.asked] == [f"/{TEXTGRID}"]
    assert missing.read_bytes() == (tiny.results / "ds003020" / TEXTGRID).read_bytes()
    before = contents(root)
    for arguments in (["--forceall"], ["--delete-all-output"]):
        run = own.snakemake(RESPONSES, words, *arguments)
        assert run.returncode == 0, run.stdout[-3000:]
        assert contents(root) == before
    assert not (own.folder / RESPONSES).exists() and len(Handler.asked) == 1
    # Afterwards everything is made again, without a download.
    assert own.snakemake(RESPONSES).returncode == 0 and len(Handler.asked) == 1


def test_a_file_with_another_checksum_is_an_error_and_stays(tiny, remote, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(tiny.results / "ds003020", root)
    hdf5 = root / "derivative" / "preprocessed_data" / SUBJECT / f"{STORY}.hf5"
    content = bytearray(hdf5.read_bytes())
    content[len(content) // 2] ^= 1
    hdf5.write_bytes(content)
    run = remote.changed(dataset__root=str(root)).snakemake(RESPONSES)
    assert run.returncode != 0 and "Traceback" not in run.stdout
    said = [line for line in run.stdout.splitlines() if line.startswith("Error in fetch")]
    assert (
        len(said) == 1 and f"{hdf5} is not the file of the dataset" in said[0] and "move it away" in said[0]
    )
    assert hdf5.read_bytes() == content and Handler.asked == []


def test_a_run_on_downloaded_data_begins_and_ends_like_any_other(remote):
    """Its own check at the start leaves those of all runs in place."""
    manifest = remote.folder / "manifest.tsv"
    lacking = f"{SUBJECT}/{STORIES[1]}.hf5"
    manifest.write_text("".join(line for line in manifest.open() if lacking not in line))
    # Two training stories are left.
    run = remote.changed(ridge__n_folds=2).snakemake(f"results/remote/words/{STORY}.tsv")
    assert run.returncode == 0, run.stdout[-3000:]
    assert f"{SUBJECT} has no responses to 1 of {len(STORIES)} stories (1 train)" in run.stdout
    # The digests of the code, by which a change of it is named later.
    assert list((remote.folder / ".snakemake" / "brainlm-code").glob("*.json"))
