"""Texture of maps: closed forms, a slow reference, and maps of known kinds in a brain of voxels."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.evidence.texture import texture
from brainlm.simulation.maps import stripe_map

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def box(*shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, (voxel, 3), of a box of voxels, pairs of neighbours, and each voxel's slice along the first axis."""
    index = np.arange(np.prod(shape)).reshape(shape)
    pairs = [
        np.stack(
            [np.take(index, range(n - 1), axis).ravel(), np.take(index, range(1, n), axis).ravel()], axis=1
        )
        for axis, n in enumerate(shape)
    ]
    place = np.stack(np.unravel_index(index.ravel(), shape), axis=1)
    return place, np.concatenate(pairs), place[:, 0]


def slow_texture(w, pairs, slice_number, smallest):
    """One map, in plain steps."""
    variation = sum(abs(w[a] - w[b]) for a, b in pairs) / sum(abs(w))
    means, sizes = {}, {}
    for number in sorted(set(slice_number)):
        values = [value for value, s in zip(w, slice_number, strict=True) if s == number]
        if len(values) >= smallest:
            means[number], sizes[number] = np.mean(values), len(values)
    counted = np.array([value for value, s in zip(w, slice_number, strict=True) if s in means])
    total = np.square(counted - counted.mean()).sum()
    share = sum(sizes[k] * (means[k] - counted.mean()) ** 2 for k in means) / total
    mean = np.mean(list(means.values()))
    jumps = sum((means[k] - means[k - 1]) ** 2 for k in means if k - 1 in means)
    return variation, share, jumps / (2 * sum((m - mean) ** 2 for m in means.values()))


