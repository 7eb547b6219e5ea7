"""Does a run on simulated data show what the method must show, and nothing where nothing is planted?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from brainlm.report.write import formatted, percent, with_unit

BRAIN_ONLY = ("story-driven", "spontaneous", "stripes")
"""Kinds of planted features that voxels follow and the LM has nothing of."""


@dataclass(frozen=True)
class Bar:
    """A result and the threshold it was expected to reach."""

    name: str
    value: float
    """NaN if not measured."""
    threshold: float
    direction: Literal[">=", "<="]
    unit: str = ""
    note: str = ""

    @property
    def met(self) -> str:
        """yes, no or not measured."""
        if np.isnan(self.value):
            return "not measured"
        reached = self.value >= self.threshold if self.direction == ">=" else self.value <= self.threshold
        return "yes" if reached else "no"


def ceiling_check(ceilings: pd.DataFrame) -> Bar:
    """Does the explainable variance of the repeated story come out as planted?

    Parameters
    ----------
    ceilings: one row a subject, and story of several: explainable_variance and planted_explainable_variance, means
        over voxels; no such columns if no story is repeated.
    """
    name = "explainable variance of the repeated story: largest error"
    if "explainable_variance" not in ceilings:
        return Bar(name, np.nan, 5, "<=", "%")
    found, planted = ceilings["explainable_variance"], ceilings["planted_explainable_variance"]
    note = "; ".join(
        f"{formatted(a, '.3f')}, planted {formatted(b, '.3f')}" for a, b in zip(found, planted, strict=True)
    )
    return Bar(name, 100 * (found / planted - 1).abs().max(), 5, "<=", "%", f"mean over voxels: {note}")


def demo_checks(summaries: pd.DataFrame, planted: pd.DataFrame) -> list[Bar]:
    """What the method must show on simulated data, and where it must find nothing.

    Shared features are those of that kind alone; brain-only ones are story-driven, spontaneous and stripes. Word
    rate, which brain and LM have without sharing more than that, is neither; its maps count with all others.

    Parameters
    ----------
    summaries: one row a model of any experiment, as the scoring rule writes it.
    planted: `match_planted` of the matched and shuffled models of all subjects and seeds, one below the
        other, with a column experiment.

    Returns
    -------
    The checks, in the order of the table.
    """
    mean = summaries.groupby("experiment").mean(numeric_only=True)
    matched, control = (planted[planted["experiment"] == name] for name in ("matched", "shuffled"))
    shared, stripes = (matched[matched["kind"] == kind] for kind in ("shared", "stripes"))
    shared_control = control[control["kind"] == "shared"]
    brain_only = matched[matched["kind"].isin(BRAIN_ONLY)]
    found_as_brain = stripes["found"] & (stripes["class"] == "brain-dominant")
    in_brain = matched[matched["kind"] != "LM-only"]
    classes = shared["class"].value_counts()
    noise = mean["share_agreeing"].get("noise", np.nan)
    change, n_models = _largest_change(summaries, "matched", "init-norm")
    return [
        Bar(
            "shared latents, matched : shuffled",
            _ratio(mean.loc["matched", "share_shared"], mean.loc["shuffled", "share_shared"]),
            3,
            ">=",
            note=f"{percent(mean.loc['matched', 'share_shared'])} against "
            f"{percent(mean.loc['shuffled', 'share_shared'])} of live latents; shifted: "
            f"{percent(mean.loc['shifted', 'share_shared'])}",
        ),
        Bar(
            "shared features found on test stories",
            100 * shared["found"].mean(),
            80,
            ">=",
            "%",
            f"lowest test correlation {formatted(shared['test_correlation'].min(), '.2f')}; "
            f"shuffled, through the LM alone: {percent(shared_control['found'].mean())}",
        ),
        Bar(
            "shared features found in the brain on test stories",
            100 * shared["found_in_brain"].mean(),
            80,
            ">=",
            "%",
            f"lowest test correlation {formatted(shared['brain_correlation'].min(), '.2f')}; "
            f"shuffled: {percent(shared_control['found_in_brain'].mean())}",
        ),
        Bar(
            "shared features called brain-dominant",
            int((shared["class"] == "brain-dominant").sum()),
            0,
            "<=",
            note=", ".join(f"{count} {name}" for name, count in classes.items())
            + " (features x subjects x seeds)",
        ),
        Bar(
            "median r, brain-only minus shared features",
            brain_only["r"].median() - shared["r"].median(),
            0.5,
            ">=",
            note=" minus ".join(formatted(table["r"].median(), ".2f") for table in (brain_only, shared)),
        ),
        Bar(
            "stripe artefacts found and brain-dominant",
            100 * found_as_brain.mean(),
            100,
            ">=",
            "%",
            f"lowest r {formatted(stripes['r'].min(), '.2f')}",
        ),
        Bar(
            "planted maps matched by their latent's decoder map",
            100 * (in_brain["map_correlation"] > 0.5).mean(),
            100,
            ">=",
            "%",
            f"correlation over voxels above 0.5; lowest {formatted(in_brain['map_correlation'].min(), '.2f')}",
        ),
        Bar(
            "shared latents with significant agreement, matched : shifted",
            _ratio(
                mean.loc["matched", "shared_agreeing_latents"], mean.loc["shifted", "shared_agreeing_latents"]
            ),
            3,
            ">=",
            note=" against ".join(
                formatted(mean.loc[name, "shared_agreeing_latents"], ".1f") for name in ("matched", "shifted")
            )
            + " a model",
        ),
        Bar("white noise: latents with significant agreement", 100 * noise, 1, "<=", "%"),
        Bar(
            "largest change of a class share with another initial norm",
            change,
            10,
            "<=",
            "points",
            f"means over {n_models} models; between two seeds of a subject, "
            f"{formatted(_largest_change_of_seed(summaries), '.1f')} at most",
        ),
    ]


def bars_table(rows: Sequence[Bar]) -> pd.DataFrame:
    """Which expectations a run fulfils.

    Returns
    -------
    Columns check (with its unit), result, bar (e.g. "≥ 0.8"), met ("yes", "no" or "not measured"), note.
    """
    signs = {">=": "≥", "<=": "≤"}
    return pd.DataFrame(
        {
            "check": [with_unit(row.name, row.unit) for row in rows],
            "result": pd.Series([row.value for row in rows], dtype=object),
            "bar": [f"{signs[row.direction]} {row.threshold:g}" for row in rows],
            "met": [row.met for row in rows],
            "note": [row.note for row in rows],
        }
    )


def _largest_change(summaries: pd.DataFrame, one: str, other: str) -> tuple[float, int]:
    """Percentage points between two experiments' means over the models that both have, and how many these are; NaN if
    there are none."""
    of = {name: _class_shares(summaries, name) for name in (one, other)}
    both = of[one].index.intersection(of[other].index)
    if both.empty:
        return float("nan"), 0
    change = (of[one].loc[both].mean() - of[other].loc[both].mean()).abs()
    return float(100 * change.max()), len(both)


def _largest_change_of_seed(summaries: pd.DataFrame) -> float:
    """Percentage points between two seeds of a subject, matched: how much of a change is the draw's alone."""
    by_subject = _class_shares(summaries, "matched").groupby("subject")
    several = by_subject.filter(lambda of_subject: len(of_subject) > 1).groupby("subject")
    return float(100 * (several.max() - several.min()).max(axis=None))


def _class_shares(summaries: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """Shares of the classes, one row a model of an experiment, by subject and seed."""
    shares = [column for column in summaries if column.startswith("share_") and column != "share_agreeing"]
    return summaries[summaries["experiment"] == experiment].set_index(["subject", "seed"])[shares]


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else np.inf if above > 0 else np.nan
