import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.lm.features import select_units, story_features, token_times
from brainlm.resample import tr_midpoints

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)

# Word 1 has no token of its own, word 2 has three.
WORD_INDEX = np.array([0, 2, 2, 2, 3, 3])
ONSET_S = np.array([0.5, 1.0, 1.5, 3.0])
OFFSET_S = np.array([0.9, 1.2, 2.1, 4.0])


def test_spread_puts_tokens_at_the_middles_of_equal_parts():
    times = token_times(WORD_INDEX, ONSET_S, OFFSET_S)
    np.testing.assert_allclose(times, [0.7, 1.6, 1.8, 2.0, 3.25, 3.75], rtol=1e-12)


def test_midpoint_puts_all_tokens_of_a_word_at_its_middle():
    times = token_times(WORD_INDEX, ONSET_S, OFFSET_S, rule="midpoint")
    np.testing.assert_allclose(times, [0.7, 1.8, 1.8, 1.8, 3.5, 3.5], rtol=1e-12)


@EXAMPLES
@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=12).filter(any), seed=st.integers(0, 99))
def test_spread_tokens_stay_within_their_words_and_around_the_middle(counts, seed):
    random = np.random.default_rng(seed)
    edges = np.cumsum(random.uniform(0.1, 1.0, 2 * len(counts)))
    onset, offset = edges[::2], edges[1::2]
    word_index = np.repeat(np.arange(len(counts)), counts)
    times = token_times(word_index, onset, offset)
    assert np.all(np.diff(times) > 0)
    assert np.all((times > onset[word_index]) & (times < offset[word_index]))
    for word in np.unique(word_index):
        assert np.mean(times[word_index == word]) == pytest.approx((onset[word] + offset[word]) / 2)


def test_an_unknown_rule_for_times_is_an_error():
    with pytest.raises(ValueError, match="onset"):
        token_times(WORD_INDEX, ONSET_S, OFFSET_S, rule="onset")


@pytest.mark.parametrize(
    ("unit", "states", "words"),
    [
        ("token", [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11]], [0, 2, 2, 2, 3, 3]),
        ("last_token", [[0, 1], [6, 7], [10, 11]], [0, 2, 3]),
        ("word_mean", [[0, 1], [4, 5], [9, 10]], [0, 2, 3]),
    ],
)
def test_units(unit, states, words):
    hidden = np.arange(12, dtype=np.float32).reshape(6, 2)
    kept, kept_words = select_units(hidden, WORD_INDEX, unit=unit)
    np.testing.assert_array_equal(kept, states)
    np.testing.assert_array_equal(kept_words, words)
    assert kept.dtype == np.float32


def test_an_unknown_unit_is_an_error():
    with pytest.raises(ValueError, match="phoneme"):
        select_units(np.zeros((6, 2)), WORD_INDEX, unit="phoneme")


def slow_features(states, times_s, tr_times_s, delays_s, window, normalize) -> np.ndarray:
    features = np.zeros((len(tr_times_s), states.shape[1]))
    for i, tr_time in enumerate(tr_times_s):
        for delay in delays_s:
            x = (tr_time - delay - times_s) / 2.0
            weights = np.where(np.abs(x) <= window, np.sinc(x) * np.sinc(x / window), 0)
            mean = weights.sum() if normalize else 1.0
            features[i] += weights @ states / mean / len(delays_s)
    return features


def slow_story(hidden, counts, onset_s, offset_s, tr_times_s, token_time, delays_s, window) -> np.ndarray:
    """Token by token, TR by TR and delay by delay, for tokens as units."""
    spacing = (tr_times_s[-1] - tr_times_s[0]) / (len(tr_times_s) - 1)
    features = np.zeros((len(tr_times_s), hidden.shape[1]))
    for i, tr_time in enumerate(tr_times_s):
        for delay in delays_s:
            token = 0
            for count, onset, offset in zip(counts, onset_s, offset_s, strict=True):
                for position in range(count):
                    part = (position + 0.5) / count if token_time == "spread" else 0.5
                    x = (tr_time - delay - (onset + part * (offset - onset))) / spacing
                    if abs(x) <= window:
                        features[i] += np.sinc(x) * np.sinc(x / window) * hidden[token] / len(delays_s)
                    token += 1
    return features


