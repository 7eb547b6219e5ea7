"""Where voxels lie, as columns of a voxel table (`brainlm.cortex.voxels`)."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine

from brainlm.errors import InputError

AXES = ("i", "j", "k")
_MM = ("x", "y", "z")
_VERTEX = ("hemisphere", "vertex")
_HEMISPHERES = ("L", "R")
# A column of whole numbers and missing values is often written as 3.0.
_INDEX = re.compile(r"([0-9]{1,18})(\.0*)?")


def places(mask: np.ndarray, affine: np.ndarray | None) -> dict[str, np.ndarray]:
    """Column of a voxel table -> (voxel,), from a mask (z, y, x) or (hemisphere, vertex), and its affine if known."""
    if mask.ndim == 2:
        hemisphere, vertex = np.nonzero(mask)
        return {"hemisphere": np.array(_HEMISPHERES)[hemisphere], "vertex": vertex}
    of_axes = np.nonzero(mask)[::-1]
    indices = dict(zip(AXES, of_axes, strict=True))
    if affine is None:
        return indices
    return indices | dict(zip(_MM, apply_affine(affine, np.column_stack(of_axes)).T, strict=True))


def place_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """Which columns of a file say where voxels lie."""
    if set(_VERTEX) <= set(columns) and not set(AXES) & set(columns):
        return _VERTEX
    return AXES + _MM * (set(_MM) <= set(columns))


def place_column(name: str, values: Sequence[object]) -> pd.Series:
    """A column in its type; None is what is not known."""
    if name == "hemisphere":
        return pd.Series([value or "" for value in values], dtype=str)
    return pd.Series(values, dtype=float if name in _MM else "Int64")


def position(text: str, column: str, place: str) -> int | float | str:
    """What a cell of a column says; `place` is the cell's, as the start of a sentence.

    Raises
    ------
    InputError: nothing that can stand in the column.
    """
    if column == "hemisphere" and text not in _HEMISPHERES:
        raise InputError(f"{place}: '{text}' in column hemisphere is no hemisphere: L or R is needed.")
    if column in _MM:
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{place}: '{text}' in column {column} is no number of mm.") from None
    return text if column == "hemisphere" else whole_number(text, column, place)


def whole_number(text: str, column: str, place: str) -> int:
    """An index in a cell, as `position`."""
    match = _INDEX.fullmatch(text.strip())
    if not match:
        raise InputError(
            f"{place}: '{text}' in column {column} is no index: a whole number from 0 on is needed."
        )
    return int(match[1])
