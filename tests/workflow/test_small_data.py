"""A small data set from its files to the report.

One recording of 12 minutes cut into nine segments, two people with six regions each, two seeds, repeats of two test
segments, no cortex.
"""

import json
import math

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.workflow.test_local_dataset import SENTENCE, example
from tiny_dataset import Workspace, write_language_model

TR_S, TRIM, SOUND_ONSET_S = 1.5, {"first": 3, "last": 1}, 6.0
N_VOLUMES = 54
SEGMENTS = {
    **{f"part-{number}": "train" for number in (1, 2, 3, 4, 5)},
    "part-6": "validation",
    "part-7": "test",
    "part-8": "unused",
    "part-9": "test",
}
REPEATED = ("part-7", "part-9")
SUBJECTS = ("sub-01", "sub-02")
REGIONS = ("A1", "STG", "IFG", "AG", "PCC", "V1")
N_REPEATS = 3
FIGURES = ("figure2", "figure3", "figure4", "training_curves", "agreement", "evidence", "funnel", "ceiling")


def configuration() -> dict:
    config = example()
    config["dataset"] |= {"tr_s": TR_S, "trim": TRIM, "sound_onset_s": SOUND_ONSET_S}
    return {name: config[name] for name in config if name not in ("experiments", "groups")} | {
        "subjects": list(SUBJECTS),
        "seeds": [0, 1],
        "themes": {"place": ["house", "harbour"], "negative": ["afraid", "cold"]},
    }


def write_dataset(root) -> None:
    random = np.random.default_rng(0)
    derivative = root / "derivative"
    for folder in ("transcripts", "voxels", *(f"preprocessed_data/{subject}" for subject in SUBJECTS)):
        (derivative / folder).mkdir(parents=True)
    lines = ["story\tsplit\tsound_onset_s\trecording"]
    for number, (segment, split) in enumerate(SEGMENTS.items()):
        lines.append(f"{segment}\t{split}\t{SOUND_ONSET_S - number * N_VOLUMES * TR_S:g}\ttalk")
    (root / "stories.tsv").write_text("\n".join(lines) + "\n")
    (derivative / "respdict.json").write_text(json.dumps(dict.fromkeys(SEGMENTS, N_VOLUMES)))
    onset_s = np.arange(0.25, len(SEGMENTS) * N_VOLUMES * TR_S - SOUND_ONSET_S - 1, 0.6).round(3)
    words = random.permutation(np.resize(SENTENCE.split(), onset_s.size))
    pd.DataFrame({"word": words, "onset": onset_s, "offset": (onset_s + 0.3).round(3)}).to_csv(
        derivative / "transcripts" / "talk.tsv", sep="\t", index=False
    )
    n_rows = N_VOLUMES - TRIM["first"] - TRIM["last"]
    for subject in SUBJECTS:
        table = {"voxel": range(len(REGIONS)), "rois": REGIONS}
        pd.DataFrame(table).to_csv(derivative / "voxels" / f"{subject}.tsv", sep="\t", index=False)
        for segment in SEGMENTS:
            heard = random.standard_normal((n_rows, len(REGIONS)))
            hearings = heard + random.standard_normal((N_REPEATS, n_rows, len(REGIONS)))
            hearings = (hearings - hearings.mean(1, keepdims=True)) / hearings.std(1, keepdims=True)
            with h5py.File(derivative / "preprocessed_data" / subject / f"{segment}.hf5", "w") as file:
                file["data"] = hearings.mean(axis=0) if segment in REPEATED else hearings[0]
                if segment in REPEATED:
                    file["individual_repeats"] = hearings


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Workspace:
    """The whole workflow, run once with what `make demo` leaves out of Snakemake's messages, and its report."""
    folder = tmp_path_factory.mktemp("small")
    workspace = Workspace(folder, configuration())
    write_dataset(folder / workspace.config["dataset"]["root"])
    write_language_model(folder / "tiny-llama", [SENTENCE.lower()])
    run = workspace.snakemake("--quiet", "host", "rules", "reason")
    (folder / "terminal.txt").write_text(run.stdout)
    assert run.returncode == 0, run.stdout[-3000:]
    report = workspace.snakemake("--report", "report.html", "--quiet", "all")
    assert report.returncode == 0, report.stdout[-3000:]
    return workspace


