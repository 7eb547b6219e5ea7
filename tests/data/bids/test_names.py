"""What names of files say: of datasets that are published, and of all others that a folder may hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainlm.data.bids.names import derivatives_folder, parse_name, same_label, subject_files
from brainlm.data.bids.runs import Wanted, choose_runs, tasks_of
from brainlm.errors import InputError

PUBLISHED = [
    line
    for line in (Path(__file__).parent / "published_names.txt").read_text().splitlines()
    if not line.startswith("#")
]


def parsed(name: str) -> tuple[dict[str, str], str, str] | None:
    file = parse_name(Path(name))
    return file and (dict(file.entities), file.suffix, file.extension)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "sub-001_task-tunnel_space-fsaverage6_hemi-L.func.gii",
            ({"sub": "001", "task": "tunnel", "space": "fsaverage6", "hemi": "L"}, "", "func.gii"),
        ),
        (
            "sub-EN113_task-lppEN_run-6_hemi-L_space-fsaverage5_bold.func.gii",
            (
                {"sub": "EN113", "task": "lppEN", "run": "6", "hemi": "L", "space": "fsaverage5"},
                "bold",
                "func.gii",
            ),
        ),
        (
            "sub-001_task-tunnel_desc-confounds_regressors.tsv",
            ({"sub": "001", "task": "tunnel", "desc": "confounds"}, "regressors", "tsv"),
        ),
        ("dataset_description.json", None),
        ("notes", None),
        ("sub-01_sub-02_bold.nii.gz", None),
    ],
)
def test_names_are_entities_suffix_and_extension(name, expected):
    assert parsed(name) == expected


@given(st.text(alphabet=st.sampled_from(list("sub-task_01.ü ")), max_size=30))
def test_no_name_raises_an_exception(name):
    file = parse_name(Path("folder") / (name or "x"))
    assert file is None or all(file.entities.values())


def test_numbers_are_the_same_with_and_without_zeros():
    assert same_label("01", "1") and same_label("0", "00") and same_label("a1", "a1")
    assert not same_label("10", "1") and not same_label("a01", "a1")


@pytest.fixture
def published(tmp_path) -> Path:
    for name in PUBLISHED:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_published_trees_give_runs_or_a_sentence(published):
    folder, found, refused = derivatives_folder(published), [], []
    for subject in sorted(path.name for path in published.glob("sub-*") if path.is_dir()):
        files = subject_files(folder, subject)
        for task in tasks_of(files):
            for space in ("fsaverage5", "fsaverage6", "MNI152NLin2009cAsym", "MNIColin27", "T1w"):
                try:
                    found += choose_runs(files, Wanted(task), space=space)
                except InputError as error:
                    refused.append(str(error))
    assert {run.label for run in found} >= {
        "sub-001_task-tunnel",
        "sub-084_task-milkyway",
        "sub-EN113_task-lppEN_run-6",
        "sub-0001_task-gstroop_acq-seq",
        "sub-0002_task-anticipation_acq-seq",
    }
    assert all("\n" not in sentence and sentence.endswith(".") for sentence in refused)
    clean = {run.label for run in found if run.is_clean}
    assert clean == {"sub-084_task-milkyway"}
    confounds = {run.confounds.name for run in found if run.confounds}
    assert "sub-001_task-tunnel_desc-confounds_regressors.tsv" in confounds


def test_a_run_is_named_by_session_or_by_its_number_however_written(tmp_path):
    for ses in ("a", "b"):
        for run in ("01", "02"):
            folder = tmp_path / "sub-1" / f"ses-{ses}" / "func"
            folder.mkdir(parents=True, exist_ok=True)
            stem = folder / f"sub-1_ses-{ses}_task-x_run-{run}_space-T1w_desc-"
            for name in ("preproc_bold.nii.gz", "brain_mask.nii.gz"):
                Path(f"{stem}{name}").touch()
    files = subject_files(tmp_path, "sub-1")

    def labels(**wanted: str) -> list[str]:
        return [run.label for run in choose_runs(files, Wanted("x", **wanted), space="T1w")]

    every = [f"sub-1_ses-{ses}_task-x_run-{run}" for ses in "ab" for run in ("01", "02")]
    assert labels() == every
    assert labels(run="1") == [every[0], every[2]]
    assert labels(ses="b", run="02") == [every[3]]
    assert labels(ses="c") == []


def test_combined_echoes_go_before_single_ones(tmp_path):
    folder = tmp_path / "sub-1" / "func"
    folder.mkdir(parents=True)
    for echo in ("", "_echo-1", "_echo-2"):
        (folder / f"sub-1_task-x{echo}_space-T1w_desc-preproc_bold.nii.gz").touch()
        (folder / f"sub-1_task-x{echo}_space-T1w_desc-brain_mask.nii.gz").touch()
    (run,) = choose_runs(subject_files(tmp_path, "1"), Wanted("x"), space="T1w")
    assert run.label == "sub-1_task-x"
