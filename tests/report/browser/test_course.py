import re

import numpy as np
import pandas as pd
import pytest

from brainlm.report.browser.course import ACTIVATION, HALVES, WIDTH, WORDS, course, words_a_tr

TIME_S = 11 + 2.0 * np.arange(40)


def words_at(middles_s: list[float]) -> pd.DataFrame:
    middle = np.array(middles_s)
    return pd.DataFrame({"word": "word", "onset_s": middle - 0.1, "offset_s": middle + 0.1})


def drawn(activation=None, brain=None, lm=None, words=None, passages_s=()):
    random = np.random.default_rng(0)
    default = random.standard_normal((2, TIME_S.size))
    return course(
        "gardenwall",
        TIME_S,
        np.zeros(TIME_S.size) if activation is None else activation,
        default[0] if brain is None else brain,
        default[1] if lm is None else lm,
        words_at([20.0, 20.5, 30.0]) if words is None else words,
        passages_s=passages_s,
    )


def heights(path: str) -> np.ndarray:
    """Of the points of a line, a TR from one to the next."""
    first, moves = re.fullmatch(r"M0 ([\d.]+)l(.*)", path).groups()
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", moves)]
    assert set(numbers[::2]) == {1.0}
    return np.cumsum([float(first), *numbers[1::2]])


def rises(path: str) -> list[float]:
    """How far a path of bars goes up, each time that it does."""
    return [-float(up) for up in re.findall(r"v(-[\d.]+)", path)]


def test_words_count_where_they_are_spoken():
    counts = words_a_tr(words_at([9.0, 10.5, 11.9, 12.1, 89.9, 91.0]), TIME_S)
    assert counts[:3].tolist() == [2, 1, 0]
    assert counts[-1] == 1
    assert counts.sum() == 4


def test_halves_are_drawn_in_their_standard_deviations():
    brain = np.sin(TIME_S / 5)
    (low, high), path = HALVES, drawn(brain=100 * brain + 7).brain
    middle, sd = (low + high) / 2, (high - low) / 8
    expected = middle - sd * (brain - brain.mean()) / brain.std()
    # Drawn to a whole unit.
    np.testing.assert_allclose(heights(path), expected, atol=0.51)


def test_the_correlation_is_of_the_two_halves():
    random = np.random.default_rng(3)
    brain, noise = random.standard_normal((2, TIME_S.size))
    lm = brain + 0.5 * noise
    assert drawn(brain=brain, lm=lm).correlation == f"{np.corrcoef(brain, lm)[0, 1]:.2f}"
    assert drawn(brain=brain, lm=np.zeros(TIME_S.size)).correlation == "not known"


def test_a_half_that_does_not_vary_is_a_straight_line():
    assert set(heights(drawn(lm=np.full(TIME_S.size, 3.0)).lm)) == {sum(HALVES) / 2}


def test_only_positive_activations_have_bars():
    activation = np.zeros(TIME_S.size)
    activation[[3, 8]], activation[5] = (1.0, 0.5), -2.0
    low, high = ACTIVATION
    assert rises(drawn(activation=activation).activation) == pytest.approx([high - low, (high - low) / 2])
    assert rises(drawn().activation) == []


def test_words_are_drawn_to_the_tr_with_most():
    assert rises(drawn().words) == pytest.approx([WORDS[1] - WORDS[0], (WORDS[1] - WORDS[0]) / 2])
    assert drawn().most_words == "2 words"


def test_passages_of_the_page_are_marked_in_time():
    marked = drawn(passages_s=(11.0, 50.0, 89.0, 200.0)).passages
    assert marked == pytest.approx((0, WIDTH / 2, WIDTH))


def test_the_axis_of_time_has_minutes():
    assert [tick.label for tick in drawn().ticks] == ["0.5", "1"]


def test_the_drawing_is_told_in_words():
    activation = np.zeros(TIME_S.size)
    activation[:4] = 1
    assert "active in 4 of 40 TRs" in drawn(activation=activation).alt
