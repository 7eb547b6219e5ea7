"""Explainable variance and noise ceilings against closed forms, simulations and a slow reference."""

import itertools
import math
import tracemalloc
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from brainlm.errors import InputError
from brainlm.scores.ceiling import RepeatReliability, over_stories, reliability
from brainlm.scores.correlation import pearson
from brainlm.simulation.listener import autocorrelate
from brainlm.store import add_array, new_store, open_store

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)
FIELDS = ("explainable_variance", "ceiling_single", "ceiling_mean")


def hearings(
    n_repeats: int, n_times: int, n_voxels: int, *, signal: float = 1, noise: float = 1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A signal, (time, voxel), and hearings of it, (repeat, time, voxel); `signal` and `noise` are variances."""
    rng = np.random.default_rng(seed)
    s = math.sqrt(signal) * rng.standard_normal((n_times, n_voxels), dtype=np.float32)
    e = math.sqrt(noise) * rng.standard_normal((n_repeats, n_times, n_voxels), dtype=np.float32)
    return s, s + e


def zscore(repeats: np.ndarray) -> np.ndarray:
    return (repeats - repeats.mean(axis=1, keepdims=True)) / repeats.std(axis=1, keepdims=True)


def signal_power(repeats: np.ndarray) -> np.ndarray:
    return reliability(repeats).explainable_variance * repeats.var(axis=1, ddof=1).mean(axis=0)


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))


def assert_same(actual: RepeatReliability, expected: RepeatReliability, rtol: float = 0) -> None:
    for field in FIELDS:
        np.testing.assert_allclose(getattr(actual, field), getattr(expected, field), rtol=rtol, err_msg=field)


# Closed forms


def test_identical_repeats_have_no_noise():
    y = np.random.default_rng(1).standard_normal((50, 8))
    result = reliability(np.stack([y] * 7))
    for field in FIELDS:
        np.testing.assert_allclose(getattr(result, field), 1, rtol=1e-12)
        assert getattr(result, field).dtype == np.float64
    assert (result.n_repeats, result.n_times, result.n_without_signal) == (7, 50, 0)


def test_opposite_repeats_reach_the_lower_bound():
    y = np.random.default_rng(2).standard_normal((20, 3))
    result = reliability(np.stack([y, -y]))
    np.testing.assert_allclose(result.explainable_variance, -1)
    assert result.n_without_signal == 3
    assert np.isnan(result.ceiling_single).all()
    assert np.isnan(result.ceiling_mean).all()


def test_by_hand():
    # Variances 1, 1 and covariance 1/2, so that var(mean) = 3/4: SP = 1/2, NP = 1/2.
    repeats = np.array([[-1.0, 0, 1], [-1, 1, 0]])[..., None]
    result = reliability(repeats)
    np.testing.assert_allclose(result.explainable_variance, [1 / 2])
    np.testing.assert_allclose(result.ceiling_single, [np.sqrt(1 / 2)])
    np.testing.assert_allclose(result.ceiling_mean, [np.sqrt(2 / 3)])


# The published forms


@pytest.mark.parametrize("n_repeats", [2, 3, 10])
def test_equals_the_published_forms(n_repeats):
    y = hearings(n_repeats, 40, 30, seed=3)[1].astype(float)
    result = reliability(y)
    of_mean, of_one = y.mean(axis=0).var(axis=0, ddof=1), y.var(axis=1, ddof=1).mean(axis=0)

    power = (n_repeats * of_mean - of_one) / (n_repeats - 1)
    np.testing.assert_allclose(result.explainable_variance, power / of_one, atol=1e-12)
    positive = power > 0
    np.testing.assert_allclose(result.ceiling_mean[positive], np.sqrt(power[positive] / of_mean[positive]))

    z = zscore(y)
    uncorrected = 1 - (z - z.mean(axis=0)).var(axis=(0, 1))
    corrected = uncorrected - (1 - uncorrected) / (n_repeats - 1)
    np.testing.assert_allclose(reliability(z).explainable_variance, corrected, atol=1e-12)


def slow_reference(repeats: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal power as the mean covariance of all pairs of hearings, voxel by voxel."""
    n_repeats, _, n_voxels = repeats.shape
    ev, single, mean = (np.full(n_voxels, np.nan) for _ in range(3))
    for voxel in range(n_voxels):
        y = [repeats[r, :, voxel] for r in range(n_repeats)]
        y = [hearing for hearing in y if np.isfinite(hearing).all() and len(set(hearing)) > 1]
        if len(y) < 2:
            continue
        signal = np.mean([np.cov(a, b)[0, 1] for a, b in itertools.combinations(y, 2)])
        ev[voxel] = signal / np.mean([np.var(hearing, ddof=1) for hearing in y])
        if signal > 0:
            single[voxel] = ev[voxel] ** 0.5
            mean[voxel] = (signal / np.var(sum(y) / len(y), ddof=1)) ** 0.5
    return ev, single, mean


NUMBERS = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-100, 100, width=16), st.sampled_from([np.nan, np.inf])
)


