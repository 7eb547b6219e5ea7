import numpy as np
import pytest
from scipy import sparse

from brainlm.cortex.hemispheres import voxel_sides
from brainlm.cortex.subject import Cortex


def cortex(on_cortex: np.ndarray, pixel_of_voxel: np.ndarray) -> Cortex:
    mask = np.ones((1, 1, pixel_of_voxel.shape[1]), bool)
    curvature = np.where(on_cortex, 0.0, np.nan).astype(np.float32)
    weights = sparse.csr_matrix(pixel_of_voxel.astype(np.float32))
    return Cortex(mask, weights, on_cortex, curvature, {}, {}, {})


def flatmap(gap: int) -> np.ndarray:
    """4 x 12 pixels, of which one column is empty."""
    on_cortex = np.ones((4, 12), bool)
    on_cortex[:, gap] = False
    return on_cortex


@pytest.mark.parametrize("gap", [4, 6, 7])
def test_voxels_are_where_more_of_them_is_shown(gap):
    on_cortex = flatmap(gap)
    shares = np.zeros((4, 12, 5))
    shares[1, 2, 0] = 1
    shares[1, gap + 1, 1] = 1
    shares[2, gap - 1, 2], shares[2, gap + 2, 2] = 0.3, 0.7
    shares[3, 0, 3], shares[3, 11, 3] = 0.6, 0.4
    sides = voxel_sides(cortex(on_cortex, shares.reshape(48, 5)))
    assert sides.tolist() == ["L", "R", "R", "L", ""]


def test_a_notch_at_the_edge_is_no_border_between_hemispheres():
    on_cortex = flatmap(6)
    on_cortex[:, 0] = False
    shares = np.zeros((4, 12, 2))
    shares[0, 1, 0] = shares[0, 9, 1] = 1
    assert voxel_sides(cortex(on_cortex, shares.reshape(48, 2))).tolist() == ["L", "R"]


def test_hemispheres_that_touch_are_parted_where_least_is_shown():
    on_cortex = np.ones((4, 12), bool)
    on_cortex[:3, 5] = False
    shares = np.zeros((4, 12, 2))
    shares[0, 4, 0] = shares[0, 6, 1] = 1
    assert voxel_sides(cortex(on_cortex, shares.reshape(48, 2))).tolist() == ["L", "R"]
