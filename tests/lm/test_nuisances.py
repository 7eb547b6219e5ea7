"""Nuisances against closed forms, against a loop over words, and beside the features that they belong to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.lm import nuisance_names, row_norm, story_nuisances
from brainlm.resample import delayed_weights, tr_midpoints

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
WORDS, ONSET_S, OFFSET_S = ["once", "upon", "a"], np.array([0.5, 1.0, 1.5]), np.array([0.9, 1.4, 40.0])


def columns(words, onset_s, offset_s, tr_times_s, features=None, delays_s=(2, 4), window=3) -> dict:
    """Name -> (time,)."""
    features = np.zeros((len(tr_times_s), 3)) if features is None else features
    names, values = story_nuisances(
        words, onset_s, offset_s, tr_times_s, features, delays_s=delays_s, window=window
    )
    assert values.shape == (len(tr_times_s), len(names)) and values.dtype == np.float64
    return dict(zip(names, values.T, strict=True))


@pytest.mark.parametrize(("tr_s", "rate"), [(2.0, 4), (1.5, 3)])
def test_steady_speech_has_its_rate_in_the_middle_of_the_story(tr_s, rate):
    # A word every half second, of 2 and 4 letters in turn.
    onset_s = np.arange(0, 120, 0.5)
    words = np.resize(["so", "we'll", "on", "word"], onset_s.size).tolist()
    times_s = tr_midpoints(40, tr_s=tr_s, sound_onset_s=0, first_tr=0)
    found = columns(words, onset_s, onset_s + 0.3, times_s)
    middle = (times_s > 4 + 3 * tr_s) & (times_s < 120 - 3 * tr_s)
    for name in ("words_2s", "words_4s"):
        # The sum of the kernel over samples is its integral, 0.997, but for ripples.
        np.testing.assert_allclose(found[name][middle], rate, rtol=0.005)
    for name in ("letters_2s", "letters_4s"):
        # Of the turns, one a second, the kernel lets a little pass.
        np.testing.assert_allclose(found[name][middle], 3 * rate, rtol=0.03)


def slow_rate(values, middle_s, time_s, spacing, window) -> float:
    total = 0.0
    for value, middle in zip(values, middle_s, strict=True):
        x = (time_s - middle) / spacing
        if abs(x) <= window:
            total += value * np.sinc(x) * np.sinc(x / window)
    return total


@EXAMPLES
@given(
    words=st.lists(
        # Times to the millisecond, in no order; words may overlap or last no time at all.
        st.tuples(st.text("aé9'-… ", max_size=5), st.integers(0, 30_000), st.sampled_from([1, 250, 4000])),
        min_size=1,
        max_size=10,
    ),
    delays_s=st.lists(st.sampled_from([0, 1.3, 2.0, 8.0]), min_size=1, max_size=3, unique=True),
    window=st.integers(1, 4),
)
def test_rates_are_what_a_loop_over_words_makes_of_them(words, delays_s, window):
    texts, onset_ms, duration_ms = zip(*words, strict=True)
    onset_s = np.array(onset_ms) / 1000
    offset_s = onset_s + np.array(duration_ms) / 1000
    # Off the milliseconds, so that no word lies on the edge of a window but for rounding.
    times_s = 3.0001234 + 1.7003 * np.arange(12)
    found = columns(texts, onset_s, offset_s, times_s, delays_s=delays_s, window=window)
    letters = [sum(text.count(letter) for letter in "aé9") for text in texts]
    middle_s = (onset_s + offset_s) / 2
    for delay in delays_s:
        for what, values in (("words", np.ones(len(texts))), ("letters", letters)):
            expected = [slow_rate(values, middle_s, time - delay, 1.7003, window) for time in times_s]
            np.testing.assert_allclose(found[f"{what}_{delay:g}s"], expected, rtol=1e-9, atol=1e-9)


def test_a_later_delay_sees_a_row_later_what_an_earlier_one_saw():
    random = np.random.default_rng(0)
    onset_s = np.sort(random.uniform(0, 80, 200))
    found = columns(["word"] * 200, onset_s, onset_s + 0.2, 1.0 + 2 * np.arange(40))
    np.testing.assert_allclose(found["words_4s"][1:], found["words_2s"][:-1], atol=1e-12)
    np.testing.assert_allclose(found["letters_4s"], 4 * found["words_4s"], atol=1e-12)
    # The mean over delays is what the features make of a hidden state that is 1 at every word.
    weights = delayed_weights(onset_s + 0.1, 1.0 + 2 * np.arange(40), delays_s=[2, 4])
    np.testing.assert_allclose((found["words_2s"] + found["words_4s"]) / 2, weights.sum(axis=1), atol=1e-12)


@pytest.mark.parametrize(
    ("word", "n_letters"),
    [("don't", 4), ("90s", 3), ("…", 0), ("été", 3), ("e\u0301te\u0301", 3), ("мир", 3)],
)
def test_letters_are_letters_and_digits(word, n_letters):
    # At the middle of the word the kernel is 1.
    found = columns([word], [0.9], [1.1], [1.0, 3.0], delays_s=[0])
    assert found["letters_0s"][0] == pytest.approx(n_letters) and found["words_0s"][0] == pytest.approx(1)


def test_time_counts_from_the_sounds_onset_in_lengths_of_the_story():
    found = columns(WORDS, ONSET_S, OFFSET_S, [-3.0, 0.0, 20.0, 60.0])
    # The last word ends at 40 s.
    np.testing.assert_allclose(found["story_position"], [0, 0, 0.5, 1.5], rtol=1e-15)
    np.testing.assert_allclose(found["onset_20s"], [1, 1, np.exp(-1), np.exp(-3)], rtol=1e-15)
    np.testing.assert_allclose(found["onset_60s"], [1, 1, np.exp(-1 / 3), np.exp(-1)], rtol=1e-15)


def test_a_segment_has_the_rows_of_the_uncut_recording():
    random = np.random.default_rng(1)
    onset_s = np.sort(random.uniform(0, 200, 300))
    words, features = ["of", "words"] * 150, random.standard_normal((100, 3))
    times_s = tr_midpoints(100, tr_s=2, sound_onset_s=0, first_tr=0)
    uncut = columns(words, onset_s, onset_s + 0.2, times_s, features)
    for rows in (slice(0, 40), slice(40, 100)):
        segment = columns(words, onset_s, onset_s + 0.2, times_s[rows], features[rows])
        for name, values in segment.items():
            np.testing.assert_allclose(values, uncut[name][rows], atol=1e-12)


def test_the_norm_of_a_row_is_that_of_the_features_as_they_are():
    # Whose squares float32 cannot hold.
    features = np.array([[3, 4], [0, 0], [5e30, 12e30]], np.float32)
    np.testing.assert_allclose(row_norm(features), [5, 0, 13e30], rtol=1e-6)
    found = columns(WORDS, ONSET_S, OFFSET_S, [1.0, 3.0, 5.0], features)
    np.testing.assert_array_equal(found["lm_row_norm"], row_norm(features))


def test_columns_are_named_by_what_they_are():
    expected = [f"{what}_{delay}s" for what in ("words", "letters") for delay in (2, 4, 6, 8)]
    expected += ["story_position", "onset_20s", "onset_60s", "lm_row_norm"]
    assert nuisance_names([2, 4, 6, 8]) == expected
    assert nuisance_names([2.0, 4.5])[:2] == ["words_2s", "words_4.5s"]


def test_a_delay_that_is_given_twice_has_one_column():
    found = columns(WORDS, ONSET_S, OFFSET_S, [1.0, 3.0], delays_s=[2, 4, 2.0])
    assert list(found) == nuisance_names([2, 4, 2.0]) == nuisance_names([2, 4])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"onset_s": ONSET_S[:2]}, r"words' onsets must be an array \(3,\)"),
        ({"offset_s": OFFSET_S[:2]}, r"words' offsets must be an array \(3,\)"),
        ({"features": np.zeros((4, 3))}, "4 rows of features do not fit a story of 3 TRs"),
        ({"features": np.zeros(3)}, "features must be an array"),
        ({"onset_s": ONSET_S - 90, "offset_s": OFFSET_S - 90}, "None of the story's 3 words ends after"),
        ({"words": [], "onset_s": [], "offset_s": []}, "None of the story's 0 words ends after"),
        ({"onset_s": [0.5, np.nan, 1.5]}, "must be finite"),
        ({"tr_times_s": [5.0, 3.0, 1.0]}, "must be two or more, and increasing"),
    ],
)
def test_what_does_not_fit_is_refused(changes, sentence):
    given = {"words": WORDS, "onset_s": ONSET_S, "offset_s": OFFSET_S, "tr_times_s": [1.0, 3.0, 5.0]}
    with pytest.raises(InputError, match=sentence):
        columns(**given | {"features": np.zeros((3, 2))} | changes)
