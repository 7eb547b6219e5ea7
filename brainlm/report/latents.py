"""Figures of latents and of signal-to-noise ratios: data frames in, a figure and the numbers that it shows out."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from brainlm.report.evidence import neutral_point
from brainlm.report.style import (
    CLASS_COLORS,
    DOUBLE_COLUMN_CM,
    GREY,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    VERMILION,
    add_titles,
    journal_style,
    new_figure,
)
from brainlm.report.write import CLASS_LABELS, formatted, number_of, percent
from brainlm.scores.evidence.tallies import verified, verified_shares
from brainlm.scores.latents import DOMINANT_BOUND, SHARED_BOUND, class_shares, classify

BIN_EDGES = np.arange(-10, 11) / 10
"""Of r; the classes' bounds are among them."""
_VERIFIED_LEGEND = "✓ in full colour: with a verdict that bears the class out; r₀: of white noise"
_BELOW_SHARES = 0.66
"""Height of the part of a histogram that is left to its bars."""
R_LABEL = "← LM        relative difference r        brain →"


@journal_style()
def relative_difference_histograms(
    latents: Mapping[str, Sequence[pd.DataFrame]], *, titles: Mapping[str, str]
) -> tuple[Figure, pd.DataFrame]:
    """Figure 2: whose are the latents? One panel per experiment.

    Where verdicts are known, the part of each bar that is verified (`brainlm.scores.evidence.tallies.verified`) has
    its full colour and the rest is pale; a line marks r0 (`brainlm.report.evidence.neutral_point`).

    Parameters
    ----------
    latents: experiment -> one table per seed with columns latent, r, class, alive (bool), and verdict and qualifier
        if its latents were asked for evidence.
    titles: experiment -> title of its panel.

    Returns
    -------
    The figure, and the numbers: experiment, bin_low, bin_high, mean_share_percent (of the live latents, mean
    over seeds), sd_share_percent (over seeds; NaN for one seed), mean_verified_percent (of the live latents, those
    that are verified), r0; NaN where verdicts, or a model of white noise, are not known.
    """
    figure, panels = _panel_grid(list(latents), height_cm=4.9, share_y="row")
    numbers = pd.concat(
        [
            _binned(tables).assign(
                experiment=experiment,
                r0=neutral_point(latents, experiment) if _are_judged(tables) else np.nan,
            )
            for experiment, tables in latents.items()
        ],
        ignore_index=True,
    )
    for experiment, axes in panels.items():
        bins = numbers[numbers["experiment"] == experiment]
        highest = (bins["mean_share_percent"] + bins["sd_share_percent"].fillna(0)).max()
        # The upper part is for the shares of the classes; the panels of a row share the y axis.
        axes.set_ylim(0, max(axes.get_ylim()[1], highest / _BELOW_SHARES, 10.0))
        _draw_histogram(axes, bins)
        _write_class_shares(axes, latents[experiment])
    for axes in panels.values():
        # Above the highest share is room for words, not for shares beyond all latents.
        axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= min(100, axes.get_ylim()[1])])
    add_titles(
        list(panels.values()),
        [titles[name] for name in panels],
        [_live_latents(tables) for tables in latents.values()],
    )
    legend = f"\n{_VERIFIED_LEGEND}" * any(map(_are_judged, latents.values()))
    figure.supxlabel(f"{R_LABEL}{legend}")
    figure.supylabel("live latents (%)")
    columns = ["mean_share_percent", "sd_share_percent", "mean_verified_percent", "r0"]
    return figure, numbers[["experiment", "bin_low", "bin_high", *columns]]


