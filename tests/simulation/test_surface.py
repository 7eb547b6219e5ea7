import numpy as np
import pytest
from nilearn.datasets import load_fsaverage

from brainlm.simulation.features import Planted
from brainlm.simulation.surface import SampledSurface, at_vertices, fsaverage5_in_voxels, planted_areas


@pytest.fixture(scope="module")
def surface() -> SampledSurface:
    return fsaverage5_in_voxels(4.0)


def cortex_mm() -> np.ndarray:
    """(vertex, xyz) half-way between the two surfaces."""
    meshes = load_fsaverage("fsaverage5")
    return np.vstack(
        [
            (meshes["white_matter"].parts[side].coordinates + meshes["pial"].parts[side].coordinates) / 2
            for side in ("left", "right")
        ]
    )


def test_every_voxel_has_a_vertex_and_the_medial_wall_has_none(surface):
    assert surface.voxel_of_vertex.shape == (20_484,)
    assert np.unique(surface.voxel_of_vertex[surface.voxel_of_vertex >= 0]).tolist() == list(
        range(surface.mask.sum())
    )
    left, right = np.split(surface.voxel_of_vertex == -1, 2)
    assert (left.sum(), right.sum()) == (777, 705)
    # Most of it lies near the plane between the hemispheres.
    assert np.median(np.abs(cortex_mm()[surface.voxel_of_vertex == -1, 0])) < 12


def test_vertices_lie_in_their_voxels(surface):
    is_cortex = surface.voxel_of_vertex >= 0
    index = np.argwhere(surface.mask)[surface.voxel_of_vertex[is_cortex]]
    offset = cortex_mm()[is_cortex][:, ::-1] - 4.0 * index
    # All voxels' centres are shifted against zero by one and the same.
    assert np.ptp(offset, axis=0).max() <= 4.0 + 1e-4


def test_vertices_have_their_voxels_values(surface):
    values = np.random.default_rng(0).standard_normal((3, int(surface.mask.sum())))
    found = at_vertices(values, surface)
    assert found.shape == (3, 20_484)
    for vertex in (0, 5000, 20_000):
        voxel = surface.voxel_of_vertex[vertex]
        np.testing.assert_array_equal(found[:, vertex], values[:, voxel] if voxel >= 0 else 0)
    assert (found[:, surface.voxel_of_vertex == -1] == 0).all()


def test_a_vertex_belongs_to_the_strongest_feature_near_it():
    planted = Planted(
        ("place", "melody 1", "stripes 1", "lm-only 1"),
        ("shared", "story-driven", "stripes", "LM-only"),
        np.zeros((2, 4)),
        np.ones(4),
    )
    maps = np.array([[2.0, 0.9, 1.2, 0.0], [0.0, 0.1, 0.5, 0.2], [9, -9, 9, -9], [0, 0, 0, 0]])
    assert planted_areas(planted, maps).tolist() == ["place", "", "melody 1", ""]
