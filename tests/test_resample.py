import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.resample import delayed_weights, lanczos, lanczos_weights, tr_midpoints

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)

# Times to the millisecond, as in a transcript; several may coincide, and they come in any order.
TIMES = st.lists(st.integers(-20_000, 60_000).map(lambda ms: ms / 1000), max_size=25).map(np.array)
GRIDS = st.builds(
    lambda start, spacing, n: start + spacing * np.arange(n),
    st.floats(-10, 10),
    st.floats(0.5, 3),
    st.integers(2, 12),
)


def sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


def slow_weights(times_s, tr_times_s, window=3, normalize=False) -> np.ndarray:
    spacing = (tr_times_s[-1] - tr_times_s[0]) / (len(tr_times_s) - 1)
    weights = np.zeros((len(tr_times_s), len(times_s)))
    for i, tr_time in enumerate(tr_times_s):
        for j, time in enumerate(times_s):
            x = (tr_time - time) / spacing
            if abs(x) <= window:
                weights[i, j] = sinc(x) * sinc(x / window)
        if normalize:
            total = weights[i].sum()
            has_mean = total > max(0.1 * np.abs(weights[i]).sum(), 1e-12)
            weights[i] = weights[i] / total if has_mean else 0.0
    return weights


@pytest.fixture
def speech() -> tuple[np.ndarray, np.ndarray]:
    """Times and values of 150 tokens in 60 s of speech."""
    random = np.random.default_rng(3)
    return np.sort(random.uniform(0, 60, 150)), random.standard_normal((150, 4))


def test_rows_of_ds003020_lie_at_11_13_15_seconds():
    times = tr_midpoints(4, tr_s=2.0, sound_onset_s=10.0, first_tr=10)
    np.testing.assert_array_equal(times, [11, 13, 15, 17])


def test_an_untrimmed_recording_begins_before_the_sound():
    np.testing.assert_array_equal(
        tr_midpoints(3, tr_s=1.5, sound_onset_s=4.0, first_tr=0), [-3.25, -1.75, -0.25]
    )


@EXAMPLES
@given(times=TIMES, grid=GRIDS, window=st.integers(1, 4))
def test_weights_are_those_of_a_double_loop(times, grid, window):
    weights = lanczos_weights(times, grid, window=window)
    assert weights.shape == (len(grid), len(times))
    np.testing.assert_allclose(weights.toarray(), slow_weights(times, grid, window), atol=1e-12)


@EXAMPLES
@given(times=TIMES, grid=GRIDS)
def test_normalized_weights_are_those_of_a_double_loop(times, grid):
    weights = lanczos_weights(times, grid, normalize=True)
    np.testing.assert_allclose(weights.toarray(), slow_weights(times, grid, normalize=True), atol=1e-9)


def test_weights_by_hand():
    # x = -0.5, 1.5 and -2.5: sinc(0.5) = 2/pi, sinc(1.5) = -2/(3 pi), sinc(2.5) = 2/(5 pi).
    weights = lanczos_weights(np.array([5.0, 1.0, 9.0]), np.array([4.0, 6.0])).toarray()[0]
    expected = [
        2 / math.pi * sinc(0.5 / 3),
        -2 / (3 * math.pi) * sinc(0.5),
        2 / (5 * math.pi) * sinc(2.5 / 3),
    ]
    np.testing.assert_allclose(weights, expected, rtol=1e-12)


def test_weights_are_zero_beyond_three_volumes_either_way():
    weights = lanczos_weights(np.array([-6.1, -5.9, 5.9, 6.1]), np.array([0.0, 2.0])).toarray()[0]
    # Non-causal: the volume also sees tokens after it.
    assert weights[0] == weights[3] == 0 and weights[1] == weights[2] != 0


def test_tokens_at_the_volumes_keep_their_values():
    grid, values = np.arange(9) * 2.0, np.random.default_rng(0).standard_normal((9, 5))
    np.testing.assert_allclose(lanczos(values, grid, grid), values, atol=1e-15)


def test_order_of_tokens_does_not_matter(speech):
    times, values = speech
    grid, order = np.arange(1, 60, 2.0), np.random.default_rng(1).permutation(len(times))
    expected = lanczos(values, times, grid)
    np.testing.assert_allclose(lanczos(values[order], times[order], grid), expected, atol=1e-12)


def test_tokens_at_one_time_add_up():
    grid = np.arange(5) * 2.0
    together = lanczos(np.array([[1.0], [2.0], [4.0]]), np.array([3.3, 3.3, 3.3]), grid)
    np.testing.assert_allclose(together, lanczos(np.array([[7.0]]), np.array([3.3]), grid), rtol=1e-12)


@EXAMPLES
@given(times=TIMES, grid=GRIDS, a=st.floats(-5, 5), seed=st.integers(0, 99))
def test_resampling_is_linear(times, grid, a, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, len(times), 3))
    expected = a * lanczos(x, times, grid) + lanczos(y, times, grid)
    np.testing.assert_allclose(lanczos(a * x + y, times, grid), expected, atol=1e-10)


def test_a_normalized_constant_is_the_constant_where_there_is_speech(speech):
    times, _ = speech
    grid = np.arange(-29, 100, 2.0)
    resampled = lanczos(np.full((len(times), 1), 3.7), times, grid, normalize=True)[:, 0]
    inside = (grid > 0) & (grid < 60)
    np.testing.assert_allclose(resampled[inside], 3.7, rtol=1e-12)
    assert np.all(resampled[(grid < -6) | (grid > 66)] == 0)
    # At the edges there is a mean or there is none, but nothing in between.
    assert np.all((np.abs(resampled - 3.7) < 1e-9) | (resampled == 0))