@journal_style()
def agreement_scatter(
    latents: Mapping[str, Sequence[pd.DataFrame]], *, titles: Mapping[str, str]
) -> tuple[Figure, pd.DataFrame]:
    """Do brain and LM agree about a latent on held-out stories? One panel per experiment.

    Parameters
    ----------
    latents: experiment -> one table per seed with columns latent, r, class, alive (bool), agreement,
        agreement_significant (bool).
    titles: experiment -> title of its panel.

    Returns
    -------
    The figure, and the numbers: experiment, seed_index (position in the list), latent, r, class, agreement,
    agreement_significant, for live latents.
    """
    figure, panels = _panel_grid(list(latents), height_cm=5.2, share_y=True)
    numbers = pd.concat(
        [
            table[table["alive"]].assign(experiment=experiment, seed_index=seed_index)
            for experiment, tables in latents.items()
            for seed_index, table in enumerate(tables)
        ],
        ignore_index=True,
    )
    for experiment, axes in panels.items():
        _draw_agreement(axes, numbers[numbers["experiment"] == experiment])
    add_titles(
        list(panels.values()),
        [titles[name] for name in panels],
        [_significant_shares(tables) for tables in latents.values()],
    )
    values = numbers["agreement"]
    low, high = np.fmin(values.min(), 0.0), np.fmax(values.max(), 0.0)
    # Without a value, the axis of a correlation.
    low, high = (low, high) if low < high else (-1.0, 1.0)
    margin = 0.05 * (high - low)
    next(iter(panels.values())).set_ylim(low - margin, high + margin)
    figure.supxlabel(R_LABEL)
    figure.supylabel("held-out agreement (correlation)")
    columns = ["experiment", "seed_index", "latent", "r", "class", "agreement", "agreement_significant"]
    return figure, numbers[columns]


