"""Families of tests, and what a small null leaves to be found."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.evidence.significance import resolution, significant

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)


@EXAMPLES
@given(p=st.lists(st.integers(1, 50), max_size=30), rate=st.sampled_from([0.05, 0.1, 0.2]))
def test_significant_is_benjamini_and_hochbergs_procedure(p, rate):
    p = np.array(p) / 50
    ranked = np.sort(p)
    # The largest k with p_(k) <= k rate / m; multiples of 1/50 can equal it.
    below = [k for k in range(1, p.size + 1) if ranked[k - 1] <= k * rate / p.size + 1e-12]
    expected = p <= ranked[below[-1] - 1] if below else np.zeros(p.size, bool)
    np.testing.assert_array_equal(significant(p, rate), expected)


def test_what_is_not_known_counts_as_a_test_but_is_never_significant():
    p = np.array([0.01, np.nan, np.nan, 0.02])
    np.testing.assert_array_equal(significant(p, 0.05), [True, False, False, True])
    np.testing.assert_array_equal(significant(p, 0.03), [False] * 4)
    np.testing.assert_array_equal(significant(p[[0, 3]], 0.03), [True, True])
    assert not significant([np.nan, np.nan], 0.5).any()
    for wrong in ([0.1, 1.1], [-0.1]):
        with pytest.raises(InputError, match="between 0 and 1"):
            significant(wrong, 0.05)


def test_resolution_by_hand():
    # 88 test TRs with 49 shifts, 32 latents: 32 / (0.05 x 50) = 12.8.
    result = resolution(49, 32, 0.05)
    assert result.floor == pytest.approx(1 / 50) and result.n_at_floor == 13


@EXAMPLES
# 83 latents need exactly ten of them: 10 x 0.05 x 166 = 83.
@example(n_shifts=165, n_latents=83, rate=0.05)
@given(
    n_shifts=st.integers(1, 6000), n_latents=st.integers(1, 300), rate=st.sampled_from([0.01, 0.05, 0.1, 0.3])
)
def test_resolution_is_how_many_must_reach_the_floor(n_shifts, n_latents, rate):
    result = resolution(n_shifts, n_latents, rate)
    p = np.ones(n_latents)
    p[: result.n_at_floor - 1] = result.floor
    assert not significant(p, rate).any()
    p[: result.n_at_floor] = result.floor
    assert significant(p, rate).sum() == (result.n_at_floor if result.n_at_floor <= n_latents else 0)
