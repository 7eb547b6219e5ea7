"""What events.tsv tells of a story: its sound's onset, and its words."""

from pathlib import Path

import pandas as pd
import pytest

from brainlm.data.bids.events import common_words, has_words, sound_onset, spoken_words
from brainlm.errors import InputError

EVENTS = """onset\tduration\ttrial_type\tvalue
0\t12\tmusic\tn/a
12.5\t300\tStory\tn/a
13.0\t0.25\tword\tOnce
13.5\t0.5\tword\tnan
"""


def written(folder: Path, text: str = EVENTS) -> Path:
    path = folder / "sub-1_task-x_events.tsv"
    path.write_text(text)
    return path


def test_the_sound_begins_with_the_row_that_is_called_so(tmp_path):
    assert sound_onset(written(tmp_path), "tunnel") == 12.5
    assert sound_onset(written(tmp_path, EVENTS.replace("Story", "Tunnel")), "tunnel") == 12.5
    assert sound_onset(written(tmp_path, EVENTS.replace("Story", "speech")), "tunnel") is None


# As Narratives' pieman has it: gentle's times count from the beginning of the file, 15 s before the story.
PIEMAN = """onset\tduration\ttrial_type\tstim_file
0.0\t15.0\tmusic\tpieman_audio.wav
15.0\t407.0\tstory\tpieman_audio.wav
"""


def test_a_file_that_begins_before_its_story_leaves_two_clocks(tmp_path):
    with pytest.raises(
        InputError, match=r"story at 15 s, but its pieman_audio.wav begins at 0 s .*give onset_s"
    ):
        sound_onset(written(tmp_path, PIEMAN), "pieman")
    assert sound_onset(written(tmp_path, PIEMAN.replace("music\tpieman", "music\tother")), "pieman") == 15
    assert sound_onset(written(tmp_path, PIEMAN.replace("pieman_audio.wav", "n/a")), "pieman") == 15


def test_words_are_rows_with_onset_and_duration(tmp_path):
    path = written(tmp_path)
    assert has_words(path)
    expected = {"word": ["Once", "nan"], "onset": [13.0, 13.5], "offset": [13.25, 14.0]}
    assert spoken_words(path).to_dict("list") == expected
    assert not has_words(written(tmp_path, EVENTS.replace("word", "noise")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EVENTS.replace("music", "sound"), "has 2 rows whose trial_type is 'tunnel' or story, sound, audio"),
        (EVENTS.replace("onset", "start"), "has no column onset, as every events.tsv must"),
        (EVENTS.replace("12.5", "n/a"), "line 3: the onset 'n/a' is no number"),
        ("", "is no tab-separated table"),
    ],
)
def test_each_fault_of_an_onset_is_one_sentence(tmp_path, text, expected):
    with pytest.raises(InputError, match=expected):
        sound_onset(written(tmp_path, text), "tunnel")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            EVENTS.replace("value", "text"),
            "has no column word or value that holds the words .*: call it word",
        ),
        (EVENTS.replace("0.25", "short"), "line 4: the duration 'short' is no number"),
        (EVENTS.replace("word", "noise"), "has no rows whose trial_type is word"),
    ],
)
def test_each_fault_of_words_is_one_sentence(tmp_path, text, expected):
    with pytest.raises(InputError, match=expected):
        spoken_words(written(tmp_path, text))


def test_hearings_share_their_words_within_a_twentieth_of_a_tr():
    words = pd.DataFrame({"word": ["once"], "onset": [1.0], "offset": [1.4]})
    later = words.assign(onset=1.09)
    assert common_words({"a": words, "b": later}, 2.0) is words
    with pytest.raises(InputError, match="b has words up to 0.11 s earlier or later than a"):
        common_words({"a": words, "b": words.assign(offset=1.51)}, 2.0)
    with pytest.raises(InputError, match="b has other words than a"):
        common_words({"a": words, "b": words.assign(word="twice")}, 2.0)
