import numpy as np
import pandas as pd
import pytest

from brainlm.report.browser.passages import SHADES, Story, passage, word_uptake

DELAYS_S = (2.0, 4.0, 6.0, 8.0)


def spoken(n_words: int, seconds_a_word: float = 0.5) -> pd.DataFrame:
    onset_s = seconds_a_word * np.arange(n_words)
    words = [f"w{number}" for number in range(n_words)]
    return pd.DataFrame({"word": words, "onset_s": onset_s, "offset_s": onset_s + 0.8 * seconds_a_word})


def heard(words: pd.DataFrame, time_s: np.ndarray, delays_s=DELAYS_S) -> Story:
    return Story("story", time_s, words, word_uptake(words, time_s, delays_s=delays_s, window=3))


def shades(of_passage) -> dict[str, int]:
    return {word: run.shade for run in of_passage.words for word in run.text.split()}


def test_a_words_weight_is_the_mean_of_lanczos_weights_over_delays():
    words, time_s = spoken(60), 11 + 2.0 * np.arange(10)
    expected = np.zeros((10, 60))
    for row, moment in enumerate(time_s):
        for column, (onset, offset) in enumerate(zip(words["onset_s"], words["offset_s"], strict=True)):
            for delay in DELAYS_S:
                x = (moment - delay - (onset + offset) / 2) / 2
                expected[row, column] += np.sinc(x) * np.sinc(x / 3) / 4 if abs(x) <= 3 else 0
    found = word_uptake(words, time_s, delays_s=DELAYS_S, window=3).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_words_before_a_tr_are_shaded_by_when_they_were_heard():
    words, time_s = spoken(80), 11 + 2.0 * np.arange(10)
    row = 8  # at 27 s
    of_word = shades(passage(heard(words, time_s), row, 1.0, largest=1.0, reach_s=12))
    middle_s = dict(zip(words["word"], (words["onset_s"] + words["offset_s"]) / 2, strict=True))
    told = {27 - middle_s[word]: shade for word, shade in of_word.items()}
    # The sum of four kernels is 1 in between, but for ripples of a tenth.
    assert {shade for before_s, shade in told.items() if 3 <= before_s <= 7} <= {SHADES - 1, SHADES}
    # The sum of Lanczos kernels at 2 to 8 s falls to half of its height one second outside.
    assert all(0 < shade < SHADES for before_s, shade in told.items() if 0.9 <= before_s <= 1.3)
    assert all(shade <= 1 for before_s, shade in told.items() if before_s <= 0.3 or before_s > 9.9)


def test_with_one_delay_only_words_at_it_are_dark():
    words, time_s = spoken(80), 11 + 2.0 * np.arange(10)
    of_word = shades(passage(heard(words, time_s, delays_s=(4.0,)), 8, 1.0, largest=1.0, reach_s=12))
    middle_s = dict(zip(words["word"], (words["onset_s"] + words["offset_s"]) / 2, strict=True))
    dark = [27 - middle_s[word] for word, shade in of_word.items() if shade == SHADES]
    assert dark and all(abs(before_s - 4) < 1 for before_s in dark)


def test_a_passage_holds_the_words_that_overlap_its_reach_in_order():
    words, time_s = spoken(80), 11 + 2.0 * np.arange(10)
    found = passage(heard(words, time_s), 4, 0.5, largest=1.0, reach_s=6)  # at 19 s
    # Words 25 and 38 lie across 13 s and 19 s.
    expected = [f"w{number}" for number in range(26, 38)]
    assert found.text.split() == expected
    assert (found.story, found.time_s, found.activation, found.share) == ("story", 19.0, 0.5, 0.5)


def test_words_of_one_shade_stand_together():
    words, time_s = spoken(80), 11 + 2.0 * np.arange(10)
    runs = passage(heard(words, time_s), 8, 1.0, largest=1.0, reach_s=12).words
    assert all(one.shade != other.shade for one, other in zip(runs, runs[1:], strict=False))
    assert len(runs) <= 2 * SHADES + 3


def test_nothing_is_shaded_where_no_word_was_in_time():
    words, time_s = spoken(2), 11 + 2.0 * np.arange(30)
    assert passage(heard(words, time_s), 20, 1.0, largest=1.0, reach_s=12).words == ()
    # Words that are far too early have weights of 0.
    late = heard(words, np.array([40.0, 42.0]))
    assert {run.shade for run in passage(late, 0, 1.0, largest=1.0, reach_s=60).words} == {0}


@pytest.mark.parametrize(
    ("time_s", "clock"), [(65.0, "1:05"), (59.6, "1:00"), (4.0, "0:04"), (-3.0, "−0:03")]
)
def test_times_are_told_in_minutes_and_seconds(time_s, clock):
    story = heard(spoken(4), np.array([time_s, time_s + 2]))
    assert passage(story, 0, 1.0, largest=1.0, reach_s=1).clock == clock


@pytest.mark.parametrize(("activation", "share"), [(-0.2, 0.0), (2.0, 1.0), (0.0, 0.0)])
def test_a_share_of_the_largest_activation_stays_between_0_and_1(activation, share):
    story = heard(spoken(4), np.array([1.0, 3.0]))
    assert passage(story, 0, activation, largest=1.0, reach_s=1).share == share
    assert passage(story, 0, activation, largest=0.0, reach_s=1).share == 0
