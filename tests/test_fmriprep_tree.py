"""The tree is read back by nilearn and nibabel, which know fMRIPrep's layout."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds, load_confounds_strategy
from nilearn.masking import apply_mask
from nilearn.surface import load_surf_data

from tests.fmriprep_tree import Run, in_mask, in_volume, small_grid, write_tree

N_VOLUMES, N_NON_STEADY, TR_S = 90, 2, 1.5
MOTION_24 = {
    f"{kind}_{axis}{suffix}"
    for kind in ("trans", "rot")
    for axis in "xyz"
    for suffix in ("", "_derivative1", "_power2", "_derivative1_power2")
}


def drawn(n_columns: int, n_volumes: int = N_VOLUMES) -> np.ndarray:
    return 1000 + np.random.default_rng(n_columns).standard_normal((n_volumes, n_columns)).astype(np.float32)


def surface_run(**changes) -> Run:
    given = {"bold": drawn(2 * 10_242), "tr_s": TR_S, "start_time_s": 0.7, "n_non_steady": N_NON_STEADY}
    return Run(**{"subject": "01", "task": "tunnel"} | given | changes)


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    events = pd.DataFrame({"onset": [12.0], "duration": [100.0], "trial_type": ["story"]})
    write_tree(folder / "out", [surface_run(session="a", run="1", events=events)], raw=folder / "raw")
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    root, grid = tmp_path_factory.mktemp("volumes"), small_grid()
    run = Run("02", "lpp", drawn(int(grid.brain.sum())), tr_s=TR_S, n_non_steady=N_NON_STEADY)
    write_tree(root, [run], space="MNI152NLin2009cAsym", res="2", grid=grid)
    return root


def image_files(folder) -> list[str]:
    """A run's images, as nilearn takes them."""
    return sorted(str(path) for path in folder.rglob("*") if path.name.endswith(("func.gii", "bold.nii.gz")))


@pytest.mark.parametrize("strategy", ["simple", "compcor"])
@pytest.mark.parametrize("tree", ["surfaces", "volumes"])
def test_nilearn_finds_the_confounds_of_its_strategies(tree, strategy, request):
    files = image_files(request.getfixturevalue(tree))
    confounds, kept = load_confounds_strategy(files if tree == "surfaces" else files[0], strategy)
    # 88 steady volumes of 1.5 s hold 2.06 half waves for each 128 s.
    expected = MOTION_24 | {"cosine00", "cosine01"}
    expected |= {"csf", "white_matter"} if strategy == "simple" else {f"a_comp_cor_0{i}" for i in range(5)}
    assert set(confounds) == expected
    assert kept.tolist() == list(range(N_NON_STEADY, N_VOLUMES))
    assert np.isfinite(confounds.to_numpy()).all()
    steady = confounds.to_numpy()[N_NON_STEADY:]
    assert np.linalg.matrix_rank(steady / steady.std(axis=0)) == len(expected)


def test_global_signal_and_separate_masks_are_there_too(surfaces):
    confounds, _ = load_confounds(
        image_files(surfaces),
        ("high_pass", "compcor", "global_signal"),
        compcor="anat_separated",
        global_signal="full",
    )
    assert {"global_signal", "global_signal_derivative1_power2", "c_comp_cor_02", "w_comp_cor_02"} <= set(
        confounds
    )


