"""Flatmaps of volumes in MNI space: where fsaverage's cortex lies in millimetres."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine

from brainlm.cortex.fsaverage import fsaverage_cortex, read_depths
from brainlm.cortex.hemispheres import voxel_sides
from brainlm.cortex.mni import APPROXIMATE, MNI152_OF_MNI305, mni_cortex
from brainlm.cortex.subject import Cortex, flatmap_image, load_cortex, read_mask, save_cortex
from brainlm.cortex.voxels import voxel_table
from brainlm.errors import InputError

HEIGHT = 128
EDGE_MM = 4.0
SHAPE = (50, 60, 52)
AFFINE = np.array([[EDGE_MM, 0, 0, -98], [0, EDGE_MM, 0, -134], [0, 0, EDGE_MM, -80], [0, 0, 0, 1]])


def save_mask(path: Path, mask: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    """A mask, (x, y, z)."""
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), affine), path)
    return path


def voxels_mm(path: Path) -> np.ndarray:
    """(voxel, xyz)."""
    table = voxel_table(read_mask(path)[0], {}, nibabel.load(path).affine)
    return table[["x", "y", "z"]].to_numpy()


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory) -> Path:
    return save_mask(tmp_path_factory.mktemp("mni") / "mask.nii.gz", np.ones(SHAPE))


@pytest.fixture(scope="module")
def cortex(mask_file) -> Cortex:
    return mni_cortex(mask_file, {}, HEIGHT)


@pytest.fixture(scope="module")
def pixels_mm() -> np.ndarray:
    """(pixel on the cortex, xyz) in MNI152, the middle of the grey matter; of a matrix that is tested elsewhere."""
    surface = fsaverage_cortex("fsaverage5", {}, HEIGHT)
    middle = apply_affine(MNI152_OF_MNI305, np.mean(read_depths(), axis=0))
    return surface.pixel_of_voxel[np.flatnonzero(surface.on_cortex)] @ middle


def test_pixels_have_the_values_of_where_they_lie(cortex, mask_file, pixels_mm):
    xyz = voxels_mm(mask_file)
    for axis in range(3):
        shown = flatmap_image(cortex, xyz[:, axis])[cortex.on_cortex]
        difference = shown - pixels_mm[:, axis]
        # Half a voxel at most, up to the weighting of depths by whole voxels.
        assert np.abs(difference).max() <= EDGE_MM / 2 + 0.1 and np.abs(difference.mean()) < 0.05


def test_fsaverages_matrix_is_that_of_its_source():
    """The example of https://surfer.nmr.mgh.harvard.edu/fswiki/CoordinateSystems."""
    np.testing.assert_allclose(
        apply_affine(MNI152_OF_MNI305, [10, -20, 35]), [10.695, -18.409, 36.137], atol=0.01
    )


def test_each_depth_counts_as_much(cortex):
    np.testing.assert_allclose(
        cortex.pixel_of_voxel[np.flatnonzero(cortex.on_cortex)].sum(axis=1).A1, 1, atol=1e-5
    )
    assert cortex.pixel_of_voxel.dtype == np.float32
    np.testing.assert_allclose(
        flatmap_image(cortex, np.full(cortex.n_voxels, 3.0))[cortex.on_cortex], 3, rtol=1e-6
    )


def test_the_left_of_the_brain_is_on_the_left(cortex, mask_file):
    x = voxels_mm(mask_file)[:, 0]
    image = flatmap_image(cortex, np.where(np.abs(x) > 2 * EDGE_MM, x, np.nan))
    middle = cortex.image_shape[1] // 2
    assert np.nanmax(image[:, :middle]) < 0 < np.nanmin(image[:, middle:])
    sides = voxel_sides(cortex)
    assert set(sides[(x < -20) & (sides != "")]) == {"L"} and set(sides[(x > 20) & (sides != "")]) == {"R"}


@pytest.mark.parametrize("axes", [(0,), (0, 1), (2,)])
def test_the_order_of_the_volumes_axes_makes_no_difference(cortex, mask_file, tmp_path, axes):
    """As in images from right to left, where the first index grows to the left."""
    turn = np.eye(4)
    for axis in axes:
        turn[axis, axis], turn[axis, 3] = -1, SHAPE[axis] - 1
    turned = save_mask(tmp_path / "turned.nii.gz", np.ones(SHAPE), AFFINE @ turn)
    values = [np.sin(voxels_mm(path) / 9).sum(axis=1) for path in (mask_file, turned)]
    image = flatmap_image(mni_cortex(turned, {}, HEIGHT), values[1])
    np.testing.assert_allclose(image, flatmap_image(cortex, values[0]), atol=1e-6)


def test_what_the_mask_lacks_is_not_known(cortex, mask_file, tmp_path, pixels_mm):
    front = np.zeros(SHAPE, bool)
    front[:, 30:] = True
    part = mni_cortex(save_mask(tmp_path / "front.nii.gz", front), {}, HEIGHT)
    image = flatmap_image(part, np.ones(part.n_voxels))[part.on_cortex]
    border_mm = AFFINE[1, 3] + EDGE_MM * 29.5
    assert np.isfinite(image[pixels_mm[:, 1] > border_mm + EDGE_MM]).all()
    assert np.isnan(image[pixels_mm[:, 1] < border_mm - EDGE_MM]).all()
    np.testing.assert_array_equal(part.on_cortex, cortex.on_cortex)


def test_a_mask_of_another_space_is_refused(tmp_path):
    far = save_mask(tmp_path / "far.nii.gz", np.ones(SHAPE), AFFINE + [[0, 0, 0, 500], *np.zeros((3, 4))])
    empty = save_mask(tmp_path / "empty.nii.gz", np.zeros(SHAPE))
    for path in (far, empty):
        with pytest.raises(InputError, match=f"{path.name} has no voxel where fsaverage's cortex lies"):
            mni_cortex(path, {}, HEIGHT)
    with pytest.raises(InputError, match="absent.nii.gz does not exist"):
        mni_cortex(tmp_path / "absent.nii.gz", {}, HEIGHT)


def test_areas_are_outlined_where_they_lie(mask_file, pixels_mm, tmp_path):
    xyz = voxels_mm(mask_file)
    near = {"STG": np.linalg.norm(xyz - [-60, -20, 4], axis=1) < 16}
    members = {name: np.flatnonzero(of_area) for name, of_area in near.items()}
    cortex = mni_cortex(mask_file, members, HEIGHT)
    assert cortex.voxel_rois == members and cortex.roi_outlines["STG"]
    row, column = np.nonzero(cortex.on_cortex)
    for x, y in cortex.roi_labels["STG"]:
        pixel = np.argmin(np.hypot(column - x, row - y))
        assert np.linalg.norm(pixels_mm[pixel] - [-60, -20, 4]) < 20


def test_that_it_is_approximate_stays_with_it(cortex, tmp_path):
    assert cortex.note == APPROXIMATE and "pproximate" in APPROXIMATE
    save_cortex(cortex, tmp_path / "cortex.zarr")
    loaded = load_cortex(tmp_path / "cortex.zarr")
    assert loaded.note == cortex.note and loaded.mask.shape == SHAPE[::-1]
    assert (loaded.pixel_of_voxel != cortex.pixel_of_voxel).nnz == 0
