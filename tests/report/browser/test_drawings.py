import re

import numpy as np
import pytest

from brainlm.report.browser.drawings import HEIGHT, WIDTH, intervals, line, steps, strip


def walked(path: str) -> list[tuple[float, float]]:
    """The corners of a path of relative lines."""
    corners: list[tuple[float, float]] = []
    x, y = 0.0, 0.0
    for command, numbers in re.findall(r"([Mlvhz])([^Mlvhz]*)", path):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "z":
            moves, (x, y) = [(0.0, 0.0)], corners[0]
        elif command == "M":
            moves, x, y = [tuple(values)], 0.0, 0.0
        else:
            parted = {"l": values, "h": [*values, 0.0], "v": [0.0, *values]}[command]
            moves = list(zip(parted[::2], parted[1::2], strict=True))
        for right, down in moves:
            x, y = x + right, y + down
            corners.append((x, y))
    return corners


def test_the_histogram_has_the_counts_of_all_values():
    values = np.array([0.0] * 4 + [0.5] * 2 + [1.0] + [np.nan])
    drawn = strip(values, 0.5, limits=(0.0, 1.0))
    counts, edges = np.histogram(values[:-1], bins=30, range=(0, 1))
    corners = walked(drawn.bars)
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        middle = WIDTH * (left + right) / 2
        # Each horizontal line above the middle of a bin is at the bin's height, drawn to a tenth of a unit.
        tops = [y for (x, y), (to_x, _) in zip(corners, corners[1:], strict=False) if x < middle < to_x]
        assert tops == [pytest.approx(HEIGHT * (1 - count / 4), abs=0.06)]
    assert corners[-2][1] == pytest.approx(HEIGHT)
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
    path = line(np.arange(5.0), np.array([1.0, 2.04, np.nan, 3.0, 2.5]))
    assert path == "M0 1l1 1M3 3l1-0.5"


def test_a_line_does_not_drift():
    random = np.random.default_rng(0)
    x, y = np.cumsum(random.uniform(0, 1, 500)), random.uniform(0, 90, 500)
    # Drawn to a tenth of a unit.
    np.testing.assert_allclose(walked(line(x, y)), np.column_stack([x, y]), atol=0.051)


def test_bars_of_one_height_are_drawn_as_one():
    path = steps(np.arange(5.0), np.array([0.0, 3.0, 3.0, 0.0]), 10.0)
    assert walked(path)[:-1] == [(0, 10), (0, 10), (1, 10), (1, 7), (3, 7), (3, 10), (4, 10), (4, 10)]


def test_small_negative_numbers_have_no_sign():
    assert line(np.array([-0.01]), np.array([-0.04])) == "M0 0"
