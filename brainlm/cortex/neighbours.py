"""Which columns of the data are neighbours in the volume, and in which slice each lies."""

import numpy as np
import pandas as pd

from brainlm.cortex.choices import SliceAxis

_INDEX_OF = {"x": "i", "y": "j", "z": "k"}


def neighbour_pairs(table: pd.DataFrame) -> np.ndarray | None:
    """Pairs of voxels that share a face.

    Parameters
    ----------
    table: a voxel table (`brainlm.cortex.voxels`), or some rows of one.

    Returns
    -------
    (pair, 2) int positions of rows, each pair once; None where any voxel's place is unknown.
    """
    if table[["i", "j", "k"]].isna().any(axis=None) or not len(table):
        return None
    places = table[["i", "j", "k"]].to_numpy(int)
    shape = places.max(axis=0) + 2
    volume = np.full(shape, -1)
    volume[tuple(places.T)] = np.arange(len(places))
    pairs = []
    for axis in range(3):
        ahead = places.copy()
        ahead[:, axis] += 1
        neighbour = volume[tuple(ahead.T)]
        pairs.append(np.column_stack([np.arange(len(places)), neighbour])[neighbour >= 0])
    return np.concatenate(pairs)


def slice_numbers(table: pd.DataFrame, axis: SliceAxis) -> np.ndarray | None:
    """(voxel,) int index of each voxel's slice along an axis; None where any voxel's place is unknown."""
    numbers = table[_INDEX_OF[axis]]
    return None if numbers.isna().any() or not len(table) else numbers.to_numpy(int)
