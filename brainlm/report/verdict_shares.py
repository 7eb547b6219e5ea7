"""Verdicts over subjects and seeds: shares of latents, how sure they are, and how many are shared in most seeds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from brainlm.errors import InputError
from brainlm.report.evidence import with_range
from brainlm.report.style import (
    BLUE,
    DOUBLE_COLUMN_CM,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILION,
    add_titles,
    journal_style,
    new_figure,
)
from brainlm.report.write import number_of
from brainlm.scores.evidence.tallies import LIVE_LABELS
from brainlm.scores.evidence.verdict import HEADLINE, is_shared, numbers

OVER_STORIES = "± shared over stories"
AFTER_TURNS = "agreeing after turns"
IN_MOST_SEEDS = "shared in most seeds"
_MODEL = ["experiment", "subject", "seed"]
_MOST_ROWS = 40
"""Bars; with more of them those of an experiment's subjects are one."""


class Fill(NamedTuple):
    """How the latents of a verdict are drawn in a bar."""

    color: str
    hatch: str = ""
    alpha: float = 1.0


# The colour tells whose it is, as in all figures; hatches tell verdicts apart in print without colours.
FILLS = {
    "shared": Fill(GREEN),
    "shared, mostly nuisance": Fill(GREEN, "....", 0.5),
    "shared, mostly LM": Fill(GREEN, "\\\\\\\\", 0.5),
    "shared, mostly brain": Fill(GREEN, "////", 0.5),
    "agreeing": Fill(SKY_BLUE),
    "nuisance": Fill(ORANGE),
    "artefact": Fill(PURPLE, "||||"),
    "brain, story-driven": Fill(VERMILION),
    "brain, spontaneous": Fill(VERMILION, "////", 0.5),
    "brain": Fill(VERMILION, "", 0.5),
    "LM": Fill(BLUE),
    "unclear": Fill(GREY, "", 0.45),
    "silent": Fill(GREY, "xxxx", 0.25),
}
_MARKS: Mapping[str, Mapping[str, Any]] = {
    "a model (seed); ± jackknife over test stories": {"marker": "o", "color": GREEN, "markersize": 3},
    "of it in most seeds, mean": {
        "marker": "D",
        "color": "black",
        "markersize": 4,
        "markerfacecolor": "none",
        "markeredgewidth": 0.7,
    },
    "called agreeing after turns, mean": {"marker": "|", "color": "0.3", "markersize": 8},
}


def shared_in_most_seeds(latents: pd.DataFrame, found_in_seeds: pd.DataFrame) -> float:
    """Share of a model's live latents that are shared, and found again as shared in most of the subject's other
    seeds.

    Parameters
    ----------
    latents: of one model, columns latent, alive, verdict and qualifier.
    found_in_seeds: of the same model, columns latent, n_seeds and n_same_verdict, as
        `brainlm.scores.evidence.found_again.found_in_seeds` counts them; missing where it is not known.

    Returns
    -------
    NaN, not known, with no other seed or no live latent.

    Raises
    ------
    InputError: a latent is not among those that were looked for, though others are.
    """
    live = latents[latents["alive"]]
    counts = found_in_seeds.set_index("latent")
    n_seeds, n_same = numbers(counts, "n_seeds"), numbers(counts, "n_same_verdict")
    known = counts.index[(n_seeds > 0) & np.isfinite(n_same)]
    if live.empty or known.empty:
        return float("nan")
    if missing := sorted(set(live["latent"]) - set(known)):
        raise InputError(
            f"Latent {missing[0]} was not looked for in other seeds, though others were: compute both again."
        )
    in_most = dict(zip(counts.index, 2 * n_same > n_seeds, strict=True))
    return float(np.mean(is_shared(live) & live["latent"].map(in_most).to_numpy(bool)))


def long_verdicts(summaries: pd.DataFrame) -> pd.DataFrame:
    """One row a model and quantity.

    Parameters
    ----------
    summaries: one row a model, with columns experiment, subject, seed, those that
        `brainlm.scores.evidence.table.evidence_table` gives of a model as a whole, and shared_in_most_seeds
        (a fraction; NaN where it is not known).

    Returns
    -------
    Columns experiment, subject, seed, quantity, value, in percent of live latents: each of LIVE_LABELS; OVER_STORIES,
    the jackknife's error of the headline; AFTER_TURNS, called agreeing where nothing is to be found; IN_MOST_SEEDS.
    """
    columns = {
        **{label: f"share_{label}" for label in LIVE_LABELS},
        OVER_STORIES: f"error_{HEADLINE}",
        AFTER_TURNS: "shifted_share_agreeing",
        IN_MOST_SEEDS: "shared_in_most_seeds",
    }
    models = summaries[_MODEL]
    return pd.concat(
        [
            models.assign(quantity=name, value=100 * numbers(summaries, column))
            for name, column in columns.items()
        ],
        ignore_index=True,
    )


def verdict_shares_table(summaries: pd.DataFrame) -> pd.DataFrame:
    """Shares of verdicts over an experiment's models, all subjects and seeds alike.

    Parameters
    ----------
    summaries: as for `long_verdicts`.

    Returns
    -------
    One row an experiment, in the order of first appearance: experiment, subjects and models (their numbers); the
    headline's mean over models, lowest and highest; OVER_STORIES and AFTER_TURNS, means over models; IN_MOST_SEEDS,
    mean, lowest and highest; the mean of every other verdict. All in percent of live latents; NaN: not known.
    """
    grouped = long_verdicts(summaries).groupby(["experiment", "quantity"], sort=False)["value"]
    # Not known of one model, a mean over models is not known.
    mean = grouped.agg(lambda values: values.mean(skipna=False)).unstack(sort=False)
    low, high = grouped.min().unstack(sort=False), grouped.max().unstack(sort=False)
    models = summaries.groupby("experiment", sort=False)
    columns = {"subjects": models["subject"].nunique(), "models": models.size()}
    for name in (HEADLINE, OVER_STORIES, AFTER_TURNS, IN_MOST_SEEDS, *LIVE_LABELS):
        columns[f"{name} (%)"] = mean[name]
        if name in (HEADLINE, IN_MOST_SEEDS):
            columns[f"{name} (%), lowest"] = low[name]
            columns[f"{name} (%), highest"] = high[name]
    return pd.DataFrame(columns).reset_index()


