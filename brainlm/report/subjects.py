"""What holds over subjects and seeds: means and standard deviations, as a table and a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brainlm.files import NOT_KNOWN
from brainlm.report.style import (
    CLASS_COLORS,
    DOUBLE_COLUMN_CM,
    GREY,
    SOURCE_COLORS,
    SOURCE_LABELS,
    add_titles,
    journal_style,
    new_figure,
)
from brainlm.report.write import CLASS_LABELS, MISSING, formatted, number_of

SHARES = {f"{label} (%)": f"share_{name}" for name, label in CLASS_LABELS.items()}
VERIFIED = {f"{label}, verified (%)": f"verified_{name}" for name, label in CLASS_LABELS.items()}
CORRELATIONS = {
    f"{label} correlation, test": f"test_correlation_{source}" for source, label in SOURCE_LABELS.items()
}
COLORS = {f"{label} (%)": CLASS_COLORS[name] for name, label in CLASS_LABELS.items()} | {
    f"{label} correlation, test": SOURCE_COLORS[source] for source, label in SOURCE_LABELS.items()
}
MARKERS = "os^vP*X<>h"
VERIFIED_STYLE: dict[str, Any] = {
    "marker": "D",
    "markersize": 3.5,
    "markerfacecolor": "none",
    "linestyle": "",
    "markeredgewidth": 0.7,
}


def long_summaries(summaries: pd.DataFrame) -> pd.DataFrame:
    """One row a model and quantity.

    Parameters
    ----------
    summaries: one row a model, with columns subject, experiment, seed, those of
        `brainlm.scores.summary.model_summary`, and verified_<class> and r0, NaN of models whose latents were not
        asked for evidence.

    Returns
    -------
    Columns experiment, quantity, subject, seed, value: class shares and how much of them is verified, in percent of
    live latents, r0, and the mean test correlations.
    """
    quantities = {name: 100 * summaries[column] for name, column in (SHARES | VERIFIED).items()}
    quantities["r0"] = summaries["r0"]
    quantities["agreeing (%)"] = 100 * summaries["share_agreeing"]
    quantities |= {name: summaries[column] for name, column in CORRELATIONS.items()}
    models = summaries[["experiment", "subject", "seed"]]
    return pd.concat(
        [models.assign(quantity=name, value=values) for name, values in quantities.items()], ignore_index=True
    )


def across_subjects_table(summaries: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of each quantity over an experiment's models, all subjects and seeds alike.

    Parameters
    ----------
    summaries: as for `long_summaries`.

    Returns
    -------
    One row an experiment, in the order of first appearance: experiment, subjects and models (their numbers), and
    for each quantity its mean and a column "±" with the standard deviation, NaN for a single model.
    """
    grouped = long_summaries(summaries).groupby(["experiment", "quantity"], sort=False)["value"]
    means, deviations = grouped.mean().unstack(sort=False), grouped.std().unstack(sort=False)
    models = summaries.groupby("experiment", sort=False)
    counts = pd.DataFrame({"subjects": models["subject"].nunique(), "models": models.size()})
    columns = {}
    for quantity in means:
        columns[quantity] = means[quantity]
        columns[f"± {quantity}"] = deviations[quantity]
    return counts.join(pd.DataFrame(columns)).reset_index()


def shown_across_subjects(numbers: pd.DataFrame) -> pd.DataFrame:
    """The table for reading: mean and standard deviation in one cell, and what of a class is verified behind its
    share.

    Parameters
    ----------
    numbers: of `across_subjects_table`.
    """

    def cells(quantity: str, spec: str, missing: str) -> list[str]:
        both = numbers[[quantity, f"± {quantity}"]].to_numpy(float)
        return [missing if np.isnan(mean) else _with_deviation(mean, sd, spec) for mean, sd in both]

    columns = {name: numbers[name] for name in ("experiment", "subjects", "models")}
    for share, verified in zip(SHARES, VERIFIED, strict=True):
        columns[share] = cells(share, ".1f", MISSING)
        columns[f"of it verified: {verified.removesuffix(', verified (%)')} (%)"] = cells(
            verified, ".1f", NOT_KNOWN
        )
    columns["r0"] = cells("r0", ".2f", NOT_KNOWN)
    columns["agreeing (%)"] = cells("agreeing (%)", ".1f", MISSING)
    columns |= {name: cells(name, ".3f", MISSING) for name in CORRELATIONS}
    return pd.DataFrame(columns)


