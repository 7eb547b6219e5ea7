import numpy as np
import pandas as pd
import pytest

from brainlm.simulation.courses import (
    artefact_bursts,
    haemodynamic_response,
    hear,
    melodies,
    respond,
    speech_rate,
    spontaneous_events,
    time_in_story,
)


def story(words: str, onset_s: np.ndarray, offset_s: np.ndarray) -> pd.DataFrame:
    """One story's table of words, named in one text."""
    return pd.DataFrame({"word": words.split(), "onset_s": onset_s, "offset_s": offset_s})


def even_speech(n_words: int, every_s: float, word: str = "word") -> pd.DataFrame:
    """The same word again and again, half of the time."""
    onset_s = every_s * np.arange(n_words)
    return story(f"{word} " * n_words, onset_s, onset_s + every_s / 2)


def test_the_haemodynamic_response_has_area_one_and_peaks_near_five_seconds():
    t = np.arange(0, 60, 0.01)
    response = haemodynamic_response(t)
    assert response.sum() * 0.01 == pytest.approx(1, abs=1e-3)
    assert 4.5 < t[response.argmax()] < 5.5
    assert 12 < t[response.argmin()] < 18 and response.min() < 0
    assert np.all(haemodynamic_response(np.array([-10.0, -0.1, 0.0])) == 0)


def test_one_event_is_one_response():
    times = np.arange(1.0, 30, 2)
    response = respond(np.array([[2.0, -1.0]]), np.array([3.2]), times)
    expected = haemodynamic_response(times - 3.2)
    np.testing.assert_allclose(response, np.stack([2 * expected, -expected], axis=1), rtol=1e-12)


def test_words_are_heard_one_by_one_and_story_by_story():
    random = np.random.default_rng(0)
    words, times = {}, {}
    for name, n_words in (("b", 40), ("a", 25)):  # in the order given
        onset = np.cumsum(random.uniform(0.3, 0.6, n_words))
        words[name], times[name] = story("word " * n_words, onset, onset + 0.25), np.arange(1.0, n_words, 2)
    values = random.standard_normal((65, 3))
    expected = {
        name: sum(
            value * haemodynamic_response(times[name] - (row.onset_s + row.offset_s) / 2)[:, None]
            for value, row in zip(of_story, words[name].itertuples(), strict=True)
        )
        for name, of_story in (("b", values[:40]), ("a", values[40:]))
    }
    # Times may come in another order.
    heard = hear(values, words, dict(reversed(times.items())))
    np.testing.assert_allclose(heard, np.concatenate([expected["b"], expected["a"]]), atol=1e-12)


def test_constant_speech_tends_to_its_rate():
    words, times = {"a": even_speech(400, 0.4, "seven")}, {"a": np.arange(0.0, 150, 2)}
    rate = speech_rate(words, times)
    assert rate.shape == (75, 2) and np.all(rate[0] == 0)
    np.testing.assert_allclose(rate[times["a"] > 40], [[2.5, 12.5]] * 54, rtol=1e-3)


def test_letters_are_letters_and_digits_of_any_script():
    times = {"a": np.array([5.0])}
    counted = {
        word: np.divide(*speech_rate({"a": even_speech(1, 1.0, word)}, times)[0, ::-1])
        for word in ("a", "don't", "caf\u00e9", "21stfloor", "o'neill's")
    }
    assert counted == pytest.approx({"a": 1, "don't": 4, "caf\u00e9": 4, "21stfloor": 9, "o'neill's": 7})


def test_time_in_a_story_begins_with_its_sound():
    words = {"a": even_speech(10, 1.0), "b": even_speech(20, 1.0)}
    columns = time_in_story(words, {"a": np.array([-2.0, 0.0, 9.5]), "b": np.array([19.5, 60.0])})
    expected = [[0, 1, 1], [0, 1, 1], [1, np.exp(-0.475), np.exp(-9.5 / 60)]]
    np.testing.assert_allclose(columns[:3], expected)
    np.testing.assert_allclose(columns[3:, 0], [1, 60 / 19.5])
    np.testing.assert_allclose(columns[4, 1:], np.exp([-3, -1]))


STORIES = {"a": even_speech(900, 0.4), "b": even_speech(600, 0.4)}
TIMES = {"a": np.arange(0.0, 380, 2), "b": np.arange(0.0, 260, 2)}


def test_melodies_are_the_storys_own_and_fixed_by_the_seed():
    courses = melodies(STORIES, TIMES, 2, seed=3)
    assert courses.shape == (320, 2)
    assert abs(np.corrcoef(courses.T)[0, 1]) < 0.3
    np.testing.assert_array_equal(courses, melodies(STORIES, TIMES, 2, seed=3))
    assert abs(np.corrcoef(courses[:, 0], melodies(STORIES, TIMES, 2, seed=4)[:, 0])[0, 1]) < 0.3
    # A story that is added, or comes elsewhere, changes no other.
    alone, turned = melodies({"b": STORIES["b"]}, TIMES, 2, seed=3), dict(reversed(STORIES.items()))
    np.testing.assert_array_equal(alone, courses[190:])
    np.testing.assert_array_equal(melodies(turned, TIMES, 2, seed=3)[:130], courses[190:])


def test_melodies_come_as_often_as_said_while_the_story_lasts():
    story, times = {"a": pd.DataFrame({"offset_s": [3000.0]})}, np.arange(0.0, 3100, 2)
    courses = melodies(story, {"a": times}, 8, seed=0)
    assert np.abs(courses[times > 3060]).max() < 1e-4
    # Each event adds its size, 1 on average, to the area under the course. Number and sizes of 800 events vary: the
    # area is sure to 5 %.
    assert 2 * courses.sum(axis=0).mean() == pytest.approx(100, rel=0.2)


def test_spontaneous_events_are_standardized_and_fixed_by_their_seed():
    courses = [spontaneous_events(600, 2.0, np.random.default_rng(s), every_s=30) for s in (0, 0, 1)]
    np.testing.assert_array_equal(courses[0], courses[1])
    assert courses[0].shape == (600,) and np.abs(np.corrcoef(courses[0], courses[2])[0, 1]) < 0.3
    assert courses[0].mean() == pytest.approx(0, abs=1e-10) and courses[0].std() == pytest.approx(1)


def test_spontaneous_events_come_as_often_as_asked():
    # One event in 200 s has died away before the next one; each gives one peak above the undershoots.
    course = spontaneous_events(20_000, 2.0, np.random.default_rng(0), every_s=200)
    inner = course[1:-1]
    peaks = np.sum((inner > course[:-2]) & (inner >= course[2:]) & (inner > np.median(course) + 0.05))
    assert 0.7 * 200 < peaks < 1.3 * 200


def test_artefacts_come_in_bursts():
    course = artefact_bursts(5000, 2.0, np.random.default_rng(0), every_s=60, lasting_s=6)
    assert course.mean() == pytest.approx(0, abs=1e-10) and course.std() == pytest.approx(1)
    # Most of the energy lies in a small part of the time, with no preferred sign.
    energy = np.sort(course**2)[::-1]
    assert energy[:500].sum() > 0.8 * energy.sum()
    assert abs(np.mean(np.sign(course[np.abs(course) > 1]))) < 0.2