@journal_style()
def snr_study(frame: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """What is found again at which signal-to-noise ratio: one panel per metric, always of simulated data.

    Parameters
    ----------
    frame: columns snr (> 0), seed, metric (the panel's title), value, bar (drawn as a line; NaN for none).

    Returns
    -------
    The figure, and the numbers: metric, snr, mean, sd (over seeds), n_seeds, bar.
    """
    numbers = (
        frame.groupby(["metric", "snr"], sort=False)
        .agg(mean=("value", "mean"), sd=("value", "std"), n_seeds=("value", "count"), bar=("bar", "first"))
        .reset_index()
        .sort_values("snr", kind="stable")
    )
    figure, panels = _panel_grid(list(frame["metric"].unique()), height_cm=4.6, share_y=False)
    ratios = np.sort(frame["snr"].unique())
    for metric, axes in panels.items():
        single, means = frame[frame["metric"] == metric], numbers[numbers["metric"] == metric]
        axes.plot(single["snr"], single["value"], ".", color=GREY, markersize=3, alpha=0.7)
        axes.plot(means["snr"], means["mean"], "o-", color="black", markersize=3)
        for bar in single["bar"].dropna().unique():
            axes.axhline(bar, color=VERMILION, linestyle="--")
            axes.text(0.01, bar, "bar", transform=axes.get_yaxis_transform(), va="bottom", color=VERMILION)
        shown = np.append(single["value"], single["bar"].dropna())
        axes.set_ylim(min(0.0, 1.1 * shown.min()), max(1.1 * shown.max(), 1.0))
        axes.set_xscale("log")
        axes.set_xticks(ratios, [formatted(ratio, "g") for ratio in ratios])
        axes.xaxis.set_minor_locator(NullLocator())
    add_titles(list(panels.values()), list(panels))
    figure.supxlabel("signal-to-noise ratio")
    return figure, numbers.sort_values("metric", kind="stable")


def _panel_grid(
    names: Sequence[str], *, height_cm: float, share_y: Literal["all", "row"] | bool
) -> tuple[Figure, dict[str, Axes]]:
    """A panel for each name, in rows of at most three; four make two rows of two."""
    n_columns = 2 if len(names) == 4 else min(len(names), 3)
    n_rows = math.ceil(len(names) / n_columns)
    width_cm = SINGLE_COLUMN_CM if n_columns == 1 else DOUBLE_COLUMN_CM
    figure = new_figure(width_cm, height_cm * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=share_y).ravel()
    for unused in grid[len(names) :]:
        unused.remove()
    return figure, dict(zip(names, grid, strict=False))


def _binned(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Share of live latents in each bin of r, in percent, over seeds."""
    counts = pd.DataFrame([np.histogram(_live(table)["r"].dropna(), BIN_EDGES)[0] for table in tables])
    n_live = [len(_live(table)) or np.nan for table in tables]
    shares = 100 * counts.div(n_live, axis=0)
    proven = pd.Series(np.nan, index=shares.columns)
    if _are_judged(tables):
        of_verified = [_live(table)["r"][verified(_live(table))] for table in tables]
        counts = pd.DataFrame([np.histogram(r.dropna(), BIN_EDGES)[0] for r in of_verified])
        proven = (100 * counts.div(n_live, axis=0)).mean()
    return pd.DataFrame(
        {
            "bin_low": BIN_EDGES[:-1],
            "bin_high": BIN_EDGES[1:],
            "mean_share_percent": shares.mean(),
            "sd_share_percent": shares.std(),
            "mean_verified_percent": proven,
        }
    )


def _are_judged(tables: Sequence[pd.DataFrame]) -> bool:
    """Whether their latents were asked for evidence."""
    return all("verdict" in table for table in tables)


def _draw_histogram(axes: Axes, bins: pd.DataFrame) -> None:
    centres = (bins["bin_low"] + bins["bin_high"]) / 2
    colors = [CLASS_COLORS[name] for name in classify(centres)]
    are_judged = bins["mean_verified_percent"].notna().any()
    layers = (
        {"mean_share_percent": 0.4, "mean_verified_percent": 1} if are_judged else {"mean_share_percent": 1}
    )
    for column, alpha in layers.items():
        axes.bar(
            centres, bins[column], width=0.1, color=colors, alpha=alpha, edgecolor="white", linewidth=0.3
        )
    r0 = bins["r0"].iloc[0]
    if np.isfinite(r0):
        axes.axvline(r0, ymax=_BELOW_SHARES - 0.06, color="black", linewidth=0.8)
        place = (r0, _BELOW_SHARES - 0.05)
        axes.text(*place, "r₀", transform=axes.get_xaxis_transform(), ha="center", fontsize=SMALL_PT)
    if bins["sd_share_percent"].notna().any():
        axes.errorbar(
            centres,
            bins["mean_share_percent"],
            bins["sd_share_percent"],
            fmt="none",
            ecolor="0.2",
            elinewidth=0.5,
        )
    # The bounds' lines end below the shares of the classes.
    _mark_class_bounds(axes, top=_BELOW_SHARES)


def _mark_class_bounds(axes: Axes, *, top: float) -> None:
    for bound in (-DOMINANT_BOUND, -SHARED_BOUND, SHARED_BOUND, DOMINANT_BOUND):
        axes.axvline(bound, ymax=top, color="0.6", linewidth=0.5, linestyle=(0, (3, 2)), zorder=0)
    axes.set_xlim(-1.04, 1.04)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])


def _write_class_shares(axes: Axes, tables: Sequence[pd.DataFrame]) -> None:
    """The class's share over its part of the r axis, in its colour, which makes a legend unnecessary."""
    shares = pd.DataFrame([class_shares(table["class"], table["alive"]) for table in tables]).mean()
    proven = pd.DataFrame(map(verified_shares, tables)).mean() if _are_judged(tables) else {}
    places = {"lm-dominant": (-1, "left"), "shared": (0, "center"), "brain-dominant": (1, "right")}
    for name, (x, alignment) in places.items():
        axes.text(
            x,
            0.985,
            "\n".join(
                [
                    CLASS_LABELS[name],
                    percent(shares[name]),
                    *([f"✓ {percent(proven[name])}"] if name in proven else []),
                ]
            ),
            transform=axes.get_xaxis_transform(),
            ha=alignment,
            va="top",
            fontsize=SMALL_PT,
            color=CLASS_COLORS[name],
        )


def _live(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["alive"]]


def _live_latents(tables: Sequence[pd.DataFrame]) -> str:
    live = np.mean([table["alive"].sum() for table in tables])
    undefined = np.mean([_live(table)["r"].isna().sum() for table in tables])
    text = f"{live:,.0f} of {len(tables[0]):,} latents live"
    if undefined:
        text += f" ({undefined:.3g} without r)"
    return f"{text}, {'mean of ' * (len(tables) > 1)}{number_of(len(tables), 'seed')}"


def _draw_agreement(axes: Axes, live: pd.DataFrame) -> None:
    significant = live["agreement_significant"].astype(bool)
    others = live[~significant]
    axes.scatter(others["r"], others["agreement"], s=5, facecolor="none", edgecolor="0.7", linewidth=0.35)
    for name, color in CLASS_COLORS.items():
        chosen = live[significant & (live["class"] == name)]
        axes.scatter(chosen["r"], chosen["agreement"], s=5, color=color, linewidth=0, alpha=0.8)
    axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
    _mark_class_bounds(axes, top=1.0)


def _significant_shares(tables: Sequence[pd.DataFrame]) -> str:
    of_live, of_shared = [], []
    for table in tables:
        live = _live(table)
        of_live.append(live["agreement_significant"].mean())
        of_shared.append(live.loc[live["class"] == "shared", "agreement_significant"].mean())
    means = (pd.Series(shares, dtype=float).mean() for shares in (of_live, of_shared))
    live_text, shared_text = (percent(mean) for mean in means)
    return f"● significant: {live_text} of live, {shared_text} of shared"