@journal_style()
def across_subjects_figure(summaries: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Class shares and test correlations of every experiment: a point a model, mean and s.d. over all.

    A diamond marks how much of a class is verified, the mean over models, where verdicts are known.
    A line of the s.d. ends where the scale does: at shares of 0 and 100 %, at correlations of -1 and 1. Subjects have
    markers of their own if there are enough.

    Parameters
    ----------
    summaries: as for `long_summaries`.

    Returns
    -------
    The figure, and the numbers: experiment, quantity, subject, seed, value.
    """
    numbers = long_summaries(summaries)
    experiments = list(summaries["experiment"].unique())
    subjects = list(summaries["subject"].unique())
    figure = new_figure(DOUBLE_COLUMN_CM, 4.0 + 0.35 * len(experiments))
    panels = list(figure.subplots(1, 2, sharey=True))
    markers = dict(zip(subjects, MARKERS, strict=False)) if len(subjects) <= len(MARKERS) else {}
    for axes, quantities, ends in zip(panels, (SHARES, CORRELATIONS), ((0, 100), (-1, 1)), strict=True):
        _draw(axes, numbers, list(quantities), experiments, markers, ends)
    of = f"{number_of(len(subjects), 'subject')}, {number_of(summaries['seed'].nunique(), 'seed')}"
    # The empty line is the legend's.
    add_titles(panels, [f"Class shares ({of})", "Mean test correlation (a fit, no prediction)"], ["", ""])
    panels[0].set_xlabel("live latents (%)")
    panels[1].set_xlabel("Pearson correlation")
    panels[0].set_yticks(range(len(experiments)), experiments)
    panels[0].set_ylim(len(experiments) - 0.5, -0.5)
    labels = markers or {"a model (subject, seed)": MARKERS[0]}
    handles = [
        Line2D([], [], color=GREY, linestyle="", markersize=3, marker=marker, label=label)
        for label, marker in labels.items()
    ]
    handles.append(Line2D([], [], color=GREY, marker="|", markersize=7, label="mean ± s.d."))
    if summaries[list(VERIFIED.values())].notna().any(axis=None):
        handles.append(Line2D([], [], **VERIFIED_STYLE, markeredgecolor=GREY, label="of it verified, mean"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 9))
    return figure, numbers


def _with_deviation(mean: float, deviation: float, spec: str) -> str:
    text = formatted(mean, spec)
    return f"{text} ± {formatted(deviation, spec)}" if np.isfinite(deviation) else text


def _draw(
    axes: Axes,
    numbers: pd.DataFrame,
    quantities: Sequence[str],
    experiments: Sequence[str],
    markers: Mapping[str, str],
    ends: tuple[float, float],
) -> None:
    offsets = np.linspace(-0.25, 0.25, len(quantities))
    for quantity, offset in zip(quantities, offsets, strict=True):
        for row, experiment in enumerate(experiments):
            here = numbers[(numbers["quantity"] == quantity) & (numbers["experiment"] == experiment)]
            for subject, values in here.groupby("subject", sort=False)["value"]:
                axes.plot(
                    values,
                    np.full(len(values), row + offset),
                    markers.get(subject, MARKERS[0]),
                    color=COLORS[quantity],
                    markersize=2.5,
                    alpha=0.45,
                    markeredgewidth=0,
                )
            mean, deviation = here["value"].mean(), here["value"].std()
            if len(here) > 1:
                reach = np.clip([mean - deviation, mean + deviation], *ends)
                axes.hlines(row + offset, *reach, color=COLORS[quantity], linewidth=0.8)
            axes.plot(mean, row + offset, "|", color=COLORS[quantity], markersize=7)
            proven = numbers["quantity"] == quantity.replace(" (%)", ", verified (%)")
            of_it = numbers.loc[proven & (numbers["experiment"] == experiment), "value"].mean()
            if np.isfinite(of_it) and quantity in SHARES:
                axes.plot(of_it, row + offset, **VERIFIED_STYLE, markeredgecolor=COLORS[quantity])
    if not numbers.loc[numbers["quantity"].isin(quantities), "value"].notna().any():
        axes.set_xlim(*ends)
    handles = [Line2D([], [], color=COLORS[name], label=name.split()[0]) for name in quantities]
    # Between title and panel no point can lie below it.
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=len(handles),
        borderpad=0,
        borderaxespad=0.3,
    )
    for row in range(1, len(experiments)):
        axes.axhline(row - 0.5, color="0.9", linewidth=0.4, zorder=0)
