"""Neighbours and slices of a voxel table, against every pair compared."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nilearn.datasets import fetch_surf_fsaverage
from nilearn.surface import load_surf_mesh

from brainlm.cortex.neighbours import neighbour_pairs, slice_numbers
from brainlm.cortex.voxels import read_voxel_table, save_voxel_table, unnamed_voxels, voxel_table

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)


@st.composite
def tables(draw) -> tuple[pd.DataFrame, np.ndarray]:
    """Some voxels of a small volume, any of them left out afterwards, as a model leaves out what is constant."""
    shape = draw(st.tuples(*[st.integers(1, 4)] * 3))
    table = voxel_table(draw(arrays(bool, shape)), {})
    return table, draw(arrays(bool, len(table)))


def pairs_of(table: pd.DataFrame) -> np.ndarray | None:
    """Of all rows."""
    return neighbour_pairs(table, np.ones(len(table), bool))


def slow_pairs(table: pd.DataFrame) -> set[frozenset[int]]:
    places = table[["i", "j", "k"]].to_numpy(int)
    return {
        frozenset((a, b))
        for a, b in itertools.combinations(range(len(places)), 2)
        if np.abs(places[a] - places[b]).sum() == 1
    }


@EXAMPLES
@given(tables())
def test_neighbours_share_a_face_and_each_pair_comes_once(volume):
    table, kept = volume
    pairs = neighbour_pairs(table, kept)
    if not kept.any():
        assert pairs is None
        return
    assert pairs.shape[1] == 2 and pairs.dtype.kind == "i"
    found = [frozenset(pair) for pair in pairs.tolist()]
    assert len(found) == len(set(found)) and set(found) == slow_pairs(table.loc[kept])


def test_a_cube_has_a_pair_a_face_between_voxels():
    # Of 3 x 4 x 5 voxels: 2 x 4 x 5, 3 x 3 x 5 and 3 x 4 x 4 faces.
    assert len(pairs_of(voxel_table(np.ones((3, 4, 5), bool), {}))) == 40 + 45 + 48


@pytest.mark.parametrize(("axis", "number"), [("z", 0), ("y", 1), ("x", 2)])
def test_slices_lie_along_an_axis_of_the_volume(axis, number):
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.5
    expected = np.nonzero(mask)[number]
    np.testing.assert_array_equal(slice_numbers(voxel_table(mask, {}), axis), expected)


def test_places_may_begin_and_jump_anywhere():
    """A table that comes with a dataset may count places as it likes, in any order of its rows."""
    table = voxel_table(np.ones((1, 1, 3), bool), {})
    table["i"] = pd.array([10**15 + 1, 10**15, 7], dtype="Int64")
    assert {frozenset(pair) for pair in pairs_of(table).tolist()} == {frozenset((0, 1))}


def test_columns_at_one_place_are_both_neighbours_of_the_next():
    table = voxel_table(np.ones((1, 1, 3), bool), {})
    table["i"] = pd.array([4, 4, 5], dtype="Int64")
    found = {frozenset(pair) for pair in pairs_of(table).tolist()}
    assert found == {frozenset((0, 2)), frozenset((1, 2))}


@pytest.mark.parametrize("missing", [slice(None), slice(1, 2)])
def test_where_any_place_is_unknown_neither_is_known(tmp_path, missing):
    table = voxel_table(np.ones((2, 2, 2), bool), {})
    table.loc[table.index[missing], ["i", "j", "k"]] = pd.NA
    save_voxel_table(table, tmp_path / "voxels.tsv")
    read = read_voxel_table(tmp_path / "voxels.tsv", 8)
    for of_any in (table, read):
        assert pairs_of(of_any) is None
        assert all(slice_numbers(of_any, axis) is None for axis in "xyz")
    # Volumes that were resampled have no axis of slices.
    assert slice_numbers(voxel_table(np.ones((2, 2, 2), bool), {}), None) is None


def test_without_a_cortex_neither_is_known():
    assert pairs_of(unnamed_voxels(5)) is None and slice_numbers(unnamed_voxels(5), "z") is None


# On surfaces


@pytest.fixture(scope="module")
def surface() -> pd.DataFrame:
    return voxel_table(np.ones((2, 10_242), bool), {})


def test_neighbours_on_a_surface_share_an_edge_of_the_mesh(surface):
    pairs = pairs_of(surface)
    # An icosahedron's mesh of n vertices has 3 (n - 2) edges; twelve vertices have five neighbours, all others six.
    assert len(pairs) == 2 * 3 * (10_242 - 2)
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs)
    counts = np.bincount(pairs.ravel(), minlength=2 * 10_242)
    for of_hemisphere in (counts[:10_242], counts[10_242:]):
        assert np.flatnonzero(of_hemisphere == 5).tolist() == list(range(12)) and set(of_hemisphere) == {5, 6}
    assert ((pairs < 10_242).sum(axis=1) != 1).all()
    # They are near each other in the brain.
    places = np.concatenate(
        [load_surf_mesh(fetch_surf_fsaverage()[f"white_{side}"]).coordinates for side in ("left", "right")]
    )
    assert np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1).max() < 15


def test_fsaverage6_has_neighbours_of_its_own():
    pairs = pairs_of(voxel_table(np.ones((2, 40_962), bool), {}))
    assert len(pairs) == 2 * 3 * (40_962 - 2)


def test_neighbours_on_a_surface_are_counted_among_those_that_are_kept(surface):
    kept = np.random.default_rng(0).random(len(surface)) < 0.5
    voxels = surface["voxel"].to_numpy()[kept]
    found = {frozenset(pair) for pair in voxels[neighbour_pairs(surface, kept)].tolist()}
    everywhere = pairs_of(surface)
    assert found == {frozenset(pair) for pair in everywhere[kept[everywhere].all(axis=1)].tolist()}


def test_there_are_no_slices_on_a_surface(surface):
    assert all(slice_numbers(surface, axis) is None for axis in "xyz")


@pytest.mark.parametrize(
    "change", [lambda t: t.iloc[:-1], lambda t: t.iloc[::-1], lambda t: t.assign(vertex=7)]
)
def test_neighbours_of_vertices_in_another_order_are_not_known(surface, change):
    assert pairs_of(change(surface)) is None


def test_neighbours_are_known_after_reading_a_surface(surface, tmp_path):
    save_voxel_table(surface, tmp_path / "voxels.tsv")
    read = read_voxel_table(tmp_path / "voxels.tsv", len(surface))
    np.testing.assert_array_equal(pairs_of(read), pairs_of(surface))