@EXAMPLES
@given(
    words=st.lists(
        # Times to the millisecond, in no order; words may overlap, hide in one another, or last no time at all.
        st.tuples(st.integers(0, 3), st.integers(0, 30_000), st.sampled_from([0, 0, 1, 250, 4000])),
        min_size=1,
        max_size=10,
    ),
    token_time=st.sampled_from(["spread", "midpoint"]),
    delays_s=st.lists(st.sampled_from([0.0, 1.3, 2.0, 8.0]), min_size=1, max_size=3),
    window=st.integers(1, 4),
)
def test_words_of_any_times_are_what_a_loop_over_tokens_makes_of_them(words, token_time, delays_s, window):
    counts, onset_ms, duration_ms = np.array(words).T
    onset_s, offset_s = onset_ms / 1000, (onset_ms + duration_ms) / 1000
    hidden = np.random.default_rng(0).standard_normal((counts.sum(), 3)).astype(np.float32)
    # Off the milliseconds, so that no token lies on the edge of a window but for rounding.
    tr_times_s = 3.0001234 + 1.7003 * np.arange(12)
    features = story_features(
        hidden,
        np.repeat(np.arange(len(words)), counts),
        onset_s,
        offset_s,
        tr_times_s,
        unit="token",
        token_time=token_time,
        delays_s=delays_s,
        window=window,
        normalize=False,
    )
    expected = slow_story(hidden, counts, onset_s, offset_s, tr_times_s, token_time, delays_s, window)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


@EXAMPLES
@given(
    cuts=st.lists(st.integers(2, 30), min_size=2, max_size=9),
    sound_onset_s=st.sampled_from([-30.0, 0.0, 8.25]),
    tr_s=st.sampled_from([0.72, 1.5, 2.0]),
    normalize=st.booleans(),
    seed=st.integers(0, 99),
)
def test_segments_have_the_rows_of_the_uncut_recording(cuts, sound_onset_s, tr_s, normalize, seed):
    random = np.random.default_rng(seed)
    words_s = np.sort(random.uniform(-20, sum(cuts) * tr_s, 200))
    states = random.standard_normal((200, 3)).astype(np.float32)

    def rows(n_rows: int, onset_s: float) -> np.ndarray:
        return story_features(
            states,
            np.arange(200),
            words_s,
            words_s + 0.2,
            tr_midpoints(n_rows, tr_s=tr_s, sound_onset_s=onset_s, first_tr=0),
            unit="token",
            token_time="midpoint",
            delays_s=(2, 4, 7.5),
            window=3,
            normalize=normalize,
        )

    begins = np.cumsum([0, *cuts[:-1]])
    of_segments = [rows(n, sound_onset_s - tr_s * begin) for n, begin in zip(cuts, begins, strict=True)]
    np.testing.assert_allclose(
        np.concatenate(of_segments), rows(sum(cuts), sound_onset_s), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("n_states", "word_index"),
    [(5, WORD_INDEX), (6, [0, 2, 2, 2, 3, 4]), (6, [0, 2, 1, 2, 3, 3]), (2, [-1, 0])],
)
def test_states_of_another_story_are_an_error(n_states, word_index):
    with pytest.raises(
        InputError, match=rf"{n_states} hidden states and . tokens do not fit a story of 4 words"
    ):
        story_features(
            np.zeros((n_states, 2), np.float32),
            np.array(word_index),
            ONSET_S,
            OFFSET_S,
            np.arange(4.0),
            unit="token",
            token_time="spread",
            delays_s=(2,),
            window=3,
            normalize=False,
        )


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("unit", "token_time", "by_hand"),
    [
        # Six tokens spread over three words; three last tokens at their words' middles; three word means.
        ("token", "spread", (slice(None), [0.7, 1.6, 1.8, 2.0, 3.25, 3.75])),
        ("token", "midpoint", (slice(None), [0.7, 1.8, 1.8, 1.8, 3.5, 3.5])),
        ("last_token", "spread", ([0, 3, 5], [0.7, 1.8, 3.5])),
        ("word_mean", "midpoint", ([[0], [1, 2, 3], [4, 5]], [0.7, 1.8, 3.5])),
    ],
)
def test_a_storys_features_are_its_parts_put_together(unit, token_time, by_hand, normalize):
    hidden = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    chosen, times_s = by_hand
    states = np.array([hidden[i].mean(axis=0) for i in chosen]) if unit == "word_mean" else hidden[chosen]
    tr_times_s = np.arange(4.0, 11.0, 2.0)
    features = story_features(
        hidden,
        WORD_INDEX,
        ONSET_S,
        OFFSET_S,
        tr_times_s,
        unit=unit,
        token_time=token_time,
        delays_s=(2, 4),
        window=3,
        normalize=normalize,
    )
    assert features.dtype == np.float32
    if normalize:  # the slow form has no rule for rows without a mean
        features, tr_times_s = features[:2], tr_times_s[:2]
    expected = slow_features(states, np.array(times_s), tr_times_s, (2, 4), 3, normalize)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
