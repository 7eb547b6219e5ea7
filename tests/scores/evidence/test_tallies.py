"""Counts of verdicts by hand, and what other test stories would have made of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.evidence.tallies import (
    LIVE_LABELS,
    cross_table,
    funnel,
    jackknife_error,
    verdict_shares,
    verified,
    verified_shares,
)
from brainlm.scores.latents import CLASSES, class_shares

EXAMPLES = settings(max_examples=100, deadline=None, derandomize=True)


def verdicts_of(*called: str) -> pd.DataFrame:
    """Of labels such as "shared, mostly LM"."""
    split = [label.split(", ") if label.startswith("shared, ") else [label, ""] for label in called]
    return pd.DataFrame(split, columns=["verdict", "qualifier"])


CALLED = verdicts_of(
    "shared",
    "dead",
    "shared, mostly LM",
    "shared",
    "brain, spontaneous",
    "dead",
    "silent",
    "LM",
    "LM",
    "agreeing",
)
LIVE = np.array([True, False, True, True, True, False, True, True, True, True])


def test_shares_are_those_of_live_latents_with_qualifiers_apart():
    shares = verdict_shares(CALLED, LIVE)
    assert tuple(shares) == LIVE_LABELS and "dead" not in shares
    assert {label: share for label, share in shares.items() if share} == {
        "shared": 2 / 8,
        "shared, mostly LM": 1 / 8,
        "agreeing": 1 / 8,
        "brain, spontaneous": 1 / 8,
        "LM": 2 / 8,
        "silent": 1 / 8,
    }
    assert sum(shares.values()) == pytest.approx(1)


def test_there_are_no_shares_where_none_is_live():
    assert all(
        np.isnan(share) for share in verdict_shares(verdicts_of("dead", "dead"), np.zeros(2, bool)).values()
    )


def test_verdicts_of_another_model_are_refused():
    for live in (LIVE[:-1], ~LIVE, np.roll(LIVE, 1)):
        with pytest.raises(InputError, match="take both from one model"):
            verdict_shares(CALLED, live)


# Verified classes


def judged(*latents: tuple[str, str]) -> pd.DataFrame:
    """Of pairs of class and label; "dead" are not alive."""
    classes, called = zip(*latents, strict=True)
    return verdicts_of(*called).assign(**{"class": classes, "alive": [label != "dead" for label in called]})


def test_a_class_is_verified_by_the_verdicts_that_say_the_same_of_the_latent():
    verify = {
        "shared": {"shared"},
        "brain-dominant": {
            "brain",
            "brain, story-driven",
            "brain, spontaneous",
            "shared, mostly brain",
        },
        "lm-dominant": {"LM", "shared, mostly LM"},
        "between": set(),
        "undefined": set(),
    }
    for name, proving in verify.items():
        table = judged(*((name, label) for label in LIVE_LABELS))
        assert {label for label, is_so in zip(LIVE_LABELS, verified(table), strict=True) if is_so} == proving


def test_what_is_verified_of_a_class_is_a_share_of_live_latents():
    table = judged(
        ("shared", "shared"),
        ("shared", "shared, mostly nuisance"),
        ("shared", "brain, spontaneous"),
        ("brain-dominant", "artefact"),
        ("brain-dominant", "brain, spontaneous"),
        ("lm-dominant", "LM"),
        ("lm-dominant", "shared"),
        ("between", "shared"),
        ("shared", "dead"),
    )
    assert verified_shares(table) == {"shared": 1 / 8, "brain-dominant": 1 / 8, "lm-dominant": 1 / 8}
    assert all(np.isnan(share) for share in verified_shares(judged(("shared", "dead"))).values())


@EXAMPLES
@given(st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(["dead", *LIVE_LABELS])), min_size=1))
def test_no_more_of_a_class_is_verified_than_there_is(latents):
    table = judged(*latents)
    shares = class_shares(table["class"], table["alive"])
    for name, share in verified_shares(table).items():
        assert np.isnan(shares[name]) if np.isnan(share) else share <= shares[name]


# Jackknife


@EXAMPLES
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_the_jackknife_of_a_mean_is_its_standard_error(values):
    values = np.array(values)
    left_out = [np.delete(values, i).mean() for i in range(values.size)]
    expected = values.std(ddof=1) / np.sqrt(values.size)
    assert jackknife_error(left_out) == pytest.approx(expected, abs=1e-12)


def test_the_error_by_hand():
    # Deviations 0.1, 0, -0.1: √(2/3 * 0.02).
    assert jackknife_error([0.4, 0.3, 0.2]) == pytest.approx(np.sqrt(0.04 / 3))
    assert jackknife_error([0.3, 0.3]) == 0


@pytest.mark.parametrize("left_out", [[], [0.3], [0.3, np.nan]])
def test_what_fewer_than_two_stories_do_is_not_known(left_out):
    assert np.isnan(jackknife_error(left_out))


# Beside the paper's classes


def test_the_cross_table_counts_live_latents():
    classes = [
        "shared",
        "undefined",
        "shared",
        "between",
        "brain-dominant",
        "shared",
        "shared",
        *3 * ["lm-dominant"],
    ]
    table = cross_table(classes, CALLED)
    assert table.index.tolist() == ["shared", "brain-dominant", "lm-dominant", "between", "undefined"]
    assert tuple(table.columns) == LIVE_LABELS
    counts = {(row, column): n for row, of in table.iterrows() for column, n in of.items() if n}
    assert counts == {
        ("shared", "shared"): 1,
        ("shared", "shared, mostly LM"): 1,
        ("shared", "silent"): 1,
        ("between", "shared"): 1,
        ("brain-dominant", "brain, spontaneous"): 1,
        ("lm-dominant", "LM"): 2,
        ("lm-dominant", "agreeing"): 1,
    }


def test_the_cross_table_leaves_nothing_out():
    with pytest.raises(InputError, match="9 classes and 10 verdicts"):
        cross_table(9 * ["shared"], CALLED)
    with pytest.raises(InputError, match="'odd' is none of shared, brain-dominant"):
        cross_table(["odd", *9 * ["shared"]], CALLED)
    with pytest.raises(InputError, match="'striped' is none of dead, silent"):
        cross_table(["shared"], verdicts_of("striped"))


# Step by step

STEPS = [
    "live",
    "agree plainly",
    "agree without nuisances",
    "agree against story swaps",
    "contribute to both",
    "called shared",
    "found again in most seeds",
]


def steps_of(passed: list[int], r: list[float]) -> pd.DataFrame:
    """Latents that pass the first so many of the steps."""
    passed = np.array(passed)
    return pd.DataFrame(
        {
            "r": r,
            "alive": passed > 0,
            "plain_agreement_significant": passed > 1,
            "shift_agreement_significant": passed > 2,
            "agreement_significant": passed > 3,
            "swaps_known": True,
            "contributes_brain": passed > 4,
            "contributes_lm": passed > 3,
            "verdict": np.where(passed > 4, "shared", "LM"),
            "qualifier": np.where(passed > 5, "", "mostly LM"),
            "found_again_in_most": passed > 6,
        }
    )


def counts(table: pd.DataFrame) -> list[list[int | None]]:
    found = funnel(table)
    assert found["step"].tolist() == STEPS
    return [
        [None if pd.isna(n) else int(n) for n in found[column]]
        for column in ("within_paper_shared", "others")
    ]


def test_the_funnel_counts_those_that_pass_each_step_after_the_other():
    within, others = [7, 7, 6, 5, 4, 3, 2, 1, 0], [7, 5, 2, 1, 0]
    r = [0.0, 0.19, -0.19, *6 * [0.1], 0.2, -0.2, 0.9, np.nan, 0.3]
    expected = [[sum(p > step for p in of) for step in range(7)] for of in (within, others)]
    assert counts(steps_of(within + others, r)) == expected


def test_a_latent_that_passes_a_later_step_alone_is_not_counted():
    table = steps_of([7, 7, 7], [0.0, 0.0, 0.5])
    table.loc[0, "plain_agreement_significant"] = False
    table.loc[2, "alive"] = False
    assert counts(table) == [[2, 1, 1, 1, 1, 1, 1], [0] * 7]


def test_steps_that_are_not_known_are_left_out():
    table = steps_of([7, 6, 2, 1], [0.0, 0.0, 0.0, 0.5])
    table["swaps_known"] = False
    assert counts(table.drop(columns="found_again_in_most")) == [
        [3, 3, 2, None, 2, 2, None],
        [1, 0, 0, None, 0, 0, None],
    ]
    table["found_again_in_most"] = "not known"
    assert counts(table)[0][-1] is None
    table["found_again_in_most"] = [True, None, None, None]
    assert counts(table)[0][-1] == 1


@pytest.mark.parametrize(
    "name", ["r", "alive", "swaps_known", "shift_agreement_significant", "contributes_lm"]
)
def test_the_funnel_names_a_missing_column(name):
    with pytest.raises(InputError, match=f"the column {name},"):
        funnel(steps_of([3], [0.1]).drop(columns=name))
