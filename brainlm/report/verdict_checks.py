"""Are the verdicts on planted features right, and is nothing called shared where nothing is?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainlm.report.checks import Bar
from brainlm.report.write import formatted
from brainlm.scores.evidence.verdict import LABELS, labels

RIGHT_VERDICTS: Mapping[str, tuple[str, ...]] = {
    "shared": ("shared",),
    "word rate": ("nuisance", "shared, mostly nuisance"),
    "story-driven": ("brain, story-driven",),
    "spontaneous": ("brain, spontaneous",),
    "stripes": ("artefact",),
    "LM-only": ("LM", "shared, mostly LM"),
}
"""Kind of planted feature -> the verdicts that are right for the latent that found it."""
HARD_TO_FIND = ("word rate", "LM-only")
"""Kinds of which nothing is promised: nuisances mix with everything, and what no voxel follows has only the LM's
share of the error to be learned from."""
FEWEST_OF_A_KIND = 5
"""With fewer found features of a kind its rate tells nothing."""


def planted_verdicts(planted: pd.DataFrame, evidence: pd.DataFrame) -> pd.DataFrame:
    """The verdict of the latent that each planted feature of a model is matched to.

    Parameters
    ----------
    planted: `brainlm.simulation.recovery.match_planted`. evidence: the same model's, one row a latent.

    Returns
    -------
    The rows of `planted` with a column label (of `brainlm.scores.evidence.verdict.LABELS`) and right (bool).
    """
    of_latent = pd.Series(labels(evidence).to_numpy(), index=evidence["latent"])
    named = planted.assign(label=planted["latent"].map(of_latent))
    right = [label in RIGHT_VERDICTS[kind] for kind, label in zip(named["kind"], named["label"], strict=True)]
    return named.assign(right=right)


def confusion_table(found: pd.DataFrame) -> pd.DataFrame:
    """Planted kinds against verdicts, of features that were well found.

    Parameters
    ----------
    found: `planted_verdicts` of several models, one below the other.

    Returns
    -------
    One row a kind, in the order of RIGHT_VERDICTS: planted kind, right verdict, planted, well found, right, and a
    column for each verdict that any of them has, with counts.
    """
    well = found[found["well_found"]]
    given = [label for label in LABELS if (well["label"] == label).any()]
    rows = []
    for kind, verdicts in RIGHT_VERDICTS.items():
        of_kind = well[well["kind"] == kind]
        rows.append(
            {
                "planted kind": kind,
                "right verdict": " or ".join(verdicts),
                "planted": int((found["kind"] == kind).sum()),
                "well found": len(of_kind),
                "right": int(of_kind["right"].sum()),
                **{label: int((of_kind["label"] == label).sum()) for label in given},
            }
        )
    return pd.DataFrame(rows)


def verdict_checks(found: pd.DataFrame, controls: Mapping[str, pd.DataFrame]) -> list[Bar]:
    """What verdicts must show on simulated data.

    Parameters
    ----------
    found: `planted_verdicts` of the matched models of all subjects and seeds, one below the other.
    controls: experiment without correspondence ("shuffled", "shifted", "noise") -> evidence of all its models, one
        below the other.
    """
    promised, hard = (found[found["kind"].isin(HARD_TO_FIND) == is_hard] for is_hard in (False, True))
    well = found[found["well_found"]]
    by_kind = {kind: well[well["kind"] == kind]["right"] for kind in RIGHT_VERDICTS}
    enough = {kind: right for kind, right in by_kind.items() if len(right) >= FEWEST_OF_A_KIND}
    not_shared = well[well["kind"] != "shared"]
    called = {name: labels(table)[table["alive"]] == "shared" for name, table in controls.items()}
    alarms = pd.concat(called.values()) if called else pd.Series(dtype=bool)
    return [
        Bar(
            "planted features that voxels follow, well found",
            100 * promised["well_found"].mean(),
            85,
            ">=",
            "%",
            f"{_of(promised['well_found'])}, word rate apart; of {' and '.join(HARD_TO_FIND)} "
            f"{_of(hard['well_found'])}",
        ),
        Bar(
            "right verdict, of those well found",
            100 * well["right"].mean(),
            90,
            ">=",
            "%",
            _of(well["right"]),
        ),
        Bar(
            "right verdict, the kind with fewest",
            100 * min((right.mean() for right in enough.values()), default=np.nan),
            75,
            ">=",
            "%",
            "; ".join(f"{kind} {_of(right)}" for kind, right in by_kind.items()),
        ),
        Bar(
            "planted as anything else, but called shared without a qualifier",
            100 * (not_shared["label"] == "shared").mean(),
            3,
            "<=",
            "%",
            _of(not_shared["label"] == "shared"),
        ),
        Bar(
            "live latents called shared where time does not correspond",
            100 * alarms.mean(),
            1,
            "<=",
            "%",
            "; ".join(f"{name} {_of(of)}" for name, of in called.items()),
        ),
    ]


def _of(said: pd.Series) -> str:
    return f"{formatted(said.sum(), '.0f')} of {len(said)}"
