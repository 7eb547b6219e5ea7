"""A config with fMRIPrep's derivatives: what is found in them, and each fault in one sentence before any job runs."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Plan, make_plan, plan_of_any_dataset
from pipeline.errors import ConfigError
from tests.data.bids.tree import (
    MASK,
    N_VERTICES,
    N_VOXELS,
    confounds_table,
    write_confounds,
    write_grey_matter,
    write_surfaces,
    write_volume,
)

SPLITS = {"alpha": "train", "beta": "train", "gamma": "validation", "delta": "test"}
SUBJECTS = ("01", "02")
SPACE = "MNI152NLin2009cAsym"
N_VOLUMES, TR_S, ONSET_S = 40, 1.5, 12.0
N_SURFACE_VOLUMES = 9
"""Some more than last until the sound's onset."""
SIDECAR = {"RepetitionTime": TR_S, "StartTime": 0.7}


@dataclass(frozen=True)
class Tree:
    """Derivatives, the raw dataset, and a config of both; tests change all of them."""

    root: Path
    config: dict[str, Any]

    @property
    def derivatives(self) -> Path:
        return self.root / "derivatives"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def dataset(self) -> dict[str, Any]:
        return self.config["dataset"]

    def func(self, subject: str = "01") -> Path:
        return self.derivatives / f"sub-{subject}" / "func"

    def bold(self, story: str = "alpha", subject: str = "01") -> Path:
        return self.func(subject) / f"sub-{subject}_task-{story}_space-{SPACE}_desc-preproc_bold.nii.gz"

    def confounds(self, story: str = "alpha", subject: str = "01") -> Path:
        return self.func(subject) / f"sub-{subject}_task-{story}_desc-confounds_timeseries.tsv"

    def sidecar(self, **content: object) -> None:
        self.bold().with_name(self.bold().name.replace(".nii.gz", ".json")).write_text(json.dumps(content))

    def events(
        self, rows: list[tuple], columns: tuple[str, ...], story: str = "alpha", subject: str = "01"
    ) -> None:
        folder = self.raw / f"sub-{subject}" / "func"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"sub-{subject}_task-{story}_events.tsv"
        pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)

    def table(self, lines: list[str]) -> None:
        Path(self.dataset["stories"]).write_text("\n".join(lines) + "\n")

    def listed(self, **cells: str) -> None:
        """The table of stories with these columns of the story alpha."""
        header = ["story", "split", "onset_s", *cells]
        rows = [
            [story, split, str(ONSET_S), *(cells.values() if story == "alpha" else [""] * len(cells))]
            for story, split in SPLITS.items()
        ]
        self.table(["\t".join(row) for row in [header, *rows]])

    def plan(self) -> Plan:
        return make_plan(self.config)


def write_run(root: Path, subject: str, story: str, n_volumes: int = N_VOLUMES, **entities: str) -> None:
    names = {"sub": subject, **{k: v for k, v in entities.items() if k == "ses"}, "task": story}
    names |= {k: v for k, v in entities.items() if k != "ses"}
    bold = np.random.default_rng(len(story)).standard_normal((n_volumes, N_VOXELS)) * 20 + 1000
    write_volume(root, names, bold, tr_s=TR_S, sidecar=SIDECAR)
    write_confounds(root, names, confounds_table(n_volumes))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bids")
    for subject in SUBJECTS:
        for story in SPLITS:
            write_run(root / "derivatives", subject, story)
        write_grey_matter(root / "derivatives", subject, MASK.astype(float), space=SPACE)
    (root / "raw").mkdir()
    (root / "transcripts").mkdir()
    for story in SPLITS:
        (root / "transcripts" / f"{story}.tsv").write_text("word\tonset\toffset\nonce\t0.1\t0.4\n")
    return root


