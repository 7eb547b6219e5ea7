"""Neighbours and slices of a voxel table, against every pair compared."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainlm.cortex.neighbours import neighbour_pairs, slice_numbers
from brainlm.cortex.voxels import read_voxel_table, save_voxel_table, unnamed_voxels, voxel_table

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)


@st.composite
def tables(draw) -> pd.DataFrame:
    """Some voxels of a small volume, any of them left out afterwards, as a model leaves out what is constant."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    table = voxel_table(draw(arrays(bool, shape)), {})
    return table.loc[draw(arrays(bool, len(table)))]


def slow_pairs(table: pd.DataFrame) -> set[frozenset[int]]:
    places = table[["i", "j", "k"]].to_numpy(int)
    return {
        frozenset((a, b))
        for a, b in itertools.combinations(range(len(places)), 2)
        if np.abs(places[a] - places[b]).sum() == 1
    }


@EXAMPLES
@given(tables())
def test_neighbours_share_a_face_and_each_pair_comes_once(table):
    pairs = neighbour_pairs(table)
    if not len(table):
        assert pairs is None
        return
    assert pairs.shape[1] == 2 and pairs.dtype.kind == "i"
    found = [frozenset(pair) for pair in pairs.tolist()]
    assert len(found) == len(set(found)) and set(found) == slow_pairs(table)


def test_a_cube_has_a_pair_a_face_between_voxels():
    # Of 3 x 4 x 5 voxels: 2 x 4 x 5, 3 x 3 x 5 and 3 x 4 x 4 faces.
    assert len(neighbour_pairs(voxel_table(np.ones((3, 4, 5), bool), {}))) == 40 + 45 + 48


@pytest.mark.parametrize(("axis", "number"), [("z", 0), ("y", 1), ("x", 2)])
def test_slices_lie_along_an_axis_of_the_volume(axis, number):
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.5
    expected = np.nonzero(mask)[number]
    np.testing.assert_array_equal(slice_numbers(voxel_table(mask, {}), axis), expected)


def test_places_may_begin_and_jump_anywhere():
    """A table that comes with a dataset may count places as it likes, in any order of its rows."""
    table = voxel_table(np.ones((1, 1, 3), bool), {})
    table["i"] = pd.array([10**15 + 1, 10**15, 7], dtype="Int64")
    assert {frozenset(pair) for pair in neighbour_pairs(table).tolist()} == {frozenset((0, 1))}


def test_columns_at_one_place_are_both_neighbours_of_the_next():
    table = voxel_table(np.ones((1, 1, 3), bool), {})
    table["i"] = pd.array([4, 4, 5], dtype="Int64")
    found = {frozenset(pair) for pair in neighbour_pairs(table).tolist()}
    assert found == {frozenset((0, 2)), frozenset((1, 2))}


@pytest.mark.parametrize("missing", [slice(None), slice(1, 2)])
def test_where_any_place_is_unknown_neither_is_known(tmp_path, missing):
    table = voxel_table(np.ones((2, 2, 2), bool), {})
    table.loc[table.index[missing], ["i", "j", "k"]] = pd.NA
    save_voxel_table(table, tmp_path / "voxels.tsv")
    read = read_voxel_table(tmp_path / "voxels.tsv", 8)
    for of_any in (table, read):
        assert neighbour_pairs(of_any) is None
        assert all(slice_numbers(of_any, axis) is None for axis in "xyz")


def test_without_a_cortex_neither_is_known():
    assert neighbour_pairs(unnamed_voxels(5)) is None and slice_numbers(unnamed_voxels(5), "z") is None
