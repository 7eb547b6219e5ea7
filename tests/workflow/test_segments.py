"""Segments of one recording, as in config/README.md, have the features that the uncut recording has at their rows."""

import json
import re

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray

from tests.workflow.test_local_dataset import README, SENTENCE, SUBJECT, example
from tiny_dataset import Workspace, jobs, write_language_model

pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

SECTION = re.search(r"^## One recording, several stories\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)[1]
TABLE = re.search(r"```\n(.*?)```", SECTION, re.DOTALL)[1]
N_VOLUMES = 80
# The onset of the recording's sound after the first volume of each segment, as the section's text counts.
ONSET_S = {f"talk-{number}": 8 - 120 * (number - 1) for number in (1, 2, 4, 6)}
UNCUT, ALONE = "uncut", "alone"
TR_S, FIRST, LAST = 1.5, 6, 4
LM = "smollm2-135m-instruct"


def features_of(stories) -> list[str]:
    return [f"results/mydata/features/{LM}/block2/{story}.zarr" for story in stories]


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> Workspace:
    """The section's dataset, with the uncut recording and a segment with its own transcript as further stories."""
    folder, config = tmp_path_factory.mktemp("segments"), example()
    assert config["dataset"]["tr_s"] == TR_S and config["dataset"]["trim"] == {"first": FIRST, "last": LAST}
    derivative = folder / config["dataset"]["root"] / "derivative"
    (derivative / "transcripts").mkdir(parents=True)
    (derivative / "preprocessed_data" / SUBJECT).mkdir(parents=True)
    own = f"{UNCUT}\ttrain\t\t\n{ALONE}\ttrain\t0\t\n"
    (derivative.parent / "stories.tsv").write_text(TABLE + own)
    volumes = {**dict.fromkeys([*ONSET_S, ALONE], N_VOLUMES), UNCUT: 6 * N_VOLUMES}
    (derivative / "respdict.json").write_text(json.dumps(volumes))
    for story in volumes:
        with h5py.File(derivative / "preprocessed_data" / SUBJECT / f"{story}.hf5", "w") as file:
            file["data"] = np.zeros((volumes[story] - FIRST - LAST, 6))
    random = np.random.default_rng(0)
    onset_s = np.arange(0.25, 6 * N_VOLUMES * TR_S - 8, 0.5).round(3)
    words = pd.DataFrame(
        {
            "word": random.permutation(np.resize(SENTENCE.split(), onset_s.size)),
            "onset": onset_s,
            "offset": (onset_s + random.uniform(0.1, 0.5, onset_s.size)).round(3),
        }
    )
    since = {"talk": 0, UNCUT: 0, ALONE: -ONSET_S["talk-2"]}
    for name, begin_s in since.items():
        later = words.assign(onset=words["onset"] - begin_s, offset=words["offset"] - begin_s)
        # Its own transcript has all that was said before the segment, and nothing after it.
        kept = later if name != ALONE else later[later["onset"] < N_VOLUMES * TR_S]
        kept.round(3).to_csv(derivative / "transcripts" / f"{name}.tsv", sep="\t", index=False)
    write_language_model(folder / "tiny-llama", [SENTENCE.lower()])
    workspace = Workspace(folder, config)
    run = workspace.snakemake(*features_of([*ONSET_S, UNCUT, ALONE]))
    assert run.returncode == 0, run.stdout[-3000:]
    # So little data is warned of; its words and times are in order.
    warnings = [line for line in run.stdout.splitlines() if line.startswith("Warning: ")]
    assert not [line for line in warnings if "transcripts" in line or "recording" in line]
    return workspace


def features(cut: Workspace, story: str) -> xarray.Dataset:
    return xarray.open_zarr(cut.folder / features_of([story])[0], consolidated=False)


@pytest.mark.parametrize("story", [*ONSET_S, ALONE])
def test_a_segment_has_the_features_of_the_uncut_recordings_rows(cut, story):
    begin = round((8 - ONSET_S["talk-2" if story == ALONE else story]) / TR_S)
    rows = slice(begin, begin + N_VOLUMES - FIRST - LAST)
    uncut, segment = features(cut, UNCUT), features(cut, story)
    values = segment["features"].values
    largest = np.abs(values).max()
    np.testing.assert_allclose(values, uncut["features"].values[rows], rtol=1e-4, atol=1e-4 * largest)
    if story != ALONE:
        np.testing.assert_allclose(segment["time"], uncut["time"][rows], atol=1e-9)
        np.testing.assert_allclose(segment["nuisances"], uncut["nuisances"][rows], rtol=1e-4, atol=1e-6)


def test_the_language_model_reads_a_recording_once(cut):
    read = {path.name for path in (cut.results / "activations" / LM).iterdir()}
    assert read == {"talk.zarr", f"{UNCUT}.zarr", f"{ALONE}.zarr"}


def test_a_storys_own_onset_changes_its_own_jobs_and_touching_splits_are_said(cut):
    table = cut.folder / cut.config["dataset"]["root"] / "stories.tsv"
    text = table.read_text()
    # What trim cuts off keeps the rows of segments that only touch apart by 1.5 s.
    table.write_text(text.replace("\t-352\t", "\t-228\t"))
    try:
        run = cut.snakemake(*features_of([*ONSET_S, UNCUT, ALONE]))
    finally:
        table.write_text(text)
    assert run.returncode == 0, run.stdout[-3000:]
    # No transcript is read again, by us or by the language model.
    assert [job.rule for job in jobs(run.stdout)] == ["features_0"]
    overlap, leak = [line for line in run.stdout.splitlines() if line.startswith("Warning: Segments of")]
    assert "Segments of the recording 'talk' overlap: 'talk-2' (train) and 'talk-4' (validation)" in overlap
    assert "Segments of the recording 'talk' in different splits lie so close" in leak
    assert "'talk-2' (train) and 'talk-4' (validation): a test at such a cut" in leak


def test_an_onset_of_the_wrong_sign_stops_the_segment(cut):
    table = cut.folder / cut.config["dataset"]["root"] / "stories.tsv"
    text = table.read_text()
    table.write_text(text.replace("\t-112\t", "\t112\t"))
    try:
        run = cut.snakemake(*features_of(["talk-2"]))
    finally:
        table.write_text(text)
    assert run.returncode != 0 and "Traceback" not in run.stdout
    sentence = next(line for line in run.stdout.splitlines() if line.startswith("Error in features_0: "))
    assert "talk.tsv, story 'talk-2': " in sentence and "rows (TRs), " in sentence
    assert "is its sound_onset_s in dataset.stories (112 s) wrong" in sentence
