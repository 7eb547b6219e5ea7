"""The surface on which a simulated listener is seen: voxels, sampled at the vertices of fsaverage5."""

from dataclasses import dataclass

import numpy as np
from nilearn.datasets import load_fsaverage
from numpy.typing import NDArray

from brainlm.simulation.features import Planted

HEMISPHERES = ("left", "right")
AREA_HEIGHT = 0.5
"""A vertex belongs to the area of a planted feature whose map has at least this share of its maximum there."""


@dataclass(frozen=True, eq=False)
class SampledSurface:
    """Both hemispheres of fsaverage5, and the voxel that each of their vertices lies in."""

    mask: NDArray[np.bool_]
    """(z, y, x) bool: voxels that some vertex lies in; x grows to the right, y to the front, z upwards."""
    voxel_of_vertex: NDArray[np.int64]
    """(vertex,) int64, the left hemisphere's before the right one's: column of the mask's voxels in C order; -1 on
    the medial wall, which is no cortex."""


def fsaverage5_in_voxels(voxel_size_mm: float) -> SampledSurface:
    """Put a grid of cubic voxels around fsaverage5, half-way between white matter and pial surface.

    The medial wall is what fsaverage5's flat surface leaves out: 777 and 705 of 10,242 vertices.

    Source of the surfaces: FreeSurfer's fsaverage5 as nilearn brings it.
    """
    meshes = load_fsaverage("fsaverage5")
    position_mm, on_cortex = [], []
    for hemisphere in HEMISPHERES:
        white, pial, flat = (meshes[kind].parts[hemisphere] for kind in ("white_matter", "pial", "flat"))
        position_mm.append((white.coordinates + pial.coordinates) / 2)
        on_cortex.append(np.isin(np.arange(len(white.coordinates)), flat.faces))
    is_cortex = np.concatenate(on_cortex)
    index = np.rint(np.concatenate(position_mm)[:, ::-1] / voxel_size_mm).astype(int)
    index -= index[is_cortex].min(axis=0)
    of_cortex = tuple(index[is_cortex].T)
    mask = np.zeros(index[is_cortex].max(axis=0) + 1, bool)
    mask[of_cortex] = True
    column = np.cumsum(mask).reshape(mask.shape) - 1
    voxel_of_vertex = np.full(is_cortex.size, -1)
    voxel_of_vertex[is_cortex] = column[of_cortex]
    return SampledSurface(mask, voxel_of_vertex)


def at_vertices(values: np.ndarray, surface: SampledSurface) -> np.ndarray:
    """(row, voxel) -> (row, vertex): each vertex has its voxel's value, 0 on the medial wall."""
    return np.where(surface.voxel_of_vertex >= 0, values[:, surface.voxel_of_vertex], 0)


def planted_areas(planted: Planted, maps: np.ndarray) -> np.ndarray:
    """Where features are planted, as areas of the cortex: a vertex belongs to the strongest of the features near it.

    Parameters
    ----------
    maps: (feature, vertex), at least 0 or, of stripes, which are no area, of either sign.

    Returns
    -------
    (vertex,) names of features, "" where none is near.
    """
    is_area = np.array([kind not in ("stripes", "LM-only") for kind in planted.kinds])
    height = maps[is_area] / maps[is_area].max(axis=1, keepdims=True)
    names = np.array(planted.names, object)[is_area]
    return np.where(height.max(axis=0) >= AREA_HEIGHT, names[height.argmax(axis=0)], "")
