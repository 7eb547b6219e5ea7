"""Two flattened hemispheres as one image: which pixel lies where in which triangle."""

from dataclasses import dataclass

import numpy as np
from matplotlib.tri import Triangulation
from numpy.typing import NDArray
from scipy import sparse

GAP = 0.06
"""Between the hemispheres, as a share of the image's height."""


@dataclass(frozen=True, eq=False)
class FlatMesh:
    """A hemisphere, or both side by side, cut open and laid flat."""

    triangles: np.ndarray
    """(triangle, 3) int, numbers of vertices; without the triangles that the cuts and the medial wall took away."""
    position: NDArray[np.float64]
    """(vertex, xy) float64; y grows upwards in mm, or downwards in pixels. Of no meaning for a vertex without any
    triangle."""

    @property
    def is_shown(self) -> NDArray[np.bool_]:
        """(vertex,) bool: those that some triangle has."""
        return np.isin(np.arange(len(self.position)), self.triangles)


def side_by_side(left: FlatMesh, right: FlatMesh, height: int) -> tuple[FlatMesh, tuple[int, int]]:
    """Lay two hemispheres, in mm, into one image, in pixels: the left one left, both on one scale.

    Parameters
    ----------
    height: of the image in pixels.

    Returns
    -------
    The mesh of both, the left one's vertices first; (0, 0) is the top left pixel's centre, and the outermost vertices
    lie on the outermost pixels' centres. And the image's (height, width).
    """
    corners = [
        (mesh.position[mesh.is_shown].min(0), mesh.position[mesh.is_shown].max(0)) for mesh in (left, right)
    ]
    (left_low, left_high), (right_low, right_high) = corners
    bottom, top = min(left_low[1], right_low[1]), max(left_high[1], right_high[1])
    pixels_per_mm = (height - 1) / (top - bottom)
    right_begins = (left_high[0] - left_low[0]) * pixels_per_mm + GAP * height
    width = 1 + int(np.ceil(right_begins + (right_high[0] - right_low[0]) * pixels_per_mm))
    positions = [
        np.column_stack(
            [
                begins + (mesh.position[:, 0] - low[0]) * pixels_per_mm,
                (top - mesh.position[:, 1]) * pixels_per_mm,
            ]
        )
        for mesh, low, begins in ((left, left_low, 0.0), (right, right_low, right_begins))
    ]
    triangles = np.concatenate([left.triangles, right.triangles + len(left.position)])
    return FlatMesh(triangles, np.concatenate(positions)), (height, width)


def pixels_of_vertices(mesh: FlatMesh, image_shape: tuple[int, int]) -> sparse.csr_matrix:
    """Where in which triangle each pixel's centre lies: its barycentric coordinates.

    Parameters
    ----------
    mesh: in pixels, none of whose triangles lie over each other.
    image_shape: (height, width).

    Returns
    -------
    (pixel, vertex) float32; pixels in C order of the image. A row adds up to 1, or is empty outside of all triangles.
    """
    height, width = image_shape
    x, y = mesh.position.T
    find = Triangulation(x, y, mesh.triangles).get_trifinder()
    row, column = np.divmod(np.arange(height * width), width)
    triangle = np.asarray(find(column.astype(float), row.astype(float)))
    pixel = np.flatnonzero(triangle >= 0)
    corners = mesh.triangles[triangle[pixel]]
    place = np.column_stack([column[pixel], row[pixel]])
    # Rounding must not take a point on an edge out of its triangle.
    shares = np.clip(_barycentric(place, *mesh.position[corners].transpose(1, 0, 2)), 0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    matrix = sparse.csr_matrix(
        (shares.ravel().astype(np.float32), (np.repeat(pixel, 3), corners.ravel())),
        shape=(height * width, len(mesh.position)),
    )
    matrix.eliminate_zeros()
    return matrix


def _barycentric(point: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """(point, 3): shares of the corners a, b and c, (point, xy) each, whose mean the point is."""
    area = _doubled_area(b - a, c - a)
    of_b, of_c = _doubled_area(point - a, c - a) / area, _doubled_area(b - a, point - a) / area
    return np.column_stack([1 - of_b - of_c, of_b, of_c])


def _doubled_area(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
