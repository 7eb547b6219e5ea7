"""Nulls that turn time around in a circle: slow references, and rates of false alarms."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.shifts import circular_cross_correlation, shift_test
from brainlm.simulation.listener import autocorrelate

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def ar1(n_rows: int, n_columns: int, seed: int, coefficient: float = 0.8) -> np.ndarray:
    return autocorrelate(np.random.default_rng(seed).standard_normal((n_rows, n_columns)), coefficient)


@EXAMPLES
@given(n_rows=st.integers(3, 30), seed=st.integers(0, 999))
def test_circular_cross_correlation_turns_the_second_signal(n_rows, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, n_rows, 3))
    by_lag = circular_cross_correlation(x, y)
    expected = [
        [np.corrcoef(x[:, c], np.roll(y[:, c], lag))[0, 1] for c in range(3)] for lag in range(n_rows)
    ]
    np.testing.assert_allclose(by_lag, expected, atol=1e-10)


def test_a_delayed_signal_correlates_at_its_delay():
    # x follows y by 5 rows, so that y must be turned by 5.
    y = np.random.default_rng(0).standard_normal((50, 1))
    by_lag = circular_cross_correlation(np.roll(y, 5, axis=0), y)
    assert by_lag[:, 0].argmax() == 5 and by_lag[5, 0] == pytest.approx(1)


def test_circular_cross_correlation_of_constant_columns_is_nan():
    x, y = np.random.default_rng(0).standard_normal((2, 20, 4))
    x[:, 1], y[:, 2], x[:, 3] = 0.0, 0.1, 1e9
    undefined = np.isnan(circular_cross_correlation(x, y))
    np.testing.assert_array_equal(undefined.all(axis=0), [False, True, True, True])
    np.testing.assert_array_equal(undefined.any(axis=0), [False, True, True, True])


def test_shift_test_by_hand():
    x, y = ar1(40, 5, 0), ar1(40, 5, 1)
    x[:, 0] += y[:, 0]
    test = shift_test(x, y, minimum_shift=6)
    for c in range(5):
        observed = np.corrcoef(x[:, c], y[:, c])[0, 1]
        # From 6 rows one way to 6 rows the other way.
        null = np.array([np.corrcoef(x[:, c], np.roll(y[:, c], lag))[0, 1] for lag in range(6, 35)])
        assert test.correlation[c] == pytest.approx(observed)
        assert test.p_value[c] == pytest.approx((1 + np.sum(null >= observed)) / 30)
        assert test.null_99[c] == pytest.approx(np.quantile(null, 0.99))


def test_smooth_independent_signals_have_uniform_p_values():
    n_columns = 3000
    x, y = ar1(300, n_columns, 0), ar1(300, n_columns, 1)
    p = shift_test(x, y, minimum_shift=10).p_value
    assert np.all((p > 0) & (p <= 1))
    for level in (0.05, 0.2, 0.5, 0.8):
        rate = np.mean(p <= level)
        assert abs(rate - level) < 4 * np.sqrt(level * (1 - level) / n_columns) + 0.01
    # The case is hard: taking rows as independent would call many of these significant.
    naive = scipy.stats.pearsonr(x, y, axis=0, alternative="greater").pvalue
    assert np.mean(naive <= 0.05) > 0.15


def test_correlated_signals_have_the_smallest_p_value():
    y = ar1(300, 50, 0)
    test = shift_test(y + ar1(300, 50, 1) / 3, y, minimum_shift=10)
    # 281 shifts and the unshifted one.
    np.testing.assert_allclose(test.p_value, 1 / 282)
    assert np.all(test.null_99 < test.correlation)


def test_negative_correlation_is_no_agreement():
    y = ar1(300, 20, 0)
    assert np.all(shift_test(-y, y, minimum_shift=10).p_value > 0.9)


def test_undefined_correlations_have_p_value_one():
    x, y = ar1(40, 3, 0), ar1(40, 3, 1)
    x[:, 1] = 2.0
    test = shift_test(x, y, minimum_shift=5)
    assert np.isnan(test.correlation[1]) and np.isnan(test.null_99[1]) and test.p_value[1] == 1
    assert np.isfinite(test.correlation[[0, 2]]).all()


def test_a_shift_test_needs_room_for_a_shift():
    x, y = ar1(20, 2, 0), ar1(20, 2, 1)
    with pytest.raises(InputError, match="20 test TRs leave no circular shift of at least 11"):
        shift_test(x, y, minimum_shift=11)
    # Turned by half a circle it is ten rows away either way: the one shift there is.
    test = shift_test(x, y, minimum_shift=10)
    expected = [np.corrcoef(x[:, c], np.roll(y[:, c], 10))[0, 1] for c in range(2)]
    np.testing.assert_allclose(test.null_99, expected)


def test_rows_of_other_times_are_not_correlated():
    # 10 and 11 rows have as many frequencies.
    x, y = np.zeros((10, 2)), np.zeros((11, 2))
    for compare in (circular_cross_correlation, lambda x, y: shift_test(x, y, minimum_shift=2)):
        with pytest.raises(InputError, match=r"same times .* got \(10, 2\) and \(11, 2\)"):
            compare(x, y)