@pytest.fixture
def tree(made, tmp_path) -> Tree:
    root = tmp_path / "data"
    shutil.copytree(made, root)
    dataset = {
        "name": "own",
        "source": "bids",
        "root": str(root / "derivatives"),
        "raw": str(root / "raw"),
        "space": SPACE,
        "stories": str(root / "stories.tsv"),
        "trim": {"first": 5, "last": 5},
    }
    config = {
        "results": str(tmp_path / "results"),
        "dataset": dataset,
        "subjects": list(SUBJECTS),
        "language_model": {"name": "lm", "path_or_hub_id": "org/model", "blocks": [4, 8]},
        "features": {"block": 8},
        "themes": {"place": ["house"]},
    }
    tree = Tree(root, config)
    tree.listed()
    return tree


def test_a_plan_has_the_sidecars_clock_and_the_headers_lengths(tree):
    plan = tree.plan()
    assert plan.config["dataset"]["tr_s"] == TR_S
    # Row i lies at i TR + StartTime - onset, where later stages take it to lie at (i + 0.5) TR - onset.
    effective_s = ONSET_S + TR_S / 2 - SIDECAR["StartTime"]
    assert [plan.sound_onset_s(story) for story in SPLITS] == pytest.approx([effective_s] * len(SPLITS))
    assert plan.dataset.rows_of(SPLITS) == dict.fromkeys(SPLITS, N_VOLUMES - 10)
    assert plan.subject_stories["02"] == {
        "train": ["alpha", "beta"],
        "validation": ["gamma"],
        "test": ["delta"],
    }


def test_a_story_that_one_subject_lacks_is_left_out_of_its_splits(tree):
    for path in tree.func("02").glob("*task-beta*"):
        path.unlink()
    assert tree.plan().subject_stories["02"]["train"] == ["alpha"]
    assert tree.plan().subject_stories["01"]["train"] == ["alpha", "beta"]


def test_the_older_layout_and_sub_in_a_subjects_name_are_taken(tree):
    (tree.root / "older").mkdir()
    tree.derivatives.rename(tree.root / "older" / "fmriprep")
    tree.dataset["root"] = str(tree.root / "older")
    tree.config["subjects"] = ["sub-01"]
    assert tree.plan().subject_stories["sub-01"]["train"] == ["alpha", "beta"]


