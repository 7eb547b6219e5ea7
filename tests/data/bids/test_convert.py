"""Runs become files of ds003020: cleaning by its formula, rows in their places, and what cannot be read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel.gifti import GiftiDataArray, GiftiImage

from brainlm.cortex.subject import read_mask
from brainlm.data.bids.agreement import common_length, common_onset, common_tr
from brainlm.data.bids.confounds import count_non_steady, read_confounds
from brainlm.data.bids.convert import clean, convert_hearings
from brainlm.data.bids.images import brain_mask, check_tr, count_volumes, read_bold, save_mask
from brainlm.data.bids.names import subject_files
from brainlm.data.bids.runs import Run, Wanted, choose_runs
from brainlm.data.bids.sidecars import Timing, read_timing
from brainlm.errors import InputError
from brainlm.resample import tr_midpoints
from tests.data.bids.tree import (
    AFFINE,
    MASK,
    MOTION,
    N_VERTICES,
    N_VOXELS,
    confounds_table,
    write_confounds,
    write_surfaces,
    write_volume,
)

SPACE = "MNI152NLin2009cAsym"
N_VOLUMES = 90
RUN = {"sub": "01", "task": "tunnel"}
COSINES = ["cosine00", "cosine01"]


def scanned(n_volumes: int = N_VOLUMES, n_voxels: int = N_VOXELS, seed: int = 0) -> np.ndarray:
    """(time, voxel) in a scanner's units."""
    random = np.random.default_rng(seed)
    return random.uniform(500, 1500, n_voxels) + 20 * random.standard_normal((n_volumes, n_voxels))


