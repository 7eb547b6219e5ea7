import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.interfaces.fmriprep import load_confounds_strategy
from nilearn.signal import clean
from nilearn.surface import load_surf_data

from brainlm.errors import InputError
from brainlm.simulation.components import standardize
from brainlm.simulation.derivatives import silent_around, write_derivatives
from brainlm.simulation.features import alike, together
from brainlm.simulation.fmriprep import Recording
from brainlm.simulation.listener import Listener, listen
from brainlm.simulation.surface import at_vertices, fsaverage5_in_voxels

VOXEL_MM, TR_S = 8.0, 2.0
N_ROWS = {"first": 120, "second": 80}


@pytest.fixture(scope="module")
def surface():
    return fsaverage5_in_voxels(VOXEL_MM)


@pytest.fixture(scope="module")
def listener(surface) -> Listener:
    courses = standardize(np.random.default_rng(0).standard_normal((200, 3)))
    driven = together(
        alike("place", "shared", courses[:, :2], strength=1.0),
        alike("melody", "story-driven", courses[:, 2:], strength=0.5),
    )
    return listen(
        silent_around(driven, N_ROWS, 5, 3),
        {story: n + 8 for story, n in N_ROWS.items()},
        surface.mask,
        VOXEL_MM,
        n_spontaneous=2,
        snr=1.0,
        tr_s=TR_S,
        random=np.random.default_rng(1),
        repeated_story="second",
        n_repeats=2,
    )


@pytest.fixture(scope="module")
def root(listener, surface, tmp_path_factory):
    folder = tmp_path_factory.mktemp("derivatives")
    write_derivatives(folder, "SIM01", listener, surface, tr_s=TR_S, random=np.random.default_rng(2))
    return folder


def test_courses_lie_where_they_were_and_are_silent_before_and_after():
    driven = alike("place", "shared", np.arange(1.0, 11).reshape(5, 2), strength=1.0)
    whole = silent_around(driven, {"a": 2, "b": 3}, 1, 2)
    expected = [0, 1, 3, 0, 0, 0, 5, 7, 9, 0, 0]
    np.testing.assert_array_equal(
        whole.time_courses, np.column_stack([expected, [x + (x > 0) for x in expected]])
    )
    assert whole.names == driven.names and whole.kinds == driven.kinds


def test_there_are_both_hemispheres_and_confounds_of_each_hearing(root):
    stems = ["sub-SIM01_task-first", "sub-SIM01_task-second_run-1", "sub-SIM01_task-second_run-2"]
    images = {f"{stem}_hemi-{h}_space-fsaverage5_bold" for stem in stems for h in "LR"}
    expected = {f"{image}.{end}" for image in images for end in ("func.gii", "json")}
    expected |= {f"{stem}_desc-confounds_timeseries.{end}" for stem in stems for end in ("tsv", "json")}
    assert {path.name for path in (root / "sub-SIM01" / "func").iterdir()} == expected


def test_cleaned_images_are_the_cleaned_recordings(root, listener, surface):
    func = root / "sub-SIM01" / "func"
    files = [str(func / f"sub-SIM01_task-second_run-2_hemi-{h}_space-fsaverage5_bold.func.gii") for h in "LR"]
    confounds, kept = load_confounds_strategy(files, "simple")
    image = np.vstack([load_surf_data(file) for file in files]).T.astype(float)
    assert kept.tolist() == list(range(2, 88))
    assert np.median(image[:2]) / np.median(image[2:]) == pytest.approx(1.2, abs=0.01)

    def cleaned(bold: np.ndarray) -> np.ndarray:
        values = clean(
            bold[kept],
            confounds=confounds.iloc[kept],
            detrend=False,
            standardize=None,
        )
        return values - values.mean(axis=0)

    # Images hold 1 % of 1000 for each s.d. of noise, in float32.
    heard = at_vertices(listener.runs["second"][1], surface)
    np.testing.assert_allclose(cleaned(image) / 10, cleaned(heard), atol=1e-3)
    is_cortex = surface.voxel_of_vertex >= 0
    # Without cleaning they are not the same.
    uncleaned = standardize(image[2:, is_cortex]) * standardize(heard[2:, is_cortex])
    assert np.median(uncleaned.mean(axis=0)) < 0.95
    assert np.ptp(image[:, ~is_cortex]) == 0


def test_areas_are_where_features_are_planted(root, listener, surface):
    label = root / "sourcedata" / "freesurfer" / "fsaverage5" / "label"
    areas = []
    for hemisphere in ("lh", "rh"):
        labels, _, names = nibabel.freesurfer.read_annot(label / f"{hemisphere}.aparc.annot")
        areas.append(np.array([name.decode() for name in names])[labels])
    areas = np.concatenate(areas)
    maps = at_vertices(listener.maps, surface)
    assert "place 1" in areas and "stripes 1" not in areas
    assert areas[maps[0].argmax()] == "place 1"
    in_place = maps[0] > 0.5 * maps[0].max()
    assert in_place[areas == "place 1"].all()


def test_the_table_has_what_the_sidecar_describes(root):
    stem = root / "sub-SIM01" / "func" / "sub-SIM01_task-first_desc-confounds_timeseries"
    columns = pd.read_csv(stem.with_suffix(".tsv"), sep="\t").columns
    described = pd.read_json(stem.with_suffix(".json"))
    assert set(described.columns) == {column for column in columns if "comp_cor" in column}


@pytest.mark.parametrize("label", ["my-story", "ärger", "a_b", "two words"])
def test_a_name_that_bids_does_not_allow_is_refused(label):
    with pytest.raises(InputError, match=f"'{label}' cannot stand in the names of a BIDS dataset"):
        Recording("01", label, 2.0)
