import re

import numpy as np
import pytest

from brainlm.report.browser.drawings import HEIGHT, WIDTH, bars, intervals, line, strip


def test_the_histogram_has_the_counts_of_all_values():
    values = np.array([0.0] * 4 + [0.5] * 2 + [1.0] + [np.nan])
    drawn = strip(values, 0.5, limits=(0.0, 1.0))
    tops = [float(top) for top in re.findall(r"V([\d.]+)H", drawn.bars)]
    counts, _ = np.histogram(values[:-1], bins=len(tops), range=(0, 1))
    # Drawn to a tenth of a unit.
    np.testing.assert_allclose(tops, HEIGHT * (1 - counts / 4), atol=0.05)
    assert drawn.x == pytest.approx(WIDTH / 2)


def test_a_strip_holds_0_and_round_ticks_within_its_values():
    drawn = strip(np.array([0.2, 0.37]), 0.2)
    places = {tick.label: tick.place for tick in drawn.ticks}
    assert places["0"] == 0
    assert places["0.2"] == pytest.approx(WIDTH * 0.2 / 0.37)
    assert max(places.values()) <= WIDTH


def test_what_is_not_known_is_not_drawn():
    assert strip(np.array([np.nan, np.nan]), np.nan) is None
    drawn = strip(np.array([0.1, np.nan]), np.nan, bounds=[np.nan, 0.05])
    assert drawn.x is None
    assert len(drawn.bounds) == 1
    assert intervals({"brain": (np.nan,) * 3, "LM": (np.nan,) * 3}) is None


def test_values_beyond_the_limits_stand_at_the_edge():
    assert strip(np.array([0.5, 3.0]), 3.0, limits=(0.0, 1.0)).x == WIDTH


def test_equal_values_have_an_axis():
    assert np.isfinite(strip(np.zeros(3), 0.0).x)


def test_intervals_share_an_axis_with_0():
    drawn = intervals({"brain": (1.0, 2.0, 4.0), "LM": (-1.0, 0.0, 0.5)})
    brain, lm = drawn.rows
    assert [brain.low, brain.x, brain.high] == pytest.approx([WIDTH * 2 / 5, WIDTH * 3 / 5, WIDTH])
    assert [lm.low, lm.x] == pytest.approx([0, WIDTH / 5])
    assert drawn.zero == pytest.approx(WIDTH / 5)


def test_an_interval_that_is_not_known_stands_beside_one_that_is():
    drawn = intervals({"brain": (1.0, 2.0, 4.0), "LM": (np.nan,) * 3})
    assert (drawn.rows[1].low, drawn.rows[1].x) == (None, None)


def test_a_line_breaks_at_missing_values():
    assert line(np.arange(4.0), np.array([1.0, 2.04, np.nan, 3.0])) == "M0 1L1 2M3 3"


def test_bars_stand_on_their_line_and_empty_ones_are_left_out():
    assert bars(np.array([5.0, 9.0]), np.array([3.0, 0.0]), 2.0, 10.0) == "M4 10v-3h2v3z"


def test_small_negative_numbers_have_no_sign():
    assert line(np.array([-0.01]), np.array([-0.04])) == "M0 0"