def reference(bold: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """(time, voxel): the residual of least squares, z-scored, voxel by voxel."""
    design = np.column_stack([np.ones(len(bold)), regressors])
    cleaned = np.empty(bold.shape)
    for voxel, course in enumerate(np.asarray(bold, np.float64).T):
        weights = np.linalg.lstsq(design, course, rcond=None)[0]
        residual = course - design @ weights
        cleaned[:, voxel] = residual / residual.std()
    return cleaned


def runs_of(root: Path, space: str = SPACE, **options: Any) -> list[Run]:
    return choose_runs(subject_files(root, "01"), Wanted("tunnel"), space=space, **options)


@pytest.fixture
def run(tmp_path) -> Run:
    write_volume(tmp_path, RUN, scanned())
    write_confounds(tmp_path, RUN, confounds_table(N_VOLUMES, n_non_steady=2))
    (found,) = runs_of(tmp_path)
    return found


@pytest.fixture
def mask(run, tmp_path) -> Path:
    path = tmp_path / "masks" / "01.nii.gz"
    save_mask(brain_mask([run], None, 0), path)
    return path


def convert(runs: list[Run], path: Path, mask: Path | None, **options: Any) -> list:
    settings = {"space": SPACE, "confounds": "simple", "tr_s": 2.0, "n_volumes": N_VOLUMES}
    return convert_hearings(runs, path, mask=mask, **{**settings, "trim_first": 5, "trim_last": 4, **options})


def test_cleaning_is_one_least_squares_step_with_the_constant():
    random = np.random.default_rng(0)
    bold, regressors = scanned(60, 30).astype(np.float32), random.standard_normal((60, 7)) + 3
    cleaned, n_constant, n_lost = clean(bold, regressors)
    np.testing.assert_allclose(cleaned, reference(bold, regressors), atol=1e-5)
    assert cleaned.dtype == np.float32 and (n_constant, n_lost) == (0, 0)


def test_cleaning_sees_neither_scale_nor_baseline_nor_anything_of_the_regressors():
    random = np.random.default_rng(1)
    bold, regressors = random.standard_normal((60, 5)), random.standard_normal((60, 4))
    changed = 3 * bold + 7 + regressors @ random.standard_normal((4, 5))
    expected, *_ = clean(bold.astype(np.float32), regressors)
    found, *_ = clean(changed.astype(np.float32), regressors)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_regressors_each_voxel_is_z_scored():
    bold = scanned(60, 5).astype(np.float32)
    cleaned, *_ = clean(bold, np.empty((60, 0)))
    np.testing.assert_allclose(cleaned, (bold - bold.mean(0)) / bold.std(0), atol=1e-4)
    np.testing.assert_allclose(cleaned.std(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize("n_regressors", [0, 3])
def test_voxels_without_a_signal_are_zeros_and_lost_ones_nan(n_regressors):
    random = np.random.default_rng(0)
    regressors = random.standard_normal((50, n_regressors))
    bold = scanned(50, 6).astype(np.float32)
    bold[:, 1], bold[:, 2], bold[7, 3] = 1000.1, 0, np.nan
    if n_regressors:
        bold[:, 4] = 500 + 9 * regressors[:, 0]
    cleaned, n_constant, n_lost = clean(bold, regressors)
    assert (cleaned[:, 1:3] == 0).all() and np.isnan(cleaned[:, 3]).all()
    assert n_lost == 1 and n_constant == (3 if n_regressors else 2)
    assert np.isfinite(cleaned[:, [0, 5]]).all()
    if n_regressors:
        assert (cleaned[:, 4] == 0).all()


def test_rows_lie_where_they_were_recorded(run, mask, tmp_path):
    (summary,) = convert([run], tmp_path / "x.hf5", mask, n_volumes=N_VOLUMES - 3)
    table = pd.read_csv(run.confounds, sep="\t", na_values="n/a")[[*MOTION, "csf", "white_matter", *COSINES]]
    table.iloc[0] = table.iloc[0].fillna(table.iloc[1])
    # Volumes 2 to the end are cleaned; the story is three volumes shorter than the run.
    expected = reference(read_bold(run, SPACE, mask)[2:], table.to_numpy()[2:])[5 - 2 : N_VOLUMES - 3 - 4 - 2]
    with h5py.File(tmp_path / "x.hf5") as file:
        np.testing.assert_allclose(file["data"], expected, atol=1e-4)
        assert "individual_repeats" not in file and file["data"].dtype == np.float32
        assert set(json.loads(file.attrs["removed"])["sub-01_task-tunnel"]) == set(table)
        assert file.attrs["confounds"] == "simple" and file.attrs["space"] == SPACE
    assert (summary.n_volumes, summary.n_leading) == (N_VOLUMES, 2)


def test_hearings_are_kept_and_their_mean_is_the_data(tmp_path, mask):
    for number in (1, 2, 3):
        entities = {**RUN, "run": f"{number}"}
        write_volume(tmp_path / "more", entities, scanned(N_VOLUMES + number, seed=number))
        write_confounds(tmp_path / "more", entities, confounds_table(N_VOLUMES + number, seed=number))
    runs = runs_of(tmp_path / "more")
    convert(runs, tmp_path / "x.hf5", mask, confounds=["csf"], trim_first=0, trim_last=0)
    with h5py.File(tmp_path / "x.hf5") as file:
        repeats = file["individual_repeats"][:]
        assert repeats.shape == (3, N_VOLUMES, N_VOXELS)
        np.testing.assert_allclose(file["data"], repeats.mean(axis=0), atol=1e-6)
        assert len(file.attrs["mean_framewise_displacement_mm"]) == 3
    for number, (of_run, repeat) in enumerate(zip(runs, repeats, strict=True), start=1):
        table = pd.read_csv(of_run.confounds, sep="\t", na_values="n/a")
        expected = reference(scanned(N_VOLUMES + number, seed=number), table[["csf", *COSINES]].to_numpy())
        np.testing.assert_allclose(repeat, expected[:N_VOLUMES], atol=1e-4)


@pytest.mark.parametrize("order", ["new", "old", "clean"])
def test_surfaces_are_both_hemispheres_left_first(tmp_path, order):
    bold = np.random.default_rng(0).standard_normal((6, 2 * N_VERTICES)).astype(np.float32)
    bold[:, 17] = 3
    write_surfaces(tmp_path, RUN, bold, order=order)
    (found,) = runs_of(tmp_path, "fsaverage5")
    assert count_volumes(found) == 6 and found.is_clean == (order == "clean")
    np.testing.assert_array_equal(read_bold(found, "fsaverage5"), bold)
    convert(
        [found], tmp_path / "x.hf5", None, space="fsaverage5", confounds="none", n_volumes=6, trim_first=1
    )
    with h5py.File(tmp_path / "x.hf5") as file:
        expected = (bold - bold.mean(axis=0))[1:2] / np.where(bold.std(axis=0) > 0, bold.std(axis=0), 1)
        np.testing.assert_allclose(file["data"], expected, atol=1e-5)


def test_a_surface_may_hold_all_volumes_in_one_array(tmp_path):
    bold = np.random.default_rng(0).standard_normal((6, 2 * N_VERTICES)).astype(np.float32)
    for path, side in zip(write_surfaces(tmp_path, RUN, bold), np.split(bold, 2, axis=1), strict=True):
        array = GiftiDataArray(np.ascontiguousarray(side.T), intent="NIFTI_INTENT_TIME_SERIES")
        nibabel.save(GiftiImage(darrays=[array]), path)
    (found,) = runs_of(tmp_path, "fsaverage5")
    assert count_volumes(found) == 6
    np.testing.assert_array_equal(read_bold(found, "fsaverage5"), bold)


def test_voxels_are_in_the_masks_order(run, mask):
    inside, edge_mm = read_mask(mask)
    image = np.asarray(nibabel.load(run.images[0]).dataobj)
    np.testing.assert_array_equal(read_bold(run, SPACE, mask), image.T[:, inside])
    assert edge_mm == 3 and inside.shape == MASK.T.shape


def test_a_mask_is_what_all_runs_share_and_is_grey_matter(tmp_path):
    other = MASK.copy()
    other[1, 2, 2] = False
    for number, inside in enumerate([MASK, other]):
        bold = scanned(5, int(inside.sum()))
        write_volume(tmp_path, {**RUN, "run": f"{number}"}, bold, mask=inside)
    grey = np.linspace(0, 1, MASK.size).reshape(MASK.shape)
    nibabel.save(nibabel.Nifti1Image(grey.astype(np.float32), AFFINE), tmp_path / "gm.nii.gz")
    runs = runs_of(tmp_path)
    np.testing.assert_array_equal(np.asarray(brain_mask(runs, None, 0).dataobj) > 0, MASK & other)
    found = np.asarray(brain_mask(runs, tmp_path / "gm.nii.gz", 0.6).dataobj) > 0
    np.testing.assert_array_equal(found, MASK & other & (grey.astype(np.float32) >= 0.6))


def test_grey_matter_on_a_finer_grid_is_resampled(tmp_path, run):
    # Grey matter is the half of the volume with x above 1.5 voxels of 3 mm.
    fine = np.zeros((12, 9, 15), np.float32)
    fine[6:] = 1
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -1
    nibabel.save(nibabel.Nifti1Image(fine, affine), tmp_path / "gm.nii.gz")
    found = np.asarray(brain_mask([run], tmp_path / "gm.nii.gz", 0.5).dataobj) > 0
    expected = MASK.copy()
    expected[:2] = False
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("simple", [*MOTION, "csf", "white_matter", *COSINES]),
        ("compcor", [*MOTION, "a_comp_cor_00", "a_comp_cor_01", "a_comp_cor_02", *COSINES]),
        (["trans_x"], ["trans_x", *COSINES]),
        (["cosine00", "global_signal"], ["global_signal", *COSINES]),
        ("none", []),
    ],
)
@pytest.mark.parametrize("old", [False, True])
def test_what_is_removed_is_what_was_chosen(tmp_path, choice, expected, old):
    write_volume(tmp_path, RUN, scanned())
    table = confounds_table(N_VOLUMES, n_non_steady=3)
    write_confounds(tmp_path, RUN, table, old=old)
    (found,) = runs_of(tmp_path)
    confounds = read_confounds(found, choice, N_VOLUMES)
    assert sorted(confounds.regressors) == sorted(expected)
    assert confounds.n_leading == count_non_steady(found) == 3
    assert confounds.mean_displacement_mm == pytest.approx(table["framewise_displacement"].mean())
    for column in expected:
        np.testing.assert_allclose(confounds.regressors[column], table[column][3:], atol=1e-12)


def test_row_times_follow_from_start_time():
    timing, onset_s = Timing(tr_s=1.5, start_s=0.7), 12.0
    times_s = tr_midpoints(4, tr_s=1.5, sound_onset_s=timing.row_onset_s(onset_s), first_tr=3)
    np.testing.assert_allclose(times_s, (3 + np.arange(4)) * 1.5 + 0.7 - onset_s)
    # Without a StartTime a volume stands for its middle.
    assert Timing(1.5, 0.75).row_onset_s(onset_s) == onset_s


def test_of_raw_sidecars_deeper_and_more_particular_ones_go_before_others(tmp_path):
    write_volume(tmp_path / "derivatives", RUN, scanned(), sidecar={"StartTime": 0.5})
    (found,) = runs_of(tmp_path / "derivatives")
    raw, func = tmp_path / "raw", tmp_path / "raw" / "sub-01" / "func"
    func.mkdir(parents=True)
    for path, tr_s in [
        (raw / "bold.json", 9),
        (raw / "task-tunnel_bold.json", 8),
        (raw / "task-other_bold.json", 7),
        (func / "sub-01_task-tunnel_acq-fast_bold.json", 6),
    ]:
        path.write_text(json.dumps({"RepetitionTime": tr_s, "StartTime": 5}))
    assert read_timing(found, raw) == Timing(8.0, 0.5)
    (func / "sub-01_task-tunnel_bold.json").write_text('{"RepetitionTime": 2}')
    assert read_timing(found, raw) == Timing(2.0, 0.5)


@pytest.mark.parametrize("units_per_s", [1, 1000])
def test_a_surfaces_time_step_may_be_in_either_unit(tmp_path, units_per_s):
    write_surfaces(tmp_path, RUN, np.zeros((3, 2 * N_VERTICES)), tr_s=1.5, units_per_s=units_per_s)
    (found,) = runs_of(tmp_path, "fsaverage5")
    check_tr(found, 1.5)
    with pytest.raises(InputError, match="has a repetition time of 1.5 s, but its sidecar says 1.6 s"):
        check_tr(found, 1.6)


def test_runs_agree_within_the_bounds():
    assert common_tr({"a": 1.5, "b": 1.5005}) == 1.5
    assert common_onset("x", {"a": 10.0, "b": 10.09}, 2.0) == 10.0
    assert common_length("x", {"a": 300, "b": 295}) == 295
    with pytest.raises(InputError, match="b has a TR of 1.502 s, but a of 1.5 s"):
        common_tr({"a": 1.5, "b": 1.502})
    with pytest.raises(InputError, match="may differ by 0.05 TR"):
        common_onset("x", {"a": 10.0, "b": 10.11}, 2.0)
    with pytest.raises(InputError, match="a has 301 volumes, but b has 295"):
        common_length("x", {"a": 301, "b": 295})


def edited(column: str, values: Any) -> Callable[[Run], None]:
    """A table with other values of a column; None: without it."""

    def change(run: Run) -> None:
        table = pd.read_csv(run.confounds, sep="\t", na_values="n/a")
        table = table.drop(columns=column) if values is None else table.assign(**{column: values})
        table.to_csv(run.confounds, sep="\t", index=False, na_rep="n/a")

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def other_tr(run: Run) -> None:
    image = nibabel.load(run.images[0])
    image.header.set_zooms((3.0, 3.0, 3.0, 2.01))
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), AFFINE, image.header), run.images[0])


