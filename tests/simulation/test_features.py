"""What every listener hears: each kind of planted feature has the property that it is called by."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from brainlm.errors import InputError
from brainlm.resample import lanczos_weights
from brainlm.simulation.components import share_explained
from brainlm.simulation.courses import hear
from brainlm.simulation.features import (
    KINDS,
    NEW_AT_EVERY_HEARING,
    Planted,
    alike,
    load_planted,
    plant_features,
    save_planted,
    together,
)
from brainlm.simulation.stories import THEMES, read_annotated, speak

TEXTS = sorted((Path(__file__).parents[2] / "config" / "stories").glob("*.txt"))[:8]
COUNTS = {"n_lm_features": 3, "n_lm_only": 2, "n_story_driven": 2}


def told(path: Path) -> pd.DataFrame:
    random = np.random.default_rng([0, *path.stem.encode()])
    return speak(read_annotated(path), random, words_per_minute=145)


def language_model(words: dict[str, pd.DataFrame], *, beginnings: bool = True) -> dict[str, np.ndarray]:
    """Hidden states of a model that knows the themes, four topics, and if so wanted how a story begins."""
    random = np.random.default_rng(1)
    directions = random.standard_normal((8, 40))
    states = {}
    for story, table in words.items():
        topics = np.zeros((len(table), 5))
        for topic in range(4):
            for first in np.flatnonzero(random.random(len(table)) < 1 / 80):
                topics[first : first + 8, topic] = random.exponential(1.5)
        if beginnings:
            topics[:, 4] = 3 * np.exp(-table["onset_s"] / 30)
        themes = np.stack([table["theme"] == theme for theme in THEMES], axis=1)
        carried = np.hstack([themes, topics]) @ directions
        states[story] = (carried + 0.5 * random.standard_normal(carried.shape)).astype(np.float32)
    return states


class Hearing:
    """Eight of the demo's stories, heard."""

    def __init__(self, **of_model: bool):
        self.words = {path.stem: told(path) for path in TEXTS}
        self.tr_times_s = {
            story: np.arange(11.0, table["offset_s"].iloc[-1] - 2, 2) for story, table in self.words.items()
        }
        self.states = language_model(self.words, **of_model)
        self.planted = self.plant()
        self.course = dict(zip(self.planted.names, self.planted.time_courses.T, strict=True))
        self.kind = dict(zip(self.planted.names, self.planted.kinds, strict=True))
        self.strength = dict(zip(self.planted.names, self.planted.strength, strict=True))

    def plant(self, **changes) -> Planted:
        settings = {"words": self.words, "states": self.states, "seed": 0, **COUNTS, **changes}
        return plant_features(settings.pop("words"), settings.pop("states"), self.tr_times_s, **settings)

    def named(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kind.items() if kind in kinds]

    def courses(self, names: list[str]) -> np.ndarray:
        return np.column_stack([self.course[name] for name in names])


@pytest.fixture(scope="module")
def hearing() -> Hearing:
    return Hearing()


