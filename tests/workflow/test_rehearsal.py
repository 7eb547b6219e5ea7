"""The rehearsal, run for real at a fiftieth of its size."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest

from brainlm.textgrid.tiers import read_words
from tiny_dataset import REPOSITORY

BENCHMARKS = REPOSITORY / "tests" / "benchmarks"
SCALE = 0.02
SUBJECT, REPEATED_STORY = "UTS03", "wheretheressmoke"


def run_rehearsal(folder: Path) -> subprocess.CompletedProcess:
    # Variables of the person who tests must decide neither where caches go nor how Snakemake runs.
    personal = ("XDG_", "MPL", "HF_", "SNAKEMAKE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(personal)}
    return subprocess.run(
        [sys.executable, BENCHMARKS / "rehearsal.py", "--scale", str(SCALE), "--folder", folder, "--keep"],
        env=inherited | {"OMP_NUM_THREADS": "1", "HOME": str(folder.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory) -> Path:
    """The folder of a finished rehearsal."""
    folder = tmp_path_factory.mktemp("rehearsed") / "rehearsal"
    run = run_rehearsal(folder)
    assert run.returncode == 0, run.stdout[-3000:]
    return folder


@pytest.fixture
def rehearsal(monkeypatch):
    """The program as a module."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rehearsal

    return rehearsal


@pytest.fixture(scope="module")
def derivative(rehearsed) -> Path:
    return rehearsed / f"scale-{SCALE:g}" / "ds003020" / "derivative"


@pytest.fixture(scope="module")
def results(rehearsed) -> Path:
    return rehearsed / f"scale-{SCALE:g}" / "results" / "rehearsal"


@pytest.fixture(scope="module")
def real_stories() -> pd.DataFrame:
    """The dataset's own stories, their TRs and splits."""
    return pd.read_csv(REPOSITORY / "config" / "ds003020" / "stories.tsv", sep="\t", index_col="story")


def n_voxels(derivative: Path) -> int:
    mask = derivative / "pycortex-db" / SUBJECT / "transforms" / f"{SUBJECT}_auto" / "mask_thick.nii.gz"
    return int((nibabel.load(mask).get_fdata() > 0).sum())


# What is measured


def test_every_rule_that_ran_is_in_the_table_with_a_time_and_a_peak(rehearsed, results):
    table = pd.read_csv(rehearsed / "rehearsal.tsv", sep="\t")
    # Every rule has a log.
    assert set(table["stage"]) == {path.stem for path in (results / "logs").iterdir()}
    measured = table.set_index("stage").apply(pd.to_numeric)
    assert np.isfinite(measured).all(axis=None) and (measured > 0).all(axis=None), measured
    assert (measured["longest_s"] <= measured["total_s"]).all()
    assert measured["jobs"][["words", "responses", "features"]].tolist() == [1, 1, 1]
    assert measured["jobs"][["normalization", "train", "scores"]].tolist() == [1, 4, 4]
    # A Python process with NumPy takes some 30 MB, and nothing here is large.
    assert measured["peak_gb"].between(0.03, 2).all()


def test_the_table_in_markdown_has_the_same_stages_and_says_which_is_a_stand_in(rehearsed):
    text = (rehearsed / "rehearsal.md").read_text()
    stages = re.findall(r"^\| (\w+)[^|]*\|(?: *[\d.]+ \|){5}$", text, re.MULTILINE)
    assert stages == pd.read_csv(rehearsed / "rehearsal.tsv", sep="\t")["stage"].tolist()
    assert re.search(r"^\| activations \(a stand-in", text, re.MULTILINE)
    assert "No stage above 13 GB: met." in text


def test_three_hundred_epochs_are_extrapolated_from_the_trained_one(rehearsed):
    said = re.search(
        r"Training: (\S+) s an epoch.*300 epochs: (\S+) min", (rehearsed / "rehearsal.md").read_text()
    )
    epoch_s, all_min = map(float, said.groups())
    assert epoch_s > 0 and all_min == pytest.approx(300 * epoch_s / 60, rel=0.05, abs=0.06)


def test_ridge_regression_of_all_voxels_is_what_was_measured_where_all_were(results, derivative):
    ridge = json.loads((results / "ridge.json").read_text())
    assert ridge["voxels"] == ridge["all_voxels"] == n_voxels(derivative)
    assert ridge["extrapolated_s"] == pytest.approx(ridge["s"])
    assert (results / "tables" / SUBJECT / "predictions.tsv").exists()


def test_the_cortex_is_drawn(results):
    for extension in ("pdf", "png", "tsv"):
        assert (results / "figures" / SUBJECT / f"figure4.{extension}").stat().st_size > 1000


# The dataset


def test_the_stories_of_each_split_are_real_ones(derivative, real_stories):
    here = pd.read_csv(derivative.parents[1] / "stories.tsv", sep="\t", index_col="story")
    assert here["split"].value_counts().to_dict() == {"train": 3, "test": 2, "validation": 1}
    assert REPEATED_STORY in here.index
    assert here["split"].equals(real_stories["split"][here.index])
    files = {path.stem for path in (derivative / "preprocessed_data" / SUBJECT).iterdir()}
    assert files == set(here.index) == {path.stem for path in (derivative / "TextGrids").iterdir()}


