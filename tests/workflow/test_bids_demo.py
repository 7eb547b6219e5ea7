"""The simulated listener as other labs' data come, for `source: bids`: derivatives, transcripts and stories."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray
from nilearn.interfaces.fmriprep import load_confounds_strategy
from nilearn.surface import load_surf_data

from brainlm.files import read_tsv
from brainlm.simulation.features import load_planted
from brainlm.store import open_store
from tiny_dataset import (
    REPEATED_STORY,
    SPLITS,
    STORIES,
    SUBJECT,
    Workspace,
    annotated_text,
    configuration,
    write_language_model,
    write_stories,
)

# Snakemake marks the folders that its jobs write with a file of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

TRIM, TR_S, ONSET_S = 4, 2.0, 10.0


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("bids")
    workspace = Workspace(folder, configuration(folder)).changed(
        dataset__trim={"first": TRIM, "last": TRIM}, subjects=[SUBJECT, "SIM02"]
    )
    write_stories(folder / "stories")
    write_language_model(folder / "tiny-llama", [annotated_text(story) for story in STORIES])
    run = workspace.snakemake("results/tiny/simulation/bids")
    assert run.returncode == 0, run.stdout[-3000:]
    return workspace


@pytest.fixture(scope="module")
def dataset(simulated):
    return simulated.results / "simulation" / "bids"


def volumes(simulated: Workspace) -> dict[str, int]:
    return json.loads((simulated.derivative / "respdict.json").read_text())


def images(dataset, stem: str) -> list[str]:
    func = dataset / "derivatives" / "fmriprep" / f"sub-{SUBJECT}" / "func"
    return [str(func / f"{stem}_hemi-{h}_space-fsaverage5_bold.func.gii") for h in "LR"]


def test_the_table_names_each_story_s_split_task_and_onset(dataset):
    stories = pd.read_csv(dataset / "stories.tsv", sep="\t").set_index("story")
    assert stories["split"].to_dict() == {story: split for split, names in SPLITS.items() for story in names}
    assert (stories["task"] == stories.index).all() and (stories["onset_s"] == ONSET_S).all()


def test_transcripts_are_those_of_the_simulated_stories(simulated, dataset):
    for story in STORIES:
        original = simulated.derivative / "TextGrids" / f"{story}.TextGrid"
        assert (dataset / "transcripts" / f"{story}.TextGrid").read_bytes() == original.read_bytes()


def test_the_first_subject_has_recordings_of_all_stories_as_long_as_they_last(simulated, dataset):
    derivatives = dataset / "derivatives" / "fmriprep"
    assert {path.name for path in derivatives.glob("sub-*")} == {f"sub-{SUBJECT}"}
    n_volumes = volumes(simulated)
    found = {
        path.name.removesuffix("_desc-confounds_timeseries.tsv"): len(pd.read_csv(path, sep="\t"))
        for path in derivatives.rglob("*_desc-confounds_timeseries.tsv")
    }
    expected = {
        f"sub-{SUBJECT}_task-{story}": n_volumes[story] for story in STORIES if story != REPEATED_STORY
    }
    expected |= {f"sub-{SUBJECT}_task-{REPEATED_STORY}_run-{i}": n_volumes[REPEATED_STORY] for i in (1, 2, 3)}
    assert found == expected
    (left, _) = images(dataset, f"sub-{SUBJECT}_task-nightbus")
    sidecar = json.loads(Path(left.replace(".func.gii", ".json")).read_text())
    assert (sidecar["RepetitionTime"], sidecar["StartTime"]) == (TR_S, TR_S / 2)


def test_cleaned_recordings_follow_what_is_planted(simulated, dataset):
    planted, n_rows = load_planted(dataset / "planted.zarr")
    assert n_rows == volumes(simulated)
    starts = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))
    story = SPLITS["train"][0]
    files = images(dataset, f"sub-{SUBJECT}_task-{story}")
    image = np.vstack([load_surf_data(file) for file in files]).T.astype(float)
    assert len(image) == n_rows[story]
    confounds, kept = load_confounds_strategy(files, "simple")
    assert kept[0] == 2 < TRIM
    rows = np.arange(TRIM, n_rows[story] - TRIM)
    columns = np.column_stack([np.ones(len(kept)), confounds.iloc[kept]])

    def cleaned(values: np.ndarray) -> np.ndarray:
        return (values[kept] - columns @ np.linalg.lstsq(columns, values[kept])[0])[rows - 2]

    courses = planted.time_courses[starts[story] : starts[story] + n_rows[story]]
    assert (courses[:TRIM, np.array(planted.kinds) == "shared"] == 0).all()
    maps = open_store(dataset / "planted.zarr")["maps"]
    for name in ("place", "words"):
        feature = planted.names.index(name)
        vertex = maps[feature].argmax()
        follows = np.corrcoef(cleaned(courses[:, [feature]])[:, 0], cleaned(image[:, [vertex]])[:, 0])[0, 1]
        assert follows > 0.3


@pytest.fixture(scope="module")
def read(simulated) -> Workspace:
    """The whole workflow on what was written, as any other lab would run it."""
    folder = "results/tiny/simulation/bids"
    settings = {
        "name": "tiny-bids",
        "source": "bids",
        "root": f"{folder}/derivatives/fmriprep",
        "stories": f"{folder}/stories.tsv",
        "trim": {"first": TRIM, "last": TRIM},
    }
    themes = {"place": ["house", "wall", "window"]}
    config = simulated.config | {"dataset": settings, "subjects": [SUBJECT], "themes": themes}
    workspace = replace(simulated, config=config)
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout[-3000:]
    return workspace


def test_what_is_read_has_the_times_of_the_simulated_stories_and_all_vertices(simulated, read):
    for story, n_volumes in volumes(simulated).items():
        path = read.results / "responses" / SUBJECT / f"{story}.zarr"
        found = xarray.open_zarr(path, consolidated=False)
        n_rows = n_volumes - 2 * TRIM
        np.testing.assert_allclose(found["time"], (TRIM + 0.5) * TR_S - ONSET_S + TR_S * np.arange(n_rows))
        # 777 and 705 vertices of the medial wall are constant.
        assert found["valid"].shape == (20_484,) and (~found["valid"]).sum() == 777 + 705
    hearings = xarray.open_zarr(
        read.results / "responses" / SUBJECT / f"{REPEATED_STORY}.zarr", consolidated=False
    )
    assert hearings["repeats"].shape[0] == 3


def test_areas_are_where_features_are_planted(dataset, read):
    table = read_tsv(read.results / "voxels" / f"{SUBJECT}.tsv")
    planted, _ = load_planted(dataset / "planted.zarr")
    maps = open_store(dataset / "planted.zarr")["maps"]
    vertex = maps[planted.names.index("place")].argmax()
    assert "place" in table["rois"][vertex].split(";")


@pytest.mark.parametrize("figure", ["figure2", "figure3", "figure4"])
def test_figures_are_drawn_on_fsaverage(read, figure):
    assert (read.results / "figures" / SUBJECT / f"{figure}.png").stat().st_size > 0
