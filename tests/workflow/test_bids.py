"""The brain of the simulated listener, written as fMRIPrep writes, through the workflow."""

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from brainlm.cortex.subject import read_mask
from brainlm.files import read_tsv
from brainlm.store import open_store
from tests.data.bids.tree import confounds_table, write_confounds, write_volume
from tiny_dataset import REPEATED_STORY, SPLITS, STORIES, SUBJECT, Workspace

SPACE = "MNI152NLin2009cAsym"
TR_S = 2.0
# The simulated dataset's files lack the first ten volumes, and its sound begins with volume five.
ONSET_S = 10.0 - 10 * TR_S

pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")


def hearings(derivative: Path, story: str) -> np.ndarray:
    """(hearing, time, voxel)"""
    with h5py.File(derivative / "preprocessed_data" / SUBJECT / f"{story}.hf5") as file:
        return file["individual_repeats"][:] if "individual_repeats" in file else file["data"][:][None]


def write_derivatives(root: Path, tiny: Workspace) -> None:
    """Scans in units of the scanner, which begin where the simulated dataset's files begin."""
    mask, _ = read_mask(next(tiny.derivative.glob(f"pycortex-db/{SUBJECT}/transforms/*/mask_thick.nii.gz")))
    random = np.random.default_rng(0)
    for story in STORIES:
        runs = hearings(tiny.derivative, story)
        for number, z in enumerate(runs, start=1):
            entities = {"sub": SUBJECT, "task": story} | ({"run": f"{number}"} if len(runs) > 1 else {})
            bold = random.uniform(800, 1200, z.shape[1]) + random.uniform(15, 40, z.shape[1]) * z
            sidecar = {"RepetitionTime": TR_S, "StartTime": TR_S / 2}
            write_volume(root, entities, bold, tr_s=TR_S, sidecar=sidecar, mask=mask.T)
            write_confounds(root, entities, confounds_table(len(z)))


@pytest.fixture(scope="module")
def bids(tiny, tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("bids")
    write_derivatives(folder / "fmriprep", tiny)
    transcripts = folder / "transcripts"
    transcripts.mkdir()
    for story in STORIES:
        textgrid = tiny.derivative / "TextGrids" / f"{story}.TextGrid"
        (transcripts / textgrid.name).write_bytes(textgrid.read_bytes())
    split_of = {story: split for split, stories in SPLITS.items() for story in stories}
    table = pd.DataFrame({"story": STORIES, "split": list(map(split_of.get, STORIES)), "onset_s": ONSET_S})
    table.to_csv(folder / "stories.tsv", sep="\t", index=False)
    config = tiny.changed(
        dataset={
            "name": "own",
            "source": "bids",
            "root": "fmriprep",
            "space": SPACE,
            "stories": "stories.tsv",
            "confounds": "none",
            "mask": None,
            "trim": {"first": 0, "last": 0},
        },
        themes={"place": ["house"]},
    ).config
    return Workspace(folder, config)


def responses_of(workspace: Workspace) -> list[str]:
    return [
        f"{workspace.results.relative_to(workspace.folder)}/responses/{SUBJECT}/{s}.zarr" for s in STORIES
    ]


def test_the_same_brain_gives_the_same_stores_through_local_and_through_bids(tiny, bids):
    run = bids.snakemake(*responses_of(bids))
    assert run.returncode == 0, run.stdout[-3000:]
    local = Workspace(
        bids.folder,
        bids.changed(
            dataset={
                "name": "copy",
                "source": "local",
                "root": str(tiny.derivative.parent),
                "stories": "stories.tsv",
            }
        ).config,
    )
    run = local.snakemake(*responses_of(local))
    assert run.returncode == 0, run.stdout[-3000:]
    for story in STORIES:
        own, expected = (
            open_store(of.results / "responses" / SUBJECT / f"{story}.zarr") for of in (bids, local)
        )
        assert set(own) == set(expected)
        for name in set(own) - {"bold", "repeats"}:
            np.testing.assert_array_equal(own[name][:], expected[name][:])
        for name in {"bold", "repeats"} & set(own):
            np.testing.assert_allclose(own[name][:], expected[name][:], rtol=0, atol=1e-5)
        assert ("repeats" in own) == (story == REPEATED_STORY)
    with h5py.File(bids.derivative / "preprocessed_data" / SUBJECT / f"{REPEATED_STORY}.hf5") as file:
        assert json.loads(file.attrs["removed"]) == {
            f"sub-{SUBJECT}_task-{REPEATED_STORY}_run-{number}": [] for number in (1, 2, 3)
        }


def test_check_dataset_makes_all_files_and_finds_nothing_impossible(bids):
    run = bids.snakemake("check_dataset")
    assert run.returncode == 0, run.stdout[-3000:]
    table = read_tsv(bids.results / "tables" / "dataset.tsv")
    assert table["story"].tolist() == STORIES
    assert table["missing"].isna().all() and table["impossible"].isna().all()
    assert table.set_index("story")["repeats"][REPEATED_STORY] == 3


def test_the_run_as_a_whole_is_planned(bids):
    rules = {job.rule for job in bids.pending()}
    assert {"train", "browser"} <= rules


def test_a_fault_stops_a_run_but_not_the_table_of_the_dataset(bids, tmp_path):
    workspace = bids.copy(tmp_path)
    story = STORIES[0]
    for path in (tmp_path / "fmriprep").rglob(f"*task-{story}_*mask.nii.gz"):
        path.unlink()
    run = workspace.snakemake()
    assert run.returncode != 0 and "has no brain mask beside it" in run.stdout
    run = workspace.snakemake("check_dataset")
    assert run.returncode != 0 and "has no brain mask beside it" in run.stdout
    assert "Traceback" not in run.stdout


def test_words_of_events_are_a_transcript_on_the_sounds_clock(bids, tmp_path):
    story, workspace = STORIES[0], bids.copy(tmp_path).changed(dataset__raw="raw")
    (tmp_path / "transcripts" / f"{story}.TextGrid").unlink()
    func = tmp_path / "raw" / f"sub-{SUBJECT}" / "func"
    func.mkdir(parents=True)
    words = {"onset": [1.25, 2.5], "duration": [0.25, 0.5], "trial_type": "word", "value": ["Nan", "Wood"]}
    events = pd.DataFrame(words)
    events.to_csv(func / f"sub-{SUBJECT}_task-{story}_events.tsv", sep="\t", index=False)
    table = f"{workspace.results.relative_to(tmp_path)}/words/{story}.tsv"
    run = workspace.snakemake(table)
    assert run.returncode == 0, run.stdout[-3000:]
    found = read_tsv(tmp_path / table)
    assert found["word"].tolist() == ["nan", "wood"]
    np.testing.assert_allclose(found["onset_s"], np.array(words["onset"]) - ONSET_S)
    np.testing.assert_allclose(found["offset_s"], np.array([1.5, 3.0]) - ONSET_S)
