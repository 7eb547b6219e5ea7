"""Names of latents: known answers, the AUC on test stories, and what cannot be told."""

from dataclasses import replace
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN, read_tsv, write_tsv
from brainlm.scores.interpretation import words_heard
from brainlm.scores.keyness import passage_words
from brainlm.scores.names import N_WORDS, holds_any, name_latents
from tests.scores.activity import sparse_activity
from tests.scores.talk import SPAN_S, THEME, Talk, talk

EXAMPLES = settings(max_examples=8, deadline=None, derandomize=True)
MINIMUM_SHIFT = 20
COLUMNS = ["latent", "name", "n_words", "z", "n_stories", "auc", "null_95", "above_null"]


def named(
    training: Talk, test: Talk, in_training: np.ndarray, in_test: np.ndarray, latents=None, words=None
) -> pd.DataFrame:
    return name_latents(
        training.codes(in_training),
        test.codes(in_test),
        words or {**training.words, **test.words},
        range(in_training.shape[1]) if latents is None else latents,
        span_s=SPAN_S,
        minimum_shift=MINIMUM_SHIFT,
    )


def following(theme: np.ndarray, seed: int) -> np.ndarray:
    """(time,) high in the moments of a theme, but for noise; else 0."""
    course = theme + 0.2 * np.random.default_rng(seed).standard_normal(theme.size)
    return np.where(course > np.quantile(course, 0.85), course, 0)


@pytest.fixture(scope="module")
def training() -> Talk:
    return talk(0)


@pytest.fixture(scope="module")
def held_out() -> Talk:
    return talk(1, n_stories=6, first=50)


@pytest.fixture(scope="module")
def activations(training, held_out) -> tuple[np.ndarray, np.ndarray]:
    """Latent 0 follows the theme, 1 follows it in training alone, 2 and 3 follow nothing, 4 is never active, and 5
    follows the theme and falls silent in the test stories."""
    of_training, of_test = (
        np.column_stack(
            [
                following(stories.theme, seed),
                following(stories.theme, seed + 1),
                sparse_activity(stories.theme.size, 2, seed, k=1),
                np.zeros(stories.theme.size),
                following(stories.theme, seed + 2),
            ]
        )
        for seed, stories in ((2, training), (7, held_out))
    )
    of_test[:, 1] = np.roll(of_test[:, 1], 150)
    of_test[:, 5] = 0
    return of_training, of_test


@pytest.fixture(scope="module")
def names(training, held_out, activations) -> pd.DataFrame:
    return named(training, held_out, *activations)


def test_a_name_is_of_the_words_that_a_latent_follows(names):
    assert list(names.columns) == COLUMNS and names["latent"].tolist() == list(range(6))
    for latent in (0, 1, 5):
        row = names.iloc[latent]
        words = row["name"].split(", ")
        assert 3 <= row["n_words"] == len(words) <= N_WORDS and set(words) <= set(THEME)
        assert row["z"] > 3 and 2 <= row["n_stories"] <= 12
    assert names["name"].iloc[4] == "" and names["n_words"].iloc[4] == 0
    assert names.iloc[4][COLUMNS[3:]].isna().all()


def test_a_name_is_held_against_the_held_out(names):
    assert names["above_null"].iloc[0] is True and names["auc"].iloc[0] > 0.7
    assert names["above_null"].iloc[1] is False


def test_the_auc_compares_active_trs_with_others_and_its_null_turns_them(
    names, training, held_out, activations
):
    row = names.iloc[0]
    holds = np.array(
        [
            words_heard(held_out.words[story], time_s, SPAN_S)["word"].isin(row["name"].split(", ")).any()
            for story, times_s in held_out.times_s.items()
            for time_s in times_s
        ]
    )
    active = activations[1][:, 0] > 0

    def auc(active):
        wins = (holds[active][:, None] > holds[~active]).mean()
        return wins + 0.5 * (holds[active][:, None] == holds[~active]).mean()

    assert row["auc"] == pytest.approx(auc(active))
    assert row["auc"] == pytest.approx((1 + holds[active].mean() - holds[~active].mean()) / 2)
    null = [auc(np.roll(active, shift)) for shift in range(MINIMUM_SHIFT, active.size - MINIMUM_SHIFT + 1)]
    assert row["null_95"] == pytest.approx(np.quantile(null, 0.95))


def test_of_latents_that_follow_nothing_few_have_a_name_that_holds(training, held_out):
    noise = [sparse_activity(stories.theme.size, 100, seed=9, k=6) for stories in (training, held_out)]
    found = named(training, held_out, *noise)
    assert (found["n_words"] > 0).sum() <= binom.ppf(0.999, 100, 0.05)
    assert (found["above_null"] == True).sum() <= binom.ppf(0.999, 100, 0.05**2)  # noqa: E712


