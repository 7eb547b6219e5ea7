import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.ceiling import reliability
from brainlm.scores.correlation import is_constant, pearson, pearson_of_sums
from brainlm.scores.matching import activation_correlation
from brainlm.scores.shifts import circular_cross_correlation

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


@EXAMPLES
@given(
    n_rows=st.integers(3, 40),
    n_columns=st.integers(1, 6),
    seed=st.integers(0, 999),
    offset=st.sampled_from([0.0, 1e3, -1e5]),
)
def test_pearson_is_scipys(n_rows, n_columns, seed, offset):
    random = np.random.default_rng(seed)
    x, y = random.standard_normal((2, n_rows, n_columns))
    y = offset + 3 * y + x
    expected = [scipy.stats.pearsonr(x[:, c], y[:, c]).statistic for c in range(n_columns)]
    np.testing.assert_allclose(pearson(x, y), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("error")
def test_pearson_is_nan_for_constant_and_for_incomplete_columns():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 20, 7))
    expected = np.array([np.corrcoef(x[:, c], y[:, c])[0, 1] for c in range(7)])
    x[:, 1] = 0.1
    y[:, 2] = -1e7
    x[3, 3] = np.nan
    y[5, 4] = np.inf
    x[:, 5] = np.nan
    expected[[1, 2, 3, 4, 5]] = np.nan
    np.testing.assert_allclose(pearson(x, y), expected, rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_pearson_takes_any_kind_of_array_and_refuses_what_does_not_fit():
    x, y = np.random.default_rng(0).standard_normal((2, 20, 3))
    expected = pearson(x, y)
    np.testing.assert_allclose(pearson(x.tolist(), torch.from_numpy(y).requires_grad_()), expected)
    for n_rows in (0, 1):
        assert np.isnan(pearson(x[:n_rows], y[:n_rows])).all()
    for wrong in (y[:19], y[:, :1], y[:1]):
        with pytest.raises(InputError, match=r"y must be an array \(20, 3\)"):
            pearson(x, wrong)
    with pytest.raises(InputError, match=r"x must be an array \(time, column\); got \(20,\)"):
        pearson(x[:, 0], y[:, 0])


@EXAMPLES
@given(n_rows=st.integers(1, 60), seed=st.integers(0, 999), offset=st.sampled_from([0.0, 1e2, -1e4]))
def test_sums_over_rows_give_the_same(n_rows, seed, offset):
    x, y = np.random.default_rng(seed).standard_normal((2, n_rows, 4))
    y = offset + 3 * y + x
    x[:, 1], y[:, 2] = 0.1, -1e7
    np.testing.assert_allclose(pearson_of_sums(sums(x, y)), pearson(x, y), rtol=1e-5, atol=1e-6)


# Which columns are constant


def sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    n = np.full(x.shape[1], float(len(x)))
    return np.stack([n, *((values).sum(axis=0) for values in (x, y, x**2, y**2, x * y))])


def with_every_arithmetic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(kind, column) correlations of x with y, and the explainable variance of x and y as hearings."""
    return np.stack(
        [
            pearson(x, y),
            pearson_of_sums(sums(x, y)),
            circular_cross_correlation(x, y)[0],
            activation_correlation(x, y).diagonal(),
            reliability(np.stack([x, y])).explainable_variance,
        ]
    )


@EXAMPLES
@given(
    value=st.floats(-1e100, 1e100).filter(lambda value: value == 0 or abs(value) > 1e-100),
    n_rows=st.sampled_from([3, 7, 50, 1000, 10_001]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_equal_numbers_are_constant_whatever_their_rounding(value, n_rows, dtype):
    column = np.full((n_rows, 1), np.clip(value, -1e30, 1e30) if dtype is np.float32 else value, dtype)
    column = column.astype(float)
    varying = np.random.default_rng(0).standard_normal((n_rows, 1))
    assert np.isnan(with_every_arithmetic(column, varying)).all()
    assert np.isnan(with_every_arithmetic(varying, column)).all()


@EXAMPLES
@given(
    n_rows=st.integers(20, 200), seed=st.integers(0, 999), size=st.sampled_from([1e-50, 1e-6, 1, 1e6, 1e50])
)
def test_a_standard_deviation_of_a_hundred_thousandth_of_the_size_is_none(n_rows, seed, size):
    x, y = np.random.default_rng(seed).standard_normal((2, n_rows, 3))
    values = with_every_arithmetic(size * (1 + 1e-5 * x), y)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[0], pearson(x, y), atol=1e-6)
    assert np.isnan(with_every_arithmetic(size * (1 + 1e-7 * x), y)).all()


def test_the_bound_is_a_millionth_of_the_size():
    squares = np.array([0.0, 1.0, 1.0, 1.0, np.nan, 1.0])
    deviations = np.array([0.0, 0.0, 1e-12, 1.1e-12, 0.0, np.nan])
    assert is_constant(deviations, squares).tolist() == [True, True, True, False, False, False]
