"""Latents found again in another model: known answers, unrelated models, and a slow reference."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from brainlm.errors import InputError
from brainlm.scores.correlation import pearson
from brainlm.scores.matching import (
    N_CHANCE_SHIFTS,
    Matches,
    activation_correlation,
    match_test,
)
from tests.scores.activity import live, sparse_activity

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def slow_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """numpy's, pair by pair."""
    result = np.full((a.shape[1], b.shape[1]), np.nan)
    for i, j in itertools.product(range(a.shape[1]), range(b.shape[1])):
        if np.ptp(a[:, i]) > 0 and np.ptp(b[:, j]) > 0:
            result[i, j] = np.corrcoef(a[:, i], b[:, j])[0, 1]
    return result


# Correlation


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_array, sparse.coo_array])
def test_correlation_is_that_of_numpy_for_dense_and_sparse_activations(kind):
    a, b = sparse_activity(80, 12, seed=1), -3 * sparse_activity(80, 9, seed=2)
    a[:, 4] = 0
    b[:, 2] = 0.1
    result = activation_correlation(kind(a), kind(b))
    assert result.shape == (12, 9) and result.dtype == np.float64
    np.testing.assert_allclose(result, slow_correlation(a, b), atol=1e-12)
    assert np.isnan(result).sum() == 9 + 12 - 1


VALUES = st.one_of(st.just(0.0), st.integers(-4, 4).map(float), st.floats(-50, 50, width=16))


@EXAMPLES
@given(
    st.tuples(st.integers(2, 9), st.integers(1, 4), st.integers(1, 4)).flatmap(
        lambda n: st.tuples(
            arrays(np.float64, (n[0], n[1]), elements=VALUES),
            arrays(np.float64, (n[0], n[2]), elements=VALUES),
        )
    )
)
def test_correlation_is_that_of_numpy_for_any_numbers(pair):
    # Rounded, because correlations of nearly constant columns are rounding errors.
    a, b = (np.round(values, 2) for values in pair)
    np.testing.assert_allclose(activation_correlation(a, b), slow_correlation(a, b), atol=1e-9)


def test_stored_zeros_and_integers_do_not_matter():
    a = sparse.csr_array(([1, 0, 2, 0], ([0, 1, 2, 3], [0, 0, 1, 1])), shape=(5, 2))
    assert a.nnz == 4
    np.testing.assert_allclose(activation_correlation(a, a), slow_correlation(a.toarray(), a.toarray()))


# Matching


def matches_of(a: np.ndarray, b: np.ndarray, alive_a: np.ndarray, alive_b: np.ndarray) -> Matches:
    return match_test(a, b, alive_a, alive_b, minimum_shift=2)[0].matches


def test_a_permuted_noisy_copy_is_matched_latent_by_latent():
    a = sparse_activity(600, 40, seed=3)
    order = np.random.default_rng(4).permutation(40)
    noise = np.random.default_rng(5).normal(1, 0.2, a.shape)
    b = (a * noise)[:, order]
    matches = matches_of(a, b, live(40), live(40))
    np.testing.assert_array_equal(order[matches.partner], np.arange(40))
    np.testing.assert_allclose(matches.correlation, pearson(a, b[:, matches.partner]))
    assert matches.correlation.min() > 0.9
    of_a, of_b = match_test(a, b, live(40), live(40), minimum_shift=20)
    assert of_a.found.all() and of_b.found.all()


def test_the_sum_of_correlations_is_maximal_not_each_of_them():
    # Both of a's latents are most like b's first; together they do better if the first one yields.
    time = np.arange(400)
    x, y, z = (np.sin(2 * np.pi * f * time / 400) for f in (3, 5, 7))
    a = np.stack([0.9 * x + 0.4 * y, x], axis=1)
    b = np.stack([x, 0.6 * y + z], axis=1)
    matches = matches_of(a, b, live(2), live(2))
    assert matches.partner.tolist() == [1, 0]


