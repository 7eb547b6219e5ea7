"""Which latents are shown."""

import numpy as np
import pandas as pd
import pytest

from brainlm.scores.choice import candidates, choose_latents
from brainlm.scores.interpretation import Separation


@pytest.fixture
def latents() -> pd.DataFrame:
    """Latents 0 and 5 are shared, 1-4 of the brain; 3, the best of all, is dead. None is verified."""
    classes = ["shared", "brain-dominant", "brain-dominant", "brain-dominant", "brain-dominant", "shared"]
    return pd.DataFrame(
        {
            "latent": np.arange(6),
            "class": classes,
            "r": [0.0, 0.6, 0.7, 1.0, 0.9, 0.1],
            "alive": [True, True, True, False, True, True],
            "agreement_significant": False,
            "verdict": ["unclear", "unclear", "unclear", "dead", "unclear", "unclear"],
            "qualifier": "",
        }
    )


def test_chosen_latents_separate_some_theme_best_and_their_null_covers_that_choice(separations, latents):
    chosen = choose_latents(separations, latents, {}).set_index("role")
    assert set(chosen.index) == {"shared", "brain-dominant", "lm-dominant", "uninterpretable"}
    for role, members in (("shared", [0, 5]), ("brain-dominant", [1, 2, 4])):
        auc, latent, theme = max((s.auc[i], i, theme) for theme, s in separations.items() for i in members)
        best_by_shift = np.max([s.null[:, members].max(axis=1) for s in separations.values()], axis=0)
        row = chosen.loc[role]
        assert (row["latent"], row["theme"], row["class"]) == (latent, theme, role)
        assert row["auc"] == auc and row["null_95"] == pytest.approx(np.quantile(best_by_shift, 0.95))
        assert row["n_candidates"] == len(members) and not row["pinned"]
    assert chosen.loc["lm-dominant", "latent"] == -1 and np.isnan(chosen.loc["lm-dominant", "auc"])


def test_an_uninterpretable_latent_exceeds_no_null(separations, latents):
    # Latent 1 separates places and latent 4 the negative; only latent 2 separates nothing.
    chosen = choose_latents(separations, latents, {}).set_index("role").loc["uninterpretable"]
    assert (chosen["latent"], chosen["class"]) == (2, "brain-dominant")
    # Of several, the one that is most the brain's.
    for found in separations.values():
        found.auc[:] = 0.5
    chosen = choose_latents(separations, latents, {}).set_index("role").loc["uninterpretable"]
    assert chosen["latent"] == 4
    for found in separations.values():
        found.auc[:] = 1.0
    chosen = choose_latents(separations, latents, {}).set_index("role").loc["uninterpretable"]
    assert chosen["latent"] == -1


def test_no_latent_is_shown_twice(separations, latents):
    # Of latents that separate nothing, 1 is the first of its class and 4 the most the brain's.
    for found in separations.values():
        found.auc[:] = 0.5
    for pinned, expected in (
        ({}, {"brain-dominant": 1, "uninterpretable": 4}),
        ({"uninterpretable": 1}, {"brain-dominant": 2, "uninterpretable": 1}),
        ({"brain-dominant": 4}, {"brain-dominant": 4, "uninterpretable": 2}),
        ({"shared": 4}, {"shared": 4, "brain-dominant": 1, "uninterpretable": 2}),
    ):
        chosen = choose_latents(separations, latents, pinned).set_index("role")["latent"]
        assert chosen[list(expected)].to_dict() == expected
        assert chosen[chosen >= 0].is_unique
    alone = latents.assign(alive=latents["latent"].isin([0, 4]))
    chosen = choose_latents(separations, alone, {}).set_index("role")
    assert chosen.loc["brain-dominant", "latent"] == 4 and chosen.loc["uninterpretable", "latent"] == -1
    chosen = choose_latents(separations, alone, {"uninterpretable": 4}).set_index("role")
    assert chosen.loc["brain-dominant", "latent"] == -1 and chosen.loc["brain-dominant", "n_candidates"] == 0


