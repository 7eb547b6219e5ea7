import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization
from brainlm.scores.latents import (
    CLASSES,
    agreement,
    agreement_test,
    circular_cross_correlation,
    class_shares,
    classify,
    density,
    false_discovery_control,
    pearson,
    relative_difference,
    shift_test,
)
from brainlm.simulation.listener import autocorrelate

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def ar1(n_rows: int, n_columns: int, seed: int, coefficient: float = 0.8) -> np.ndarray:
    return autocorrelate(np.random.default_rng(seed).standard_normal((n_rows, n_columns)), coefficient)


# Whose is a latent


def test_relative_difference_by_hand():
    r = relative_difference(np.array([1, 0, 3, 2, 1, 0]), np.array([1, 2, 0, 1, 4, 0]))
    np.testing.assert_allclose(r, [0, -1, 1, 0.5, -0.75, np.nan])


@EXAMPLES
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_relative_difference_is_antisymmetric_and_bounded(norms):
    brain, lm = np.array(norms).T
    r = relative_difference(brain, lm)
    np.testing.assert_array_equal(r, -relative_difference(lm, brain))
    defined = (brain > 0) | (lm > 0)
    np.testing.assert_array_equal(np.isnan(r), ~defined)
    assert np.all(np.abs(r[defined]) <= 1)


def test_classes_exclude_their_bounds():
    above = np.nextafter
    r = [
        0.2,
        above(0.2, 0),
        -0.2,
        above(-0.2, 0),
        0.5,
        above(0.5, 1),
        -0.5,
        above(-0.5, -1),
        0,
        1,
        -1,
        0.35,
        np.nan,
    ]
    assert classify(np.array(r)).tolist() == [
        "between",
        "shared",
        "between",
        "shared",
        "between",
        "brain-dominant",
        "between",
        "lm-dominant",
        "shared",
        "brain-dominant",
        "lm-dominant",
        "between",
        "undefined",
    ]


def test_class_shares_are_of_live_latents():
    classes = np.array(["shared", "shared", "between", "brain-dominant", "undefined"])
    shares = class_shares(classes, np.array([True, False, True, True, True]))
    assert shares == {
        "shared": 0.25,
        "brain-dominant": 0.25,
        "lm-dominant": 0.0,
        "between": 0.25,
        "undefined": 0.25,
    }
    nobody = class_shares(classes, np.zeros(5, bool))
    assert set(nobody) == set(CLASSES) and all(np.isnan(share) for share in nobody.values())


@pytest.mark.parametrize(
    ("brain", "lm", "message"),
    [
        ([1, 2], [1], r"same latents; got \(2,\) and \(1,\)"),
        ([1, -2], [1, 2], "never negative"),
        (["a"], [1], "brain's decoder vectors must be an array of real numbers; got text"),
        ([1], None, "LM's decoder vectors must be an array of real numbers; got NoneType"),
    ],
)
def test_norms_that_cannot_be_compared_are_an_error(brain, lm, message):
    with pytest.raises(InputError, match=message):
        relative_difference(brain, lm)


def test_norms_and_r_come_in_any_kind_of_array():
    norms = torch.tensor([3.0, 1.0], requires_grad=True)
    r = relative_difference(norms, [3, 4])
    np.testing.assert_allclose(r, [0, -0.75])
    assert (
        classify(torch.from_numpy(r)).tolist() == classify(r.tolist()).tolist() == ["shared", "lm-dominant"]
    )
    with pytest.raises(InputError, match="r must be an array of real numbers; got text"):
        classify(["0.1"])


# Correlation


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


# Circular shifts


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


