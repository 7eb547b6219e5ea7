"""docs/bids.md: its examples name files that the datasets have, and its numbers follow from what it says."""

import csv
import io
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from brainlm.resample import tr_midpoints
from pipeline.stories import SPLITS

PAGE = Path(__file__).parents[2] / "docs" / "bids.md"
TEXT = PAGE.read_text(encoding="utf-8")
PROSE = " ".join(TEXT.split())
NAMES = Path(__file__).parent / "bids_names"
"""Names of the datasets' files; the first line of each list says where they were read."""
DATASETS = ("ds002345", "ds003643")


def block(dataset: str, what: str) -> str:
    """What stands in the example's block of code."""
    (found,) = re.findall(rf"^<!-- {dataset}: {what} -->\n```\w*\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    return found


def config(dataset: str) -> dict:
    return yaml.safe_load(block(dataset, "config"))


def stories(dataset: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(block(dataset, "stories")), delimiter="\t"))


def names(listing: str) -> list[str]:
    return (NAMES / f"{listing}.txt").read_text(encoding="utf-8").splitlines()[1:]


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_example_has_all_splits_and_tells_how_its_subjects_runs_are_called(dataset):
    assert {line["split"] for line in stories(dataset)} == set(SPLITS)
    assert all(line["task"].isalnum() for line in stories(dataset))
    assert config(dataset)["dataset"]["source"] == "bids"
    (path,) = {config(dataset)["dataset"]["stories"]}
    assert f"`{path}`:" in TEXT


def test_narratives_has_both_hemispheres_and_confounds_of_every_run_of_the_example():
    there, given = set(names("ds002345_derivatives")), config("ds002345")["dataset"]
    for subject in config("ds002345")["subjects"]:
        for line in stories("ds002345"):
            stem = f"derivatives/fmriprep/{subject}/func/{subject}_task-{line['task']}"
            for hemisphere in "LR":
                assert f"{stem}_space-{given['space']}_hemi-{hemisphere}.func.gii" in there
            assert f"{stem}_desc-confounds_regressors.tsv" in there
            raw = f"{subject}/func/{subject}_task-{line['task']}"
            assert {f"{raw}_bold.json", f"{raw}_events.tsv"} <= set(names("ds002345"))


def test_names_that_the_page_quotes_of_narratives_are_there():
    there = {Path(name).name for name in names("ds002345_derivatives")}
    quoted = [name for name in re.findall(r"`(sub-265_\S+)`", TEXT)]
    assert len(quoted) == 2 and set(quoted) <= there
    # Both listeners have the long story as well, and other tasks have several runs.
    assert {f"sub-{s}_task-21styear_desc-confounds_regressors.tsv" for s in (265, 267)} <= there
    assert {f"sub-016_task-pieman_run-{run}_desc-confounds_regressors.tsv" for run in (1, 2)} <= there
    assert sum("task-schema_run-" in name and "confounds" in name for name in there) == 4


def test_the_little_prince_has_every_run_and_annotation_of_the_example():
    there = set(names("ds003643"))
    for line in stories("ds003643"):
        for subject in config("ds003643")["subjects"]:
            stem = f"{subject}_task-{line['task']}_run-{line['run']}"
            assert f"{subject}/func/{stem}_echo-1_bold.nii.gz" in there
    sections = [f"annotation/EN/lppEN_{line['story']}.TextGrid" for line in stories("ds003643")]
    assert sorted(sections) == [name for name in names("ds003643") if name.startswith("annotation")]


def test_the_page_counts_run_labels_as_they_are():
    runs: dict[str, list[str]] = {}
    for name in names("ds003643"):
        if found := re.match(r"(sub-EN\d+)/func/\1_task-lppEN_run-(\d+)_echo-1_bold.nii.gz", name):
            runs.setdefault(found[1], []).append(found[2])
    assert len(runs) == 49 and len(runs["sub-EN059"]) == 11

    def n_with(first: int) -> int:
        return Counter(map(tuple, runs.values()))[tuple(f"{first + i:02}" for i in range(9))]

    assert (n_with(6), n_with(7), n_with(8)) == (18, 8, 6)
    assert (
        "`run-06` to `run-14` for 18 of the English listeners, among them sub-EN064 and sub-EN078, `run-07` to "
        "`run-15` for 8, `run-08` to `run-16` for 6"
    ) in PROSE
    assert all(tuple(runs[subject])[0] == "06" for subject in config("ds003643")["subjects"])


def test_first_rows_lie_where_the_page_says():
    given = config("ds002345")["dataset"]
    first_s = tr_midpoints(1, tr_s=1.5, sound_onset_s=12.0, first_tr=given["trim"]["first"])[0]
    assert first_s == 6.75 and PROSE.count("12.5 · 1.5 − 12 = 6.75 s") == 1
    assert "the first row lies at 12.5 * 1.5 - 12 = 6.75 s" in block("ds002345", "config")
    given = config("ds003643")["dataset"]
    first_s = tr_midpoints(1, tr_s=2.0, sound_onset_s=8.0, first_tr=given["trim"]["first"])[0]
    assert round(first_s) == 9 and "some 9 s into the section" in block("ds003643", "config")


def test_rows_and_steps_are_what_the_sizes_give():
    trimmed = sum(config("ds003643")["dataset"]["trim"].values())
    volumes = [int(n) for n in re.findall(r"\d{3}", re.search(r"(286, .*? 372) in the raw", PROSE)[1])]
    of_training = volumes[: sum(line["split"] == "train" for line in stories("ds003643"))]
    assert len(volumes) == 9 and sum(of_training) == 2184
    n_rows = sum(of_training) - trimmed * len(of_training)
    assert n_rows == 2114 and "2,184 volumes, less 10 each: 2,114 rows" in PROSE
    sizes = config("ds003643")["crosscoder"]
    assert n_rows // sizes["n_latents"] == 22 and f"22 for each of {sizes['n_latents']} latents" in PROSE
    sizes = config("ds002345")["crosscoder"]
    # The sounds alone; recordings are a little longer.
    assert (533 + 558 - 12) // sizes["n_latents"] == 22 and -(-1080 // sizes["batch_size"]) == 11


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_dictionary_is_small_enough_for_its_rows(dataset):
    sizes = config(dataset)["crosscoder"]
    n_rows = {"ds002345": 1080, "ds003643": 2114}[dataset]
    assert 20 * sizes["n_latents"] <= n_rows and 10 * sizes["batch_size"] <= n_rows
    assert 2500 < sizes["epochs"] * n_rows / sizes["batch_size"] < 3500
    assert config(dataset)["ridge"]["n_folds"] <= sum(line["split"] == "train" for line in stories(dataset))


def test_the_demo_s_config_is_explained_by_the_page():
    demo = yaml.safe_load((PAGE.parents[1] / "config" / "bids_demo.yaml").read_text(encoding="utf-8"))
    table = re.search(r"^\| key \| default \|.*?\n\n", TEXT, re.DOTALL | re.MULTILINE)[0]
    explained = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert set(demo["dataset"]) - {"name", "source"} <= explained
    assert explained == {
        *("root", "raw", "space", "res", "stories", "transcripts", "confounds", "mask", "atlas", "trim")
    }
    folder = Path(demo["dataset"]["root"]).parents[1]
    assert f"`{folder}`" in TEXT and Path(demo["dataset"]["stories"]) == folder / "stories.tsv"
