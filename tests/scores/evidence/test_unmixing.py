"""Projections without what leaks in from other latents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.correlation import pearson
from brainlm.scores.evidence.unmixing import unmixed

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def source(n_rows: int, n_columns: int, n_latents: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (time, column) and decoder weights (column, latent)."""
    random = np.random.default_rng(seed)
    return random.standard_normal((n_rows, n_columns)), random.standard_normal((n_columns, n_latents))


@EXAMPLES
@given(
    n_columns=st.integers(1, 12),
    n_latents=st.integers(1, 8),
    ridge=st.sampled_from([0.1, 0.3, 1.0]),
    seed=st.integers(0, 999),
)
def test_unmixed_is_the_closed_form(n_columns, n_latents, ridge, seed):
    x, w = source(9, n_columns, n_latents, seed)
    gram = w.T @ w
    expected = x @ w @ np.linalg.inv(gram + ridge * np.mean(np.diag(gram)) * np.eye(n_latents))
    # The ridge bounds the condition of the matrix at a hundred or so.
    np.testing.assert_allclose(unmixed(x @ w, gram, ridge=ridge), expected, rtol=1e-9, atol=1e-12)


def test_codes_come_back_unmixed_where_projections_are_mixed():
    random = np.random.default_rng(0)
    codes = random.standard_normal((500, 2))
    # Two decoder vectors with a cosine of 0.6.
    w = np.array([[1.0, 0.6], [0.0, 0.8], [0.0, 0.0]])
    rows = codes @ w.T
    leak = pearson(rows @ w, codes[:, ::-1])
    assert np.all(leak > 0.5)
    np.testing.assert_allclose(unmixed(rows @ w, w.T @ w, ridge=1e-9), codes, atol=1e-7)
    # The default ridge leaves little of it.
    assert np.all(pearson(unmixed(rows @ w, w.T @ w), codes[:, ::-1]) < 0.7 * leak)


@EXAMPLES
@given(
    factor=st.sampled_from([1e-6, 0.3, 1e5]), ridge=st.sampled_from([0.1, 0.3, 1.0]), seed=st.integers(0, 99)
)
def test_rows_and_weights_times_one_factor_change_nothing(factor, ridge, seed):
    x, w = source(9, 6, 8, seed)
    before = unmixed(x @ w, w.T @ w, ridge=ridge)
    x, w = factor * x, factor * w
    np.testing.assert_allclose(unmixed(x @ w, w.T @ w, ridge=ridge), before, rtol=1e-9, atol=1e-12)


def test_orthogonal_latents_are_scaled_only():
    x, w = source(30, 8, 5, 0)
    w = np.linalg.qr(w)[0] * [1, 2, 3, 4, 5]
    for ridge in (0.1, 0.3, 10):
        np.testing.assert_allclose(pearson(unmixed(x @ w, w.T @ w, ridge=ridge), x @ w), 1)


def test_a_latent_without_weights_says_nothing_and_changes_nothing_of_others():
    x, w = source(9, 6, 4, 0)
    w[:, 2] = 0
    others = [0, 1, 3]
    result = unmixed(x @ w, w.T @ w)
    np.testing.assert_array_equal(result[:, 2], 0)
    # The ridge is λ times the mean over all four.
    alone = unmixed(x @ w[:, others], (w.T @ w)[np.ix_(others, others)], ridge=0.3 * 3 / 4)
    np.testing.assert_allclose(result[:, others], alone)
    np.testing.assert_array_equal(unmixed(np.zeros((9, 4)), np.zeros((4, 4))), np.zeros((9, 4)))
    assert unmixed(np.zeros((9, 0)), np.zeros((0, 0))).shape == (9, 0)


def test_float32_is_computed_in_float64():
    x, w = (values.astype(np.float32) for values in source(9, 6, 4, 0))
    p, gram = x @ w, w.T @ w
    result = unmixed(p, gram)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, unmixed(p.astype(float), gram.astype(float)))


@pytest.mark.parametrize(
    ("projections", "gram", "message"),
    [
        (np.ones((9, 3)), np.eye(4), r"must be an array \(3, 3\); got \(4, 4\)"),
        (np.ones(3), np.eye(3), r"projections must be an array \(time, latent\); got \(3,\)"),
        (np.full((9, 3), np.nan), np.eye(3), "projections holds values that are not finite in 9 rows"),
        (np.ones((9, 3)), np.diag([1, np.inf, 1]), "must be finite"),
        (np.ones((9, 2)), np.array([[1, 2], [3, 4]]), "must be symmetric"),
        (np.ones((9, 2)), np.diag([1, -1]), "must be symmetric, with squared norms"),
    ],
)
def test_what_does_not_fit_is_an_error(projections, gram, message):
    with pytest.raises(InputError, match=message):
        unmixed(projections, gram)


def test_a_ridge_is_positive():
    with pytest.raises(ValueError, match="ridge is 0"):
        unmixed(np.ones((9, 3)), np.eye(3), ridge=0)