@EXAMPLES
@given(
    arrays(np.float64, st.tuples(st.integers(2, 4), st.integers(3, 5), st.integers(1, 5)), elements=NUMBERS),
    st.integers(1, 6),
)
def test_matches_the_slow_reference(repeats, block_voxels):
    before = repeats.copy()
    result = reliability(repeats, block_voxels)
    np.testing.assert_array_equal(repeats, before)

    ev, single, mean = slow_reference(repeats)
    np.testing.assert_allclose(result.explainable_variance, ev, rtol=1e-6, atol=1e-9)
    # Where the signal power is 0 but for rounding, either sign is right.
    clear = np.isnan(ev) | (np.abs(ev) > 1e-6)
    np.testing.assert_allclose(result.ceiling_single[clear], single[clear], rtol=1e-6)
    np.testing.assert_allclose(result.ceiling_mean[clear], mean[clear], rtol=1e-6)
    if clear.all():
        assert result.n_without_signal == np.sum(ev <= 0)


# Simulations


@pytest.mark.parametrize("n_repeats", [2, 5, 10])
@pytest.mark.parametrize(("signal", "noise"), [(2, 0.5), (1, 1), (0.5, 1.5)])
def test_recovers_the_simulated_signal(n_repeats, signal, noise):
    # Long, because roots of estimates are biased in the order of 1 / T.
    s, y = hearings(n_repeats, 1000, 1000, signal=signal, noise=noise, seed=n_repeats)
    result = reliability(y)
    assert result.n_without_signal == 0
    assert result.explainable_variance.mean() == pytest.approx(signal / (signal + noise), rel=0.01)
    # A perfect prediction reaches the ceilings on average.
    assert result.ceiling_single.mean() == pytest.approx(pearson(s, y[0]).mean(), rel=0.01)
    assert result.ceiling_mean.mean() == pytest.approx(pearson(s, y.mean(axis=0)).mean(), rel=0.01)
    assert (pearson(s, y.mean(axis=0)) / result.ceiling_mean).mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("n_repeats", [2, 5, 10])
@pytest.mark.parametrize("coefficient", [0, 0.8])
def test_noise_alone_has_no_signal_on_average(n_repeats, coefficient):
    e = np.random.default_rng(n_repeats).standard_normal((n_repeats, 100, 3000))
    result = reliability(np.stack([autocorrelate(values, coefficient) for values in e]))
    ev = result.explainable_variance
    assert abs(ev.mean()) < 3 * standard_error(ev)
    assert ev.min() >= -1 / (n_repeats - 1)
    # The distribution is skewed: somewhat more than half are negative.
    assert 0.48 < result.n_without_signal / ev.size < 0.62
    for ceiling in (result.ceiling_single, result.ceiling_mean):
        np.testing.assert_array_equal(np.isnan(ceiling), ev <= 0)


@pytest.mark.parametrize("n_repeats", [2, 3, 10])
@pytest.mark.parametrize("n_times", [3, 20])
@pytest.mark.parametrize("signal", [0, 0.3])
def test_the_signal_power_is_unbiased(n_repeats, n_times, signal):
    s, y = hearings(n_repeats, n_times, 20000, signal=signal, seed=7)
    error = signal_power(y) - s.var(axis=0, ddof=1)
    assert abs(error.mean()) < 3 * standard_error(error)


def test_more_repeats_change_the_expected_value_of_nothing_but_the_mean_ceiling():
    y = hearings(10, 250, 4000, signal=0.4, noise=0.6, seed=8)[1]
    by_n = {n: reliability(y[:n]) for n in (2, 3, 5, 10)}
    for n, result in by_n.items():
        assert result.explainable_variance.mean() == pytest.approx(0.4, rel=0.01)
        assert result.ceiling_single.mean() == pytest.approx(np.sqrt(0.4), rel=0.01)
        # Spearman-Brown
        assert result.ceiling_mean.mean() == pytest.approx(np.sqrt(n * 0.4 / (1 + (n - 1) * 0.4)), rel=0.01)


# Z-scored repeats


def test_z_scored_repeats_give_the_mean_correlation_of_pairs():
    y = hearings(4, 60, 20, seed=9)[1]
    pairs = [pearson(y[a], y[b]) for a, b in itertools.combinations(range(4), 2)]
    np.testing.assert_allclose(
        reliability(zscore(y.astype(float))).explainable_variance, np.mean(pairs, axis=0), atol=1e-12
    )


