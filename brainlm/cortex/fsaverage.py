"""The cortex of subjects whose data lie on fsaverage5 or fsaverage6: nilearn's meshes, without pycortex.

nilearn brings fsaverage5 with it, in its wheel, with flattened hemispheres. The flat places of fsaverage6's other
vertices are half way along fsaverage5's edges, as they are on the sphere, so that its map shows all of its vertices
on the same flattened surface.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nilearn.datasets import fetch_surf_fsaverage
from nilearn.surface import load_surf_data, load_surf_mesh
from numpy.typing import NDArray

from brainlm.cortex.annotations import areas_of_vertices
from brainlm.cortex.area_drawing import draw_areas, label_areas
from brainlm.cortex.flat_mesh import FlatMesh, pixels_of_vertices, side_by_side
from brainlm.cortex.icosphere import edges_of, subdivide
from brainlm.cortex.subject import Cortex
from brainlm.surfaces import N_VERTICES

_HEMISPHERES = ("left", "right")


@dataclass(frozen=True, eq=False)
class Hemisphere:
    """One hemisphere of fsaverage."""

    triangles: np.ndarray
    """(triangle, 3) int of the whole, closed mesh."""
    is_flat: NDArray[np.bool_]
    """(triangle,) bool: those that the flattened hemisphere has."""
    flat: NDArray[np.float64]
    """(vertex, xy) float64 in mm."""
    curvature: NDArray[np.float32]
    """(vertex,) float32: above zero on gyri, below in sulci."""

    @property
    def flat_mesh(self) -> FlatMesh:
        """What of it is drawn."""
        return FlatMesh(self.triangles[self.is_flat], self.flat)


def fsaverage_cortex(space: str, annots: Mapping[str, Path], height: int = 512) -> Cortex:
    """The cortex of data on fsaverage, in seconds.

    A pixel is the mean of the three vertices around it, by how near it is to each (barycentric coordinates).

    Parameters
    ----------
    space: "fsaverage5" or "fsaverage6".
    annots: "lh", "rh" -> FreeSurfer's annotation file of the mesh, or of a finer fsaverage; may be empty.
    height: of the flatmap in pixels; the width follows from its shape.

    Returns
    -------
    The cortex, whose voxels are all vertices of the left hemisphere and then those of the right one.

    Raises
    ------
    InputError: an annotation file is missing, damaged, or of another mesh.
    """
    left, right = hemispheres = read_hemispheres(space)
    mesh, image_shape = side_by_side(left.flat_mesh, right.flat_mesh, height)
    matrix = pixels_of_vertices(mesh, image_shape)
    on_cortex = np.diff(matrix.indptr).reshape(image_shape) > 0
    curvature = (matrix @ np.concatenate([of.curvature for of in hemispheres])).reshape(image_shape)
    voxel_rois = areas_of_vertices(annots, N_VERTICES[space])
    outlines = draw_areas(matrix, on_cortex, voxel_rois)
    return Cortex(
        mask=np.ones((2, N_VERTICES[space]), bool),
        pixel_of_voxel=matrix,
        on_cortex=on_cortex,
        curvature=np.where(on_cortex, curvature, np.float32(np.nan)),
        roi_outlines=outlines,
        roi_labels=label_areas(outlines, on_cortex),
        voxel_rois=voxel_rois,
    )


def read_hemispheres(space: str) -> tuple[Hemisphere, Hemisphere]:
    """The left and the right hemisphere of "fsaverage5" or "fsaverage6", from the files in nilearn's wheel."""
    left, right = (_read_fsaverage5(side) for side in _HEMISPHERES)
    return (left, right) if space == "fsaverage5" else (_finer(left), _finer(right))


def read_depths() -> tuple[np.ndarray, np.ndarray]:
    """White and pial surface of fsaverage5: (vertex, xyz) float64 each in mm of MNI305, the left hemisphere first."""
    files = fetch_surf_fsaverage("fsaverage5")
    white, pial = (
        np.concatenate([load_surf_mesh(files[f"{kind}_{side}"]).coordinates for side in _HEMISPHERES])
        for kind in ("white", "pial")
    )
    return white.astype(float), pial.astype(float)


def mesh_edges(n_vertices: int) -> np.ndarray:
    """The edges of the closed mesh of one hemisphere with so many vertices; both hemispheres have the same.

    Returns
    -------
    (edge, 2) int, each edge once.

    Raises
    ------
    ValueError: neither fsaverage5 nor fsaverage6 has as many.
    """
    (space,) = (space for space, n in N_VERTICES.items() if n == n_vertices)
    return edges_of(read_hemispheres(space)[0].triangles)


def _read_fsaverage5(side: str) -> Hemisphere:
    files = fetch_surf_fsaverage("fsaverage5")
    whole, flat = (load_surf_mesh(files[f"{kind}_{side}"]) for kind in ("sphere", "flat"))
    shown = {tuple(triangle) for triangle in np.sort(flat.faces, axis=1).tolist()}
    return Hemisphere(
        triangles=whole.faces.astype(np.int64),
        is_flat=np.array([tuple(triangle) in shown for triangle in np.sort(whole.faces, axis=1).tolist()]),
        flat=flat.coordinates[:, :2].astype(float),
        # FreeSurfer's is above zero in sulci.
        curvature=-np.asarray(load_surf_data(files[f"curv_{side}"]), np.float32),
    )


def _finer(coarse: Hemisphere) -> Hemisphere:
    """With each triangle cut into four, and new vertices half way between the two that they lie between."""
    parents, triangles = subdivide(coarse.triangles)
    flat, curvature = (
        np.concatenate([values, values[parents].mean(axis=1)]) for values in (coarse.flat, coarse.curvature)
    )
    return Hemisphere(
        triangles, np.concatenate([coarse.is_flat, np.repeat(coarse.is_flat, 3)]), flat, curvature
    )
