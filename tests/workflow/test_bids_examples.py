"""The worked examples of docs/bids.md, with their configs and tables of stories, on small trees of the same names."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray

from brainlm.simulation.fmriprep import write_json
from brainlm.textgrid.tiers import write_textgrid
from tests.docs.test_bids import TEXT, block, config, names, stories
from tests.fmriprep_tree import Grid, Run, write_tree
from tiny_dataset import Workspace, write_language_model

# Snakemake marks the folders that its jobs write with a file of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

N_VOLUMES = 80
SENTENCE = "we left the house at night and walked to the garden where I was afraid and it was cold and dark"
WORDS = SENTENCE.split()
N_NAN = 500
"""Vertices that stand for the medial wall."""


def spoken(onset_s: float, tr_s: float) -> pd.DataFrame:
    """Words until shortly before the end of the recording, in s after the sound's onset."""
    starts_s = np.arange(0.3, N_VOLUMES * tr_s - onset_s - 2, 0.45).round(3)
    return pd.DataFrame(
        {"word": np.resize(WORDS, starts_s.size), "onset": starts_s, "offset": starts_s + 0.3}
    )


def bold(seed: int, n_columns: int) -> np.ndarray:
    """(time, column), which share a part so that something is to be learnt."""
    random = np.random.default_rng(seed)
    shared = random.standard_normal((N_VOLUMES, 3)) @ random.standard_normal((3, n_columns))
    return (1000 + 5 * shared + 5 * random.standard_normal((N_VOLUMES, n_columns))).astype(np.float32)


def workspace(folder: Path, dataset: str) -> Workspace:
    """The example's config with its first subject, a tiny language model and a tiny dictionary."""
    example = config(dataset)
    example["subjects"] = example["subjects"][:1]
    example["language_model"] |= {"path_or_hub_id": "./tiny-llama", "blocks": [2]}
    example["features"]["block"] = 2
    example["crosscoder"] |= {"n_latents": 6, "k": 2, "k_aux": 2, "epochs": 3, "batch_size": 16}
    example["scores"] = {"minimum_shift_s": 10}
    example["figures"] = {"flatmap_height": 96}
    write_language_model(folder / "tiny-llama", [" ".join(WORDS)])
    (folder / "study" / "transcripts").mkdir(parents=True)
    (folder / "study" / "stories.tsv").write_text(block(dataset, "stories"))
    return Workspace(folder, example)


