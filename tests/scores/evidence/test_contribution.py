"""Contributions against reconstructions without the latent, and their intervals against repeated draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError, TooLittleDataError
from brainlm.scores.evidence.contribution import (
    Contribution,
    contributes,
    contribution,
    relative_contribution,
    residual_projection,
)
from brainlm.simulation.listener import autocorrelate

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def rows_and_code(lengths, width=7, n_latents=9, seed=0):
    """X (time, width), W (width, latent), Z (time, latent) of few active latents, and each row's story."""
    random = np.random.default_rng(seed)
    n_rows = sum(lengths)
    x, w = 3 + random.standard_normal((n_rows, width)), random.standard_normal((width, n_latents))
    z = random.standard_normal((n_rows, n_latents)) * (random.random((n_rows, n_latents)) < 0.3)
    return x, w, z, np.repeat(np.arange(len(lengths)), lengths)


def contribution_of(x, w, z, story, **settings) -> Contribution:
    gram = w.T @ w
    total = np.square(x - x.mean(axis=0)).sum()
    return contribution(z, residual_projection(x @ w, z, gram), np.diag(gram), story, total, **settings)


def slow_percent(x, w, z):
    """Reconstruct twice, with the latent's term and without it, and compare squared errors."""
    fitted, total = z @ w.T, np.square(x - x.mean(axis=0)).sum()
    error = np.square(x - fitted).sum()
    without = [np.square(x - (fitted - np.outer(z[:, i], w[:, i]))).sum() for i in range(w.shape[1])]
    return 100 * (np.array(without) - error) / total


@EXAMPLES
@given(
    lengths=st.lists(st.integers(1, 15), min_size=2, max_size=4),
    n_latents=st.integers(1, 12),
    block=st.integers(1, 20),
    seed=st.integers(0, 999),
)
def test_a_contribution_is_what_reconstruction_loses_without_the_latent(lengths, n_latents, block, seed):
    x, w, z, story = rows_and_code(lengths, n_latents=n_latents, seed=seed)
    found = contribution_of(x, w, z, story, block=block, n_bootstraps=2)
    np.testing.assert_allclose(found.percent, slow_percent(x, w, z), rtol=1e-9, atol=1e-9)


def test_a_contribution_by_hand():
    # x = 2, 0; the latent reconstructs 1, 0: without it, the squared error grows from 1 to 4, of a variance of 2.
    found = contribution([[1.0], [0.0]], [[1.0], [0.0]], [1.0], [0, 1], 2.0, block=5)
    np.testing.assert_allclose(found.percent, [150])


def test_a_latent_that_is_active_in_no_row_contributes_nothing():
    x, w, z, story = rows_and_code([30, 30])
    z[:, 4] = 0
    found = contribution_of(x, w, z, story, block=10)
    assert found.percent[4] == found.low[4] == found.high[4] == 0
    assert not contributes(found)[4] and np.isnan(relative_contribution(found, found)[4])


def test_a_latent_that_fires_without_a_reason_makes_it_worse():
    x, w, z, story = rows_and_code([300])
    z *= 3
    found = contribution_of(x, w, z, story, block=10)
    assert (found.percent < 0).all() and (found.high < 0).all() and not contributes(found).any()


@pytest.mark.parametrize("factor", [1e-4, 30.0])
def test_a_factor_of_rows_and_decoder_changes_nothing(factor):
    x, w, z, story = rows_and_code([40, 25])
    one, other = (contribution_of(f * x, f * w, z, story, block=8) for f in (1, factor))
    for field in ("percent", "low", "high"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-8, atol=1e-9)


def test_a_rotation_of_the_source_changes_nothing():
    x, w, z, story = rows_and_code([40, 25])
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((7, 7)))[0]
    one, other = (contribution_of(x @ q, q.T @ w, z, story, block=8) for q in (np.eye(7), rotation))
    for field in ("percent", "low", "high"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-8, atol=1e-9)


def test_intervals_are_those_of_blocks_drawn_one_by_one():
    lengths, block = [23, 8, 41], 10
    x, w, z, story = rows_and_code(lengths)
    found = contribution_of(x, w, z, story, block=block, n_bootstraps=4000)
    gram, total = w.T @ w, np.square(x - x.mean(axis=0)).sum()
    growth = 100 / total * (2 * z * residual_projection(x @ w, z, gram) + z**2 * np.diag(gram))
    # 23 rows are blocks of 10, 10 and 3; 8 are one; 41 are four and a row.
    blocks = np.split(growth, [10, 20, 23, 31, 41, 51, 61, 71])
    assert found.n_blocks == len(blocks) == 9
    random = np.random.default_rng(5)
    drawn = [
        np.concatenate([blocks[i] for i in random.integers(9, size=9)]).mean(axis=0) * len(growth)
        for _ in range(4000)
    ]
    # Ends of 4000 draws each: the s.e. of a 2.5th percentile is about 0.04 s.d. of the bootstraps.
    slack = 0.2 * np.std(drawn, axis=0)
    assert (np.abs(found.low - np.percentile(drawn, 2.5, axis=0)) < slack).all()
    assert (np.abs(found.high - np.percentile(drawn, 97.5, axis=0)) < slack).all()


