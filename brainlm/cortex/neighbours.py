"""Which columns of the data are neighbours in the volume, and in which slice each lies."""

import numpy as np
import pandas as pd

from brainlm.cortex.choices import SliceAxis

_INDEX_OF = {"x": "i", "y": "j", "z": "k"}
_AXES = list(_INDEX_OF.values())


def neighbour_pairs(table: pd.DataFrame) -> np.ndarray | None:
    """Pairs of voxels that share a face.

    Parameters
    ----------
    table: a voxel table (`brainlm.cortex.voxels`), or some rows of one.

    Returns
    -------
    (pair, 2) int positions of rows, each pair once; None where any voxel's place is unknown.
    """
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


def slice_numbers(table: pd.DataFrame, axis: SliceAxis) -> np.ndarray | None:
    """(voxel,) int index of each voxel's slice along an axis; None where any voxel's place is unknown."""
    numbers = table[_INDEX_OF[axis]]
    return None if numbers.isna().any() or not len(table) else numbers.to_numpy(int)