def table(small: Workspace, *path: str) -> pd.DataFrame:
    return pd.read_csv(small.results.joinpath(*path), sep="\t")


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_drawn_with_its_numbers(small, subject, figure):
    stem = small.results / "figures" / subject / figure
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert len(table(small, "figures", subject, f"{figure}.tsv")) > 0
    image = Image.open(stem.with_suffix(".png")).convert("L")
    ink = np.asarray(image) < 200
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    # Nothing runs over the edge, and no great part of the figure is empty.
    assert rows[0] > 0 and rows[-1] < ink.shape[0] - 1 and columns[0] > 0 and columns[-1] < ink.shape[1] - 1
    assert np.diff(columns).max() < 0.3 * ink.shape[1] and np.diff(rows).max() < 0.3 * ink.shape[0]


def test_the_comparison_of_models_says_that_there_are_too_few_trs(small):
    n_test_trs = 2 * (N_VOLUMES - sum(TRIM.values()))
    assert (small.results / "figures" / "stability.pdf").is_file()
    said = (small.folder / "terminal.txt").read_text()
    assert any("test TRs" in line and str(n_test_trs) in line for line in said.splitlines())


@pytest.mark.parametrize("subject", SUBJECTS)
def test_nothing_is_found_again_or_not_among_models_that_could_not_be_compared(small, subject):
    for name in ("found_again", "found_in_seeds"):
        assert table(small, subject, f"{name}.tsv").empty


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_so_little_data_cannot_tell_is_not_known(small, subject):
    folder = small.results / subject / "matched" / "seed0"
    written = pd.read_csv(folder / "evidence.tsv", sep="\t", dtype=str, keep_default_na=False)
    # Segments of one recording are never swapped, hearings are too short for a shift, and regions have no slices.
    unknown = ["agreement_p_swap", "reliability", "partialled_reliability", "agreement_at_ceiling"]
    unknown += ["total_variation", "slice_share", "slice_jumps"]
    assert (written[unknown] == "not known").all(axis=None)
    live = written[written["alive"] == "True"]
    assert (live[["swaps_known", "reliability_known"]] == "False").all(axis=None)
    assert (live[["agreement_p", "contribution_brain", "contribution_lm", "verdict"]] != "not known").all(
        axis=None
    )
    (summary,) = pd.read_csv(folder / "evidence_summary.tsv", sep="\t").to_dict("records")
    n_test_trs, shift = 2 * (N_VOLUMES - sum(TRIM.values())), math.ceil(40 / TR_S)
    assert summary["n_shifts"] == n_test_trs - 2 * shift + 1
    assert (summary["n_swaps"], summary["n_hearings"]) == (0, 0)
    # Without either story too few TRs are left for a shift.
    assert summary["error_shared"] == "not known"


def test_regions_have_their_names(small):
    rois = table(small, "tables", SUBJECTS[0], "rois.tsv")
    assert set(REGIONS) <= set(rois.astype(str).to_numpy().ravel())
    voxels = table(small, "voxels", f"{SUBJECTS[0]}.tsv")
    assert voxels["rois"].tolist() == list(REGIONS)


def test_the_ceiling_is_that_of_both_repeated_segments(small):
    ceiling = table(small, SUBJECTS[0], "ceiling.tsv").astype(str)
    told = " ".join(ceiling.to_numpy().ravel())
    assert all(segment in told for segment in REPEATED)


def test_the_report_holds_every_figure_and_table(small):
    report = (small.folder / "report.html").read_text(encoding="utf-8")
    for name in (*FIGURES, "stability", "shares", "verdicts", "paper", "predictions"):
        assert name in report
