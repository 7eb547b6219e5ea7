import numpy as np
import pandas as pd
import pytest

from brainlm.report.verdict_checks import (
    RIGHT_VERDICTS,
    confusion_table,
    planted_verdicts,
    verdict_checks,
)
from brainlm.scores.evidence.verdict import LABELS

# Kind, verdict, qualifier, and whether that is right.
CASES = [
    ("shared", "shared", "", True),
    ("shared", "shared", "mostly nuisance", False),
    ("shared", "agreeing", "", False),
    ("word rate", "nuisance", "", True),
    ("word rate", "shared", "mostly nuisance", True),
    ("word rate", "shared", "", False),
    ("story-driven", "brain, story-driven", "", True),
    ("story-driven", "brain, spontaneous", "", False),
    ("spontaneous", "brain, spontaneous", "", True),
    ("stripes", "artefact", "", True),
    ("stripes", "brain", "", False),
    ("LM-only", "LM", "", True),
    ("LM-only", "shared", "mostly LM", True),
    ("LM-only", "shared", "mostly brain", False),
]


def evidence_of(cases) -> pd.DataFrame:
    """The verdicts of the cases, of latents in another order than the features."""
    return pd.DataFrame(
        {
            "latent": np.arange(len(cases))[::-1],
            "verdict": [verdict for _, verdict, _, _ in cases],
            "qualifier": [qualifier for _, _, qualifier, _ in cases],
            "alive": True,
        }
    )


def planted_of(cases, well_found=True) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "feature": [f"feature {number}" for number in range(len(cases))],
            "kind": [kind for kind, *_ in cases],
            "latent": np.arange(len(cases))[::-1],
            "well_found": well_found,
        }
    )


def bars(found, controls=None) -> dict[str, object]:
    return {bar.name: bar for bar in verdict_checks(found, controls or {})}


def test_every_kind_has_right_verdicts_that_exist():
    assert all(set(verdicts) <= set(LABELS) for verdicts in RIGHT_VERDICTS.values())


def test_a_feature_has_the_verdict_of_its_latent_and_it_is_right_or_not():
    found = planted_verdicts(planted_of(CASES), evidence_of(CASES))
    assert found["right"].tolist() == [right for *_, right in CASES]
    assert found["label"].tolist()[1] == "shared, mostly nuisance"


def test_confusion_counts_only_what_was_well_found():
    cases = [CASES[0], CASES[0], CASES[2], CASES[8]]
    found = planted_verdicts(planted_of(cases), evidence_of(cases))
    found.loc[1, "well_found"] = False
    table = confusion_table(found).set_index("planted kind")
    assert table.index.tolist() == list(RIGHT_VERDICTS)
    assert table.loc["shared", ["planted", "well found", "right", "shared", "agreeing"]].tolist() == [
        3,
        2,
        1,
        1,
        1,
    ]
    assert table.loc["spontaneous", "brain, spontaneous"] == 1
    # What no feature has is no column.
    assert "artefact" not in table


def test_shares_are_those_of_the_spec():
    found = planted_verdicts(planted_of(CASES), evidence_of(CASES))
    # The spontaneous one is not found; word rate and the LM's own do not count in what is promised.
    found.loc[8, "well_found"] = False
    checks = bars(found)
    n_promised = sum(kind not in ("word rate", "LM-only") for kind, *_ in CASES)
    found_bar = checks["planted features that voxels follow, well found"]
    assert found_bar.value == pytest.approx(100 * (n_promised - 1) / n_promised)
    assert "of word rate and LM-only 6 of 6" in found_bar.note
    n_right = sum(right for *_, right in CASES) - 1
    assert checks["right verdict, of those well found"].value == pytest.approx(
        100 * n_right / (len(CASES) - 1)
    )
    # Without the shared ones, one of the ten others that were found is called shared without a qualifier.
    wrong = checks["planted as anything else, but called shared without a qualifier"]
    assert wrong.value == pytest.approx(100 / 10) and wrong.met == "no"


def test_a_kind_with_few_found_features_does_not_decide():
    four_wrong = [CASES[2]] * 4 + [CASES[8]] * 5
    found = planted_verdicts(planted_of(four_wrong), evidence_of(four_wrong))
    assert bars(found)["right verdict, the kind with fewest"].value == 100
    five_wrong = [CASES[2]] * 5 + [CASES[8]] * 5
    found = planted_verdicts(planted_of(five_wrong), evidence_of(five_wrong))
    assert bars(found)["right verdict, the kind with fewest"].value == 0


def test_controls_count_live_latents_that_are_called_shared_without_a_qualifier():
    cases = [
        ("", "shared", "", None),
        ("", "shared", "mostly LM", None),
        ("", "LM", "", None),
        ("", "LM", "", None),
    ]
    shuffled = evidence_of(cases)
    shifted = evidence_of([("", "dead", "", None)] * 2 + cases[2:]).assign(alive=[False, False, True, True])
    found = planted_verdicts(planted_of(CASES), evidence_of(CASES))
    bar = bars(found, {"shuffled": shuffled, "shifted": shifted})[
        "live latents called shared where time does not correspond"
    ]
    assert bar.value == pytest.approx(100 / 6)
    assert bar.note == "shuffled 1 of 4; shifted 0 of 2"


def test_without_found_features_nothing_is_measured():
    found = planted_verdicts(planted_of(CASES, well_found=False), evidence_of(CASES))
    checks = bars(found)
    assert checks["right verdict, of those well found"].met == "not measured"
    assert checks["live latents called shared where time does not correspond"].met == "not measured"