def test_responses_are_float64_z_scored_and_as_long_as_the_real_ones(derivative, real_stories):
    trs = json.loads((derivative / "respdict.json").read_text())
    for path in (derivative / "preprocessed_data" / SUBJECT).glob("*.hf5"):
        with h5py.File(path) as file:
            n_rows = real_stories["n_trs"][path.stem]
            assert file["data"].dtype == np.float64
            assert file["data"].shape == (n_rows, n_voxels(derivative)) == (trs[path.stem] - 20, 1911)
            runs = file["individual_repeats"] if path.stem == REPEATED_STORY else [file["data"]]
            for run in runs:
                np.testing.assert_allclose(np.mean(run, axis=0), 0, atol=1e-6)
                np.testing.assert_allclose(np.std(run, axis=0), 1, atol=1e-5)


def test_the_repeated_story_holds_ten_different_hearings_and_their_mean(derivative):
    with h5py.File(derivative / "preprocessed_data" / SUBJECT / f"{REPEATED_STORY}.hf5") as file:
        data, repeats = file["data"][:], file["individual_repeats"][:]
    assert repeats.dtype == np.float64 and repeats.shape == (10, 291, 1911)
    np.testing.assert_allclose(repeats.mean(axis=0), data, atol=1e-5)
    # Hearings share their signals, a fifth of the variance on average, and nothing else.
    correlations = np.mean(repeats[0] * repeats[1], axis=0)
    assert 0.1 < correlations.mean() < 0.3


def test_responses_of_different_stories_differ(derivative):
    rows = []
    for path in (derivative / "preprocessed_data" / SUBJECT).glob("*.hf5"):
        with h5py.File(path) as file:
            rows.append(file["data"][0])
    correlations = np.corrcoef(rows)[~np.eye(len(rows), dtype=bool)]
    assert np.abs(correlations).max() < 0.5


def test_words_are_spoken_at_the_rate_of_the_dataset_until_the_sound_ends(derivative, real_stories):
    for path in (derivative / "TextGrids").glob("*.TextGrid"):
        words = read_words(path)
        # The recording is longer than the response by 20 volumes, and begins 10 s before the sound.
        sound_s = 2 * (real_stories["n_trs"][path.stem] + 20) - 10
        assert sound_s - 20 < words["offset_s"].iloc[-1] < sound_s
        assert len(words) / words["offset_s"].iloc[-1] == pytest.approx(2.3, rel=0.03)
        assert words["word"].nunique() > 100


# Runs of the program


def test_a_second_run_in_a_kept_folder_does_only_what_is_missing(rehearsed, derivative, results):
    def times() -> dict[Path, int]:
        files = [*derivative.rglob("*.hf5"), *derivative.rglob("*.TextGrid"), results / "ridge.json"]
        files += [*results.glob("*/*/seed0/*.tsv"), results / "figures" / SUBJECT / "figure2.pdf"]
        return {path: path.stat().st_mtime_ns for path in files}

    def at_once() -> str:
        return re.search("All jobs at once held .*", (rehearsed / "rehearsal.md").read_text())[0]

    before, held = times(), at_once()
    measured = pd.read_csv(rehearsed / "rehearsal.tsv", sep="\t").set_index("stage")
    figure = results / "figures" / SUBJECT / "figure4.pdf"
    figure.unlink()
    run = run_rehearsal(rehearsed)
    assert run.returncode == 0, run.stdout[-3000:]
    assert figure.exists() and times() == before and at_once() == held
    again = pd.read_csv(rehearsed / "rehearsal.tsv", sep="\t").set_index("stage")
    others = measured.index.drop("figure4")
    pd.testing.assert_frame_equal(again.loc[others], measured.loc[others])


def test_a_disk_that_is_too_small_is_refused_in_a_sentence_before_anything_is_written(
    rehearsal, tmp_path, monkeypatch
):
    usage = namedtuple("usage", ["total", "used", "free"])(10**11, 10**11 - 10**8, 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SystemExit) as refusal:
        rehearsal.main(["--scale", str(SCALE), "--folder", str(tmp_path / "small")])
    assert re.fullmatch(
        r"The rehearsal needs 0\.\d GB more in \S+/small\S*, but .* 0\.1 GB free: .*\.", refusal.value.code
    )
    assert list(tmp_path.iterdir()) == []


def test_the_full_size_is_that_of_the_dataset(rehearsal, real_stories):
    size = rehearsal.data.size_of(1)
    assert size.n_voxels == 95_556 and size.hidden == 4096
    assert size.n_rows == real_stories["n_trs"].to_dict()
    assert size.split == real_stories["split"].to_dict()
    # 23.7 GB of the dataset itself, half as much again as float32, a copy of the training responses, and the rest.
    assert 36e9 < rehearsal.data.bytes_needed(size) < 50e9
