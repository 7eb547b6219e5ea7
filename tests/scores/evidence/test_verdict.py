"""Verdicts against the rule as a chain of ifs, and case by case."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.evidence.verdict import (
    LABELS,
    QUALIFIERS,
    VERDICTS,
    VerdictBounds,
    is_shared,
    labels,
    numbers,
    told,
    verdicts,
)

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True)
FLAGS = (
    "alive",
    "active",
    "agreement_significant",
    "plain_agreement_significant",
    "contributes_brain",
    "contributes_lm",
    "reliability_known",
    "reliability_significant",
)
NUMBERS = ("nuisance_loss", "q", "reliability", "slice_share", "slice_jumps")
UNKNOWN = (None, float("nan"), pd.NA, "not known")

of_flag = st.sampled_from([True, False, True, False, *UNKNOWN])
of_number = st.one_of(st.sampled_from([-0.8, 0.4, 0.5, 0.8, *UNKNOWN]), st.floats(-2, 2))
latents = st.fixed_dictionaries({name: of_flag for name in FLAGS} | {name: of_number for name in NUMBERS})


def slow_verdict(latent: dict, bounds: VerdictBounds) -> tuple[str, str]:
    """The rule, line by line."""

    def above(name: str, bound: float, sign: float = 1) -> bool:
        value = latent[name]
        return isinstance(value, float) and sign * value > bound

    brain, lm = latent["contributes_brain"], latent["contributes_lm"]
    reliable, rho = None, latent["reliability"]
    if latent["reliability_known"] is True:
        if latent["reliability_significant"] is False or (
            isinstance(rho, float) and rho <= bounds.reliability
        ):
            reliable = False
        elif above("reliability", bounds.reliability) and latent["reliability_significant"] is True:
            reliable = True
    if latent["alive"] is False:
        return "dead", ""
    if latent["active"] is False:
        return "silent", ""
    if latent["agreement_significant"] is True:
        if not (brain is True and lm is True):
            return "agreeing", ""
        if above("nuisance_loss", bounds.nuisance_loss):
            return "shared", "mostly nuisance"
        if above("q", bounds.one_sided, -1):
            return "shared", "mostly LM"
        return "shared", "mostly brain" if above("q", bounds.one_sided) else ""
    if brain is True and lm is True and latent["plain_agreement_significant"] is True:
        return "nuisance", ""
    if brain is True and lm is False:
        striped = above("slice_share", bounds.slice_share) and above("slice_jumps", bounds.slice_jumps)
        if reliable is not True and striped:
            return "artefact", ""
        if reliable is True:
            return "brain, story-driven", ""
        return ("brain, spontaneous" if reliable is False else "brain"), ""
    if lm is True and brain is False:
        return "LM", ""
    return "unclear", ""


@EXAMPLES
@given(st.lists(latents, min_size=1, max_size=4), st.tuples(*[st.floats(0, 1)] * 5))
def test_every_latent_has_the_one_verdict_of_the_rule(rows, bounds):
    bounds = VerdictBounds(*bounds)
    table = pd.DataFrame(rows, index=np.arange(len(rows)) * 3 + 7)
    found = verdicts(table, bounds)
    assert list(found.columns) == ["verdict", "qualifier", "reason"] and (found.index == table.index).all()
    given_to = list(zip(found["verdict"], found["qualifier"], strict=True))
    assert given_to == [slow_verdict(row, bounds) for row in rows]
    assert set(found["verdict"]) <= set(VERDICTS) and set(found["qualifier"]) <= {*QUALIFIERS, ""}
    assert set(labels(found)) <= set(LABELS)
    has_reason = found["verdict"].isin(["agreeing", "unclear"])
    assert ((found["reason"] != "") == has_reason).all()


@EXAMPLES
@given(latents, st.sampled_from([*FLAGS, *NUMBERS]))
def test_no_latent_has_a_verdict_that_needs_what_is_not_known(latent, forgotten):
    needed = {
        "shared": ("agreement_significant", "contributes_brain", "contributes_lm"),
        "agreeing": ("agreement_significant",),
        "nuisance": ("contributes_brain", "contributes_lm", "plain_agreement_significant"),
        "artefact": ("contributes_brain", "contributes_lm", "slice_share", "slice_jumps"),
        "brain, story-driven": (
            *("contributes_brain", "reliability_known", "reliability_significant", "reliability"),
        ),
        "brain, spontaneous": ("contributes_brain", "reliability_known"),
        "brain": ("contributes_brain", "contributes_lm"),
        "LM": ("contributes_brain", "contributes_lm"),
        "dead": ("alive",),
        "silent": ("active",),
        "unclear": (),
    }
    verdict = verdicts(pd.DataFrame([latent | {forgotten: None}]), VerdictBounds())["verdict"][0]
    assert forgotten not in needed[verdict]


CLEAR = {
    "alive": True,
    "active": True,
    "agreement_significant": True,
    "plain_agreement_significant": True,
    "contributes_brain": True,
    "contributes_lm": True,
    "reliability_known": True,
    "reliability_significant": True,
    "nuisance_loss": 0.1,
    "q": 0.0,
    "reliability": 0.7,
    "slice_share": 0.1,
    "slice_jumps": 0.1,
}
ALONE = {"agreement_significant": False, "contributes_lm": False}
STRIPED = {"slice_share": 0.96, "slice_jumps": 1.0}
UNRELIABLE = {"reliability_significant": False}
UNHEARD = {"reliability_known": False, "reliability_significant": False}


@pytest.mark.parametrize(
    ("change", "label", "reason"),
    [
        ({}, "shared", ""),
        ({"q": 0.8}, "shared", ""),
        ({"q": 0.81}, "shared, mostly brain", ""),
        ({"q": -0.81}, "shared, mostly LM", ""),
        ({"q": -0.81, "nuisance_loss": 0.41}, "shared, mostly nuisance", ""),
        ({"nuisance_loss": 0.4}, "shared", ""),
        (STRIPED, "shared", ""),
        ({"alive": False}, "dead", ""),
        ({"active": False}, "silent", ""),
        ({"contributes_lm": False}, "agreeing", "does not contribute to the LM"),
        ({"contributes_brain": False}, "agreeing", "does not contribute to the brain"),
        (
            {"contributes_brain": False, "contributes_lm": False},
            "agreeing",
            "contributes to neither source",
        ),
        ({"agreement_significant": False}, "nuisance", ""),
        (
            {"agreement_significant": False, "plain_agreement_significant": False},
            "unclear",
            "agreement not significant",
        ),
        (
            {"agreement_significant": False, "contributes_brain": False, "contributes_lm": False},
            "unclear",
            "contributes to neither source",
        ),
        (ALONE, "brain, story-driven", ""),
        (ALONE | STRIPED, "brain, story-driven", ""),
        (ALONE | UNRELIABLE, "brain, spontaneous", ""),
        (ALONE | {"reliability": 0.21}, "brain, story-driven", ""),
        (ALONE | {"reliability": 0.2}, "brain, spontaneous", ""),
        (ALONE | STRIPED | {"reliability": 0.2}, "artefact", ""),
        (ALONE | {"reliability": 0.2, "reliability_significant": None}, "brain, spontaneous", ""),
        (ALONE | {"reliability": None}, "brain", ""),
        (ALONE | UNRELIABLE | STRIPED, "artefact", ""),
        (ALONE | UNRELIABLE | STRIPED | {"slice_jumps": 0.5}, "brain, spontaneous", ""),
        (ALONE | UNHEARD | STRIPED, "artefact", ""),
        (ALONE | UNHEARD | STRIPED | {"slice_share": np.nan}, "brain", ""),
        (ALONE | UNHEARD, "brain", ""),
        ({"agreement_significant": False, "contributes_brain": False}, "LM", ""),
        (ALONE | {"contributes_lm": None}, "unclear", "contributions not known"),
        ({"contributes_lm": None}, "agreeing", "contributions not known"),
        (
            {"agreement_significant": None, "plain_agreement_significant": None},
            "unclear",
            "agreement not known",
        ),
    ],
)
def test_verdicts_case_by_case(change, label, reason):
    found = verdicts(pd.DataFrame([CLEAR | change]), VerdictBounds())
    assert labels(found)[0] == label and found["reason"][0] == reason
    assert is_shared(found).tolist() == [label == "shared"]


def test_a_table_that_was_read_from_a_file_says_the_same():
    rows = [CLEAR, CLEAR | {"q": -1.0}, CLEAR | ALONE | UNHEARD, CLEAR | {"nuisance_loss": np.nan}]
    table = pd.DataFrame(rows)
    found = verdicts(table, VerdictBounds())
    text = pd.concat([table, found], axis=1).to_csv(sep="\t", na_rep="not known", index=False)
    read = pd.read_csv(io.StringIO(text), sep="\t", na_values=["not known"])
    again = verdicts(read, VerdictBounds())
    assert again["verdict"].tolist() == found["verdict"].tolist() and read["qualifier"].isna().any()
    assert labels(read).tolist() == ["shared", "shared, mostly LM", "brain", "shared"]
    assert is_shared(read).tolist() == [True, False, False, True]


def test_a_table_without_latents_has_no_verdicts():
    table = pd.DataFrame(
        {name: pd.Series(dtype=bool) for name in FLAGS} | {n: pd.Series(dtype=float) for n in NUMBERS}
    )
    found = verdicts(table, VerdictBounds())
    assert found.empty and is_shared(found).shape == (0,)


@pytest.mark.parametrize("name", [*FLAGS, *NUMBERS])
def test_a_missing_column_is_named(name):
    table = pd.DataFrame([CLEAR])
    with pytest.raises(InputError, match=f"the column {name},"):
        verdicts(table.drop(columns=name), VerdictBounds())


@pytest.mark.parametrize(
    ("name", "value"),
    [*itertools.product(["alive", "contributes_lm"], ["True", 1.0, "yes"]), ("q", "0.3!"), ("q", "unknown")],
)
def test_what_is_neither_an_answer_nor_not_known_is_refused(name, value):
    table = pd.DataFrame([CLEAR, CLEAR | {name: value}])
    with pytest.raises(InputError, match=f"Column {name} must hold"):
        verdicts(table, VerdictBounds())


def test_columns_are_read_as_what_they_say():
    table = pd.DataFrame({"a": [True, False, *UNKNOWN], "b": [1, 2.5, *UNKNOWN]})
    yes, no = told(table, "a")
    assert yes.tolist() == [True] + 5 * [False] and no.tolist() == [False, True] + 4 * [False]
    np.testing.assert_array_equal(numbers(table, "b"), [1, 2.5] + 4 * [np.nan])


def test_labels_are_verdicts_with_their_qualifiers_in_order():
    assert [label for label in LABELS if not label.startswith("shared,")] == list(VERDICTS)
    first = LABELS.index("shared")
    assert LABELS[first + 1 : first + 4] == tuple(f"shared, {qualifier}" for qualifier in QUALIFIERS)
