"""Which columns of the data are neighbours, in the volume or on the surface, and in which slice each lies."""

import numpy as np
import pandas as pd

from brainlm.cortex.choices import SliceAxis
from brainlm.surfaces import N_VERTICES

_INDEX_OF = {"x": "i", "y": "j", "z": "k"}
_AXES = list(_INDEX_OF.values())


def neighbour_pairs(table: pd.DataFrame, kept: np.ndarray) -> np.ndarray | None:
    """Pairs of voxels that share a face, or of vertices that share an edge of the mesh.

    Parameters
    ----------
    table: a voxel table (`brainlm.cortex.voxels`) with all of its rows.
    kept: (voxel,) bool: those that are asked of.

    Returns
    -------
    (pair, 2) int positions among the kept voxels, each pair once; None where the place of any of them is unknown, or
    the table's vertices are not all those of fsaverage5 or fsaverage6.
    """
    return _on_mesh(table, kept) if "vertex" in table else _in_volume(table.loc[kept])


def slice_numbers(table: pd.DataFrame, axis: SliceAxis | None) -> np.ndarray | None:
    """(voxel,) int index of each voxel's slice along an axis; None without an axis, or where any voxel's place in a
    volume is unknown."""
    if axis is None or "vertex" in table:
        return None
    numbers = table[_INDEX_OF[axis]]
    return None if numbers.isna().any() or not len(table) else numbers.to_numpy(int)


def _on_mesh(table: pd.DataFrame, kept: np.ndarray) -> np.ndarray | None:
    n_vertices = len(table) // 2
    on_left = np.repeat([True, False], n_vertices)
    if n_vertices not in N_VERTICES.values() or not (
        np.array_equal(table["hemisphere"], np.where(on_left, "L", "R"))
        and np.array_equal(table["vertex"].fillna(-1), np.tile(np.arange(n_vertices), 2))
    ):
        return None
    # Slow to import, and only data on surfaces need it.
    from brainlm.cortex.fsaverage import mesh_edges

    edges = mesh_edges(n_vertices)
    both = np.concatenate([edges, edges + n_vertices])
    position = np.cumsum(kept) - 1
    return position[both[kept[both].all(axis=1)]]


def _in_volume(table: pd.DataFrame) -> np.ndarray | None:
    if table[_AXES].isna().any(axis=None) or not len(table):
        return None
    places = table[_AXES].astype(int).assign(row=np.arange(len(table)))
    pairs = []
    for axis in _AXES:
        ahead = places.assign(**{axis: places[axis] - 1})
        # Not by a volume: a table of its own may count places from anywhere, and give one to several columns.
        both = places.merge(ahead, on=_AXES, suffixes=("", "_ahead"))
        pairs.append(both[["row", "row_ahead"]].to_numpy())
    return np.concatenate(pairs)
