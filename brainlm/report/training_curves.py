"""Figure of training: how errors fell, what they left unexplained, and which latents died."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from brainlm.report.style import (
    DOUBLE_COLUMN_CM,
    OTHER_SOURCE_COLORS,
    SOURCE_COLORS,
    SOURCE_LABELS,
    add_titles,
    journal_style,
    new_figure,
    plain,
)
from brainlm.report.write import number_of


@journal_style()
def training_curves(logs: Mapping[int, pd.DataFrame]) -> tuple[Figure, pd.DataFrame]:
    """Squared error, fraction of variance explained and dead latents over epochs, a line per seed.

    Parameters
    ----------
    logs: seed -> log of `brainlm.crosscoder.training.train`.

    Returns
    -------
    The figure, and the numbers: seed, epoch, and the logs' columns that are drawn.
    """
    numbers = pd.concat([log.assign(seed=seed) for seed, log in logs.items()], ignore_index=True)
    epochs = numbers["epoch"]
    prefix = "training_explained_"
    sources = [name.removeprefix(prefix) for name in numbers.columns if name.startswith(prefix)]
    others = itertools.cycle(OTHER_SOURCE_COLORS)
    colors = {source: SOURCE_COLORS.get(source) or next(others) for source in sources}

    figure = new_figure(DOUBLE_COLUMN_CM, 5.6)
    error_axes, explained_axes, dead_axes = figure.subplots(1, 3)
    styles: dict[str, Literal["-"] | tuple[float, Sequence[float]]]
    styles = {"training": "-", "validation": (0, (3, 1.5))}
    # A line needs two points.
    marker = "." if epochs.nunique() == 1 else None
    for _, log in numbers.groupby("seed"):
        for split, style in styles.items():
            error = log[f"{split}_squared_error"]
            error_axes.plot(log["epoch"], error, color="0.2", linestyle=style, marker=marker)
            for source, color in colors.items():
                explained = log[f"{split}_explained_{source}"]
                explained_axes.plot(log["epoch"], explained, color=color, linestyle=style, marker=marker)
        dead_axes.plot(log["epoch"], log["dead_latents"], color="0.2", marker=marker)

    add_titles(
        [error_axes, explained_axes, dead_axes],
        [
            "Squared error per TR",
            "Fraction of variance explained",
            f"Dead latents ({number_of(len(logs), 'seed')})",
        ],
    )
    error_axes.set_ylabel("normalized units²")
    explained_axes.axhline(0, color="0.7", linewidth=0.5, zorder=0)
    dead_axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    most_dead = max(1, numbers["dead_latents"].max())
    # A line at 0 stands clear of the frame.
    dead_axes.set_ylim(-0.04 * most_dead, 1.08 * most_dead)
    margin = 0.03 * (epochs.max() - epochs.min()) or 0.5
    for axes in (error_axes, explained_axes, dead_axes):
        axes.set_xlabel("epoch")
        axes.set_xlim(epochs.min() - margin, epochs.max() + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    if not numbers[[name for name in numbers.columns if "_explained_" in name]].notna().any(axis=None):
        explained_axes.text(0.5, 0.6, "undefined", transform=explained_axes.transAxes, ha="center")
        explained_axes.set_yticks([0])
    handles = [Line2D([], [], color="0.2", linestyle=styles[s], label=s) for s in styles]
    handles += [Line2D([], [], color=c, label=plain(SOURCE_LABELS.get(s, s))) for s, c in colors.items()]
    # Below the panels no curve can run through it.
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 6))
    drawn = ["seed", "epoch"]
    drawn += [f"{split}_squared_error" for split in styles]
    drawn += [f"{split}_explained_{source}" for split in styles for source in sources]
    return figure, numbers[[*drawn, "dead_latents"]]
