"""Latents found again with another seed and in another subject: counted by class, and one by one."""

import numpy as np
import pandas as pd
import pytest

from brainlm.errors import InputError
from brainlm.rows.codes import StoryCode
from brainlm.scores.latents import classify
from brainlm.scores.stability import (
    COMPARED_CLASSES,
    LATENT_COLUMNS,
    EncodedModel,
    compare_models,
    compare_pairs,
    pairs_of_seeds,
    pairs_of_subjects,
)
from tests.scores.activity import K, live, sparse_activity


def encoded(
    activations: dict[str, np.ndarray], r: np.ndarray, *, subject="S1", seed=0, alive=None
) -> EncodedModel:
    codes = {}
    for story, activation in activations.items():
        active = np.argsort(-np.abs(activation), axis=1, kind="stable")[:, :K].astype(np.int32)
        values = np.take_along_axis(activation, active, axis=1).astype(np.float32)
        codes[story] = StoryCode(values, active, 2.0 * np.arange(len(activation)), activation.shape[1])
    alive = live(len(r)) if alive is None else alive
    latents = pd.DataFrame({"latent": range(len(r)), "class": classify(r), "alive": alive})
    return EncodedModel(subject, seed, codes, latents)


STORIES = {"harbour": 130, "forest": 170}
R = np.repeat([0.0, 0.9, -0.9, 0.3], [6, 5, 4, 5])


def stories_of(activation: np.ndarray, stories: dict[str, int] = STORIES) -> dict[str, np.ndarray]:
    edges = np.cumsum([0, *stories.values()])
    return {story: activation[a:b] for story, a, b in zip(stories, edges, edges[1:], strict=False)}


def by_class(numbers: pd.DataFrame, subject_a: str, seed_a: int) -> pd.DataFrame:
    chosen = numbers[(numbers["subject_a"] == subject_a) & (numbers["seed_a"] == seed_a)]
    return chosen.set_index("class")


def test_a_table_counts_the_latents_of_each_class_both_ways():
    a = sparse_activity(300, 20, seed=23)
    b = a.copy()
    # Lost: two shared latents, all lm-dominant ones. Of another class: brain-dominant 6 and 7.
    lost = [0, 1, 11, 12, 13, 14]
    b[:, lost] = 0
    r_b = R.copy()
    r_b[[6, 7]] = 0.4
    one = encoded(stories_of(a), R, alive=live(20, 19))
    two = encoded(stories_of(b), r_b, seed=5, alive=live(20, *lost))
    numbers, _ = compare_models(one, two, minimum_shift=20)
    assert len(numbers) == 2 * len(COMPARED_CLASSES)
    assert numbers["comparison"].unique().tolist() == ["seeds"]
    assert numbers["n_rows"].unique().tolist() == [300]

    there = by_class(numbers, "S1", 0)
    assert there.index.tolist() == ["shared", "brain-dominant", "lm-dominant", "between"]
    assert there["n_live"].tolist() == [6, 5, 4, 4]
    assert there["n_found"].tolist() == [4, 5, 0, 4]
    np.testing.assert_allclose(there["found_percent"], [400 / 6, 100, 0, 100])
    assert there["n_same_class"].tolist() == [4, 3, 0, 4]
    np.testing.assert_allclose(there["same_class_percent"], [100, 60, np.nan, 100])
    assert there["seed_b"].unique().tolist() == [5]
    assert there.loc["brain-dominant", "mean_correlation"] == pytest.approx(1)

    back = by_class(numbers, "S1", 5)
    assert back["n_live"].tolist() == [4, 3, 0, 7]
    # Latent 19 is dead in the first model.
    assert back["n_found"].tolist() == [4, 3, 0, 6]
    assert back["n_same_class"].tolist() == [4, 3, 0, 4]
    assert back.loc["lm-dominant", ["found_percent", "chance_percent", "mean_correlation"]].isna().all()


def test_live_latents_that_are_silent_in_these_trs_count_as_not_found():
    a = sparse_activity(300, 20, seed=24)
    a[:, 0] = 0
    model = encoded(stories_of(a), R)
    compared, _ = compare_models(model, encoded(stories_of(a), R, seed=1), minimum_shift=20)
    numbers = by_class(compared, "S1", 0)
    assert numbers.loc["shared", ["n_live", "n_found"]].tolist() == [6, 5]
    assert numbers.loc["shared", "mean_correlation"] == pytest.approx(1)


