"""The worked examples of the how-to pages, as a reader would follow them, in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.store import open_store
from tests.docs.pages import DOCS, blocks
from tiny_dataset import REPEATED_STORY, REPOSITORY, STORIES, SUBJECT, Workspace

HOWTO = DOCS / "howto"


def follow(page: str, repository: Path) -> list[Path]:
    """Do what a page says: write files, add to files, replace what stands in them."""
    changed, replaced = [], None
    for block in blocks(HOWTO / page):
        what, _, name = block.mark.partition(" ")
        path = repository / name
        if what == "write":
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
        elif what == "append":
            path.write_text(f"{path.read_text()}\n\n{block.code}")
        elif what == "replace":
            replaced = path, block.code.strip()
            continue
        elif what == "by":
            path, old = replaced
            assert path.read_text().count(old) == 1
            path.write_text(path.read_text().replace(old, block.code.strip()))
        else:
            continue
        changed.append(path)
    return changed


def assert_in_the_style_of_the_house(repository: Path, files: list[Path]) -> None:
    # Its rules are told by folders, as seen from where it lies.
    shutil.copyfile(REPOSITORY / "pyproject.toml", repository / "pyproject.toml")
    python, rules = ([path for path in files if path.suffix == suffix] for suffix in (".py", ".smk"))
    for command in (
        ["ruff", "check", "--no-cache", *python],
        ["ruff", "format", "--no-cache", "--check", *python],
        ["snakefmt", "--check", *rules],
    ):
        program = Path(sys.executable).parent / command[0]
        run = subprocess.run([program, *command[1:]], cwd=repository, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def extended(tiny, tmp_path_factory) -> tuple[Workspace, list[Path]]:
    """The tiny run, in a repository with the example's score, figure and table."""
    folder = tmp_path_factory.mktemp("extended")
    workspace = tiny.copy(folder / "run").with_own_repository(folder / "repository")
    pages = ("score.md", "figure.md", "table.md")
    changed = [path for page in pages for path in follow(page, workspace.repository)]
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout[-3000:]
    return workspace, changed


def test_a_score_a_figure_and_a_table_are_made_by_a_run(extended):
    workspace, _ = extended
    focus = read_tsv(workspace.model() / "focus.tsv")
    energy = np.sort(
        Crosscoder.load(workspace.model() / "crosscoder.safetensors").weights["brain"].numpy() ** 2, 0
    )
    for latent, share in zip(focus["latent"], focus["voxels_of_half"], strict=True):
        n = round(share * len(energy))
        total = energy[:, latent].sum(dtype=float)
        assert (
            energy[len(energy) - n :, latent].sum(dtype=float)
            >= total / 2
            > energy[len(energy) - n + 1 :, latent].sum(dtype=float)
        )
    table = read_tsv(workspace.results / "tables" / SUBJECT / "focus_table.tsv")
    assert table["live latents"].sum() == focus["alive"].sum()
    figure = workspace.results / "figures" / SUBJECT / "focus.pdf"
    assert figure.read_bytes().startswith(b"%PDF")
    assert len(read_tsv(figure.with_suffix(".tsv"))) == focus["alive"].sum()


def test_nothing_else_runs_again_for_an_addition(extended):
    workspace, _ = extended
    assert workspace.pending() == []


def test_examples_are_in_the_style_of_the_house(extended):
    workspace, changed = extended
    assert_in_the_style_of_the_house(workspace.repository, changed)


