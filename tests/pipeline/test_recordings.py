"""Where segments lie in their recording: read from the table of stories, and refused or doubted where they cannot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.recordings import Segment, check_segments, check_spelling, describe_neighbours, read_columns

PATH = Path("data/stories.tsv")
DATASET = {"stories": "data/stories.tsv", "tr_s": 2.0, "trim": {"first": 0, "last": 0}}
FEATURES = {"delays_s": [2.0, 8.0], "lanczos": {"window": 3}}


def table(*lines: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["story", "sound_onset_s", "recording"]).assign(split="train")


def refusal(*lines: tuple[str, str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        read_columns(PATH, table(*lines))
    sentence = str(caught.value)
    assert sentence.startswith(f"{PATH}") and "\n" not in sentence
    return sentence


def test_stories_of_which_the_table_says_nothing_lie_where_all_do():
    assert read_columns(PATH, pd.DataFrame({"story": ["a", "b"], "split": ["train", "test"]})) == {}
    read = read_columns(PATH, table(("a", "", ""), ("b", "8.5", ""), ("c", "-1e2", "r"), ("d", "n/a", "n/a")))
    assert read == {"b": Segment(8.5, None), "c": Segment(-100.0, "r")}


@pytest.mark.parametrize(
    ("column", "meant"),
    [("sound_onset", "sound_onset_s"), ("Sound_Onset_s", "sound_onset_s"), ("recordings", "recording")],
)
def test_a_column_with_a_slip_in_its_name_is_not_passed_over(column, meant):
    with pytest.raises(ConfigError, match=f"has a column '{column}', which is not read: call it {meant}"):
        check_spelling(PATH, ["story", "split", column])
    check_spelling(PATH, ["story", "split", meant, "speaker", "onset", "comment", "record_date"])


def test_the_first_segment_may_be_called_like_its_recording():
    read = read_columns(PATH, table(("r", "8", "r"), ("r-2", "-100", "r")))
    assert [segment.recording for segment in read.values()] == ["r", "r"]


@pytest.mark.parametrize("cell", ["soon", "1,5", "nan", "inf", "-120 s"])
def test_an_onset_that_is_no_number_is_named(cell):
    sentence = refusal(("a", "1", ""), ("b", cell, ""))
    assert f"gives the story 'b' the sound_onset_s '{cell}', which is no number: give seconds" in sentence


def test_a_segment_without_its_place_is_named():
    sentence = refusal(("a", "8", "r"), ("b", "", "r"))
    assert "the story 'b' is a segment of the recording 'r', but its sound_onset_s is empty" in sentence


@pytest.mark.parametrize("name", ["a/b", "the talk", ".hidden", "x" * 90])
def test_a_recordings_name_is_that_of_a_file(name):
    assert ": the name of a recording must " in refusal(("a", "8", name))


@pytest.mark.parametrize("names", [("talk", "Talk"), ("r", "B")])
def test_names_that_some_disks_take_for_one_are_named(names):
    sentence = refusal(("a", "8", names[0]), ("b", "-9", names[1]))
    assert "whose files some disks take for the same: rename one" in sentence


def test_a_recording_that_is_a_segment_of_another_is_named():
    sentence = refusal(("r", "8", "q"), ("b", "-9", "r"))
    assert "calls 'r' a recording, and a segment of the recording 'q'" in sentence


@pytest.mark.parametrize(
    ("onset_s", "fits"), [(199.9, True), (200.0, False), (4000.0, False), (-4000.0, True)]
)
def test_a_sound_that_begins_after_the_story_is_refused(onset_s, fits):
    segments, volumes = {"a": Segment(onset_s, None)}, {"a": 100}
    if fits:
        check_segments(DATASET, segments, volumes)
        return
    with pytest.raises(
        ConfigError, match=r"sound_onset_s \d+, but its 100 volumes .* last 200 s: .* negative"
    ):
        check_segments(DATASET, segments, volumes)


def neighbours(onset_s: dict[str, float], splits: dict[str, str], **changes) -> list[str]:
    """Of segments of 100 volumes, 200 s."""
    segments = {story: Segment(onset, "r") for story, onset in onset_s.items()}
    stories = {split: [s for s in splits if splits[s] == split] for split in ("train", "validation", "test")}
    volumes = dict.fromkeys(segments, 100)
    return describe_neighbours(DATASET | changes, stories, segments, volumes, [FEATURES])


def test_touching_segments_of_one_split_are_no_matter():
    assert neighbours({"a": 0, "b": -200}, {"a": "train", "b": "train"}) == []


def test_touching_segments_of_different_splits_are_told_once_a_recording():
    splits = {"a": "train", "b": "test", "c": "train"}
    (sentence,) = neighbours({"a": 10, "b": -190, "c": -390}, splits)
    assert "Segments of the recording 'r' in different splits lie so close" in sentence
    assert "'a' (train) and 'b' (test); 'b' (test) and 'c' (train): a test" in sentence


def test_overlapping_segments_are_doubted_and_repeated_ones_are_not():
    (sentence,) = neighbours({"a": 10, "b": -180}, {"a": "train", "b": "train"})
    assert "Segments of the recording 'r' overlap: 'a' (train) and 'b' (train): check" in sentence
    assert neighbours({"a": 10, "b": 10}, {"a": "train", "b": "train"}) == []


@given(
    gap_s=st.integers(-50, 100),
    trim=st.fixed_dictionaries({"first": st.integers(0, 20), "last": st.integers(0, 20)}),
)
def test_splits_leak_as_far_as_their_rows_see_the_same_instant(gap_s, trim):
    begin_s = {"a": 0.0, "b": 200.0 + gap_s}
    sees = {}
    for story, start_s in begin_s.items():
        rows_s = start_s + 2.0 * (np.arange(trim["first"], 100 - trim["last"]) + 0.5)
        sees[story] = rows_s.min() - 8 - 6, rows_s.max() - 2 + 6
    assume(abs(sees["b"][0] - sees["a"][1]) > 1e-6)
    found = neighbours({s: -begin for s, begin in begin_s.items()}, {"a": "train", "b": "test"}, trim=trim)
    assert any("in different splits" in sentence for sentence in found) == (sees["b"][0] < sees["a"][1])