@pytest.mark.parametrize("n_repeats", [2, 5, 10])
@pytest.mark.parametrize("signal", [0.1, 1, 4])
def test_z_scoring_repeats_changes_little(n_repeats, signal):
    y = hearings(n_repeats, 291, 1000, signal=signal, seed=10)[1]
    raw, scored = reliability(y), reliability(zscore(y))
    for field in FIELDS:
        difference = getattr(scored, field) - getattr(raw, field)
        assert np.nanmax(np.abs(difference)) < 0.015
        assert abs(np.nanmean(difference)) < 0.001
    # Sampling moves EV by more.
    change = scored.explainable_variance - raw.explainable_variance
    assert change.std() < 0.2 * raw.explainable_variance.std()


# Invariances


@EXAMPLES
@given(st.integers(1, 40))
def test_the_block_size_does_not_matter(block_voxels):
    y = hearings(3, 12, 23, seed=11)[1]
    assert_same(reliability(y, block_voxels), reliability(y), rtol=1e-13)


def test_scale_and_offsets_do_not_matter():
    y = hearings(3, 30, 200, signal=0.2, seed=12)[1].astype(float)
    rng = np.random.default_rng(13)
    factor, offset = rng.uniform(0.01, 100, 200) * rng.choice([-1, 1], 200), rng.uniform(-10, 10, (3, 1, 200))
    assert 0 < reliability(y).n_without_signal < 200
    assert_same(reliability(factor * (y + offset)), reliability(y), rtol=1e-8)


def test_the_order_of_hearings_and_times_does_not_matter():
    y = hearings(4, 30, 50, seed=14)[1].astype(float)
    times = np.random.default_rng(15).permutation(30)
    assert_same(reliability(y[::-1, times]), reliability(y), rtol=1e-10)


def test_dtypes():
    y = np.random.default_rng(16).integers(-9, 9, (3, 20, 5))
    for dtype in (np.int16, np.float16, np.float32, ">f8"):
        assert_same(reliability(y.astype(dtype)), reliability(y))


# Voxels without a value


@pytest.mark.filterwarnings("error")
def test_undefined_voxels_are_nan_and_not_counted():
    y = hearings(3, 30, 8, signal=4, seed=17)[1]
    expected = reliability(y)
    broken = y.copy()
    broken[1:, 4, 0] = np.nan
    broken[::2, 7, 1] = np.inf
    broken[:, :, 2] = 0.1
    broken[1, :, 3], broken[2, 0, 3] = 0.1, np.nan
    broken[:, :, 4] = np.inf
    broken[:, :, 5] = np.nan
    result = reliability(broken, block_voxels=4)
    assert result.n_without_signal == result.n_with_lost_hearings == 0
    assert result.n_hearings.tolist() == [1, 1, 0, 1, 0, 0, 3, 3]
    for field in FIELDS:
        assert np.isnan(getattr(result, field)[:6]).all()
        np.testing.assert_allclose(getattr(result, field)[6:], getattr(expected, field)[6:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("block_voxels", [1, 3, 4096])
def test_a_lost_hearing_leaves_the_others(block_voxels):
    y = hearings(5, 40, 8, seed=23)[1].astype(float)
    lossy = y.copy()
    lossy[4, :, :3] = np.nan  # lost altogether
    lossy[4, 7, 3] = np.nan  # one censored volume
    lossy[4, :, 4] = 0.0  # lost, and written as zeros
    lossy[2, 0, 3], lossy[1, :, 4] = -np.inf, 0.1
    result = reliability(lossy, block_voxels)
    for voxels, remaining in (
        (range(3), [0, 1, 2, 3]),
        ([3], [0, 1, 3]),
        ([4], [0, 2, 3]),
        ([5, 6, 7], range(5)),
    ):
        expected = reliability(y[np.ix_(remaining, range(40), voxels)])
        for field in FIELDS:
            np.testing.assert_allclose(getattr(result, field)[voxels], getattr(expected, field), rtol=1e-10)
    assert result.n_hearings.tolist() == [4, 4, 4, 3, 3, 5, 5, 5]
    assert result.n_repeats == 5 and result.n_with_lost_hearings == 5


def test_voxels_without_signal_are_counted_not_clipped():
    y = hearings(2, 30, 3, signal=9, seed=18)[1]
    y[1, :, 1] = -y[0, :, 1]
    y[0, 0, 2] = np.nan
    result = reliability(y)
    assert result.n_without_signal == 1
    np.testing.assert_array_equal(np.isnan(result.ceiling_mean), [False, True, True])
    np.testing.assert_array_equal(np.isnan(result.ceiling_single), [False, True, True])
    assert result.explainable_variance[1] == pytest.approx(-1)


def test_no_voxels():
    result = reliability(np.zeros((2, 5, 0)))
    assert result.explainable_variance.shape == result.ceiling_mean.shape == (0,)
    assert result.n_without_signal == 0


# Where the data come from


def test_a_store_on_disk_gives_the_same(tmp_path):
    y = hearings(3, 25, 70, seed=19)[1]
    with new_store(tmp_path / "story.zarr", {}) as group:
        add_array(group, "repeats", y, ("repeat", "time", "voxel"), chunks=(1, 10, 16))
    assert_same(reliability(open_store(tmp_path / "story.zarr")["repeats"], 30), reliability(y, 30))


def test_no_copy_in_float64_of_everything():
    y = hearings(4, 50, 10000, seed=20)[1]
    tracemalloc.start()
    try:
        reliability(y, block_voxels=200)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert y.nbytes == 8e6
    assert peak < 2e6


# Errors


@EXAMPLES
@given(array_shapes(min_dims=1, max_dims=4, max_side=4))
def test_too_little_data_is_an_error_in_one_sentence(shape):
    if len(shape) == 3 and shape[0] >= 2 and shape[1] >= 3:
        assert reliability(np.zeros(shape)).explainable_variance.shape == shape[2:]
        return
    with pytest.raises(InputError) as error:
        reliability(np.zeros(shape))
    message = str(error.value)
    assert message.endswith(".")
    assert message.count(". ") == 0


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((5, 30), r"\(5, 30\).*\(repeat, time, voxel\)"),
        ((1, 30, 4), "1 repeat.*at least twice"),
        ((5, 2, 4), "2 TR.*at least 3 TRs"),
    ],
)
def test_errors_name_what_is_wrong(shape, words):
    with pytest.raises(InputError, match=words):
        reliability(np.zeros(shape))