@EXAMPLES
@given(seed=st.integers(0, 9999))
def test_neither_the_order_of_stories_nor_the_shape_of_letters_matters(
    names, training, held_out, activations, seed
):
    random = Random(seed)

    def reordered(codes):
        stories = list(codes)
        random.shuffle(stories)
        return {story: codes[story] for story in stories}

    def written(word: str) -> str:
        return random.choice([word, word.upper(), word.capitalize()])

    words = {
        story: table.assign(word=table["word"].map(written))
        for story, table in reordered({**training.words, **held_out.words}).items()
    }
    found = name_latents(
        reordered(training.codes(activations[0])),
        reordered(held_out.codes(activations[1])),
        words,
        range(6),
        span_s=SPAN_S,
        minimum_shift=MINIMUM_SHIFT,
    )
    pd.testing.assert_frame_equal(found, names)


def test_apostrophes_of_all_shapes_are_one_word(training, held_out, activations):
    def with_apostrophe(stories: Talk, marks: str) -> Talk:
        words = {
            story: table.assign(word=table["word"].replace("gull", f"o{marks[number % len(marks)]}gull"))
            for number, (story, table) in enumerate(stories.words.items())
        }
        return replace(stories, words=words)

    one, several = (
        named(with_apostrophe(training, marks), with_apostrophe(held_out, marks), *activations)
        for marks in ("'", "'’`")
    )
    pd.testing.assert_frame_equal(one, several)
    assert one["name"].str.contains("o'gull").any()


def test_only_the_latents_asked_for_are_named_and_each_as_among_all(names, training, held_out, activations):
    found = named(training, held_out, *activations, latents=[5, 0])
    pd.testing.assert_frame_equal(found, names.iloc[[5, 0]].reset_index(drop=True), check_dtype=False)


def test_a_name_of_a_silent_latent_cannot_be_scored(names):
    assert names.iloc[5][["auc", "null_95", "above_null"]].isna().all() and names["n_words"].iloc[5] >= 3


def test_a_name_of_words_that_no_test_story_has_cannot_be_scored(training, held_out, activations):
    unlike = {
        story: table.assign(word=table["word"].where(~table["word"].isin(THEME), "0"))
        for story, table in held_out.words.items()
    }
    row = named(training, held_out, *activations, words={**training.words, **unlike}).iloc[0]
    assert row["n_words"] >= 3 and row[["auc", "null_95", "above_null"]].isna().all()


def test_held_out_that_are_too_short_leave_names_without_a_score(names, training, held_out, activations):
    few = Talk(
        held_out.words,
        {"story50": held_out.times_s["story50"][: 2 * MINIMUM_SHIFT - 1]},
        held_out.theme[: 2 * MINIMUM_SHIFT - 1],
    )
    found = named(training, few, activations[0], activations[1][: few.theme.size])
    pd.testing.assert_frame_equal(found[COLUMNS[:5]], names[COLUMNS[:5]])
    assert found[COLUMNS[5:]].isna().all(axis=None)


@pytest.mark.parametrize("fault", ["few rows", "no words"])
def test_training_stories_that_cannot_tell_leave_names_not_known(training, held_out, activations, fault):
    n_rows = 57 if fault == "few rows" else 60
    words = training.words["story00"].iloc[: None if fault == "few rows" else 0]
    few = Talk({"story00": words}, {"story00": training.times_s["story00"][:n_rows]}, training.theme[:n_rows])
    found = named(few, held_out, activations[0][:n_rows], activations[1])
    assert list(found.columns) == COLUMNS and (found["name"] == NOT_KNOWN).all()
    assert found[COLUMNS[2:]].isna().all(axis=None)


def test_a_story_without_words_is_heard_in_silence_and_one_without_a_table_is_an_error(
    training, held_out, activations
):
    words = {**training.words, **held_out.words}
    words["story50"] = words["story50"].iloc[:0]
    found = named(training, held_out, *activations, words=words)
    assert found["above_null"].iloc[0] is True
    for missing in ("story03", "story50"):
        with pytest.raises(InputError, match=f"'{missing}' has no table of words"):
            named(
                training,
                held_out,
                *activations,
                words={story: table for story, table in words.items() if story != missing},
            )


def test_names_come_back_from_a_file_as_words(tmp_path, names):
    odd = names.assign(name=["null", "nan, none", "", NOT_KNOWN, "n/a", "12"])
    write_tsv(odd, tmp_path / "names.tsv", digits=None, missing=NOT_KNOWN)
    back = read_tsv(tmp_path / "names.tsv")
    assert back["name"].tolist() == odd["name"].tolist()
    assert back["above_null"].iloc[0] is True and back["auc"].isna().iloc[4]


def test_a_passage_holds_any_of_a_names_words():
    stories = talk(3, n_stories=2)
    heard = passage_words(stories.words, stories.times_s, SPAN_S)
    expected = [
        words_heard(stories.words[story], time_s, SPAN_S)["word"].isin(["gull", "tide"]).any()
        for story, times_s in stories.times_s.items()
        for time_s in times_s
    ]
    assert holds_any(heard, ["tide", "unheard", "gull"]).tolist() == expected
    assert not holds_any(heard, ["unheard"]).any()