@EXAMPLES
@given(n_voxels=st.integers(12, 60), n_latents=st.integers(1, 70), seed=st.integers(0, 999))
def test_texture_is_that_of_plain_steps(n_voxels, n_latents, seed):
    random = np.random.default_rng(seed)
    weights = 0.5 + random.standard_normal((n_voxels, n_latents))
    pairs = random.integers(n_voxels, size=(80, 2))
    # Slices 0, 1, 2 and 4, 5 count, and what lies at 3 and 9 does not.
    drawn = random.choice([0, 1, 2, 4, 5], n_voxels - 12)
    slice_number = np.concatenate([[0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 3, 9], drawn])
    found = texture(weights, pairs, slice_number, smallest_slice=2)
    for i in {0, n_latents // 2, n_latents - 1}:
        expected = slow_texture(weights[:, i], pairs, slice_number, 2)
        np.testing.assert_allclose(
            [found.total_variation[i], found.slice_share[i], found.slice_jumps[i]], expected, rtol=1e-9
        )


@pytest.mark.parametrize("n_slices", [2, 5, 20])
def test_a_gradient_over_slices_has_small_jumps(n_slices):
    place, pairs, slices = box(n_slices, 5, 5)
    found = texture(place[:, :1], pairs, slices)
    # m_k = k: n - 1 jumps of 1, and Σ (m_k - m̄)² = n (n² - 1) / 12.
    np.testing.assert_allclose(found.slice_share, 1)
    np.testing.assert_allclose(found.slice_jumps, 6 / (n_slices * (n_slices + 1)))


def test_slices_in_turn_have_the_largest_jumps():
    place, pairs, slices = box(10, 5, 5)
    found = texture((-1.0) ** place[:, :1], pairs, slices)
    # Nine jumps of 2, and ten deviations of 1; neighbours differ in 225 of pairs by 2, and |w| = 1 in 250 voxels.
    np.testing.assert_allclose(
        [found.slice_share, found.slice_jumps, found.total_variation], [[1], [1.8], [1.8]]
    )


def brain(n_slices: int = 34) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of a ball of voxels, neighbours, slices."""
    shape = np.array([n_slices, 36, 36])
    place, pairs, slices = box(*shape)
    inside = np.square((place - shape / 2) / shape).sum(axis=1) < 1 / 4
    column = np.cumsum(inside) - 1
    return place[inside], column[pairs[inside[pairs].all(axis=1)]], slices[inside]


def maps_of(place: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Maps of known kinds, each with noise of a fifth of its s.d. or of nothing else."""
    random = np.random.default_rng(seed)
    z, y, x = place.T
    distance = np.square(place - [20, 12, 22]).sum(axis=1)
    clean = {
        "stripes": stripe_map(z, 2),
        "front to back": y - y.mean(),
        "bottom to top": z - z.mean(),
        "one hemisphere": (x < x.mean()) * 1.0,
        "blob": np.exp(-distance / 50),
    }
    noisy = {name: m + 0.18 * m.std() * random.standard_normal(m.size) for name, m in clean.items()}
    return noisy | {"noise": random.standard_normal(len(place))}


def test_stripes_are_told_from_all_that_is_smooth_or_noisy():
    place, pairs, slices = brain()
    kinds = maps_of(place)
    along = {axis: texture(np.stack(list(kinds.values()), 1), pairs, place[:, axis]) for axis in range(3)}
    share = {name: along[0].slice_share[i] for i, name in enumerate(kinds)}
    jumps = {name: along[0].slice_jumps[i] for i, name in enumerate(kinds)}
    variation = {name: along[0].total_variation[i] for i, name in enumerate(kinds)}
    assert 0.95 < share["stripes"] < 0.98 and jumps["stripes"] > 0.9
    # Each of these goes along with slices, but smoothly.
    assert share["bottom to top"] > 0.9 and jumps["bottom to top"] < 0.02
    hemisphere = list(kinds).index("one hemisphere")
    assert along[2].slice_share[hemisphere] > 0.9 and along[2].slice_jumps[hemisphere] < 0.12
    front = list(kinds).index("front to back")
    assert along[1].slice_share[front] > 0.9 and along[1].slice_jumps[front] < 0.02
    for name in ("blob", "noise", "front to back", "one hemisphere"):
        assert share[name] < 0.25
    # Noise has more total variation than stripes have: that alone does not tell them.
    assert variation["noise"] > 1.5 * variation["stripes"] > variation["blob"]


def test_a_factor_changes_nothing_and_an_offset_only_total_variation():
    place, pairs, slices = box(6, 5, 5)
    weights = np.random.default_rng(0).standard_normal((len(place), 4))
    one, other, moved = (texture(w, pairs, slices) for w in (weights, -1e-3 * weights, weights + 3))
    for field in ("total_variation", "slice_share", "slice_jumps"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-9)
    np.testing.assert_allclose(one.slice_share, moved.slice_share, rtol=1e-9)
    np.testing.assert_allclose(one.slice_jumps, moved.slice_jumps, rtol=1e-9)
    assert (moved.total_variation < one.total_variation).all()


def test_single_precision_gives_the_same():
    place, pairs, slices = box(6, 5, 5)
    weights = np.random.default_rng(0).standard_normal((len(place), 4)).astype(np.float32)
    one, other = texture(weights, pairs, slices), texture(weights.astype(float), pairs, slices)
    np.testing.assert_array_equal(one.slice_share, other.slice_share)


def test_small_slices_are_left_out_with_their_voxels():
    random = np.random.default_rng(0)
    slice_number = np.repeat([3, 4, 5, 6, 7], [19, 40, 20, 30, 19])
    weights = random.standard_normal((slice_number.size, 5))
    counted = slice_number[:, None] == [4, 5, 6]
    loud = weights + 1000 * ~counted.any(axis=1, keepdims=True)
    found, expected = texture(loud, None, slice_number), texture(weights[19:-19], None, slice_number[19:-19])
    np.testing.assert_allclose(found.slice_share, expected.slice_share)
    np.testing.assert_allclose(found.slice_jumps, expected.slice_jumps)


def test_there_is_no_jump_across_a_slice_that_is_left_out():
    # Means 0, 0, 3, 3 in slices 0, 1 and 3, 4; slice 2 is too small.
    slice_number = np.repeat([0, 1, 2, 3, 4], [20, 20, 3, 20, 20])
    weights = np.repeat([0.0, 0, 7, 3, 3], [20, 20, 3, 20, 20])[:, None]
    assert texture(weights, None, slice_number).slice_jumps[0] == 0
    apart = texture(weights, None, np.repeat([0, 2, 3, 4, 6], [20, 20, 3, 20, 20]))
    assert np.isnan(apart.slice_jumps[0]) and apart.slice_share[0] == pytest.approx(1)


def test_what_is_not_known_is_nan():
    place, pairs, slices = box(6, 5, 5)
    weights = np.random.default_rng(0).standard_normal((len(place), 4))
    nothing = texture(weights, None, None)
    for field in ("total_variation", "slice_share", "slice_jumps"):
        assert np.isnan(getattr(nothing, field)).all()
    whole = texture(weights, pairs, slices)
    only_slices, only_pairs = texture(weights, None, slices), texture(weights, pairs, None)
    np.testing.assert_array_equal(only_slices.slice_share, whole.slice_share)
    np.testing.assert_array_equal(only_pairs.total_variation, whole.total_variation)
    assert np.isnan(only_pairs.slice_jumps).all() and np.isnan(only_slices.total_variation).all()
    assert np.isnan(texture(weights, pairs[:0], None).total_variation).all()
    for few in (texture(weights, None, 0 * slices), texture(weights, None, slices, smallest_slice=26)):
        assert np.isnan(few.slice_share).all() and np.isnan(few.slice_jumps).all()


def test_maps_that_do_not_vary_have_no_share_and_maps_of_zeros_nothing():
    _, pairs, slices = box(6, 5, 5)
    # Every slice has the same values in another order: their means differ by rounding alone.
    random = np.random.default_rng(0)
    values = random.standard_normal(25)
    even_slices = np.concatenate([random.permutation(values) for _ in range(6)])
    found = texture(np.stack([0 * even_slices, 0 * even_slices + 0.1, even_slices + 0.1], 1), pairs, slices)
    assert np.isnan(found.total_variation).tolist() == [True, False, False] and found.total_variation[1] == 0
    assert np.isnan(found.slice_share).tolist() == [True, True, False]
    assert found.slice_share[2] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found.slice_jumps).all()


def test_no_copy_of_all_weights_is_made():
    place, pairs, slices = box(40, 10, 10)
    weights = np.random.default_rng(0).standard_normal((len(place), 512), np.float32)
    tracemalloc.start()
    try:
        texture(weights, pairs, slices)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # 8 MB of weights; differences of 11,000 pairs at 32 latents are 2.8 MB, and a few such arrays live at a time.
    assert weights.nbytes > 8e6 and peak < 14e6


def test_what_does_not_fit_is_refused():
    place, pairs, slices = box(6, 5, 5)
    weights = np.random.default_rng(0).standard_normal((len(place), 4))
    for wrong in (pairs + 1, pairs - 1):
        with pytest.raises(InputError, match="from 0 to 149"):
            texture(weights, wrong, slices)
    for wrong in (pairs[:, 0], pairs.astype(float), pairs.T):
        with pytest.raises(InputError, match=r"\(pair, 2\) whole numbers"):
            texture(weights, wrong, slices)
    for wrong in (slices[:-1], slices + 0.5):
        with pytest.raises(InputError, match="for each of 150 voxels"):
            texture(weights, pairs, wrong)
    weights[3, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        texture(weights, pairs, slices)
