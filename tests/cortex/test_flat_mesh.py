"""Pixels in triangles: closed forms."""

import numpy as np
import pytest

from brainlm.cortex.flat_mesh import GAP, FlatMesh, pixels_of_vertices, side_by_side


def random_mesh(seed: int = 0) -> FlatMesh:
    """A bent grid of 6 x 6 vertices in an image of 40 x 50 pixels, and a vertex of no triangle."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[2:38:6j, 3:46:6j]
    position = np.column_stack([x.ravel(), y.ravel()]) + random.uniform(-1.5, 1.5, (36, 2))
    corner = (np.arange(5)[:, None] * 6 + np.arange(5)).ravel()
    triangles = np.concatenate(
        [np.c_[corner, corner + 1, corner + 6], np.c_[corner + 1, corner + 7, corner + 6]]
    )
    return FlatMesh(triangles, np.vstack([position, [1e3, np.nan]]))


@pytest.mark.parametrize("turned", [False, True])
def test_a_linear_function_of_the_position_is_reproduced(turned):
    mesh = random_mesh()
    if turned:
        mesh = FlatMesh(mesh.triangles[:, ::-1], mesh.position)
    matrix = pixels_of_vertices(mesh, (40, 50))
    inside = np.flatnonzero(np.diff(matrix.indptr))
    row, column = np.divmod(inside, 50)
    assert 1000 < inside.size < 2000 and matrix.dtype == np.float32 and matrix.shape == (2000, 37)
    np.testing.assert_allclose(matrix[inside].sum(axis=1).A1, 1, atol=1e-6)
    values = 2 + 3 * mesh.position[:36, 0] - 0.5 * mesh.position[:36, 1]
    expected = 2 + 3 * column - 0.5 * row
    np.testing.assert_allclose(matrix[inside][:, :36] @ values, expected, atol=1e-4)
    assert matrix[:, 36].nnz == 0


def test_pixels_outside_of_all_triangles_have_no_vertex():
    triangle = FlatMesh(np.array([[0, 1, 2]]), np.array([[1.5, 1.5], [6.5, 1.5], [1.5, 6.5]]))
    shown = np.diff(pixels_of_vertices(triangle, (9, 9)).indptr).reshape(9, 9) > 0
    y, x = np.mgrid[:9, :9]
    np.testing.assert_array_equal(shown, (x > 1.5) & (y > 1.5) & (x + y <= 8))


def test_a_pixel_at_a_vertex_has_its_value():
    triangle = FlatMesh(np.array([[0, 1, 2]]), np.array([[1.0, 1], [7, 2], [3, 7]]))
    matrix = pixels_of_vertices(triangle, (9, 9)).toarray().reshape(9, 9, 3)
    for vertex, (x, y) in enumerate([(1, 1), (7, 2), (3, 7)]):
        np.testing.assert_allclose(matrix[y, x], np.eye(3)[vertex], atol=1e-6)


def test_hemispheres_stand_side_by_side_on_one_scale_with_the_top_at_the_top():
    left = FlatMesh(np.array([[0, 1, 2]]), np.array([[-10.0, -5], [10, -5], [0, 20]]))
    # Lower and smaller, and with a vertex of no triangle far away.
    right = FlatMesh(np.array([[0, 1, 2]]), np.array([[100.0, -10], [110, -10], [105, 0], [999, 999]]))
    both, (height, width) = side_by_side(left, right, 61)
    # From -10 to 20 mm in 60 steps: two pixels a mm.
    assert height == 61 and width == 1 + np.ceil(40 + GAP * 61 + 20)
    np.testing.assert_allclose(both.position[:3], [[0, 50], [40, 50], [20, 0]])
    begins = 40 + GAP * 61
    np.testing.assert_allclose(both.position[3:6], [[begins, 60], [begins + 20, 60], [begins + 10, 40]])
    assert both.triangles.tolist() == [[0, 1, 2], [3, 4, 5]]
