"""Stories swapped: all the swaps that there are, each as likely as any other, and their correlations by hand."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.correlation import pearson
from brainlm.scores.evidence.swaps import draw_swaps, swap_correlations

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def all_swaps(tests, pool):
    """By trying every choice of stories."""
    return {
        chosen
        for chosen in permutations(range(len(pool)), len(tests))
        if all(pool[story] != own for story, own in zip(chosen, tests, strict=True))
    }


@EXAMPLES
@given(tests=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), others=st.text("abxy", max_size=3))
def test_all_swaps_are_given_where_there_are_few(tests, others):
    pool = [*tests, *others]
    swaps = draw_swaps(tests, pool, n_swaps=10_000)
    assert swaps.shape == (len(all_swaps(tests, pool)), len(tests)) and swaps.dtype.kind == "i"
    assert set(map(tuple, swaps.tolist())) == all_swaps(tests, pool)


@pytest.mark.parametrize(
    ("n_tests", "n_others", "n_all"),
    [
        # Derangements of five, and what three more stories to choose from make of them.
        (5, 0, 44),
        (5, 3, 3539),
        (1, 0, 0),
        (2, 0, 1),
    ],
)
def test_how_many_swaps_there_are(n_tests, n_others, n_all):
    swaps = draw_swaps(range(n_tests), range(n_tests + n_others), n_swaps=5000)
    assert swaps.shape == (n_all, n_tests)


@pytest.mark.parametrize(
    ("tests", "pool"),
    [
        (range(17), range(25)),
        # Ten halves of one recording for ten of another: of 2e18 orders of the pool 5 in a million are allowed.
        ("a" * 10 + "b" * 10, "a" * 10 + "b" * 10),
        ("aaabbccccddeeeeefff", "aaabbccccddeeeeefffabcxyz"),
    ],
)
def test_many_swaps_are_drawn_different_and_allowed(tests, pool):
    swaps = draw_swaps(tests, pool)
    tests, pool = np.array(list(tests)), np.array(list(pool))
    assert swaps.shape == (999, len(tests))
    assert len(set(map(tuple, swaps.tolist()))) == 999
    assert all(len(set(swap)) == len(tests) for swap in swaps.tolist())
    assert not (pool[swaps] == tests).any()


def test_nearly_all_swaps_are_drawn_as_quickly():
    swaps = draw_swaps(range(5), range(8), n_swaps=3538)
    assert len(set(map(tuple, swaps.tolist()))) == len(swaps) == 3538


def test_a_seed_gives_the_same_swaps_and_another_others():
    first, again, other = (draw_swaps(range(6), range(9), seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_every_swap_is_as_likely():
    tests, pool = "abcc", "abccd"
    every = all_swaps(tests, pool)
    counts = Counter(
        tuple(swap) for seed in range(1500) for swap in draw_swaps(tests, pool, n_swaps=2, seed=seed).tolist()
    )
    assert set(counts) == every
    # Two different ones a draw vary less than two independent ones would: the test is conservative in that.
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.001


def test_the_pool_begins_with_the_test_stories():
    for pool in ("ba", "a", ""):
        with pytest.raises(InputError, match="must begin with the test stories"):
            draw_swaps("ab", pool)


# Correlations


@pytest.fixture(scope="module")
def case():
    """Four test stories and two others of different lengths; latent 3 is constant in the brain, 4 in the LM."""
    random = np.random.default_rng(0)
    lengths = [30, 12, 25, 7, 40, 9]
    brain = [random.standard_normal((n, 5)) + random.standard_normal(5) for n in lengths[:4]]
    lm = [random.standard_normal((n, 5)) + random.standard_normal(5) for n in lengths]
    for rows in brain:
        rows[:, 3] = 0.1
    for rows in lm:
        rows[:, 4] = -1e7
    return brain, lm, draw_swaps(range(4), range(6), n_swaps=60)


def by_concatenation(brain, lm, swaps):
    result = []
    for swap in swaps:
        lengths = [min(len(rows), len(lm[story])) for rows, story in zip(brain, swap, strict=True)]
        x = np.concatenate([rows[:n] for rows, n in zip(brain, lengths, strict=True)])
        y = np.concatenate([lm[story][:n] for story, n in zip(swap, lengths, strict=True)])
        result.append(pearson(x, y))
    return np.array(result)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_sums_of_stories_give_the_correlation_of_all_rows(case, offset):
    brain, lm, swaps = case
    brain = [rows + offset for rows in brain]
    result = swap_correlations(brain, lm, swaps)
    np.testing.assert_allclose(result, by_concatenation(brain, lm, swaps), atol=1e-9)
    np.testing.assert_array_equal(np.isnan(result).all(axis=0), [False, False, False, True, True])
    assert np.isfinite(result[:, :3]).all()


def test_a_latent_that_is_constant_in_the_swapped_rows_alone_has_no_correlation(case):
    brain, lm, _ = case
    lm = [rows.copy() for rows in lm]
    for story in (1, 3):
        lm[story][:, 0] = 0.3
    swaps = np.array([[1, 3, 1, 1], [3, 1, 3, 1], [1, 0, 3, 2]])
    result = swap_correlations(brain, lm, swaps)
    np.testing.assert_array_equal(np.isnan(result[:, 0]), [True, True, False])
    np.testing.assert_allclose(result, by_concatenation(brain, lm, swaps), atol=1e-9)


def test_a_standard_deviation_of_less_than_a_millionth_of_the_size_is_none(case):
    brain, lm, swaps = case
    brain = [1e3 * (1 + rows * [1e-5, 1e-7, 1, 1, 1]) for rows in brain]
    result = swap_correlations(brain, lm, swaps)
    np.testing.assert_array_equal(np.isnan(result).all(axis=0), [False, True, False, True, True])
    np.testing.assert_allclose(result, by_concatenation(brain, lm, swaps), atol=1e-6)


def test_float32_rows_are_summed_in_float64(case):
    brain, lm, swaps = case
    brain, lm = ([rows.astype(np.float32) for rows in of] for of in (brain, lm))
    result = swap_correlations(brain, lm, swaps)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, by_concatenation(brain, lm, swaps), atol=1e-9)


def test_rows_that_do_not_fit_are_an_error(case):
    brain, lm, swaps = case
    lost = brain[1].copy()
    lost[3] = np.nan
    for faulty_brain, faulty_lm, message in [
        ([], lm, "0 test stories"),
        (brain, lm[:3], "4 test stories of the brain need theirs of the LM; got 3"),
        (brain, [lm[0][:5], *lm[1:]], "Test story 0 .* 30 rows of the brain, but 5 of the LM"),
        (brain, [*lm[:5], lm[5][:, :4]], r"LM's story 5 .* \(time, 5\); got \(9, 4\)"),
        (brain, [*lm[:5], lm[5][:0]], "LM's story 5 .* has no rows"),
        ([brain[0], lost, *brain[2:]], lm, "brain's story 1 .* not finite in 1 row"),
    ]:
        with pytest.raises(InputError, match=message):
            swap_correlations(faulty_brain, faulty_lm, swaps)
    for wrong in (swaps[:, :3], swaps + 0.0, swaps[0]):
        with pytest.raises(InputError, match=r"numbers \(swap, 4\)"):
            swap_correlations(brain, lm, wrong)
    for wrong in (swaps - 1, swaps + 1):
        with pytest.raises(InputError, match="number 6 stories from 0"):
            swap_correlations(brain, lm, wrong)
    assert swap_correlations(brain, lm, swaps[:0]).shape == (0, 5)