def test_features_of_four_kinds_are_planted_for_every_listener(hearing):
    assert hearing.planted.names == (
        *("place", "negative", "lm 1", "lm 2", "lm 3", "words", "letters"),
        *("melody 1", "melody 2", "lm-only 1", "lm-only 2"),
    )
    assert set(hearing.planted.kinds) == set(KINDS) - set(NEW_AT_EVERY_HEARING)
    assert hearing.named("story-driven") == ["melody 1", "melody 2"]
    assert hearing.named("LM-only") == ["lm-only 1", "lm-only 2"]
    courses = hearing.planted.time_courses
    assert courses.shape == (sum(map(len, hearing.tr_times_s.values())), 11)
    np.testing.assert_allclose(courses.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(courses.std(axis=0), 1, rtol=1e-10)


def test_what_only_the_lm_has_goes_along_with_nothing_that_voxels_follow(hearing):
    followed = [name for name, strength in hearing.strength.items() if strength > 0]
    assert set(hearing.strength) - set(followed) == {"lm-only 1", "lm-only 2"}
    explained = share_explained(hearing.courses(["lm-only 1", "lm-only 2"]), hearing.courses(followed))
    assert explained.max() < 0.05


def lagged(hearing: Hearing, sizes: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Lanczos sums over words at each of the analysis's delays, (time, column) over all stories."""
    of_delays = []
    for delay_s in (2, 4, 6, 8):
        rows = []
        for story, table in hearing.words.items():
            middle_s = ((table["onset_s"] + table["offset_s"]) / 2).to_numpy()
            rows.append(lanczos_weights(middle_s, hearing.tr_times_s[story] - delay_s) @ sizes[story])
        of_delays.append(np.concatenate(rows))
    return of_delays


def test_what_only_the_lm_has_is_in_the_lms_rows_and_a_melody_is_not(hearing):
    rows = np.mean(lagged(hearing, hearing.states), axis=0)
    carried = share_explained(hearing.courses(hearing.named("LM-only", "story-driven")), rows)
    melody, lm_only = carried[:2], carried[2:]
    # 40 columns explain 4 % of 1,000 independent rows, and more of smooth ones.
    assert lm_only.min() > 0.5 and melody.max() < 0.2


def nuisances(hearing: Hearing) -> np.ndarray:
    """Words and letters a TR at each delay, and the time since the story began."""
    counts = {
        story: np.stack([np.ones(len(table)), table["word"].str.replace("'", "").str.len()], axis=1)
        for story, table in hearing.words.items()
    }
    t_s = np.concatenate(list(hearing.tr_times_s.values()))[:, None]
    return np.hstack([*lagged(hearing, counts), np.exp(-t_s / [20, 60])])


def test_nuisances_explain_word_rate_and_nothing_else(hearing):
    explained = dict(
        zip(
            hearing.planted.names,
            share_explained(hearing.planted.time_courses, nuisances(hearing)),
            strict=True,
        )
    )
    rate = set(hearing.named("word rate"))
    assert {"words", "letters"} < rate
    for name, share in explained.items():
        assert (share > 1 / 3) == (name in rate), name


def test_words_and_letters_are_no_copies(hearing):
    assert abs(np.corrcoef(hearing.course["words"], hearing.course["letters"])[0, 1]) < 0.3


def test_a_component_of_the_lm_that_follows_the_storys_time_counts_as_word_rate(hearing):
    assert len([name for name in hearing.named("word rate") if name.startswith("lm ")]) == 1
    assert Hearing(beginnings=False).named("word rate") == ["words", "letters"]


def test_melodies_are_unrelated_to_the_text(hearing):
    other = {story: values[::-1].copy() for story, values in hearing.states.items()}
    again = hearing.plant(states=other)
    place, first = (hearing.planted.names.index(name) for name in ("place", "melody 1"))
    np.testing.assert_array_equal(
        again.time_courses[:, first : first + 2], hearing.courses(hearing.named("story-driven"))
    )
    assert not np.allclose(again.time_courses[:, place], hearing.course["place"])
    # Another seed has other melodies, and the same of all else.
    others = hearing.plant(seed=1)
    same = np.isclose(others.time_courses, hearing.planted.time_courses).all(axis=0)
    assert set(np.array(hearing.planted.names)[~same]) == {"melody 1", "melody 2"}


def test_shared_features_are_as_strong_as_the_lm_carries_them(hearing):
    duration_s = {
        story: (table["offset_s"] - table["onset_s"]).to_numpy() for story, table in hearing.words.items()
    }
    everything = np.concatenate(list(hearing.states.values()))
    mean, sd = everything.mean(axis=0), everything.std(axis=0)
    acting = [(hearing.states[story] - mean) / sd * duration_s[story][:, None] for story in hearing.words]
    heard = hear(np.concatenate(acting), hearing.words, hearing.tr_times_s)
    names = [
        name for name in hearing.planted.names if name in ("place", "negative") or name.startswith("lm ")
    ]
    of_each = np.corrcoef(np.hstack([hearing.courses(names), heard]).T)[: len(names), len(names) :]
    carried = dict(zip(names, (of_each**2).mean(axis=1), strict=True))
    unit = np.mean([carried[name] for name in hearing.named("shared")])
    assert {name: hearing.strength[name] for name in names} == pytest.approx(
        {name: share / unit for name, share in carried.items()}, rel=1e-5
    )


def test_how_strong_other_features_are_beside_a_shared_one(hearing):
    assert np.mean([hearing.strength[name] for name in hearing.named("shared")]) == pytest.approx(1)
    others = hearing.named("story-driven", "LM-only")
    assert [hearing.strength[name] for name in ("words", "letters", *others)] == [2, 1, 0.5, 0.5, 0, 0]


def test_too_few_rows_to_tell_what_only_the_lm_has_are_refused(hearing):
    story = TEXTS[0].stem
    with pytest.raises(
        InputError, match=r"What voxels follow explains \d+\.\d% of a component .* more stories"
    ):
        hearing.plant(words={story: hearing.words[story]}, n_lm_features=12)


def test_features_come_back_from_their_store(hearing, tmp_path):
    n_rows = {story: len(times_s) for story, times_s in hearing.tr_times_s.items()}
    save_planted(hearing.planted, n_rows, tmp_path / "planted.zarr")
    planted, lengths = load_planted(tmp_path / "planted.zarr")
    assert lengths == n_rows and list(lengths) == list(n_rows)
    assert (planted.names, planted.kinds) == (hearing.planted.names, hearing.planted.kinds)
    np.testing.assert_array_equal(planted.time_courses, hearing.planted.time_courses)
    np.testing.assert_array_equal(planted.strength, hearing.planted.strength)


def test_parts_come_together_in_order():
    courses = np.arange(12.0).reshape(4, 3)
    both = together(
        alike("melody", "story-driven", courses[:, :2], strength=0.5),
        alike("a", "shared", courses[:, 2:], strength=2),
    )
    assert both.names == ("melody 1", "melody 2", "a 1")
    assert both.kinds == ("story-driven", "story-driven", "shared")
    np.testing.assert_array_equal(both.time_courses, courses)
    np.testing.assert_array_equal(both.strength, [0.5, 0.5, 2])