def test_a_partner_of_the_same_class_counts_only_if_the_latent_is_found_again():
    one, two = (
        encoded(stories_of(sparse_activity(300, 20, seed=seed)), np.zeros(20), seed=seed) for seed in (30, 31)
    )
    numbers, _ = compare_models(one, two, minimum_shift=20)
    shared = numbers[numbers["class"] == "shared"]
    assert shared["n_live"].tolist() == [20, 20]
    assert (shared["n_found"] < 5).all()
    assert shared["n_same_class"].tolist() == shared["n_found"].tolist()


def test_only_common_stories_are_compared_whatever_their_order():
    a = stories_of(sparse_activity(300, 20, seed=25))
    alone = {"attic": sparse_activity(90, 20, seed=26)}
    one = encoded(a | alone, R, subject="S1")
    two = encoded({story: a[story] for story in ("forest", "harbour")}, R, subject="S2", seed=1)
    numbers, _ = compare_models(one, two, minimum_shift=20)
    assert numbers["n_rows"].unique().tolist() == [300]
    assert numbers["comparison"].unique().tolist() == ["subjects"]
    assert (numbers["found_percent"] == 100).all()
    np.testing.assert_allclose(numbers["mean_correlation"], 1)


def test_subjects_without_a_common_story_are_an_error():
    activation = sparse_activity(300, 20, seed=27)
    one = encoded({"harbour": activation}, R)
    two = encoded({"forest": activation}, R, subject="S2")
    with pytest.raises(InputError, match="S1 and S2 have no test story in common"):
        compare_models(one, two, minimum_shift=20)


def test_a_story_with_other_trs_is_an_error():
    activation = sparse_activity(300, 20, seed=28)
    one = encoded({"harbour": activation}, R)
    two = encoded({"harbour": activation[:-1]}, R, subject="S2", seed=3)
    with pytest.raises(InputError, match="'harbour' has other TRs .*S1, seed 0.*S2, seed 3"):
        compare_models(one, two, minimum_shift=20)


def models(subjects: list[str], seeds: list[int]) -> list[EncodedModel]:
    activation = stories_of(sparse_activity(300, 20, seed=29))
    return [encoded(activation, R, subject=subject, seed=seed) for seed in seeds for subject in subjects]


def named(pairs: list[tuple[EncodedModel, EncodedModel]]) -> list[set[str]]:
    return [{f"{model.subject}.{model.seed}" for model in pair} for pair in pairs]


def test_all_seeds_of_a_subject_are_compared():
    pairs = named(pairs_of_seeds(models(["A"], [0, 1, 2])))
    assert len(pairs) == 3 and {"A.0", "A.2"} in pairs
    assert pairs_of_seeds(models(["A"], [0])) == []


def test_different_seeds_of_two_subjects_are_compared():
    pairs = named(pairs_of_subjects(models(["A"], [0, 1, 2]), models(["B"], [0, 1, 2])))
    assert pairs == [{"A.0", "B.1"}, {"A.1", "B.2"}, {"A.2", "B.0"}]
    assert named(pairs_of_subjects(models(["A"], [3]), models(["B"], [3]))) == [{"A.3", "B.3"}]


def test_all_pairs_are_one_below_the_other():
    pairs = pairs_of_subjects(models(["A"], [0, 1]), models(["B"], [0, 1]))
    numbers, latents = compare_pairs(pairs, minimum_shift=20)
    assert len(numbers) == 2 * 2 * len(COMPARED_CLASSES)
    assert numbers["comparison"].unique().tolist() == ["subjects"]
    of_first, latents_of_first = compare_models(*pairs[0], minimum_shift=20)
    pd.testing.assert_frame_equal(numbers.iloc[:8], of_first)
    assert len(latents) == 2 * 2 * 20
    pd.testing.assert_frame_equal(latents.iloc[:40], latents_of_first)


