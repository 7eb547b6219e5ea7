"""Words without times, and words that end before they begin: each is placed by the rule or named with its line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.textgrid.word_times import Fault, Spoken, check_faults, parse_time, settle_times

GAPS = st.integers(0, 4)
SECONDS = st.integers(0, 4000).map(lambda quarter: quarter / 4)


@given(
    timed=st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=6),
    data=st.data(),
    before_zero_s=st.integers(2, 3000),
)
def test_words_without_times_lie_evenly_between_their_neighbours(timed, data, before_zero_s):
    # Onsets in order, words that may overlap, some of them before the sound's onset.
    onset_s = np.sort([onset for onset, _ in timed]) - before_zero_s - 0.125
    offset_s = onset_s + np.array([length for _, length in timed])
    gaps = data.draw(st.lists(GAPS, min_size=len(timed) + 1, max_size=len(timed) + 1))
    spoken, expected = [], []
    for number, n_missing in enumerate(gaps):
        after_s = onset_s[number] if number < len(timed) else offset_s[-1]
        before_s = min(offset_s[number - 1], after_s) if number else after_s
        edges_s = np.linspace(before_s, after_s, n_missing + 1)
        for middle_s in (edges_s[1:] + edges_s[:-1]) / 2:
            spoken.append(Spoken(len(spoken) + 1, "lost", None, None))
            expected.append((middle_s, middle_s))
        if number < len(timed):
            spoken.append(Spoken(len(spoken) + 1, "found", onset_s[number], offset_s[number]))
            expected.append((onset_s[number], offset_s[number]))
    words, notes, faults = settle_times(spoken, "between")
    assert faults == [] and [word for word, *_ in words] == [entry.word for entry in spoken]
    np.testing.assert_allclose([times for _, *times in words], expected, atol=1e-9)
    # The order of the text is that of the onsets.
    assert np.all(np.diff([onset for _, onset, _ in words]) >= -1e-9)
    assert notes == [f"words without times are placed between their neighbours: {sum(gaps)}"] * (
        sum(gaps) > 0
    )


def test_a_place_between_words_out_of_order_is_no_place():
    spoken = [Spoken(2, "late", 9.0, 9.5), Spoken(3, "lost", None, None), Spoken(4, "early", 1.0, 2.0)]
    (fault,) = settle_times(spoken, "between")[2]
    assert (
        fault.line == 3
        and "'lost' has no times and stands between words that are not in the order" in fault.what
    )


def test_a_transcript_without_any_time_is_refused():
    (fault,) = settle_times([Spoken(5, "a", None, None), Spoken(6, "b", None, None)], "between")[2]
    assert fault == Fault(5, "none of the 2 words has a time; align them again")


@given(onset_s=st.floats(-1e4, 1e4), excess_ms=st.integers(1, 500))
def test_only_a_slip_is_mended(onset_s, excess_ms):
    words, notes, faults = settle_times([Spoken(2, "a", onset_s, onset_s - excess_ms / 1000)], "refuse")
    if excess_ms < 100:
        assert words == [("a", onset_s, onset_s)] and faults == []
        assert notes == ["words that end before they begin by less than 0.1 s are given no length: 1"]
    else:
        assert len(faults) == 1 and "'a' ends before it begins" in faults[0].what


@pytest.mark.parametrize(
    ("times", "kept"),
    [
        ((-1.0, -0.5), True),
        ((-2.5, -1.0), True),
        ((-1.0, 0.0), True),
        ((-1.0, 0.75), True),
        ((-1.0, 1.25), False),
        ((-1.0, 3.0), False),
        ((0.0, -1.0), False),
        ((3.0, -1.0), False),
    ],
)
def test_minus_one_is_a_time_only_before_the_sounds_onset(times, kept):
    words, _, faults = settle_times([Spoken(2, "a", *times)], "refuse")
    assert (faults == []) == kept and (words == [("a", *times)]) == kept


@pytest.mark.parametrize("cell", ["", "  ", "nan", "NaN", "-nan", "NA", "na", "N/A", "None", "NULL"])
def test_cells_that_stand_for_no_time(cell):
    assert parse_time(cell) is None


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "soon", "1,5", "0:01"])
def test_cells_that_are_no_times(cell):
    with pytest.raises(ValueError, match=r".*"):
        parse_time(cell)


@pytest.mark.parametrize(
    ("n_faults", "end"), [(5, "e."), (6, "And 1 more such fault."), (90, "And 85 more such faults.")]
)
def test_a_few_faults_are_named_in_the_order_of_lines_and_the_others_counted(n_faults, end):
    faults = [Fault(100 - number, f"word {number} is wrong here") for number in range(n_faults)]
    with pytest.raises(InputError) as caught:
        check_faults(Path("story.tsv"), faults)
    sentence = str(caught.value)
    assert sentence.startswith(f"story.tsv, line {101 - n_faults}: word {n_faults - 1} is wrong here. Line ")
    assert sentence.count(" is wrong here.") == 5 and sentence.endswith(end)
    check_faults(Path("story.tsv"), [])
