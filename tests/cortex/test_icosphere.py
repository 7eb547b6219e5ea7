"""How fsaverage's vertices are numbered, against nilearn's mesh and what pycortex knows of finer ones."""

from importlib.metadata import files

import numpy as np
import pytest
from nilearn.datasets import fetch_surf_fsaverage
from nilearn.surface import load_surf_mesh

from brainlm.cortex.icosphere import edges_of, subdivide

N_VERTICES = [10 * 4**level + 2 for level in range(8)]


def fsaverage5() -> np.ndarray:
    return load_surf_mesh(fetch_surf_fsaverage("fsaverage5")["sphere_left"]).faces.astype(int)


def parents_in(triangles: np.ndarray, n_coarse: int) -> np.ndarray:
    """(vertex, 2): of each vertex from `n_coarse` on, the two neighbours below: a new vertex has no others there."""
    neighbours: list[set[int]] = [set() for _ in range(triangles.max() + 1)]
    for a, b in edges_of(triangles).tolist():
        neighbours[b].update({a} if a < n_coarse <= b else set())
    return np.array([sorted(of_vertex) for of_vertex in neighbours[n_coarse:]])


def coarser(triangles: np.ndarray, n_coarse: int) -> np.ndarray:
    """The mesh that another one was cut from: its first quarter are the corners a of all triangles, (a, ab, ac)."""
    parents = parents_in(triangles, n_coarse)

    def beyond(a: np.ndarray, middle: np.ndarray) -> np.ndarray:
        return parents[middle - n_coarse].sum(axis=1) - a

    a, ab, ac = triangles[: len(triangles) // 4].T
    return np.column_stack([a, beyond(a, ab), beyond(a, ac)])


def test_fsaverage5_is_cut_from_its_own_coarser_meshes():
    fine = fsaverage5()
    for level in range(5, 0, -1):
        coarse = coarser(fine, N_VERTICES[level - 1])
        parents, again = subdivide(coarse)
        np.testing.assert_array_equal(again, fine)
        np.testing.assert_array_equal(parents, parents_in(fine, N_VERTICES[level - 1]))
        fine = coarse
    assert fine.shape == (20, 3)


def test_both_hemispheres_have_the_same_mesh():
    right = load_surf_mesh(fetch_surf_fsaverage("fsaverage5")["sphere_right"]).faces
    np.testing.assert_array_equal(right, fsaverage5())


@pytest.mark.parametrize("hemisphere", ["lh", "rh"])
def test_new_vertices_of_fsaverage6_and_fsaverage_lie_beside_those_that_are_nearest(hemisphere):
    """pycortex keeps, of FreeSurfer's own surfaces, the nearest coarser vertex of each of fsaverage's finest."""
    (file,) = (file for file in files("pycortex") if file.name == "upsample_fsaverage_neighbors.npz")
    nearest = np.load(file.locate())
    parents, fsaverage6 = subdivide(fsaverage5())
    assert len(parents) == 40_962 - 10_242
    of_fsaverage6 = nearest[f"{hemisphere}_ico5"][: len(parents), None]
    assert (of_fsaverage6 == parents).any(axis=1).all()
    parents, _ = subdivide(fsaverage6)
    assert (nearest[f"{hemisphere}_ico6"][:, None] == parents).any(axis=1).all()


def test_a_tetrahedron_has_six_edges_and_becomes_sixteen_triangles():
    tetrahedron = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    assert edges_of(tetrahedron).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    parents, triangles = subdivide(tetrahedron)
    assert sorted(map(tuple, parents.tolist())) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    # Euler: vertices - edges + triangles.
    assert triangles.shape == (16, 3) and triangles.max() == 9
    assert 10 - len(edges_of(triangles)) + 16 == 2
