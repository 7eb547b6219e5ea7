"""Figures of what latents show: each with its verdict, and how many pass one test after the other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainlm.files import NOT_KNOWN
from brainlm.report.evidence import WITHIN, funnel_table
from brainlm.report.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SINGLE_COLUMN_CM,
    SKY_BLUE,
    SMALL_PT,
    VERMILION,
    add_titles,
    journal_style,
    new_figure,
    wrapped,
)
from brainlm.report.write import formatted, number_of
from brainlm.scores.evidence.verdict import labels, numbers


class Mark(NamedTuple):
    """How the latents of a verdict are drawn."""

    color: str
    marker: str
    filled: bool


# The colour tells whose it is, as in all figures; the shape tells verdicts apart in print without colours.
MARKS = {
    "shared": Mark(GREEN, "o", True),
    "shared, mostly nuisance": Mark(GREEN, "s", False),
    "shared, mostly LM": Mark(GREEN, "<", False),
    "shared, mostly brain": Mark(GREEN, ">", False),
    "agreeing": Mark(SKY_BLUE, "D", True),
    "nuisance": Mark(ORANGE, "s", True),
    "artefact": Mark(PURPLE, "X", True),
    "brain, story-driven": Mark(VERMILION, "^", True),
    "brain, spontaneous": Mark(VERMILION, "v", False),
    "brain": Mark(VERMILION, "p", True),
    "LM": Mark(BLUE, "P", True),
    "unclear": Mark(GREY, "o", False),
    "silent": Mark(GREY, "x", True),
}
SIDE_COLORS = {WITHIN: GREEN, "others": GREY}
_AXES_CM = 6.8
_FEW = 300
"""Latents; more of them are drawn smaller."""
_LINEAR_PERCENT = 0.1
"""Contributions are drawn on a logarithmic scale beyond this one, either way."""


@journal_style()
def evidence_scatter(table: pd.DataFrame, summary: Mapping[str, Any]) -> tuple[Figure, pd.DataFrame]:
    """Agreement with the LM against what the story drives in the brain: a point a live latent, with its verdict.

    Where reliability is not known, for want of repeated stories, the contribution to the brain stands in its place.

    Parameters
    ----------
    table: one row a latent of one model and brain, with columns latent, r, class, alive, agreement,
        agreement_null_99, partialled_reliability, contribution_brain, verdict and qualifier.
    summary: seed, n_rows, n_stories, n_hearings, p_floor and n_at_floor of the model.

    Returns
    -------
    The figure, and the numbers: latent, r, class, verdict (with its qualifier), agreement, agreement_null_99,
    partialled_reliability, contribution_brain, of live latents.
    """
    live = table[table["alive"]]
    columns = ("r", "agreement", "agreement_null_99", "partialled_reliability", "contribution_brain")
    shown = live[["latent", "class"]].assign(
        verdict=labels(live), **{name: numbers(live, name) for name in columns}
    )
    by_reliability = shown["partialled_reliability"].notna().any()
    x = "partialled_reliability" if by_reliability else "contribution_brain"
    drawn = shown.dropna(subset=[x, "agreement"])

    figure = new_figure(SINGLE_COLUMN_CM, 9.8)
    axes = figure.subplots()
    if by_reliability:
        hearings = number_of(int(summary["n_hearings"]), "hearing")
        axes.set_xlabel(
            f"reliability of the brain's half over {hearings}\n(share of its variance that the story drives)"
        )
    else:
        _scale_percent(axes)
        axes.set_xlabel(
            "contribution to the reconstruction of the brain\n"
            f"(%, linear below {_LINEAR_PERCENT:g}; reliability is not known)"
        )
    size = 3.2 if len(drawn) <= _FEW else 2.0
    for label in reversed(MARKS):
        of_verdict = drawn[drawn["verdict"] == label]
        n = (shown["verdict"] == label).sum()
        if n:
            points = of_verdict[x], of_verdict["agreement"]
            _draw_points(axes, *points, MARKS[label], size=size, label=f"{label} ({n:,})")
    _draw_floor(axes, shown["agreement_null_99"].median())
    for line in (axes.axvline, axes.axhline):
        line(0, color="0.8", linewidth=0.5, zorder=0)
    axes.set_ylabel("agreement of brain and LM on test stories\n(correlation, nuisances taken out)")
    notes = _extent(len(shown), summary)
    if len(drawn) < len(shown):
        notes.append(f"not drawn, because they are not known: {len(shown) - len(drawn):,}")
    notes = [wrapped(note, _AXES_CM, SMALL_PT) for note in notes]
    add_titles([axes], ["What each live latent shows"], ["\n".join(notes)])
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)
    return figure, shown


@journal_style()
def funnel_figure(
    latents: Mapping[int, pd.DataFrame], summary: Mapping[str, Any], *, reported: int
) -> tuple[Figure, pd.DataFrame]:
    """How many latents are left after each test: those with |r| < 0.2 to the left, all others to the right.

    Parameters
    ----------
    latents, reported: as for `brainlm.report.evidence.funnel_table`.
    summary: seed, n_rows, n_stories, p_floor and n_at_floor of the reported model.

    Returns
    -------
    The figure, and the numbers: those of `funnel_table`.

    Raises
    ------
    InputError: as `funnel_table`.
    """
    steps = funnel_table(latents, reported=reported)
    figure = new_figure(SINGLE_COLUMN_CM, 6.8)
    axes = figure.subplots()
    rows = np.arange(len(steps))
    for name, title, side in ((WITHIN, f"{WITHIN} ", -1), ("others", " all others", 1)):
        counts, means = (steps[column].astype(float) for column in (name, f"{name}, mean over seeds"))
        axes.barh(rows, side * counts.fillna(0), height=0.72, color=SIDE_COLORS[name])
        if len(latents) > 1:
            axes.vlines(side * means, rows - 0.36, rows + 0.36, color="black", linewidth=1)
        for row, count, mean in zip(rows.tolist(), counts, means, strict=True):
            if np.isfinite(count):
                _write(axes, f"{count:,.0f}", side, side * np.fmax(count, mean), row, fontsize=SMALL_PT)
        _write(axes, title, side, 0, -0.75, gap=0, color=SIDE_COLORS[name], weight="bold")
    for row in rows[steps[WITHIN].isna()].tolist():
        _write(axes, NOT_KNOWN, 1, 0, row, fontsize=SMALL_PT, color="0.35")
    within, others = (int(steps.loc[0, name]) for name in (WITHIN, "others"))
    _set_sides(axes, within, others)
    axes.axvline(0, color="0.2", linewidth=0.6)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(rows, steps["step"])
    axes.set_ylim(len(rows) - 0.4, -1.1)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("live latents")
    notes = _extent(within + others, summary)
    if len(latents) > 1:
        notes.append(f"black lines: mean over {number_of(len(latents), 'seed')}")
    notes = [wrapped(note, SINGLE_COLUMN_CM, SMALL_PT) for note in notes]
    figure.supxlabel("\n".join(notes), fontsize=SMALL_PT, color="0.35")
    add_titles([axes], ["Latents left after each test"])
    return figure, steps


def _scale_percent(axes: Axes) -> None:
    """Contributions of all sizes, and of both signs: logarithmic but around 0."""
    axes.set_xscale("symlog", linthresh=_LINEAR_PERCENT)
    axes.xaxis.set_major_formatter(lambda value, _: formatted(value, "g"))


def _draw_points(axes: Axes, x: pd.Series, y: pd.Series, mark: Mark, *, size: float, label: str) -> None:
    axes.plot(
        x,
        y,
        linestyle="",
        marker=mark.marker,
        markersize=size,
        markeredgewidth=0.6,
        markeredgecolor=mark.color,
        markerfacecolor=mark.color if mark.filled else "white",
        alpha=0.85,
        label=label,
    )


def _draw_floor(axes: Axes, floor: float) -> None:
    """The agreement that one shift in a hundred has, of the latent in the middle."""
    if np.isfinite(floor):
        axes.axhline(floor, color="0.3", linewidth=0.6, linestyle=(0, (4, 2)), zorder=0)
        axes.annotate(
            "99 % of shifts",
            (1, floor),
            (0, 1.5),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=SMALL_PT,
            color="0.3",
        )


def _write(axes: Axes, text: str, side: int, x: float, y: float, *, gap: float = 3, **style: Any) -> None:
    """A text that begins a few points right of x, or ends left of it."""
    axes.annotate(
        text,
        (x, y),
        (gap * side, 0),
        textcoords="offset points",
        ha="left" if side > 0 else "right",
        va="center",
        **style,
    )


def _set_sides(axes: Axes, within: int, others: int) -> None:
    """One scale for both sides, with room for the counts; its numbers have no sign."""
    room = 0.14 * max(within + others, 1)
    axes.set_xlim(-within - room, others + room)
    ticks = [tick for tick in axes.get_xticks() if -within <= tick <= others and float(tick).is_integer()]
    axes.set_xticks(ticks, [f"{abs(tick):,.0f}" for tick in ticks])


def _extent(n_live: int, summary: Mapping[str, Any]) -> list[str]:
    """How much was asked of how many, and how finely that can tell."""
    n_trs, n_stories = number_of(int(summary["n_rows"]), "test TR"), summary["n_stories"]
    of_stories = f"{n_stories} stor{'y' if n_stories == 1 else 'ies'}"
    notes = [f"{number_of(n_live, 'live latent')}, seed {summary['seed']}; {n_trs} of {of_stories}"]
    floor, needed = formatted(summary["p_floor"], ".2g"), summary["n_at_floor"]
    if needed > n_live:
        return [*notes, f"smallest p {floor}: none can agree, for {needed:,} would have to"]
    return [*notes, f"smallest p {floor}: {needed:,} or more agree, or none does"]