def shown_verdict_shares(numbers: pd.DataFrame) -> pd.DataFrame:
    """The table for reading: ranges in the cells of means, verdicts that no latent has left out.

    Parameters
    ----------
    numbers: of `verdict_shares_table`.
    """
    ranged = {f"{name} (%)": with_range(numbers, f"{name} (%)", ".1f") for name in (HEADLINE, IN_MOST_SEEDS)}
    edges = [f"{name}, {edge}" for name in ranged for edge in ("lowest", "highest")]
    never = [
        f"{label} (%)"
        for label in LIVE_LABELS
        if label != HEADLINE and not (numbers[f"{label} (%)"] > 0).any()
    ]
    return numbers.drop(columns=[*edges, *never]).assign(**ranged)


@journal_style()
def verdict_shares_figure(summaries: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """What latents are called in each experiment and subject, and how sure the share called shared is.

    Left, a bar for each experiment and subject: shares of verdicts, mean over seeds. Right, the share called shared:
    a point a model with the jackknife's error over test stories; how many of them are shared in most seeds; and what
    is called agreeing after turns of the brain's rows, where nothing is to be found.

    Parameters
    ----------
    summaries: as for `long_verdicts`.

    Returns
    -------
    The figure, and the numbers: those of `long_verdicts`.
    """
    long = long_verdicts(summaries)
    experiments, subjects = (list(summaries[name].unique()) for name in ("experiment", "subject"))
    rows = [(experiment, [subject]) for experiment in experiments for subject in subjects]
    if len(rows) > _MOST_ROWS:
        rows = [(experiment, subjects) for experiment in experiments]
    figure = new_figure(DOUBLE_COLUMN_CM, 4.6 + 0.42 * len(rows))
    bars, points = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    given = [name for name in FILLS if (long.loc[long["quantity"] == name, "value"] > 0).any()]
    for row, (experiment, members) in enumerate(rows):
        here = long[(long["experiment"] == experiment) & long["subject"].isin(members)]
        _draw_bar(bars, row, here, given)
        _draw_points(points, row, here)
    names = [
        f"{experiment}, {members[0]}" if len(members) == 1 else experiment for experiment, members in rows
    ]
    bars.set_yticks(range(len(rows)), names)
    bars.set_ylim(len(rows) - 0.4, -0.6)
    bars.set_xlim(0, 100)
    bars.set_xlabel("live latents (%), mean over seeds")
    points.set_xlim(left=min(0.0, points.get_xlim()[0]))
    points.set_xlabel("live latents called shared (%)")
    for axes in (bars, points):
        axes.tick_params(axis="y", length=0)
    of = f"{number_of(len(subjects), 'subject')}, {number_of(summaries['seed'].nunique(), 'seed')}"
    add_titles([bars, points], [f"Verdicts ({of})", "Shared, and what chance gives"])
    _write_legends(
        figure, given, has_many_seeds=long.loc[long["quantity"] == IN_MOST_SEEDS, "value"].notna().any()
    )
    return figure, long


def _draw_bar(axes: Axes, row: int, here: pd.DataFrame, given: Sequence[str]) -> None:
    mean = here.groupby("quantity")["value"].mean()
    start = 0.0
    for name in given:
        share = np.nan_to_num(mean[name])
        axes.barh(row, share, left=start, height=0.76, **_style(name))
        start += share


def _draw_points(axes: Axes, row: int, here: pd.DataFrame) -> None:
    of = {name: values["value"].to_numpy() for name, values in here.groupby("quantity", sort=False)}
    a_model, in_most, turned = _MARKS.values()
    at = row + np.linspace(-0.22, 0.22, len(of[HEADLINE])) if len(of[HEADLINE]) > 1 else np.array([row])
    reach = np.nan_to_num(of[OVER_STORIES])
    axes.hlines(
        at, np.maximum(of[HEADLINE] - reach, 0), np.minimum(of[HEADLINE] + reach, 100), color=GREEN, lw=0.7
    )
    axes.plot(of[HEADLINE], at, linestyle="", **a_model)
    for values, mark in ((of[IN_MOST_SEEDS], in_most), (of[AFTER_TURNS], turned)):
        if np.isfinite(values).any():
            axes.plot(np.nanmean(values), row, linestyle="", **mark)
    axes.axhline(row + 0.5, color="0.9", linewidth=0.4, zorder=0)


def _write_legends(figure: Figure, given: Sequence[str], *, has_many_seeds: bool) -> None:
    patches = [Patch(label=name, **_style(name)) for name in given]
    lines = [
        Line2D([], [], linestyle="", label=name, **mark)
        for name, mark in _MARKS.items()
        if has_many_seeds or "most seeds" not in name
    ]
    figure.legend(handles=[*patches, *lines], loc="outside lower center", ncols=3)


def _style(name: str) -> dict[str, Any]:
    fill = FILLS[name]
    return {
        "facecolor": fill.color,
        "hatch": fill.hatch,
        "alpha": fill.alpha,
        "edgecolor": "white",
        "linewidth": 0.3,
    }