def test_repetition_time_is_inherited_from_the_raw_dataset(tree):
    tree.sidecar(SkullStripped=False, StartTime=0.7)
    (tree.raw / "bold.json").write_text('{"RepetitionTime": 9}')
    (tree.raw / "task-alpha_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))
    (tree.raw / "task-beta_bold.json").write_text('{"RepetitionTime": 8}')
    assert tree.plan().config["dataset"]["tr_s"] == TR_S


def test_the_onset_is_that_of_the_only_row_of_the_sound(tree):
    tree.table(["story\tsplit", *(f"{story}\t{split}" for story, split in SPLITS.items())])
    for subject in SUBJECTS:
        for story in SPLITS:
            rows = [(0, 3, "music"), (4.5, 40, "story")]
            tree.events(rows, ("onset", "duration", "trial_type"), story, subject)
    assert tree.plan().dataset.survey.onsets_s == dict.fromkeys(SPLITS, 4.5)


def test_a_story_without_a_transcript_takes_the_words_of_its_events(tree):
    (tree.root / "transcripts" / "alpha.tsv").unlink()
    tree.listed(task="")
    columns = ("onset", "duration", "trial_type", "word")
    for subject in SUBJECTS:
        tree.events([(13, 0.3, "word", "once")], columns, subject=subject)
    plan = tree.plan()
    assert plan.dataset.event_stories(list(SPLITS)) == ["alpha"]
    assert plan.dataset.transcript("alpha") == f"{plan.dataset.derivative}/transcripts/alpha.tsv"
    assert plan.dataset.transcript("beta") == f"{tree.root}/transcripts/beta.tsv"


def test_runs_that_the_table_leaves_open_are_hearings(tree):
    for path in tree.func("01").glob("*task-delta*"):
        path.unlink()
    for run in ("10", "2"):
        write_run(tree.derivatives, "01", "delta", run=run)
    runs = tree.plan().dataset.survey.runs["01", "delta"]
    assert [run.entities["run"] for run in runs] == ["2", "10"]


def test_the_shortest_hearing_is_the_storys_length(tree):
    write_run(tree.derivatives, "02", "alpha", N_VOLUMES - 5)
    survey = tree.plan().dataset.survey
    assert survey.n_volumes["alpha"] == N_VOLUMES - 5
    assert survey.notes == [f"Story 'alpha': {N_VOLUMES - 5} volumes are read; sub-01_task-alpha has more."]


def surfaces(tree: Tree, **options: Any) -> None:
    """Surfaces of all runs, in place of the volumes."""
    tree.dataset["space"] = "fsaverage5"
    for subject in SUBJECTS:
        for story in SPLITS:
            bold = np.zeros((N_SURFACE_VOLUMES, 2 * N_VERTICES))
            write_surfaces(tree.derivatives, {"sub": subject, "task": story}, bold, tr_s=TR_S, **options)
    tree.dataset["trim"] = {"first": 0, "last": 0}


@pytest.mark.parametrize("order", ["new", "old"])
def test_surfaces_need_no_mask_and_have_the_areas_of_the_derivatives(tree, order):
    surfaces(tree, order=order)
    label = tree.derivatives / "sourcedata" / "freesurfer" / "fsaverage5" / "label"
    label.mkdir(parents=True)
    annots = [label / f"{side}.aparc.annot" for side in ("lh", "rh")]
    for annot in annots:
        annot.touch()
    dataset = tree.plan().dataset
    assert dataset.mask("01") == "" and dataset.cortex_kind("01") == "fsaverage5"
    assert dataset.cortex_inputs("01") == list(map(str, annots))
    assert dataset.response_bytes()["01", "alpha"] == N_SURFACE_VOLUMES * 2 * N_VERTICES * 8


def remove(tree: Tree, pattern: str, subject: str = "01") -> None:
    paths = list(tree.func(subject).glob(pattern))
    assert paths
    for path in paths:
        path.unlink()


def other_space(tree: Tree) -> None:
    tree.dataset["space"] = "MNI152NLin6Asym"
    for subject in SUBJECTS:
        for story in ("beta", "gamma", "delta"):
            remove(tree, f"*task-{story}*", subject)
    remove(tree, "*task-alpha*", "02")


def only_cifti(tree: Tree) -> None:
    remove(tree, "*task-alpha*")
    (tree.func() / "sub-01_task-alpha_space-fsLR_den-91k_bold.dtseries.nii").touch()


def several_resolutions(tree: Tree) -> None:
    for part in ("desc-preproc_bold.nii.gz", "desc-brain_mask.nii.gz"):
        path = tree.func() / f"sub-01_task-alpha_space-{SPACE}_{part}"
        shutil.copy(path, path.with_name(path.name.replace("_desc", "_res-2_desc")))


def one_hemisphere(tree: Tree) -> None:
    surfaces(tree)
    (tree.func() / "sub-01_task-alpha_hemi-R_space-fsaverage5_bold.func.gii").unlink()


def other_length_of_a_hemisphere(tree: Tree) -> None:
    surfaces(tree)
    shorter = np.zeros((N_SURFACE_VOLUMES - 1, 2 * N_VERTICES))
    write_surfaces(tree.derivatives, {"sub": "01", "task": "alpha"}, shorter, tr_s=TR_S, sides=("R",))


def two_acquisitions(tree: Tree) -> None:
    write_run(tree.derivatives, "01", "alpha", acq="fast")


def two_tables(tree: Tree) -> None:
    shutil.copy(tree.confounds(), tree.func() / "sub-01_task-alpha_desc-confounds_regressors.tsv")


def other_length(tree: Tree) -> None:
    write_run(tree.derivatives, "02", "alpha", N_VOLUMES - 6)


def not_steady(tree: Tree) -> None:
    write_confounds(
        tree.derivatives, {"sub": "01", "task": "alpha"}, confounds_table(N_VOLUMES, n_non_steady=6)
    )


def not_downloaded(tree: Tree) -> None:
    tree.confounds().unlink()
    tree.confounds().symlink_to("../../../.git/annex/objects/x")


def damaged(tree: Tree) -> None:
    tree.bold().write_bytes(b"no image")


def other_onset(tree: Tree) -> None:
    tree.table(["story\tsplit", *(f"{story}\t{split}" for story, split in SPLITS.items())])
    for subject in SUBJECTS:
        for story in SPLITS:
            onset_s = 4.5 + 0.1 * (story == "alpha" and subject == "02")
            tree.events([(onset_s, 40, "story")], ("onset", "duration", "trial_type"), story, subject)


def several_sounds(tree: Tree) -> None:
    tree.table(
        ["story\tsplit\tonset_s", "alpha\ttrain\t", *(f"{s}\t{SPLITS[s]}\t12" for s in list(SPLITS)[1:])]
    )
    for subject in SUBJECTS:
        rows = [(1, 2, "story"), (5, 2, "sound")]
        tree.events(rows, ("onset", "duration", "trial_type"), subject=subject)
    tree.config["subjects"] = ["01"]


def no_onset(tree: Tree) -> None:
    tree.table(
        ["story\tsplit\tonset_s", "alpha\ttrain\t", *(f"{s}\t{SPLITS[s]}\t12" for s in list(SPLITS)[1:])]
    )


def no_onset_in_events(tree: Tree) -> None:
    tree.table(
        ["story\tsplit\tonset_s", "alpha\ttrain\t", *(f"{s}\t{SPLITS[s]}\t12" for s in list(SPLITS)[1:])]
    )
    tree.events([("soon", 2, "story")], ("onset", "duration", "trial_type"))
    tree.config["subjects"] = ["01"]


def raw_dataset(tree: Tree) -> None:
    (tree.derivatives / "dataset_description.json").write_text('{"DatasetType": "raw"}')


def same_run_twice(tree: Tree) -> None:
    write_run(tree.derivatives, "01", "beta", run="1")
    lines = [
        "alpha\ttrain\t12\tbeta\t1",
        "beta\ttrain\t12\tbeta\t",
        "gamma\tvalidation\t12\t\t",
        "delta\ttest\t12\t\t",
    ]
    tree.table(["story\tsplit\tonset_s\ttask\trun", *lines])
    tree.config["subjects"] = ["01"]
    remove(tree, "sub-01_task-beta_space*")
    remove(tree, "sub-01_task-beta_desc*")


def setting(key: str, value: object) -> Callable[[Tree], None]:
    return lambda tree: tree.dataset.__setitem__(key, value)


FAULTS: dict[str, tuple[Callable[[Tree], Any], str]] = {
    "no root": (setting("root", None), "needs dataset.root, the folder of fMRIPrep's output"),
    "root is not there": (setting("root", "/no/such/folder"), "/no/such/folder is no folder"),
    "no subjects in root": (lambda t: t.dataset.update(root=str(t.raw)), r"has no folders sub-\*"),
    "a raw dataset": (raw_dataset, "is a raw dataset: give the folder of fMRIPrep's derivatives"),
    "raw is not there": (setting("raw", "/no/raw"), "dataset.raw names /no/raw, which is no folder"),
    "transcripts are not there": (setting("transcripts", "/no/words"), "dataset.transcripts names /no/words"),
    "fsLR": (setting("space", "fsLR"), r"dataset.space must be .*\(fsLR is not read yet\), not 'fsLR'"),
    "scrubbing": (
        setting("confounds", "scrubbing"),
        r"dataset.confounds must be simple, compcor, none .*no scrubbing",
    ),
    "scrubbed columns": (setting("confounds", ["motion_outlier00"]), "no scrubbing, for all rows must stay"),
    "an unknown subject": (
        lambda t: t.config.update(subjects=["03"]),
        "unknown subject '03'.* has sub-01, sub-02",
    ),
    "a subject twice": (
        lambda t: t.config.update(subjects=["01", "sub-01"]),
        "01 and sub-01, which are the same",
    ),
    "another TR in the config": (
        setting("tr_s", 2.0),
        r"dataset.tr_s is 2, but the sidecars .* say 1.5 s: leave it",
    ),
    "an onset in the config": (
        setting("sound_onset_s", 10.0),
        "is not read with dataset.source bids: .*column onset_s",
    ),
    "an axis of slices": (setting("slice_axis", "y"), "slice_axis is not read with dataset.source bids"),
    "a task misspelt": (
        lambda t: t.listed(task="alhpa"),
        r"'alpha', but no subject .* has task-alhpa .*Did you mean alpha\?",
    ),
    "a run that is not there": (lambda t: t.listed(task="beta", run="7"), "has task-beta_run-7 in"),
    "a session that is not there": (lambda t: t.listed(ses="2"), "has ses-2_task-alpha in"),
    "a label with a dash": (
        lambda t: t.listed(task="al-pha"),
        "the task 'al-pha', but labels of BIDS are letters and digits",
    ),
    "two stories of one name of files": (
        lambda t: t.listed(task="beta"),
        "'alpha' and 'beta' are both task-beta",
    ),
    "two stories of one run": (
        same_run_twice,
        "sub-01_task-beta_run-1 would be a hearing of the story 'alpha' and of 'beta'",
    ),
    "a column misspelt": (
        lambda t: t.listed(session="1"),
        "has a column 'session', which is not read .*: call it ses",
    ),
    "an onset that is no number": (
        lambda t: t.table(["story\tsplit\tonset_s", *(f"{s}\t{SPLITS[s]}\tsoon" for s in SPLITS)]),
        "'alpha' the onset_s 'soon', which is no number: give the sound's onset in s",
    ),
    "a space that was not made": (
        other_space,
        "has no image in the space MNI152NLin6Asym, .* there are MNI152NLin2009cAsym",
    ),
    "CIFTI alone": (
        only_cifti,
        r"of task-alpha sub-01 has only CIFTI files \(fsLR\), which are not read yet",
    ),
    "several resolutions": (several_resolutions, r"have several resolutions, \(without res\), 2: set res"),
    "a resolution that was not made": (
        setting("res", "2"),
        "no image of task-alpha of sub-01 has the resolution res-2; there are .without res.",
    ),
    "acquisitions": (
        two_acquisitions,
        r"differ in the entity acq, \(without acq\), acq-fast, which are not hearings",
    ),
    "one hemisphere": (
        one_hemisphere,
        "has no surface of hemi-R beside .*hemi-L.*, and both hemispheres are needed",
    ),
    "hemispheres of other lengths": (
        other_length_of_a_hemisphere,
        "hemi-L.* has 9 volumes, but .*hemi-R.* has 8",
    ),
    "no brain mask": (
        lambda t: remove(t, "*alpha*brain_mask.nii.gz"),
        "has no brain mask beside it, .*_desc-brain_mask",
    ),
    "two tables of confounds": (
        two_tables,
        "has two tables of confounds, .*regressors.tsv and .*timeseries.tsv",
    ),
    "no map of grey matter": (
        lambda t: shutil.rmtree(t.derivatives / "sub-01" / "anat"),
        r"there is no \*_space-MNI\S+_label-GM_probseg",
    ),
    "no repetition time": (
        lambda t: t.sidecar(SkullStripped=True),
        "neither it nor a sidecar of the raw .* RepetitionTime",
    ),
    "repetition time in ms": (
        lambda t: t.sidecar(RepetitionTime=1500),
        "RepetitionTime is 1500, but seconds are needed",
    ),
    "another repetition time": (
        lambda t: t.sidecar(RepetitionTime=1.502),
        r"has a TR of 1.5\S* s, but sub-01_task-alpha",
    ),
    "a start after the volume": (
        lambda t: t.sidecar(RepetitionTime=1.5, StartTime=2),
        "StartTime is 2, but a time inside",
    ),
    "a sidecar that is none": (
        lambda t: t.bold().with_name(t.bold().name.replace("nii.gz", "json")).write_text("[]"),
        "is no JSON object",
    ),
    "other start times": (
        lambda t: t.sidecar(RepetitionTime=1.5, StartTime=0),
        "hearings may differ by 0.05 TR",
    ),
    "other lengths": (other_length, "sub-01_task-alpha has 40 volumes, but sub-02_task-alpha has 34"),
    "too short a story": (
        setting("trim", {"first": 20, "last": 19}),
        "'alpha' has 40 volumes, of which dataset.trim cuts off 39, but two or more must be left",
    ),
    "not steady": (
        not_steady,
        "the first 6 volumes are not steady, but dataset.trim.first cuts off 5: set it to 6",
    ),
    "not downloaded": (not_downloaded, "desc-confounds_timeseries.tsv has not been downloaded"),
    "a damaged image": (damaged, "desc-preproc_bold.nii.gz is damaged, or no image"),
    "onsets of events differ": (other_onset, "'alpha': its sound begins .* hearings may differ by 0.05 TR"),
    "several sounds": (
        several_sounds,
        "has 2 rows whose trial_type is 'alpha' or story, sound, audio: give the story's onset_s",
    ),
    "no onset": (
        no_onset,
        "Nothing tells when the sound of the story 'alpha' begins in sub-01_task-alpha: give its onset_s",
    ),
    "an onset in events that is none": (no_onset_in_events, "line 2: the onset 'soon' is no number"),
    "a sound after the end": (
        lambda t: t.table(
            ["story\tsplit\tonset_s", *(f"{s}\t{SPLITS[s]}\t{60 if s == 'alpha' else 12}" for s in SPLITS)]
        ),
        "begins 60 s after its first volume, but its volumes last 60 s",
    ),
    "no transcript": (
        lambda t: (t.root / "transcripts" / "alpha.tsv").unlink(),
        "'alpha' has no transcript: .* none of alpha.TextGrid",
    ),
    "two transcripts": (
        lambda t: (t.root / "transcripts" / "alpha.csv").touch(),
        "'alpha' has two transcripts",
    ),
}


# What is wrong for several stories is said of each.
OF_SEVERAL = {
    "a space that was not made": len(SPLITS) - 1,
    "a resolution that was not made": len(SPLITS) * len(SUBJECTS) - 1,
    "too short a story": len(SPLITS) - 1,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_sentence(tree, fault):
    change, expected = FAULTS[fault]
    change(tree)
    with pytest.raises(ConfigError) as raised:
        tree.plan()
    (first, *others) = str(raised.value).splitlines()
    assert re.search(expected, first), first
    assert first.endswith((".", "?"))
    assert len(others) == OF_SEVERAL.get(fault, 0), others


def test_check_dataset_can_go_on_with_faults(tree):
    damaged(tree)
    plan = plan_of_any_dataset(tree.config)
    assert len(plan.faults) == 1
    assert plan.dataset.response_bytes()["01", "alpha"] >= 0


def test_many_faults_alike_do_not_fill_the_screen(tree):
    for path in tree.derivatives.rglob("*_bold.json"):
        path.write_text("{}")
    tree.dataset["stories"] = str(tree.root / "many.tsv")
    lines = [f"s{number}\ttrain\t12" for number in range(30)]
    tree.table(["story\tsplit\tonset_s", *lines, *(f"{s}\t{split}\t12" for s, split in SPLITS.items())])
    lines = plan_of_any_dataset(tree.config).faults
    assert len(lines) == 21 and re.fullmatch(r"And \d+ more such faults\.", lines[-1])
