"""The study of data sizes, at the smallest sizes at which it asks all that it asks."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.report.data_size import data_size_figure, data_size_numbers, data_size_table
from brainlm.resample import tr_midpoints
from brainlm.scores.evidence.verdict import LABELS
from brainlm.simulation.components import share_explained
from brainlm.simulation.features import KINDS
from brainlm.simulation.stories import THEMES
from brainlm.store import open_store
from pipeline.config import Plan, make_plan

BENCHMARKS = Path(__file__).parent
REPOSITORY = BENCHMARKS.parents[1]
MASK = np.zeros((8, 9, 8), bool)
MASK[1:7, 1:8, 1:7] = True
TEST_TRS, STORY_TRS = (80, 320), 160
MINIMUM_SHIFT = 20
"""40 s at 2 s a TR."""


@pytest.fixture(scope="module")
def study() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import data_size_study

        return data_size_study


@pytest.fixture(scope="module")
def plan() -> Plan:
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    config["crosscoder"] |= {"n_latents": 10, "k": 2, "k_aux": 5, "epochs": 10}
    config["dataset"]["simulation"] |= {"n_lm_features": 2, "n_lm_only": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        return make_plan(config)


@pytest.fixture(scope="module")
def subject(study, plan, tmp_path_factory):
    sizes = study.Sizes(
        rows_a_latent=(16, 32), test_trs=TEST_TRS, story_trs=STORY_TRS, n_validation=6, n_hidden=30
    )
    return study.simulate(plan, sizes, MASK, 8.0, 0, tmp_path_factory.mktemp("subject"))


@pytest.fixture(scope="module")
def asked(study, plan, subject, one_thread) -> list[tuple[dict, pd.DataFrame]]:
    return list(study.study_one(plan, subject, max(subject.training), 0))


@pytest.fixture(scope="module")
def cells(asked) -> pd.DataFrame:
    return pd.DataFrame([cell for cell, _ in asked])


@settings(deadline=None)
@given(st.sets(st.integers(20, 900), min_size=1, max_size=5), st.integers(20, 400))
def test_sets_of_stories_are_nested_and_as_large_as_wanted(study, sizes, longest):
    # The module that the study has loaded.
    from drawn_subjects import nested_stories

    sizes = sorted(sizes)
    n_rows, chosen = nested_stories(sizes, longest, "test")
    assert list(chosen) == sizes and all(0 < rows <= longest for rows in n_rows.values())
    whole = [size for size in sizes if size >= longest]
    for size in whole:
        assert sum(n_rows[story] for story in chosen[size]) == size
    for smaller, larger in zip(whole, whole[1:], strict=False):
        assert chosen[larger][: len(chosen[smaller])] == chosen[smaller]
    for size in set(sizes) - set(whole):
        assert chosen[size] == [f"test1-{size}"]


def test_stories_last_as_long_as_their_rows_and_the_lm_follows_what_is_drawn(study):
    from drawn_stories import draw_stories

    of_story = {"tr_s": 2.0, "sound_onset_s": 10.0, "first_tr": 10, "words_per_minute": 145}
    n_rows = {"one": 200, "other": 150}
    stories = draw_stories(n_rows, np.random.default_rng(0), n_topics=3, n_hidden=25, **of_story)
    for name, story in stories.items():
        times_s = tr_midpoints(n_rows[name], tr_s=2.0, sound_onset_s=10.0, first_tr=10)
        np.testing.assert_array_equal(story.tr_times_s, times_s)
        # As in the demo the sound ends between the last row and the last of ten volumes more.
        assert times_s[-1] < story.words["offset_s"].iloc[-1] < times_s[-1] + 20
        assert story.states.shape == (len(story.words), 25)
        assert set(story.words["theme"]) == {"", *THEMES}
    words = pd.concat([story.words for story in stories.values()])
    states = np.concatenate([story.states for story in stories.values()])
    themes = np.stack([words["theme"] == theme for theme in THEMES], axis=1).astype(float)
    # As much noise would explain a tenth: 25 columns, of some 1,900 words that are alike over about ten.
    assert (share_explained(themes, states) > 0.3).all()


def test_all_kinds_are_planted_in_one_brain_and_one_validation_story_is_repeated(subject):
    assert set(subject.listener.planted.kinds) == set(KINDS)
    n_rows = sum(subject.n_rows.values())
    assert subject.listener.planted.time_courses.shape[0] == n_rows == 320 + 6 * 160 + 320
    assert subject.listener.maps.shape[1] == MASK.sum()
    for story in (*subject.n_rows, *subject.test[80]):
        store = open_store(subject.sources["brain"].stores[story])
        assert ("repeats" in store) == (story == subject.validation[0])
        assert store["bold"].shape[0] == len(subject.nuisances[story]) == subject.sources["lm"].n_rows(story)
    repeats = open_store(subject.sources["brain"].stores[subject.validation[0]])["repeats"][:]
    assert repeats.shape == (5, STORY_TRS, MASK.sum())
    # To float32's rounding.
    np.testing.assert_allclose(repeats.mean(axis=1), 0, atol=1e-5)
    mean = subject.sources["brain"].read(subject.validation[0])
    np.testing.assert_allclose(repeats.mean(axis=0), mean, atol=1e-5)


def test_the_smallest_test_set_is_the_beginning_of_the_first_story(subject):
    (beginning,), first = subject.test[80], subject.test[320][0]
    lm = subject.sources["lm"]
    np.testing.assert_allclose(lm.read(beginning), lm.read(first)[:80], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        subject.nuisances[beginning], subject.nuisances[first][:80], rtol=1e-6, atol=1e-6
    )
    short, whole = (subject.sources["brain"].read(story) for story in (beginning, first))
    # The same recording, z-scored over fewer TRs.
    for voxel in range(0, MASK.sum(), 40):
        assert np.corrcoef(short[:, voxel], whole[:80, voxel])[0, 1] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(short.std(axis=0), 1, atol=1e-4)


def test_every_test_set_is_asked_of_the_same_models(cells):
    assert cells["test_trs"].tolist() == list(TEST_TRS)
    assert (cells["rows_a_latent"] == 32).all()
    # What is found is decided once; only verdicts differ.
    for count in ("planted", "found", "shared_found", "well_found", "live_shifted"):
        assert cells[count].nunique() == 1
    # Melodies, events, stripes, and shared features: whatever is not word rate or the LM's alone.
    assert cells["planted"].iloc[0] >= 7
    # Or nothing would be told by what follows.
    assert cells["shared_found"].iloc[0] > 0
    assert (cells["called_shared"] <= cells["shared_found"]).all()
    assert (cells["shared_found"] <= cells["found"]).all() and (cells["found"] <= cells["planted"]).all()
    assert (cells["right"] <= cells["well_found"]).all()
    assert (cells["shared_shifted"] <= cells["live_shifted"]).all()


def test_floors_are_those_of_the_shifts_that_there_are(cells):
    shifts = np.array(TEST_TRS) - 2 * MINIMUM_SHIFT + 1
    np.testing.assert_allclose(cells["whole_model_floor"], 1 / (1 + shifts))
    # Two stories and six more have too few swaps to be asked.
    np.testing.assert_allclose(cells["p_floor"], 1 / (1 + shifts))
    assert (cells["whole_model_p"] >= cells["whole_model_floor"] * (1 - 1e-9)).all()


def test_the_study_is_told_in_tables_and_a_figure(study, asked, cells):
    numbers = data_size_numbers(cells)
    assert len(data_size_table(numbers)) == len(TEST_TRS)
    figure, drawn = data_size_figure(cells)
    assert len(figure.axes) == 4 and set(drawn["test_trs"]) == set(TEST_TRS)
    kinds = study.by_kind(pd.concat([verdicts for _, verdicts in asked]))
    assert kinds["planted kind"].tolist() == list(KINDS) * len(TEST_TRS)
    of_size = kinds.groupby("test TRs")
    np.testing.assert_array_equal(of_size["well found"].sum(), cells["well_found"])
    np.testing.assert_array_equal(of_size["right"].sum(), cells["right"])
    # Every feature that was well found has one verdict.
    given = kinds.loc[:, kinds.columns.isin(LABELS)]
    np.testing.assert_array_equal(given.sum(axis=1), kinds["well found"])
    assert all(note.endswith(".") for note in study.notes(cells, study.Sizes(test_trs=TEST_TRS)))