def test_unnormalized_weights_grow_with_the_rate_of_speech():
    grid, values = np.arange(11, 51, 2.0), np.ones((600, 1))
    slow = lanczos(values[:300], np.arange(300) * 0.2, grid)
    fast = lanczos(values, np.arange(600) * 0.1, grid)
    np.testing.assert_allclose(fast / slow, 2, rtol=0.01)


def test_a_token_whole_volumes_away_gives_no_mean():
    # Its weights are 1e-17 instead of 0; divided by their sum they would be 1.
    weights = lanczos_weights(np.array([6.0]), np.arange(7) * 2.0, normalize=True).toarray()[:, 0]
    np.testing.assert_allclose(weights, [0, 0, 0, 1, 0, 0, 0], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_keep_their_floating_type(speech, dtype):
    times, values = speech
    resampled = lanczos(values.astype(dtype), times, np.arange(1, 60, 2.0))
    assert resampled.dtype == dtype and resampled.shape == (30, 4)


def test_no_token_gives_zeros():
    np.testing.assert_array_equal(lanczos(np.zeros((0, 2)), np.zeros(0), np.arange(4.0)), np.zeros((4, 2)))


@pytest.mark.parametrize("grid", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [0.0, 2.0, 1.0]])
def test_volumes_must_be_two_or_more_and_increasing(grid):
    with pytest.raises(ValueError, match="increasing"):
        lanczos_weights(np.array([1.0]), np.array(grid))


def test_delays_equal_the_procedure_on_the_untrimmed_grid(speech):
    times, values = speech
    untrimmed = -9 + 2.0 * np.arange(40)
    resampled = slow_weights(times, untrimmed) @ values
    # One to four volumes of 2 s earlier; the first rows, which have no such past, are cut off anyway.
    delayed = sum(np.roll(resampled, shift, axis=0) for shift in (1, 2, 3, 4)) / 4
    weights = delayed_weights(times, untrimmed[10:], delays_s=(2, 4, 6, 8))
    assert untrimmed[10] == 11
    np.testing.assert_allclose(weights @ values, delayed[10:], atol=1e-12)


def test_delays_need_not_be_whole_volumes(speech):
    times, _ = speech
    grid = 11 + 2.0 * np.arange(20)
    weights = delayed_weights(times, grid, delays_s=(2.5, 5.1)).toarray()
    expected = (slow_weights(times, grid - 2.5) + slow_weights(times, grid - 5.1)) / 2
    np.testing.assert_allclose(weights, expected, atol=1e-12)


def test_each_delay_is_normalized_by_itself(speech):
    times, _ = speech
    grid = 11 + 2.0 * np.arange(20)
    weights = delayed_weights(times, grid, delays_s=(2, 8), normalize=True)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    # A delay that reaches before the story contributes zero to the mean over both.
    weights = delayed_weights(times, grid, delays_s=(2, 80), normalize=True)
    np.testing.assert_allclose(weights.sum(axis=1), 0.5, rtol=1e-12)


def test_a_delay_that_reaches_before_the_speech_gives_zeros(speech):
    times, values = speech
    grid = 11 + 2.0 * np.arange(20)
    delayed = delayed_weights(times + 20, grid, delays_s=(2, 8)) @ values
    # Speech from 20 s on, seen at t - 2 s and up to 6 s ahead: nothing wraps around before 16 s.
    assert np.all(delayed[grid < 16] == 0) and np.all(np.abs(delayed[grid > 24]).max(axis=1) > 0)
    assert delayed_weights(times, grid, delays_s=(60,)).nnz == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"times_s": [1.0, np.nan, 3.0]}, "must be finite"),
        ({"tr_times_s": [1.0, np.nan, 5.0]}, "must be finite"),
        ({"times_s": [1.0, 2.0]}, r"values must be an array \(2, dim\); got \(3, 2\)"),
        ({"times_s": [[1.0], [2.0], [3.0]]}, r"samples' times must be an array \(sample,\); got \(3, 1\)"),
        ({"values": np.ones(3)}, r"values must be an array \(3, dim\); got \(3,\)"),
        ({"values": np.ones((3, 2)) * 1j}, "real numbers; got complex"),
        ({"window": 0}, "needs a lobe on each side; got 0"),
    ],
)
def test_what_cannot_be_resampled_is_refused_in_a_sentence(changed, message):
    given = {"values": np.ones((3, 2)), "times_s": [1.0, 2.0, 3.0], "tr_times_s": [1.0, 3.0, 5.0]}
    with pytest.raises(InputError, match=message):
        lanczos(**given | changed)


def test_lists_tensors_and_other_byte_orders_are_resampled_as_arrays_are(speech):
    times, values = speech
    grid = np.arange(1, 60, 2.0)
    expected = lanczos(values, times, grid)
    others = (values.tolist(), torch.from_numpy(values).requires_grad_(), values.astype(">f8"))
    for held in others:
        np.testing.assert_allclose(
            lanczos(held, times.tolist(), torch.from_numpy(grid)), expected, atol=1e-12
        )


def test_a_missing_value_reaches_the_volumes_in_whose_window_it_is():
    grid = np.arange(10) * 2.0
    resampled = lanczos(np.array([[1.0], [np.nan]]), np.array([3.3, 9.0]), grid)[:, 0]
    np.testing.assert_array_equal(np.isnan(resampled), np.abs(grid - 9) <= 6)