def test_blocks_of_equal_rows_leave_no_doubt_however_uneven_they_are():
    # Every row says the same, so that only the blocks' lengths could make the bootstraps differ.
    n_rows = 37
    ones, story = np.ones((n_rows, 1)), np.repeat([0, 1], [20, 17])
    found = contribution(ones, ones, [1.0], story, 222.0, block=6)
    np.testing.assert_allclose([found.percent, found.low, found.high], 50, rtol=1e-12)


def test_about_95_percent_of_intervals_hold_the_truth():
    # Mean growth is 2 * 0.1 in every row: the truth is that of endless rows; smooth in time, as responses are.
    n_rows, n_latents = 600, 800
    residual = 0.1 + autocorrelate(np.random.default_rng(2).standard_normal((n_rows, n_latents)), 0.6)
    z = np.ones_like(residual)
    found = contribution(
        z, residual, np.zeros(n_latents), np.repeat(np.arange(4), 150), 200.0 * n_rows, block=15
    )
    coverage = np.mean((found.low < 0.1) & (found.high > 0.1))
    # Percentile intervals of 40 blocks are a little too narrow.
    assert 0.9 < coverage < 0.97
    single_rows = contribution(
        z, residual, np.zeros(n_latents), np.repeat(np.arange(4), 150), 200.0 * n_rows, block=1
    )
    assert np.mean((single_rows.low < 0.1) & (single_rows.high > 0.1)) < 0.75


def test_the_same_seed_gives_the_same_interval():
    x, w, z, story = rows_and_code([60, 40])
    one, same, other = (contribution_of(x, w, z, story, block=7, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.low, same.low)
    assert (one.low != other.low).any() and (one.percent == other.percent).all()


def of(*percent: float) -> Contribution:
    values = np.array(percent)
    return Contribution(values, values - 1, values + 1, 10)


def test_relative_contribution_by_hand():
    q = relative_contribution(of(2, 1, 3, -1, 0, -4), of(1, 2, -5, 2, 0, -1))
    np.testing.assert_allclose(q, [0.5, -0.5, 1, -1, np.nan, np.nan])


def test_a_latent_contributes_where_its_whole_interval_is_above_zero():
    assert contributes(of(2, 1, 0.5, -3)).tolist() == [True, False, False, False]


def test_one_block_tells_nothing_of_other_times():
    x, w, z, story = rows_and_code([30])
    with pytest.raises(TooLittleDataError, match=r"30 test TRs make 1 block\(s\) of 30 TRs"):
        contribution_of(x, w, z, story, block=30)
    assert contribution_of(x, w, z, story, block=29).n_blocks == 2


def test_what_does_not_fit_is_refused():
    x, w, z, story = rows_and_code([20, 20])
    gram = w.T @ w
    r, norms = residual_projection(x @ w, z, gram), np.diag(gram)
    with pytest.raises(InputError, match=r"residuals .*\(40, 9\)"):
        contribution(z, r[1:], norms, story, 1.0, block=5)
    with pytest.raises(InputError, match=r"squared norms .*\(9,\)"):
        contribution(z, r, norms[:-1], story, 1.0, block=5)
    with pytest.raises(InputError, match="40 rows of activations, but stories of"):
        contribution(z, r, norms, story[:-1], 1.0, block=5)
    for total in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="share of the source's variance"):
            contribution(z, r, norms, story, total, block=5)
    lost = z.copy()
    lost[7, 2] = np.nan
    with pytest.raises(InputError, match="not finite in 1 row"):
        contribution(lost, r, norms, story, 1.0, block=5)
    with pytest.raises(InputError, match=r"Gram matrix .*\(9, 9\)"):
        residual_projection(x @ w, z, gram[:, :-1])
    with pytest.raises(InputError, match=r"activations .*\(40, 9\)"):
        residual_projection(x @ w, z[:-1], gram)
    with pytest.raises(InputError, match="9 and 2 of them"):
        relative_contribution(contribution_of(x, w, z, story, block=5), of(1, 2))
