from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainlm.errors import InputError
from brainlm.simulation.stories import THEMES, read_annotated, speak

STORIES = sorted((Path(__file__).parents[2] / "config" / "stories").glob("*.txt"))


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> pd.DataFrame:
        (tmp_path / "story.txt").write_text(text, encoding="utf-8")
        return read_annotated(tmp_path / "story.txt")

    return read_text


def test_words_are_lower_case_without_punctuation(read):
    story = read("\"Don't!\" she said -- 'now', twenty-one O'Neill's (dogs).")
    assert list(story.columns) == ["word", "theme", "pause"]
    assert story["word"].tolist() == ["don't", "she", "said", "now", "twentyone", "o'neill's", "dogs"]


def test_themes_belong_to_the_words_inside_their_spans(read):
    story = read(
        "I saw <place>the old\nhall</place> and <negative>wept</negative>. <colloquial>Um.</colloquial>"
    )
    assert list(zip(story["word"], story["theme"], strict=True)) == [
        ("i", ""),
        ("saw", ""),
        ("the", "place"),
        ("old", "place"),
        ("hall", "place"),
        ("and", ""),
        ("wept", "negative"),
        ("um", "colloquial"),
    ]


def test_a_word_that_transcripts_would_drop_is_refused_with_its_line(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("One two\nsil three.")
    with pytest.raises(InputError, match=r"line 2: 'sil' stands for a noise.*non_words"):
        read_annotated(path)
    assert read_annotated(path, [])["word"].tolist() == ["one", "two", "sil", "three"]
    with pytest.raises(InputError, match=r"line 1: 'two' stands for a noise"):
        read_annotated(path, ["TWO"])


def test_pauses_follow_punctuation(read):
    story = read(
        'One, two; three: four. "Five?" six! (seven) eight\n\n'
        "nine <place>ten.</place>\n \n<place>end</place>\n"
    )
    pauses = dict(zip(story["word"], story["pause"], strict=True))
    assert pauses == {
        "one": ",",
        "two": ",",
        "three": ",",
        "four": ".",
        "five": ".",
        "six": ".",
        "seven": "",
        "eight": "paragraph",
        "nine": "",
        "ten": "paragraph",
        "end": "",
    }


def test_a_single_line_break_is_no_paragraph(read):
    assert read("one\ntwo")["pause"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\n<place>two <negative>three</negative></place>", r"line 2: <negative> does not fit"),
        ("one\n\n<place>two <place>three</place>", r"line 3: <place> does not fit"),
        ("<place>one\ntwo</negative>", r"line 2: </negative> does not fit"),
        ("one</place> two", r"line 1: </place> does not fit"),
        ("one\n<plaec>two</plaec>", r"line 2: <plaec> does not fit"),
        ("<>one", r"line 1: <> does not fit"),
        ("one\n<place>two</place>\nthree <place>four\nfive", r"line 3: this <place> is not closed"),
        ("", "has no words"),
        ("-- ...\n", "has no words"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_with_its_line(read, text, message):
    with pytest.raises(InputError, match=rf"story\.txt.*{message}"):
        read(text)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_the_demos_stories(path):
    story = read_annotated(path)
    assert 500 <= len(story) <= 700
    assert set(story["theme"]) == {"", *THEMES}
    # Enough of each theme to find it again, and enough of the rest to tell it apart.
    shares = story["theme"].value_counts(normalize=True)
    assert shares.min() > 0.05 and shares[""] > 0.3
    assert story["word"].str.fullmatch(r"[a-z]+('[a-z]+)*").all()
    assert (story["pause"] == "paragraph").sum() > 3


def test_there_are_stories():
    assert len(STORIES) >= 20


@pytest.fixture(scope="module")
def story() -> pd.DataFrame:
    return read_annotated(STORIES[0])


@pytest.mark.parametrize("words_per_minute", [120, 180.5])
def test_the_rate_is_exact(story, words_per_minute):
    # Without a pause after its last word, the story lasts from the first onset to the last offset.
    story = story.copy()
    story.loc[len(story) - 1, "pause"] = ""
    told = speak(story, np.random.default_rng(0), words_per_minute=words_per_minute)
    minutes = (told["offset_s"].iloc[-1] - told["onset_s"].iloc[0]) / 60
    assert len(story) / minutes == pytest.approx(words_per_minute, rel=1e-9)
    assert told["onset_s"].iloc[0] == 0.5


def test_words_follow_each_other_without_overlap(story):
    for seed in range(5):
        told = speak(story, np.random.default_rng(seed), words_per_minute=150)
        onset, offset = told["onset_s"].to_numpy(), told["offset_s"].to_numpy()
        assert np.isfinite(offset).all() and np.all(offset > onset)
        gap = onset[1:] - offset[:-1]
        has_pause = (story["pause"] != "").to_numpy()[:-1]
        np.testing.assert_allclose(gap[~has_pause], 0, atol=1e-9)
        assert np.all(gap[has_pause] > 0.01)


def test_longer_words_and_longer_stops_take_longer(story):
    told = speak(story, np.random.default_rng(0), words_per_minute=150)
    duration, letters = told["offset_s"] - told["onset_s"], told["word"].str.len()
    assert duration[letters >= 8].mean() > 1.5 * duration[letters <= 3].mean()
    gap = told["onset_s"].shift(-1) - told["offset_s"]
    mean = gap.groupby(told["pause"]).mean()
    assert mean[""] < mean[","] < mean["."] < mean["paragraph"]


def test_the_same_seed_tells_the_story_the_same_way(story):
    told = [speak(story, np.random.default_rng(seed), words_per_minute=150) for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(told[0], told[1])
    assert not np.allclose(told[0]["onset_s"], told[2]["onset_s"])


def test_words_and_themes_stay_as_they_were(story):
    told = speak(story, np.random.default_rng(0), words_per_minute=150)
    pd.testing.assert_frame_equal(told[["word", "theme", "pause"]], story)


def test_a_story_of_one_word(read):
    told = speak(read("Hello"), np.random.default_rng(0), words_per_minute=60)
    assert told["offset_s"].item() - told["onset_s"].item() == pytest.approx(1.0)


def test_letters_digits_and_apostrophes_of_any_kind_are_kept(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("I\u2019m at the caf\u00e9 on the 21st_floor, \u201cyes\u201d", encoding="utf-8")
    assert read_annotated(path)["word"].tolist() == [
        "i'm",
        "at",
        "the",
        "caf\u00e9",
        "on",
        "the",
        "21stfloor",
        "yes",
    ]


def test_punctuation_after_a_closing_tag_makes_a_pause(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("in <place>the house</place>. then, out")
    assert read_annotated(path)["pause"].tolist() == ["", "", ".", ",", ""]


def test_a_word_that_transcripts_use_for_a_noise_is_refused(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text("first line\nthe sp stopped")
    with pytest.raises(InputError, match=r"line 2: 'sp' stands for a noise"):
        read_annotated(path)