def test_framewise_displacement_is_the_sum_of_the_changes_of_the_head_s_position(surfaces):
    (path,) = surfaces.rglob("*_desc-confounds_timeseries.tsv")
    table = pd.read_csv(path, sep="\t")
    changes = table[["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]].diff().abs()
    expected = (changes * [1, 1, 1, 50, 50, 50]).sum(axis=1, skipna=False)
    np.testing.assert_allclose(table["framewise_displacement"], expected)
    assert np.isnan(table["framewise_displacement"][0]) and table["framewise_displacement"][1:].notna().all()
    outliers = table.filter(like="motion_outlier")
    np.testing.assert_array_equal(outliers.sum(axis=1), expected > 0.5)


def test_surfaces_have_an_array_a_volume_and_the_left_vertices_first(surfaces):
    left, right = image_files(surfaces)
    func = surfaces / "out" / "sub-01" / "ses-a" / "func"
    assert left == str(func / "sub-01_ses-a_task-tunnel_run-1_hemi-L_space-fsaverage5_bold.func.gii")
    assert right == left.replace("hemi-L", "hemi-R")
    read = np.vstack([load_surf_data(left), load_surf_data(right)])
    np.testing.assert_array_equal(read.T, drawn(2 * 10_242))
    assert nibabel.load(right).meta["AnatomicalStructurePrimary"] == "CortexRight"
    sidecar = json.loads((func / left.replace(".func.gii", ".json")).read_text())
    assert (sidecar["RepetitionTime"], sidecar["StartTime"]) == (TR_S, 0.7)


def test_the_raw_dataset_has_events_and_a_sidecar_to_inherit(surfaces):
    events = pd.read_csv(
        surfaces / "raw" / "sub-01" / "ses-a" / "func" / "sub-01_ses-a_task-tunnel_run-1_events.tsv", sep="\t"
    )
    assert events.to_dict("list") == {"onset": [12.0], "duration": [100.0], "trial_type": ["story"]}
    assert json.loads((surfaces / "raw" / "task-tunnel_bold.json").read_text())["RepetitionTime"] == TR_S


def test_areas_are_freesurfer_s(surfaces):
    annot = surfaces / "out" / "sourcedata" / "freesurfer" / "fsaverage5" / "label" / "rh.aparc.annot"
    labels, _, names = nibabel.freesurfer.read_annot(annot)
    area = np.array([name.decode() for name in names])[labels]
    assert labels.size == 10_242
    assert (area[:3414] == "transversetemporal").all() and (area[3414:6828] == "cuneus").all()
    assert (area[6828:] == "unknown").all()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            "20.2",
            {
                "sub-01_task-tunnel_space-fsaverage5_hemi-L_bold.func.gii",
                "sub-01_task-tunnel_space-fsaverage5_hemi-R_bold.func.gii",
                "sub-01_task-tunnel_space-fsaverage5_hemi-L_bold.json",
                "sub-01_task-tunnel_space-fsaverage5_hemi-R_bold.json",
                "sub-01_task-tunnel_desc-confounds_timeseries.tsv",
                "sub-01_task-tunnel_desc-confounds_timeseries.json",
            },
        ),
        (
            "old",
            {
                "sub-01_task-tunnel_space-fsaverage5_hemi-L.func.gii",
                "sub-01_task-tunnel_space-fsaverage5_hemi-R.func.gii",
                "sub-01_task-tunnel_desc-confounds_regressors.tsv",
                "sub-01_task-tunnel_desc-confounds_regressors.json",
            },
        ),
    ],
)
def test_older_versions_have_other_names(names, expected, tmp_path):
    write_tree(tmp_path, [surface_run(bold=drawn(2 * 10_242, 20))], names=names)
    func = tmp_path / "sub-01" / "func"
    assert {path.name for path in func.iterdir()} == expected
    description = json.loads((tmp_path / "dataset_description.json").read_text())
    assert ("DatasetType" in description) == (names != "old")
    (table,) = func.glob("*.tsv")
    columns = pd.read_csv(table, sep="\t").columns
    described = json.loads(table.with_suffix(".json").read_text())
    assert (
        set(columns[columns.str.contains("comp_cor")])
        == set(described)
        == {f"a_comp_cor_{i:02}" for i in range(11)}
    )
    assert [of["Mask"] for of in described.values()] == ["combined"] * 5 + ["CSF"] * 3 + ["WM"] * 3


def test_volumes_lie_in_the_mask_as_nilearn_reads_them(volumes):
    stem = "sub-02_task-lpp_space-MNI152NLin2009cAsym_res-2_desc"
    image = volumes / "sub-02" / "func" / f"{stem}-preproc_bold.nii.gz"
    mask = volumes / "sub-02" / "func" / f"{stem}-brain_mask.nii.gz"
    grid = small_grid()
    np.testing.assert_array_equal(nibabel.load(mask).get_fdata() > 0, grid.brain)
    given = drawn(int(grid.brain.sum()))
    # nilearn runs over x slowest, the tree over z.
    index = in_mask(np.arange(grid.brain.size).reshape(grid.brain.shape), grid.brain)
    np.testing.assert_array_equal(apply_mask(str(image), str(mask)), given[:, np.argsort(index)])
    assert nibabel.load(image).header.get_zooms()[3] == TR_S
    grey = "sub-02_space-MNI152NLin2009cAsym_res-2_label-GM_probseg.nii.gz"
    np.testing.assert_array_equal(
        nibabel.load(volumes / "sub-02" / "anat" / grey).get_fdata() > 0.5, grid.brain
    )


def test_columns_come_back_out_of_volumes():
    grid = small_grid((4, 5, 6))
    given = drawn(int(grid.brain.sum()), 7)
    np.testing.assert_array_equal(in_mask(in_volume(given, grid.brain), grid.brain).T, given)


def test_derivatives_say_so(volumes):
    description = json.loads((volumes / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "fMRIPrep"