def test_pairs_with_too_little_in_common_say_why_and_leave_the_others_as_they_are():
    enough, alone = sparse_activity(160, 20, seed=30), sparse_activity(60, 20, seed=31)
    one = encoded({"harbour": enough, "alone": alone}, R)
    other, third = (encoded({"harbour": enough}, R, subject=name, seed=1) for name in ("S2", "S3"))
    short = encoded({"alone": alone}, R, subject="S4", seed=1)
    numbers, latents = compare_pairs([(one, other), (one, short), (third, short)], minimum_shift=20)
    compared, of_latents = compare_models(one, other, minimum_shift=20)
    pd.testing.assert_frame_equal(latents, of_latents)
    pd.testing.assert_frame_equal(numbers[: len(compared)][compared.columns], compared, check_dtype=False)
    assert numbers["not_compared"][: len(compared)].isna().all()
    few, none = numbers[len(compared) :].to_dict("records")
    assert (few["comparison"], few["subject_a"], few["subject_b"]) == ("subjects", "S1", "S4")
    assert few["not_compared"] == (
        "60 test TRs leave 21 circular shifts of at least 20 TRs (the minimum shift), but 119 are needed to "
        "tell which latents are found again: give the test split 158 TRs or more."
    )
    assert none["not_compared"].startswith("Subjects S3 and S4 have no test story in common")
    # Damaged results are no want of data.
    cut = encoded({"harbour": enough[:-1]}, R, subject="S2", seed=1)
    with pytest.raises(InputError, match="other TRs"):
        compare_pairs([(one, cut)], minimum_shift=20)


# Latent by latent


def of_model(latents: pd.DataFrame, subject: str, seed: int) -> pd.DataFrame:
    chosen = latents[(latents["subject"] == subject) & (latents["seed"] == seed)]
    return chosen.set_index("latent")


def test_each_latent_has_the_partner_that_was_planted_both_ways():
    a = sparse_activity(300, 20, seed=32)
    order = np.random.default_rng(0).permutation(20)
    # Latent i of the second model is latent order[i] of the first; its last two are dead.
    one, two = (
        encoded(stories_of(a), R, seed=3),
        encoded(stories_of(a[:, order]), R, subject="S2", seed=7, alive=live(20, 18, 19)),
    )
    _, latents = compare_models(one, two, minimum_shift=20)
    assert tuple(latents.columns) == LATENT_COLUMNS
    there, back = of_model(latents, "S1", 3), of_model(latents, "S2", 7)
    assert len(latents) == 40 and there.index.tolist() == back.index.tolist() == list(range(20))
    assert set(there["other_subject"]) == {"S2"} and set(there["other_seed"]) == {7}
    assert set(back["other_subject"]) == {"S1"} and set(back["other_seed"]) == {3}

    assert back["partner"][:18].tolist() == order[:18].tolist()
    assert there["partner"][order[:18]].tolist() == list(range(18))
    for rows, without in ((back, [18, 19]), (there, order[18:])):
        assert rows["partner"][without].isna().all() and rows["correlation"][without].isna().all()
        assert rows["found"].tolist() == [latent not in without for latent in range(20)]
        np.testing.assert_allclose(rows["correlation"].drop(without), 1)


def test_latents_are_counted_in_their_classes_as_they_are_listed():
    a, b = sparse_activity(300, 20, seed=33), sparse_activity(300, 20, seed=34)
    # Half of the latents return, with less and less of what they were.
    mixed = np.where(np.arange(20) < 10, a + np.linspace(0, 1, 20) * b, b)
    one, two = encoded(stories_of(a), R, alive=live(20, 5, 16)), encoded(stories_of(mixed), R[::-1], seed=1)
    numbers, latents = compare_models(one, two, minimum_shift=20)
    for model, seed in ((one, 0), (two, 1)):
        rows = of_model(latents, "S1", seed).join(model.latents[["class", "alive"]])
        of_live = rows[rows["alive"]].groupby("class")
        counted = by_class(numbers, "S1", seed)
        for name, of_class in of_live:
            assert counted.loc[name, "n_found"] == of_class["found"].sum()
            assert counted.loc[name, "mean_correlation"] == pytest.approx(of_class["correlation"].mean())
        # A partner is another's alone, and the same pair both ways.
        partners = rows["partner"].dropna()
        assert partners.is_unique
        other = of_model(latents, "S1", 1 - seed)
        assert other.loc[partners, "partner"].tolist() == partners.index.tolist()
        np.testing.assert_array_equal(other.loc[partners, "correlation"], rows["correlation"][partners.index])
        assert 0 < rows["found"].sum() < rows["alive"].sum()


def test_nothing_that_could_be_compared_lists_no_latents():
    one, two = (encoded({"harbour": sparse_activity(60, 20, seed=35)}, R, seed=seed) for seed in (0, 1))
    numbers, latents = compare_pairs([(one, two)], minimum_shift=20)
    assert len(numbers) == 1 and numbers["not_compared"].notna().all()
    assert tuple(latents.columns) == LATENT_COLUMNS and latents.empty