@pytest.mark.parametrize("block_voxels", [0, -3])
def test_blocks_need_voxels(block_voxels):
    with pytest.raises(ValueError, match="block_voxels"):
        reliability(np.zeros((2, 3, 4)), block_voxels)


def test_results_cannot_be_reassigned():
    with pytest.raises(FrozenInstanceError):
        reliability(np.zeros((2, 3, 4))).n_repeats = 3


# Correlation over its ceiling


def test_a_correlation_over_its_ceiling_is_that_with_the_signal():
    s, y = hearings(4, 250, 3000, signal=0.5, noise=1, seed=21)
    prediction = s + np.sqrt(0.5) * np.random.default_rng(22).standard_normal(s.shape)
    result = reliability(y)
    with_signal = pearson(prediction, s).mean()
    for r, ceiling in (
        (pearson(prediction, y[0]), result.ceiling_single),
        (pearson(prediction, y.mean(axis=0)), result.ceiling_mean),
    ):
        assert r.mean() < 0.9 * with_signal
        assert (r / ceiling).mean() == pytest.approx(with_signal, rel=0.01)


# Several stories


def test_one_story_says_what_it_says():
    result = reliability(hearings(3, 40, 6)[1])
    assert over_stories([result]) is result


def test_stories_of_z_scored_hearings_have_the_mean_of_their_explainable_variances_weighted_by_their_times():
    short, long = (
        zscore(hearings(n, times, 7, seed=times)[1].astype(float)) for n, times in ((2, 41), (5, 161))
    )
    together = over_stories([reliability(short), reliability(long)])
    values = [reliability(story).explainable_variance for story in (short, long)]
    # Of z-scored hearings all have the same variance but for T / (T - 1).
    variance = np.array([41 / 40, 161 / 160])
    weights = np.array([40, 160]) * variance
    np.testing.assert_allclose(
        together.explainable_variance, np.average(values, axis=0, weights=weights), rtol=1e-9
    )
    assert (together.n_times, together.n_repeats) == (202, 7)


def test_equal_stories_say_what_each_says():
    one = reliability(hearings(4, 80, 9)[1])
    assert_same(over_stories([one, one, one]), one, rtol=1e-12)


def test_a_story_that_is_lost_in_a_voxel_is_left_out_there_and_one_without_signal_is_not():
    whole, noisy = hearings(3, 60, 4)[1].astype(float), hearings(3, 60, 4, signal=0, seed=5)[1].astype(float)
    noisy[:2, :, 0] = 0
    noisy[..., 1] = [np.arange(60.0), -np.arange(60.0), np.arange(60.0)[::-1]]
    whole[..., 3] = noisy[..., 3] = 0
    first, second = reliability(whole), reliability(noisy)
    together = over_stories([first, second])
    assert second.explainable_variance[1] < 0
    assert together.explainable_variance[0] == pytest.approx(first.explainable_variance[0])
    assert together.explainable_variance[1] < first.explainable_variance[1]
    assert np.isnan(together.explainable_variance[3]) and np.isnan(together.ceiling_mean[3])
    assert together.n_with_lost_hearings == 1
