"""Figure of stability: how many latents of each class are found again with another seed, and in another subject."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainlm.report.style import (
    CLASS_COLORS,
    DOUBLE_COLUMN_CM,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    add_titles,
    journal_style,
    new_figure,
    plain,
    wrapped,
)
from brainlm.report.write import CLASS_LABELS, formatted, number_of

PANEL_TITLES = {"seeds": "Found again with another seed", "subjects": "Found again in another subject"}
_HALF_WIDTH = 0.3
"""Of a class's points, in distances between classes."""
_REASONS_SHOWN = 2
_REASON_CM = 7.6
_NOTES = (
    "● one model's latents, found in another   ━ mean",
    "┅ by chance: the other's time shifted in a circle",
    "below: live latents a model, correlation with partners",
)


@journal_style()
def stability_figure(comparisons: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Which share of each class's live latents is found again: a panel across seeds, one across subjects.

    Every point is one direction of a pair of models; the mean and the chance level are means over points. Below each
    class stand, as means over points, its number of live latents and their correlation with their partners. A panel
    of which nothing could be compared says why.

    Parameters
    ----------
    comparisons: the first table of `brainlm.scores.stability.compare_pairs`.

    Returns
    -------
    The figure, and the numbers: the comparisons of the panels, in their order.
    """
    panels = {
        comparison: comparisons[comparisons["comparison"] == comparison]
        for comparison in PANEL_TITLES
        if (comparisons["comparison"] == comparison).any()
    }
    compared = [_compared(of_panel) for of_panel in panels.values()]
    width_cm = SINGLE_COLUMN_CM if len(panels) == 1 else DOUBLE_COLUMN_CM
    figure = new_figure(width_cm, 6.8 if len(panels) == 1 else 6.2)
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    drawn = [axes for axes, of_panel in zip(all_axes, compared, strict=True) if len(of_panel)]
    for axes, of_panel, shown in zip(all_axes, panels.values(), compared, strict=True):
        if axes in drawn:
            _draw_classes(axes, shown)
        else:
            _say_why(axes, of_panel["not_compared"])
    add_titles(all_axes, [PANEL_TITLES[name] for name in panels], [_extent(p) for p in panels.values()])
    if drawn:
        drawn[0].set_ylabel("latents found again (%)")
        # Which a shared axis leaves to the first panel, drawn or not.
        drawn[0].tick_params(axis="y", labelleft=True)
        note = "\n".join(_NOTES) if len(panels) == 1 else "   ".join(_NOTES)
        figure.supxlabel(note, fontsize=SMALL_PT, color="0.35")
    return figure, pd.concat(panels.values(), ignore_index=True)


def _compared(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The rows of pairs that could be compared."""
    return comparisons[comparisons["not_compared"].isna()] if "not_compared" in comparisons else comparisons


def _say_why(axes: Axes, reasons: pd.Series) -> None:
    different = reasons.unique().tolist()
    others = len(different) - _REASONS_SHOWN
    lines = different[:_REASONS_SHOWN] + [f"And {others} more for other pairs: see the numbers."] * (
        others > 0
    )
    text = "\n\n".join(wrapped(plain(line), _REASON_CM) for line in lines)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    axes.set_axis_off()


def _draw_classes(axes: Axes, comparisons: pd.DataFrame) -> None:
    labels = []
    for x, (name, color) in enumerate(CLASS_COLORS.items()):
        points = comparisons[comparisons["class"] == name]
        # Beside each other, because many shares are equal.
        places = x + np.linspace(-_HALF_WIDTH, _HALF_WIDTH, len(points) + 2)[1:-1]
        axes.plot(places, points["found_percent"], "o", color=color, markersize=2.5, alpha=0.7)
        ends = (x - _HALF_WIDTH, x + _HALF_WIDTH)
        axes.hlines(points["found_percent"].mean(), *ends, color=color, linewidth=1.5)
        axes.hlines(points["chance_percent"].mean(), *ends, color="0.2", linestyle=(0, (2, 1)), zorder=3)
        n_live, correlation = points["n_live"].mean(), points["mean_correlation"].mean()
        labels.append(
            f"{CLASS_LABELS.get(name, name)}\n{round(n_live, 1):,g} latents\ncorr. {formatted(correlation, '.2f')}"
        )
    axes.set_xticks(range(len(labels)), labels)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    # Points at 0 and 100 % are drawn whole.
    axes.set_ylim(-4, 104)
    axes.axhline(0, color="0.7", linewidth=0.5, zorder=0)


def _extent(comparisons: pd.DataFrame) -> str:
    compared = _compared(comparisons)
    n_others = len(comparisons) - len(compared)
    if compared.empty:
        return f"{number_of(n_others, 'pair')} of models, not compared"
    n_pairs = len(compared) // (2 * compared["class"].nunique())
    few, many = compared["n_rows"].astype(int).min(), compared["n_rows"].astype(int).max()
    return (
        f"{number_of(n_pairs, 'pair')} of models, both ways; {few:,}"
        + (f" to {many:,}" if few < many else "")
        + " test TRs"
        + f"; {n_others} not compared" * (n_others > 0)
    )