@pytest.fixture(scope="module")
def narratives(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("ds002345")
    found = workspace(folder, "ds002345")
    (subject,) = found.config["subjects"]
    events = pd.DataFrame(
        {"onset": [12.0], "duration": [400.0], "trial_type": ["story"], "stim_file": ["x_audio.wav"]}
    )
    runs = []
    for number, line in enumerate(stories("ds002345")):
        values = bold(number, 2 * 40_962)
        values[:, :N_NAN] = np.nan
        runs.append(Run(subject.removeprefix("sub-"), line["task"], values, tr_s=1.5, events=events))
        told = spoken(12.0, 1.5)
        lines = [f"{word},{word.lower()},{onset},{offset}" for word, onset, offset in told.to_numpy()]
        # What gentle did not find.
        lines[7:9] = [f"{told['word'][i]},,," for i in (7, 8)]
        (folder / "study" / "transcripts" / f"{line['story']}.csv").write_text("\n".join(lines) + "\n")
    derivatives = folder / "narratives" / "derivatives"
    write_tree(
        derivatives / "fmriprep",
        runs,
        space="fsaverage6",
        names="old",
        raw=folder / "narratives",
        freesurfer=derivatives / "freesurfer",
    )
    # There each run has a sidecar of its own.
    for run in runs:
        (folder / "narratives" / f"task-{run.task}_bold.json").unlink()
        sidecar = folder / "narratives" / run.recording.folder / "func" / f"{run.recording.stem}_bold.json"
        write_json(sidecar, {"RepetitionTime": 1.5, "TaskName": run.task})
    return found


@pytest.fixture(scope="module")
def little_prince(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("ds003643")
    found = workspace(folder, "ds003643")
    (subject,) = found.config["subjects"]
    brain = np.zeros((8, 9, 7), bool)
    brain[1:-1, 1:-1, 1:-1] = True
    grey_matter = np.where(np.indices(brain.shape).sum(axis=0) % 3 == 0, 0.2, 0.8)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (-60, -36, 0)
    runs = []
    for number, line in enumerate(stories("ds003643")):
        values = bold(number, int(brain.sum()))
        runs.append(
            Run(
                subject.removeprefix("sub-"),
                line["task"],
                values,
                tr_s=2.0,
                run=line["run"],
                start_time_s=0.97,
            )
        )
        told = spoken(8.0, 2.0).rename(columns={"word": "label", "onset": "onset_s", "offset": "offset_s"})
        path = folder / "study" / "transcripts" / f"{line['story']}.TextGrid"
        write_textgrid(path, {"words": told}, N_VOLUMES * 2.0)
    grid = Grid(brain, affine, grey_matter)
    write_tree(folder / "fmriprep-out", runs, space="MNI152NLin2009cAsym", res="2", grid=grid)
    return found


def run(found: Workspace, *targets: str) -> str:
    result = found.snakemake(*targets)
    assert result.returncode == 0, result.stdout[-3000:]
    return result.stdout


def responses(found: Workspace, story: str) -> xarray.Dataset:
    (subject,) = found.config["subjects"]
    return xarray.open_zarr(found.results / "responses" / subject / f"{story}.zarr", consolidated=False)


def test_the_tree_of_narratives_has_the_published_names(narratives):
    root = narratives.folder / "narratives"
    there = {str(path.relative_to(root)) for path in (root / "derivatives" / "fmriprep").glob("sub-*/func/*")}
    # The list has no sidecars.
    assert {name for name in there if not name.endswith(".json")} <= set(names("ds002345_derivatives"))
    raw = {str(path.relative_to(root)) for path in root.glob("sub-*/func/*")}
    assert raw and raw <= set(names("ds002345"))


def test_the_tree_of_the_little_prince_has_the_names_of_the_page(little_prince):
    func = little_prince.folder / "fmriprep-out" / "sub-EN064" / "func"
    quoted = re.findall(r"`(sub-EN064_\S+)`", TEXT)
    assert len(quoted) == 2 and all((func / name).exists() for name in quoted)


@pytest.mark.parametrize("example", ["narratives", "little_prince"])
def test_check_dataset_finds_nothing_wrong(example, request):
    found = request.getfixturevalue(example)
    run(found, "check_dataset")
    (subject,) = found.config["subjects"]
    table = pd.read_csv(found.results / "tables" / "dataset.tsv", sep="\t")
    assert len(table) >= len(stories({"narratives": "ds002345"}.get(example, "ds003643")))


def test_narratives_becomes_rows_where_the_page_says(narratives):
    run(narratives)
    found = responses(narratives, "black")
    trim = narratives.config["dataset"]["trim"]
    np.testing.assert_allclose(
        found["time"], 6.75 + 1.5 * np.arange(N_VOLUMES - trim["first"] - trim["last"])
    )
    assert found["bold"].shape[1] == 2 * 40_962
    assert not found["valid"][:N_NAN].any() and found["valid"][N_NAN:].all()
    words = pd.read_csv(narratives.results / "words" / "black.tsv", sep="\t")
    told = spoken(12.0, 1.5)
    assert words["word"].tolist() == [word.lower() for word in told["word"]]
    # Two words were not found: they are heard between their neighbours.
    between = words["onset_s"][7:9]
    assert (between >= told["offset"][6]).all() and (between <= told["onset"][9]).all()
    assert (narratives.results / "figures" / "sub-265" / "figure3.png").exists()


def test_the_little_prince_becomes_rows_of_grey_matter_where_the_page_says(little_prince):
    run(little_prince)
    found = responses(little_prince, "section1")
    trim = little_prince.config["dataset"]["trim"]
    n_rows = N_VOLUMES - trim["first"] - trim["last"]
    np.testing.assert_allclose(found["time"], trim["first"] * 2 + 0.97 - 8 + 2.0 * np.arange(n_rows))
    inside = np.indices((8, 9, 7)).transpose(1, 2, 3, 0)[1:-1, 1:-1, 1:-1].reshape(-1, 3)
    assert found["bold"].shape[1] == (inside.sum(axis=1) % 3 != 0).sum()
    assert (little_prince.results / "figures" / "sub-EN064" / "figure3.png").exists()
