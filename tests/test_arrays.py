"""Every kind of array that a user holds is taken as its numbers, or refused in a sentence."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import xarray
import zarr

from brainlm.arrays import real_array, real_tensor, require_finite
from brainlm.errors import InputError

VALUES = np.array([[1, -2, 3], [0, 5, 6], [7, 8, 100], [3, 2, 1]])


def mapped(tmp_path, values):
    np.save(tmp_path / "values.npy", values.astype(np.float32))
    return np.load(tmp_path / "values.npy", mmap_mode="r")


def hdf5(tmp_path, values):
    with h5py.File(tmp_path / "values.hf5", "w") as file:
        file["data"] = values.astype(">f8")
    return h5py.File(tmp_path / "values.hf5")["data"]


def read_only(tmp_path, values):
    values = values.astype(np.float32)
    values.flags.writeable = False
    return values


# All hold the same numbers.
TAKEN = {
    "nested lists": lambda _, v: v.tolist(),
    "a tuple of arrays": lambda _, v: tuple(v),
    **{
        str(dtype): lambda _, v, dtype=dtype: v.astype(dtype)
        for dtype in ("float16", "float32", "float64", "longdouble", "int8", "int64", ">f4", ">f8", ">i2")
    },
    "Fortran order": lambda _, v: np.asfortranarray(v, dtype=np.float32),
    "every second column": lambda _, v: np.repeat(v.astype(np.float32), 2, axis=1)[:, ::2],
    "turned around twice": lambda _, v: v[::-1, ::-1].astype(np.float32)[::-1, ::-1],
    "read-only": read_only,
    "mapped": mapped,
    "masked, nothing hidden": lambda _, v: np.ma.array(v),
    "DataFrame": lambda _, v: pd.DataFrame(v, columns=["a", "b", "c"]).astype({"a": "float64"}),
    "DataArray": lambda _, v: xarray.DataArray(v, dims=("time", "voxel")),
    "DataArray with other names": lambda _, v: xarray.DataArray(v, dims=("x", "y")),
    "Zarr": lambda _, v: zarr.array(v.astype(np.float64)),
    "HDF5": hdf5,
    "tensor": lambda _, v: torch.from_numpy(v),
    "tensor with gradient": lambda _, v: torch.from_numpy(v).float().requires_grad_(),
    "bfloat16 tensor": lambda _, v: torch.from_numpy(v).bfloat16(),
    "half tensor": lambda _, v: torch.from_numpy(v).half(),
    "transposed tensor": lambda _, v: torch.from_numpy(np.ascontiguousarray(v.T)).double().T,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", TAKEN)
def test_numbers_are_taken_from_all_that_holds_them(tmp_path, kind):
    held = TAKEN[kind](tmp_path, VALUES)
    for taken in (real_array(held, "x", ("time", 3)), real_tensor(held, "x", ("time", 3)).numpy()):
        assert taken.dtype == np.float32 and taken.dtype.isnative and type(taken) is np.ndarray
        np.testing.assert_array_equal(taken, VALUES)


def test_booleans_are_numbers():
    np.testing.assert_array_equal(real_array([[True, False]], "x", ("time", 2)), [[1, 0]])


@pytest.mark.filterwarnings("error")
def test_hidden_entries_are_nan_and_too_large_ones_infinite():
    hidden = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(real_array(hidden, "x", ("time", 2)), [[1, np.nan], [3, 4]])
    assert np.isnan(hidden.data).sum() == 0
    np.testing.assert_array_equal(real_array([[1e300, -1e300]], "x", ("time", 2)), [[np.inf, -np.inf]])


def test_an_array_as_it_is_wanted_is_not_copied():
    values = VALUES.astype(np.float32)
    assert np.shares_memory(real_array(values, "x", ("time", 3)), values)
    assert np.shares_memory(real_tensor(values[:, 1:], "x", ("time", 2)).numpy(), values)


def test_the_own_floating_type_is_kept_but_never_below_float32():
    for dtype, expected in {
        "float64": "f8",
        ">f8": "f8",
        "float32": "f4",
        "float16": "f4",
        "int8": "f4",
    }.items():
        assert real_array(VALUES.astype(dtype), "x", None, None).dtype == expected


REFUSED = {
    "None": (None, "NoneType"),
    "a number": (3.0, r"\(time, 3\); got \(\)"),
    "text": ("brain.npy", "got text"),
    "a table of text": ([["1", "2", "3"]], "got text"),
    "bytes": (np.array([[b"1"]]), "got text"),
    "complex": (VALUES + 1j, "got complex numbers"),
    "a complex tensor": (torch.from_numpy(VALUES + 1j), "got complex numbers"),
    "objects": (np.array([[1, None, 3]], dtype=object), "got objects"),
    "a DataFrame with text": (pd.DataFrame({"a": [1.0], "b": ["x"], "c": [2.0]}), "got objects"),
    "records": (np.zeros(3, [("a", float)]), "got records"),
    "times": (np.zeros((2, 3), "M8[s]"), r"datetime64"),
    "a mapping": ({"brain": VALUES}, "got dict"),
    "a set": ({1, 2}, "got set"),
    "rows of unequal length": ([[1, 2, 3], [1]], "got list that is none"),
    "one row": (VALUES[0], r"\(time, 3\); got \(3,\)"),
    "three axes": (VALUES[None], r"\(time, 3\); got \(1, 4, 3\)"),
    "another width": (VALUES[:, :2], r"\(time, 3\); got \(4, 2\)"),
    "a sparse tensor": (torch.eye(3).to_sparse(), "not dense"),
    "a tensor without values": (torch.empty(4, 3, device="meta"), "not dense"),
    "a DataArray turned round": (
        xarray.DataArray(VALUES[:3], dims=("voxel", "time")),
        "voxel, time: transpose",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_anything_else_is_refused_in_a_sentence(kind):
    held, message = REFUSED[kind]
    with pytest.raises(InputError, match=message) as error:
        real_array(held, "Source 'brain'", ("time", 3))
    assert str(error.value).startswith("Source 'brain' must be an array (time, 3)")


def test_no_row_is_an_array_as_well():
    assert real_array(np.zeros((0, 3)), "x", ("time", 3)).shape == (0, 3)


def test_rows_that_are_not_finite_are_named():
    values = np.zeros((30, 2, 2))
    require_finite(values, "x")
    require_finite(values[:0], "x")
    values[4, 1, 0] = np.inf
    with pytest.raises(InputError, match=r"x holds .* in 1 row \(TRs\): 4 \(counted from 0\)"):
        require_finite(torch.from_numpy(values), "x")
    values[::2] = np.nan
    with pytest.raises(
        InputError, match=r"15 rows \(TRs\): 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, \.\.\. \(counted"
    ):
        require_finite(values, "x")
