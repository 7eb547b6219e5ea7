"""Nuisances taken out by least squares, story by story."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.evidence.nuisances import fit_nuisances

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def least_squares_residual(train, test):
    """What is left of test values after a regression with intercept over training rows; slow and simple."""
    (y, x), (y_test, x_test) = train, test
    # Standardized, or columns of another unit than the intercept would be taken for collinear.
    mean, scale = x.mean(axis=0), x.std(axis=0)
    design, design_test = (np.column_stack([np.ones(len(of)), (of - mean) / scale]) for of in (x, x_test))
    return y_test - design_test @ np.linalg.lstsq(design, y, rcond=1e-8)[0]


def in_stories(values, nuisances, edges):
    return zip(np.split(values, edges), np.split(nuisances, edges), strict=True)


@EXAMPLES
@given(
    edges=st.lists(st.integers(0, 120), max_size=6).map(sorted),
    n_nuisances=st.integers(1, 12),
    offset=st.sampled_from([0.0, 1e3, -1e5]),
    unit=st.sampled_from([1.0, 1e-4, 1e5]),
    seed=st.integers(0, 999),
)
def test_story_by_story_is_least_squares_over_all_rows(edges, n_nuisances, offset, unit, seed):
    random = np.random.default_rng(seed)
    x, x_test = unit * (random.standard_normal((2, 120, n_nuisances)) + offset)
    y, y_test = random.standard_normal((2, 120, 3)) - offset
    y += (x - x.mean(axis=0)) @ random.standard_normal((n_nuisances, 3)) / unit
    fit = fit_nuisances(in_stories(y, x, edges))
    expected = least_squares_residual((y, x), (y_test, x_test))
    # Deviations from a mean of 1e5 are known to 1e-11, and collinear by chance are few of them.
    np.testing.assert_allclose(fit.residual(y_test, x_test), expected, atol=1e-7)


@EXAMPLES
@given(seed=st.integers(0, 999), dtype=st.sampled_from([np.float32, np.float64]))
def test_columns_that_others_add_up_to_change_nothing(seed, dtype):
    random = np.random.default_rng(seed)
    x = (random.standard_normal((200, 3)) + 20).astype(dtype)
    y = random.standard_normal((200, 4)) + x @ random.standard_normal((3, 4))
    collinear = np.column_stack([x, x[:, 0], x[:, 0] + 2 * x[:, 1], -3 * x[:, 2] + 7])
    plain, fit = fit_nuisances([(y, x)]), fit_nuisances([(y, collinear)])
    # Sums of numbers of about 20 in float32 are off by some 1e-6.
    np.testing.assert_allclose(fit.residual(y, collinear), plain.residual(y, x), atol=1e-4)
    assert np.abs(fit.coefficients).max() < 20


def test_residuals_over_training_rows_follow_no_nuisance():
    random = np.random.default_rng(0)
    x = random.standard_normal((300, 5))
    y = x @ random.standard_normal((5, 4)) + random.standard_normal((300, 4))
    residual = fit_nuisances([(y, x)]).residual(y, x)
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(x.T @ residual, 0, atol=1e-10)


def test_constant_nuisances_are_left_out_and_an_all_zero_one_changes_nothing():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((120, 2)), random.standard_normal((120, 3))
    plain = fit_nuisances([(y, x)])
    with_constants = np.column_stack([np.zeros(120), x, np.full(120, 0.1)])
    fit = fit_nuisances(in_stories(y, with_constants, [50, 70]))
    np.testing.assert_array_equal(fit.kept, [False, True, True, False])
    np.testing.assert_allclose(fit.residual(y, with_constants), plain.residual(y, x), atol=1e-12)
    # A column that is constant in training has no weight in the test, whatever it does there.
    elsewhere = with_constants + [5, 0, 0, 1e6]
    np.testing.assert_array_equal(fit.residual(y, elsewhere), fit.residual(y, with_constants))


def test_constant_within_every_story_is_not_constant():
    story_number = np.repeat([1.0, 2.0, 4.0], 40)[:, None]
    y = 3 * story_number + 1
    fit = fit_nuisances(in_stories(y, story_number, [40, 80]))
    assert fit.kept.all()
    np.testing.assert_allclose(fit.residual(y, story_number), 0, atol=1e-12)


@pytest.mark.parametrize("nuisances", [np.zeros((30, 0)), np.zeros((30, 2))])
def test_without_nuisances_the_mean_is_taken_out(nuisances):
    y = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    residual = fit_nuisances([(y, nuisances)]).residual(y + 1, nuisances)
    assert residual.dtype == np.float64
    np.testing.assert_allclose(residual, y + 1 - y.mean(axis=0, dtype=float))


def test_a_tenth_as_many_nuisances_as_training_rows():
    random = np.random.default_rng(0)
    y, x = random.standard_normal((49, 2)), random.standard_normal((49, 5))
    fit_nuisances([(y, np.column_stack([x[:, :4], np.zeros(49)]))])
    with pytest.raises(InputError, match=r"5 nuisances .* over 49 held-out TRs, which allow 4 \(a tenth\)"):
        fit_nuisances(in_stories(y, x, [20]))


def test_what_does_not_fit_is_an_error():
    y, x = np.random.default_rng(0).standard_normal((2, 40, 3))
    fit = fit_nuisances([(y, x)])
    lost = x.copy()
    lost[4, 1] = np.nan
    for faulty, message in [
        ([], "there are none"),
        ([(y[:0], x[:0])], "there are none"),
        ([(y, x[:39])], "story 0 .* same TRs; got 40 and 39"),
        ([(y, x), (y, x[:, :2])], r"nuisances of held-out story 1 .* \(time, 3\); got \(40, 2\)"),
        ([(y, x), (y[:, :2], x)], r"values of held-out story 1 .* \(time, 3\); got \(40, 2\)"),
        ([(y, x), (y, lost)], "nuisances of held-out story 1 .* not finite in 1 row"),
        ([(lost, x)], "values of held-out story 0 .* not finite"),
    ]:
        with pytest.raises(InputError, match=message):
            fit_nuisances(faulty)
    with pytest.raises(InputError, match="Nuisance 'pitch' of held-out story 1 .* not finite"):
        fit_nuisances([(y, x), (y, lost)], names=["words", "pitch", "letters"])
    with pytest.raises(InputError, match="3 nuisances .* have 2 names"):
        fit_nuisances([(y, x)], names=["words", "pitch"])
    for values, nuisances in [(y, x[:, :2]), (y[:, :2], x), (y, x[:5]), (y, lost), (lost, x)]:
        with pytest.raises(InputError):
            fit.residual(values, nuisances)