@EXAMPLES
@given(
    p=st.lists(st.floats(0, 1), max_size=40).map(np.array)
    | st.lists(st.sampled_from([0.001, 0.01, 0.04, 0.2])).map(np.array),
    level=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_discoveries_are_those_of_scipy(p, level):
    found = false_discovery_control(p, level)
    assert found.shape == p.shape and found.dtype == bool
    if p.size:
        adjusted = scipy.stats.false_discovery_control(p)
        # At the level itself rounding may decide either way.
        clear = np.abs(adjusted - level) > 1e-12
        np.testing.assert_array_equal(found[clear], (adjusted <= level)[clear])


def test_discoveries_by_hand():
    # Limits at 5 %: 0.01, 0.02, 0.03, 0.04, 0.05. The third fails its own but the fourth passes.
    found = false_discovery_control(np.array([0.5, 0.04, 0.031, 0.001, 0.019]), 0.05)
    assert found.tolist() == [False, True, True, True, True]


# Agreement


@pytest.fixture(scope="module")
def planted():
    """Latents 0-2 drive both sources, 3-4 the brain, 5 the LM; 6 reads noise and 7 only the LM."""
    random = np.random.default_rng(0)
    directions = (
        np.linalg.qr(random.standard_normal((20, 8)))[0],
        np.linalg.qr(random.standard_normal((12, 8)))[0],
    )
    activity = {source: ar1(400, 8, seed) for source, seed in (("brain", 1), ("lm", 2))}
    activity["lm"][:, :3] = activity["brain"][:, :3]
    scales = random.uniform(0.5, 2, 20).astype(np.float32), random.uniform(0.5, 2, 12).astype(np.float32)
    raw, normalization = {}, {}
    for source, direction, scale in zip(("brain", "lm"), directions, scales, strict=True):
        rows = activity[source] @ direction.T + 0.1 * random.standard_normal((400, len(direction)))
        raw[source] = 5 + rows * scale * 3
        n = len(scale)
        normalization[source] = Normalization(
            np.ones(n, bool), np.full(n, 5, np.float32), scale, 3.0, "zscore"
        )
    weights = {
        s: torch.from_numpy(d.astype(np.float32)) for s, d in zip(("brain", "lm"), directions, strict=True)
    }
    weights["brain"][:, 7] = 0
    return Crosscoder(weights, torch.zeros(8), 3, normalization), raw


def test_agreement_is_high_for_shared_latents_alone(planted):
    model, raw = planted
    result = agreement(model, raw)
    assert np.all(result[:3] > 0.95) and np.all(np.abs(result[3:7]) < 0.5)
    assert np.isnan(result[7])


def test_agreement_is_the_correlation_of_projections(planted):
    model, raw = planted
    projections = [
        (raw[s] - model.normalization[s].offset) / model.normalization[s].scale @ model.weights[s].numpy()
        for s in ("brain", "lm")
    ]
    expected = [scipy.stats.pearsonr(projections[0][:, i], projections[1][:, i]).statistic for i in range(7)]
    np.testing.assert_allclose(agreement(model, raw)[:7], expected, atol=1e-5)


def test_rows_of_other_times_are_not_correlated():
    # 10 and 11 rows have as many frequencies.
    x, y = np.zeros((10, 2)), np.zeros((11, 2))
    for compare in (circular_cross_correlation, lambda x, y: shift_test(x, y, minimum_shift=2)):
        with pytest.raises(InputError, match=r"same times .* got \(10, 2\) and \(11, 2\)"):
            compare(x, y)


def test_agreement_says_which_rows_and_which_source_it_lacks(planted):
    model, raw = planted
    with pytest.raises(InputError, match="between 'brain' and 'lm'; 'brain' is missing"):
        agreement(model, {"lm": raw["lm"]})
    censored = raw["brain"].copy()
    censored[[2, 7]] = np.nan
    with pytest.raises(InputError, match=r"Source 'brain' .* 2 rows \(TRs\): 2, 7 \(counted from 0\)"):
        agreement(model, {**raw, "brain": censored})


def test_agreement_test_tells_shared_latents_from_the_others(planted, rows_of):
    model, raw = planted
    rows = rows_of(**model.normalize(raw))
    test = agreement_test(model, rows, minimum_shift=15)
    np.testing.assert_allclose(test.correlation, agreement(model, raw), atol=1e-6)
    np.testing.assert_allclose(test.p_value[:3], 1 / 372)
    assert np.all(test.p_value[3:] > 0.01) and test.p_value[7] == 1


# Density


def test_density_is_the_share_of_rows():
    active = np.array([[0, 2], [2, 3], [3, 2], [2, 0]])
    np.testing.assert_array_equal(density(np.ones(active.shape), active, 6), [0.5, 0, 1, 0.5, 0, 0])


def test_density_of_a_models_rows(fitted_case):
    model, rows = fitted_case
    inputs = {source: rows.source(source) for source in ("brain", "lm")}
    shares = density(*model.active_rows(inputs), model.n_latents)
    np.testing.assert_allclose(shares, (model.encode_rows(inputs).numpy() != 0).mean(axis=0))
    assert shares.sum() == pytest.approx(model.k)