def test_the_examples_test_passes(extended):
    workspace, _ = extended
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/scores/test_focus.py"],
        cwd=workspace.repository,
        env=os.environ | {"PYTHONPATH": str(workspace.repository)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and "1 passed" in run.stdout, run.stdout


@pytest.fixture(scope="module")
def arrays(tiny, tmp_path_factory) -> Workspace:
    """The simulated data as a lab's arrays, in a repository with the example's source."""
    folder = tmp_path_factory.mktemp("arrays")
    root = folder / "arrays"
    (root / SUBJECT).mkdir(parents=True)
    (root / "words").mkdir()
    for story in STORIES:
        with h5py.File(tiny.derivative / "preprocessed_data" / SUBJECT / f"{story}.hf5") as file:
            np.save(root / SUBJECT / f"{story}.npy", file["data"][:])
        words = read_tsv(tiny.results / "words" / f"{story}.tsv")
        words = words.rename(columns={"onset_s": "onset", "offset_s": "offset"})
        words.to_csv(root / "words" / f"{story}.tsv", sep="\t", index=False)
    (page,) = [of for of in blocks(HOWTO / "dataset_source.md") if of.language == "yaml"]
    config = yaml.safe_load(page.code)
    config["dataset"]["stories"] = tiny.config["dataset"]["stories"]
    for section in ("language_model", "features", "crosscoder", "scores", "normalization"):
        config[section] = tiny.config[section]
    workspace = Workspace(folder, config).with_own_repository(folder / "repository")
    changed = follow("dataset_source.md", workspace.repository)
    assert_in_the_style_of_the_house(workspace.repository, changed)
    return workspace


def test_a_dataset_source_is_read_as_any_other(arrays, tiny):
    run = arrays.snakemake(f"results/arrays/{SUBJECT}/matched/seed0/crosscoder.safetensors")
    assert run.returncode == 0, run.stdout[-3000:]
    for kind, name in (
        ("responses", f"{SUBJECT}/{REPEATED_STORY}.zarr"),
        ("features", f"tiny-llama/block2/{REPEATED_STORY}.zarr"),
    ):
        made, expected = (open_store(of.results / kind / name) for of in (arrays, tiny))
        array = "bold" if kind == "responses" else "features"
        np.testing.assert_allclose(made[array][:], expected[array][:], atol=1e-5)
        np.testing.assert_array_equal(made["time"][:], expected["time"][:])


def test_a_dataset_source_says_what_is_missing(arrays, tmp_path):
    absent = arrays.folder / "arrays" / SUBJECT / f"{STORIES[0]}.npy"
    kept = shutil.move(absent, tmp_path / "kept.npy")
    try:
        run = arrays.snakemake("--dry-run")
    finally:
        shutil.move(kept, absent)
    assert run.returncode != 0
    assert re.search(rf"^arrays/{SUBJECT}/{STORIES[0]}.npy does not exist: add it", run.stdout, re.MULTILINE)


def test_sensors_train_as_a_member_of_a_group(tiny, tmp_path):
    """The config of the page on MEG, with simulated sensors that follow the voxels."""
    root = tmp_path / "mydata"
    shutil.copytree(tiny.derivative, root / "derivative", symlinks=True)
    shutil.copytree(
        root / "derivative" / "preprocessed_data" / SUBJECT,
        root / "derivative" / "preprocessed_data" / "meg-01",
    )
    random = np.random.default_rng(0)
    mixing = None
    for path in sorted((root / "derivative" / "preprocessed_data" / "meg-01").iterdir()):
        with h5py.File(path) as file:
            voxels = file["data"][:]
        mixing = random.standard_normal((voxels.shape[1], 20)) if mixing is None else mixing
        sensors = voxels @ mixing
        path.unlink()
        with h5py.File(path, "w") as file:
            file["data"] = (sensors - sensors.mean(axis=0)) / sensors.std(axis=0)
    places = pd.DataFrame({"voxel": range(20), "rois": ["left"] * 10 + ["right"] * 10})
    (root / "derivative" / "voxels").mkdir()
    places.to_csv(root / "derivative" / "voxels" / "meg-01.tsv", sep="\t", index=False)
    (page,) = [of for of in blocks(HOWTO / "meg.md") if of.language == "yaml"]
    text = page.code.replace("sub-01", SUBJECT)
    config = yaml.safe_load(text)
    config["dataset"] |= {"stories": tiny.config["dataset"]["stories"], "tr_s": 2.0, "sound_onset_s": 10.0}
    config["dataset"]["trim"] = {"first": 10, "last": 10}
    for section in ("language_model", "features", "crosscoder", "scores"):
        config[section] = tiny.config[section]
    workspace = Workspace(tmp_path, config)
    target = "results/fmri-and-meg/both/matched/seed0"
    run = workspace.snakemake(f"{target}/evidence.tsv")
    assert run.returncode == 0, run.stdout[-3000:]
    model = Crosscoder.load(tmp_path / target / "crosscoder.safetensors")
    assert list(model.weights) == [SUBJECT, "meg-01", "lm"] and model.widths["meg-01"] == 20
    assert set(read_tsv(tmp_path / target / "evidence.tsv")["source"]) == {SUBJECT, "meg-01"}