def shorter_table(run: Run) -> None:
    table = pd.read_csv(run.confounds, sep="\t", na_values="n/a")
    table.iloc[:-1].to_csv(run.confounds, sep="\t", index=False, na_rep="n/a")


def moved_grid(run: Run) -> None:
    image = nibabel.load(run.images[0])
    affine = AFFINE.copy()
    affine[0, 3] = 1
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), affine, image.header), run.images[0])


LATER = np.where(np.arange(N_VOLUMES) == 50, 1, 0)
MISSING = np.where(np.arange(N_VOLUMES) == 50, np.nan, 1.0)
FAULTS: dict[str, tuple[Callable[[Run], Any], dict[str, Any], str]] = {
    "no table": (lambda run: run.confounds.unlink(), {}, "desc-confounds_timeseries.tsv does not exist"),
    "a table of other length": (
        shorter_table,
        {},
        "has 89 rows, but .* has 90 volumes: they are of different runs",
    ),
    "a table that is none": (
        lambda run: run.confounds.write_bytes(b"\xff\xfe\x00a"),
        {},
        "is no tab-separated table",
    ),
    "no motion": (edited("trans_x", None), {}, r"does not have what the strategy simple needs \(.*trans_x"),
    "no white matter": (
        edited("white_matter", None),
        {},
        "does not have what the strategy simple needs .*white_matter",
    ),
    "no components": (
        lambda run: run.confounds.with_suffix(".json").unlink(),
        {"confounds": "compcor"},
        "does not have what the strategy compcor needs .*json",
    ),
    "no cosines": (
        lambda run: [edited(column, None)(run) for column in COSINES],
        {},
        "has no columns cosine00 and so on",
    ),
    "an unknown column": (
        lambda run: None,
        {"confounds": ["trans_w"]},
        "has no column trans_w; did you mean trans_",
    ),
    "a column of text": (
        edited("csf", "a"),
        {"confounds": ["csf"]},
        "the column csf holds something else than numbers",
    ),
    "missing values": (edited("csf", MISSING), {}, "has missing values in csf"),
    "too many regressors": (
        lambda run: None,
        {"confounds": [*MOTION, *(f"a_comp_cor_{n:02}" for n in range(20))]},
        "regressors would be removed",
    ),
    "large motion": (
        edited("framewise_displacement", 0.6),
        {},
        "in 100% of the volumes the head moved by more than 0.5 mm",
    ),
    "not steady later": (
        edited("non_steady_state_outlier01", LATER),
        {},
        "which are not the run's first ones",
    ),
    "not steady beyond the trim": (
        lambda run: None,
        {"trim_first": 1},
        "first 2 volumes .* set trim.first to 2 or more",
    ),
    "a truncated image": (lambda run: cut(run.images[0]), {}, "is damaged, or no image .*: fetch it again"),
    "an image on another grid": (moved_grid, {}, "is not on the grid of .*01.nii.gz"),
    "another repetition time": (other_tr, {}, "has a repetition time of 2.01 s, but its sidecar says 2 s"),
    "a run shorter than the story": (
        lambda run: None,
        {"n_volumes": 91},
        "has 90 volumes, but the story has 91",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_run_is_one_sentence(run, mask, tmp_path, fault):
    change, options, expected = FAULTS[fault]
    if fault == "too many regressors":
        write_confounds(tmp_path, RUN, confounds_table(N_VOLUMES, n_non_steady=2, n_compcor=20))
    change(run)
    with pytest.raises(InputError, match=expected) as raised:
        convert([run], tmp_path / "x.hf5", mask, **options)
    assert "\n" not in str(raised.value) and str(raised.value).endswith((".", "?"))
    assert not (tmp_path / "x.hf5").exists() and not (tmp_path / "x.hf5.partial").exists()


def test_data_that_were_cleaned_are_not_cleaned_again(tmp_path):
    write_surfaces(tmp_path, RUN, np.zeros((20, 2 * N_VERTICES)), order="clean")
    (found,) = runs_of(tmp_path, "fsaverage5")
    with pytest.raises(InputError, match="has been cleaned already .* set confounds to none"):
        read_confounds(found, "simple", 20)
    assert read_confounds(found, "none", 20).regressors.shape == (20, 0)


def test_runs_without_a_table_say_how_it_would_be_called(tmp_path):
    write_volume(tmp_path, RUN, scanned(20))
    (found,) = runs_of(tmp_path)
    with pytest.raises(InputError, match="has no sub-01_task-tunnel_desc-confounds_timeseries.tsv"):
        read_confounds(found, "simple", 20)
    assert count_non_steady(found) == 0


def test_runs_on_different_grids_have_no_mask(tmp_path):
    for number, size in enumerate([3.0, 4.0]):
        affine = np.diag([size, size, size, 1.0])
        write_volume(tmp_path, {**RUN, "run": f"{number}"}, scanned(5), affine=affine)
    with pytest.raises(
        InputError, match="run-1.* is not on the grid of .*run-0.*: all runs of a subject need one"
    ):
        brain_mask(runs_of(tmp_path), None, 0)


def test_a_surface_of_another_space_is_refused(tmp_path):
    for path in write_surfaces(tmp_path, RUN, np.zeros((3, 2 * N_VERTICES))):
        shutil.move(path, path.with_name(path.name.replace("fsaverage5", "fsaverage6")))
    (found,) = runs_of(tmp_path, "fsaverage6")
    with pytest.raises(InputError, match="has 10,242 vertices, but a hemisphere of its space has 40,962"):
        read_bold(found, "fsaverage6")