def test_latents_can_be_pinned(separations, latents):
    chosen = choose_latents(separations, latents, {"shared": 5, "uninterpretable": 3}).set_index("role")
    assert chosen["latent"].loc[["shared", "uninterpretable"]].tolist() == [5, 3]
    assert chosen["pinned"].to_dict() == {
        "shared": True,
        "brain-dominant": False,
        "lm-dominant": False,
        "uninterpretable": True,
    }
    assert chosen.loc["shared", "theme"] == "place" and chosen.loc["shared", "auc"] == 0.55


def judged(latents: pd.DataFrame, **labels: str) -> pd.DataFrame:
    """The same with other verdicts: latent_<number> -> verdict, with its qualifier."""
    for name, label in labels.items():
        here = latents["latent"] == int(name.removeprefix("latent_"))
        verdict, _, qualifier = label.partition(", ") if label.startswith("shared") else (label, "", "")
        latents = latents.assign(
            verdict=latents["verdict"].mask(here, verdict),
            qualifier=latents["qualifier"].mask(here, qualifier),
        )
    return latents


def test_verified_latents_are_shown_before_others(separations, latents):
    # By their AUCs alone 0, 4 and 2 are shown.
    proven = judged(latents, latent_5="shared", latent_1="brain, story-driven")
    chosen = choose_latents(separations, proven, {}).set_index("role")
    assert chosen["latent"].to_dict() == {
        "uninterpretable": 2,
        "shared": 5,
        "brain-dominant": 1,
        "lm-dominant": -1,
    }
    # Their null is that of the choice among themes alone.
    assert chosen["n_candidates"].to_dict() == {
        "uninterpretable": 1,
        "shared": 1,
        "brain-dominant": 1,
        "lm-dominant": 0,
    }
    best = np.max([found.null[:, 5] for found in separations.values()], axis=0)
    assert chosen.loc["shared", "null_95"] == pytest.approx(np.quantile(best, 0.95))


def test_of_shared_latents_without_that_verdict_agreeing_ones_are_shown_first(separations, latents):
    agreeing = latents.assign(agreement_significant=latents["latent"].isin([1, 5]))
    for table in (agreeing, judged(agreeing, latent_0="shared, mostly LM", latent_5="agreeing")):
        chosen = choose_latents(separations, table, {}).set_index("role")["latent"]
        # Of the brain's latents it is no distinction to agree with the LM.
        assert chosen[["shared", "brain-dominant"]].tolist() == [5, 4]
    assert candidates(judged(agreeing, latent_0="shared"), "shared").tolist() == [0]
    assert candidates(latents, "shared").tolist() == [0, 5]


def test_a_verdict_of_another_class_verifies_nothing(latents):
    # As much the brain's by its norms as the verdict says it is shared: it is not shown as a proof of either.
    crossed = judged(latents, latent_0="brain, spontaneous", latent_1="shared", latent_2="artefact")
    assert candidates(crossed, "shared").tolist() == [0, 5]
    assert candidates(crossed, "brain-dominant").tolist() == [1, 2, 4]


def test_the_uninterpretable_latent_is_a_verified_one_too(separations, latents):
    for found in separations.values():
        found.auc[:] = 0.5
    proven = judged(latents, latent_1="brain, spontaneous", latent_2="shared, mostly brain")
    chosen = choose_latents(separations, proven, {}).set_index("role")["latent"]
    # 4 is more the brain's by its norms, but nothing bears it out.
    assert chosen[["brain-dominant", "uninterpretable"]].tolist() == [1, 2]


def test_a_pinned_latent_is_shown_even_where_no_theme_can_be_tested(latents):
    nowhere = {"place": Separation(np.full(6, np.nan), np.full((9, 6), np.nan))}
    chosen = choose_latents(nowhere, latents, {"shared": 5}).set_index("role")
    assert chosen.loc["shared", "latent"] == 5 and np.isnan(chosen.loc["shared", "auc"])