def test_the_assignment_is_the_best_of_all():
    a, b = sparse_activity(130, 4, seed=6, k=2), sparse_activity(130, 5, seed=7, k=2)
    correlation = slow_correlation(a, b)
    best = max(
        sum(correlation[i, j] for i, j in enumerate(chosen)) for chosen in itertools.permutations(range(5), 4)
    )
    assert matches_of(a, b, live(4), live(5)).correlation.sum() == pytest.approx(best)


def test_dead_and_constant_latents_are_never_matched():
    a = sparse_activity(400, 10, seed=8)
    b = a.copy()
    b[:, 6] = 0
    alive_a, alive_b = live(10, 2), live(10, 4)
    partner = matches_of(a, b, alive_a, alive_b).partner
    assert partner[2] == -1
    assert not {4, 6} & set(partner)
    # Eight of b's latents remain for nine of a's, and seven have their copy.
    assert np.sum(partner >= 0) == 8
    kept = [0, 1, 3, 5, 7, 8, 9]
    assert partner[kept].tolist() == kept
    of_a, of_b = match_test(a, b, alive_a, alive_b, minimum_shift=10)
    assert np.isnan(of_a.matches.correlation[2]) and np.isnan(of_a.threshold[2])
    for test, unmatched in ((of_a, [2]), (of_b, [4, 6])):
        assert not test.found[unmatched].any() and not test.chance[unmatched].any()
        assert np.isnan(test.threshold[unmatched]).all()
    # A dead latent takes no part in the null either.
    without = match_test(np.delete(a, 2, 1), np.delete(b, 4, 1), live(9), live(9), minimum_shift=10)[0]
    np.testing.assert_allclose(np.delete(of_a.threshold, 2), without.threshold)


@pytest.mark.parametrize(("n_a", "n_b"), [(30, 12), (12, 30)])
def test_models_of_different_size_share_their_common_latents(n_a, n_b):
    everything = sparse_activity(800, 30, seed=9)
    a, b = everything[:, :n_a], everything[:, :n_b]
    of_a, of_b = match_test(a, b, live(n_a), live(n_b), minimum_shift=20)
    for test, n_latents in ((of_a, n_a), (of_b, n_b)):
        expected = np.where(np.arange(n_latents) < 12, np.arange(n_latents), -1)
        np.testing.assert_array_equal(test.matches.partner, expected)
        np.testing.assert_array_equal(test.found, expected >= 0)


def test_nothing_is_matched_where_no_latent_is_live():
    a, b = sparse_activity(200, 6, seed=10), sparse_activity(200, 5, seed=11)
    of_a, of_b = match_test(a, b, live(6), ~live(5), minimum_shift=5)
    for test in (of_a, of_b):
        assert (test.matches.partner == -1).all() and not test.found.any()
        assert np.isnan(test.threshold).all()


@EXAMPLES
@given(st.permutations(range(8)), st.integers(0, 50))
def test_permuting_latents_permutes_the_matches(order, seed):
    a, b = sparse_activity(130, 6, seed=seed), sparse_activity(130, 8, seed=seed + 100)
    alive_a, alive_b = live(6, 1), live(8, 5)
    matches = matches_of(a, b, alive_a, alive_b)
    permuted = matches_of(a, b[:, order], alive_a, alive_b[order])
    np.testing.assert_allclose(permuted.correlation, matches.correlation, atol=1e-12)
    matched = matches.partner >= 0
    np.testing.assert_array_equal(permuted.partner >= 0, matched)
    np.testing.assert_array_equal(np.array(order)[permuted.partner[matched]], matches.partner[matched])


# What is found again by chance


def test_latents_of_unrelated_models_are_found_again_in_one_of_a_hundred():
    found, chance = [], []
    for seed in range(12):
        a, b = sparse_activity(640, 64, seed=seed), sparse_activity(640, 64, seed=1000 + seed)
        for test in match_test(a, b, live(64), live(64), minimum_shift=20, seed=seed):
            found.append(test.found.mean())
            chance.append(test.chance.mean())
    assert 0.002 < np.mean(found) < 0.016
    assert 0.004 < np.mean(chance) < 0.014


