"""What a pycortex subject lacks for flatmaps."""

from pathlib import Path

import pytest

from pipeline.datasets.local import why_no_flatmaps


@pytest.fixture
def subject(tmp_path) -> Path:
    folder = tmp_path / "pycortex-db" / "sub-01"
    files = [f"surfaces/{kind}_{side}.gii" for kind in ("flat", "pia", "wm") for side in ("lh", "rh")]
    for name in [*files, "transforms/own/matrices.xfm", "transforms/own/reference.nii.gz"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_whole_subject_can_be_drawn(subject):
    # Areas are optional; surfaces may be .npz, and links to what is not downloaded yet.
    assert why_no_flatmaps(subject, "own") == ""
    (subject / "surfaces/wm_lh.gii").rename(subject / "surfaces/wm_lh.npz")
    (subject / "surfaces/pia_lh.gii").unlink()
    (subject / "surfaces/pia_lh.gii").symlink_to("nowhere")
    assert why_no_flatmaps(subject, "own") == ""


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (
            "surfaces/flat_*",
            "lacks surfaces/flat_lh.gii, surfaces/flat_rh.gii: for flatmaps, cut the cortex open",
        ),
        ("surfaces/wm_rh.gii", "lacks surfaces/wm_rh.gii: for flatmaps, add what is missing."),
        ("transforms/own/reference.nii.gz", "lacks transforms/own/reference.nii.gz: for flatmaps, check the"),
    ],
)
def test_what_is_missing_is_named(subject, gone, named):
    for file in subject.glob(gone):
        file.unlink()
    assert named in why_no_flatmaps(subject, "own")


def test_a_transform_of_another_name_is_missing(subject):
    assert "transforms/sub-01_auto/matrices.xfm" in why_no_flatmaps(subject, "sub-01_auto")


def test_without_a_subject_there_is_nothing_to_add(tmp_path):
    assert why_no_flatmaps(tmp_path / "sub-02", "own").endswith("the dataset has no pycortex subject.")