def test_the_null_is_of_the_highest_correlation_with_any_latent():
    a, b = sparse_activity(150, 5, seed=12), sparse_activity(150, 7, seed=13)
    threshold = match_test(a, b, live(5), live(7), minimum_shift=10)[0].threshold
    # There are 131 shifts, fewer than are wanted; the null's highest maximum is the threshold, so that only
    # the further shifts' can lie above.
    maxima = np.array(
        [slow_correlation(a, np.roll(b, shift, axis=0)).max(axis=1) for shift in range(10, 141)]
    )
    assert np.isclose(maxima, threshold, atol=1e-12).any(axis=0).all()
    assert ((maxima > threshold + 1e-9).sum(axis=0) <= N_CHANCE_SHIFTS).all()


def test_chance_is_measured_at_shifts_that_the_null_has_not_seen():
    # With 99 shifts in the null none of its own maxima exceeds the threshold.
    chance = []
    for seed in range(8):
        a, b = sparse_activity(158, 40, seed=seed), sparse_activity(158, 40, seed=2000 + seed)
        chance += [test.chance.mean() for test in match_test(a, b, live(40), live(40), minimum_shift=20)]
    assert 0.003 < np.mean(chance) < 0.017


def test_found_means_that_the_partner_exceeds_the_threshold():
    a = sparse_activity(400, 20, seed=14)
    b = np.where(np.arange(20) < 10, a, sparse_activity(400, 20, seed=15))
    of_a = match_test(a, b, live(20), live(20), minimum_shift=20)[0]
    np.testing.assert_array_equal(of_a.found, of_a.matches.correlation > of_a.threshold)
    assert of_a.found[:10].all() and of_a.found[10:].sum() <= 1
    assert (of_a.threshold > 0).all() and (of_a.chance < 0.3).all()


def test_opposite_latents_are_not_found_again():
    a = sparse_activity(400, 10, seed=16)
    of_a, of_b = match_test(a, -a, live(10), live(10), minimum_shift=20)
    assert not of_a.found.any() and not of_b.found.any()


def test_the_seed_moves_the_shifts_and_nothing_else():
    a, b = sparse_activity(500, 10, seed=17), sparse_activity(500, 10, seed=18)
    one, again, other = (
        match_test(a, b, live(10), live(10), minimum_shift=20, seed=seed)[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.threshold, again.threshold)
    assert not np.array_equal(one.threshold, other.threshold)
    np.testing.assert_array_equal(one.matches.partner, other.matches.partner)


def test_either_model_can_come_first():
    a, b = sparse_activity(500, 12, seed=19), sparse_activity(500, 9, seed=20)
    b[:, :4] = a[:, 3:7]
    (a_in_b, b_in_a), (b_in_a_too, a_in_b_too) = (
        match_test(a, b, live(12), live(9), minimum_shift=20),
        match_test(b, a, live(9), live(12), minimum_shift=20),
    )
    for one, other in ((a_in_b, a_in_b_too), (b_in_a, b_in_a_too)):
        np.testing.assert_array_equal(one.matches.partner, other.matches.partner)
    matched = np.flatnonzero(a_in_b.matches.partner >= 0)
    np.testing.assert_array_equal(b_in_a.matches.partner[a_in_b.matches.partner[matched]], matched)


@pytest.mark.parametrize("n_times", [0, 39, 157])
def test_too_few_trs_for_the_null_are_an_error(n_times):
    a = sparse_activity(n_times, 6, seed=21) if n_times else np.zeros((0, 6))
    with pytest.raises(InputError, match=f"{n_times} test TRs leave .*the minimum shift"):
        match_test(a, a, live(6), live(6), minimum_shift=20)


def test_as_few_trs_as_the_null_needs_are_enough():
    a = sparse_activity(158, 6, seed=22)
    assert match_test(a, a, live(6), live(6), minimum_shift=20)[0].found.all()
