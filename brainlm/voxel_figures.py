"""Figures over voxels or ROIs, for a subject without a flattened cortex: they take the place of the flatmaps."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from brainlm.figure_style import (
    BLUE,
    CM_PER_INCH,
    DOUBLE_COLUMN_CM,
    GREY,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    journal_style,
    new_figure,
    plain,
)
from brainlm.flatmap_figures import FlatmapPanel
from brainlm.voxels import ALL_VOXELS, check_one_a_voxel, rois_of

LARGEST_ROIS = 20
"""Drawn, of those that have values: more would not be legible in a column."""

_QUARTILES = (25, 50, 75)
_TITLE_PT = 7.5
_TITLE_LINE_CM = 0.36
_CHARACTER_CM_PER_PT = 0.02
_ROW_CM = 0.32
_LONGEST_NAME = 24
_SHORT_NAME = 14


@journal_style()
def voxel_plot(
    table: pd.DataFrame,
    values: np.ndarray,
    *,
    quantity: str,
    based_on: str,
    simulated: bool,
    n_undefined: int,
) -> tuple[Figure, pd.DataFrame]:
    """One value a voxel, by ROI, with its distribution: figure 4 and its ceiling without a cortex.

    On the left the median and the interquartile range over each ROI's voxels, or, if no ROI is named, all voxels
    sorted by their values. On the right the histogram of all voxels. Nothing but the title if no voxel has a value.

    Parameters
    ----------
    table: a voxel table, see `brainlm.voxels`.
    values: (voxel,), NaN where undefined.
    quantity: what they are, e.g. "test correlation"; with underscores, the name of their column.
    based_on: of what data, e.g. "638 test TRs".
    n_undefined: voxels without a value, for the title.

    Returns
    -------
    The figure, and the numbers: voxel, and the quantity.

    Raises
    ------
    InputError: not one value for each voxel of the table.
    """
    check_one_a_voxel(table, values.size, "The map to be drawn")
    finite = values[np.isfinite(values)]
    by_roi = _values_by_roi(table, values)
    title = _wrapped(_voxel_title(finite, quantity, based_on, n_undefined), DOUBLE_COLUMN_CM)
    height_cm = _title_height_cm(title) + (max(_plot_height_cm(by_roi), 5.0) if finite.size else 0.2)
    figure = new_figure(DOUBLE_COLUMN_CM, height_cm, simulated=simulated)
    # A title of the whole figure would run into the mark of simulated data.
    place = figure.subfigures()
    _add_title(place, title)
    left, right = place.subplots(1, 2, width_ratios=[0.66, 0.34])
    if finite.size:
        _draw_values(left, finite, by_roi, quantity)
        _draw_histogram(right, finite, quantity)
        _add_note(figure, table, by_roi)
    else:
        left.axis("off")
        right.axis("off")
    return figure, pd.DataFrame({"voxel": table["voxel"], quantity.replace(" ", "_"): values})


@journal_style()
def decoder_plot(
    table: pd.DataFrame, panels: Sequence[FlatmapPanel], *, simulated: bool
) -> tuple[Figure, pd.DataFrame]:
    """Figure 3 without a cortex: on which ROIs a latent acts, one panel per latent.

    Each panel has the median and the interquartile range over each ROI's voxels, on an axis that is symmetric about
    0, or, if no ROI is named, all voxels sorted by their weights. A panel without weights is empty but for its title.

    Parameters
    ----------
    table: a voxel table, see `brainlm.voxels`.
    panels: values of each have one entry per voxel of the table, NaN for voxels left out of the model.

    Returns
    -------
    The figure, and the numbers: panel (its title), voxel, weight.

    Raises
    ------
    InputError: not one value for each voxel of the table.
    """
    for panel in panels:
        check_one_a_voxel(table, panel.values.size, "The map to be drawn")
    finite = [panel.values[np.isfinite(panel.values)] for panel in panels]
    by_roi = [_values_by_roi(table, panel.values) for panel in panels]
    n_columns = _n_columns(len(panels), max(by_roi, key=len))
    n_rows = math.ceil(len(panels) / n_columns)
    width_cm = SINGLE_COLUMN_CM if n_columns == 1 else DOUBLE_COLUMN_CM
    letters = [f"({chr(ord('a') + position)}) " * (len(panels) > 1) for position in range(len(panels))]
    titles = _as_high_in_each_row(
        [_wrapped(a + panel.title, width_cm / n_columns) for a, panel in zip(letters, panels, strict=True)],
        n_columns,
    )
    heights_cm = [
        _title_height_cm(title) + (_plot_height_cm(rois) if weights.size else 0.2)
        for title, weights, rois in zip(titles, finite, by_roi, strict=True)
    ]
    row_heights_cm = [max(row) for row in _rows(heights_cm, n_columns)]
    figure = new_figure(width_cm, sum(row_heights_cm), simulated=simulated)
    places = figure.subfigures(n_rows, n_columns, squeeze=False, height_ratios=row_heights_cm).ravel()
    for place, title, weights, rois in zip(places, titles, finite, by_roi, strict=False):
        _add_title(place, title)
        axes = place.subplots()
        if weights.size:
            _draw_values(axes, weights, rois, "decoder weight\n(normalized units)")
        else:
            axes.axis("off")
        if rois:
            limit = np.abs(axes.get_xlim()).max()
            axes.set_xlim(-limit, limit)
            # Labels as short as can be: three panels in a row leave little room.
            axes.xaxis.set_major_formatter("{x:.3g}")
    _add_note(figure, table, max(by_roi, key=len))
    numbers = pd.concat(
        [pd.DataFrame({"panel": p.title, "voxel": table["voxel"], "weight": p.values}) for p in panels],
        ignore_index=True,
    )
    return figure, numbers


def _voxel_title(finite: np.ndarray, quantity: str, based_on: str, n_undefined: int) -> str:
    undefined = f"{n_undefined:,} undefined" if n_undefined else ""
    described = undefined
    if finite.size:
        described = f"mean {finite.mean():.3f} over {finite.size:,} voxels" + (undefined and f", {undefined}")
    return f"{quantity.capitalize()}: {described}; {based_on}"


def _values_by_roi(table: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """The finite values of the largest ROIs that have any, the ROI of the highest median first."""
    chosen = {roi: values[members] for roi, members in rois_of(table).items()}
    finite = {roi: of_roi[np.isfinite(of_roi)] for roi, of_roi in chosen.items()}
    # Stable sorts: ROIs that are as large, or as high, stay in alphabetical order.
    largest = sorted((roi for roi in finite if finite[roi].size), key=lambda roi: -finite[roi].size)
    shown = sorted(largest[:LARGEST_ROIS], key=lambda roi: -np.median(finite[roi]))
    return {roi: finite[roi] for roi in shown}


def _draw_values(axes: Axes, finite: np.ndarray, by_roi: dict[str, np.ndarray], label: str) -> None:
    """By ROI, or sorted if there are no ROIs."""
    if by_roi:
        _draw_rois(axes, by_roi, finite)
        axes.set_xlabel(label)
    else:
        # A thousand points look like all of them, in a file that is a hundred times smaller.
        share_percent = np.linspace(0, 100, 1001)
        axes.plot(share_percent, np.percentile(finite, share_percent), color=BLUE)
        axes.set_xlabel("voxels, sorted (%)")
        axes.set_ylabel(label)
        axes.set_xlim(0, 100)
        if finite.min() < 0 < finite.max():
            axes.axhline(0, color="0.7", linewidth=0.5, zorder=0)


def _draw_rois(axes: Axes, by_roi: dict[str, np.ndarray], finite: np.ndarray) -> None:
    rows = [*by_roi.items(), (ALL_VOXELS, finite)]
    # All voxels stand apart, half a row below the ROIs.
    height = np.append(np.arange(len(by_roi)), len(by_roi) + 0.5)
    low, median, high = np.array([np.percentile(values, _QUARTILES) for _, values in rows]).T
    axes.hlines(height, low, high, color=[*[BLUE] * len(by_roi), "0.2"], linewidth=1.2)
    axes.plot(median[:-1], height[:-1], "o", color=BLUE, markersize=3)
    axes.plot(median[-1:], height[-1:], "o", color="0.2", markersize=3)
    if low.min() < 0 < high.max():
        axes.axvline(0, color="0.7", linewidth=0.5, zorder=0)
    axes.set_yticks(height, [f"{_shortened(name)} ({values.size:,})" for name, values in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(height[-1] + 0.6, -0.6)


def _draw_histogram(axes: Axes, values: np.ndarray, quantity: str) -> None:
    axes.hist(values, bins=40, color=GREY)
    axes.axvline(values.mean(), color="black", linewidth=0.6, linestyle=(0, (3, 2)))
    axes.set_xlabel(quantity)
    axes.set_ylabel("voxels")


def _add_note(figure: Figure, table: pd.DataFrame, by_roi: dict[str, np.ndarray]) -> None:
    """What points and lines mean, and which ROIs are not shown; nothing where none are."""
    if not by_roi:
        return
    note = "● median, ━ interquartile range; in brackets the number of voxels"
    n_rois = len(rois_of(table))
    if len(by_roi) < n_rois:
        why = "those with most voxels" if len(by_roi) == LARGEST_ROIS else "the others have no values"
        note += f"; {len(by_roi)} of {n_rois} ROIs, {why}"
    width_cm = figure.get_size_inches()[0] * CM_PER_INCH
    figure.supxlabel(_wrapped(note, width_cm, SMALL_PT), fontsize=SMALL_PT, color="0.35")


def _add_title(figure: FigureBase, title: str) -> None:
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=_TITLE_PT)


def _wrapped(text: str, width_cm: float, size_pt: float = _TITLE_PT) -> str:
    """In lines that fit into the width, besides the line breaks that the text has."""
    n_characters = int(width_cm / (_CHARACTER_CM_PER_PT * size_pt))
    return "\n".join(textwrap.fill(line, n_characters) for line in text.split("\n"))


def _as_high_in_each_row(titles: Sequence[str], n_columns: int) -> list[str]:
    """Titles with empty lines below those that have fewer than others in their row, so that plots are aligned."""
    padded = []
    for row in _rows(titles, n_columns):
        most = max(title.count("\n") for title in row)
        padded += [title + "\n" * (most - title.count("\n")) for title in row]
    return padded


def _rows(of_panel: Sequence, n_columns: int) -> list[Sequence]:
    return [of_panel[start : start + n_columns] for start in range(0, len(of_panel), n_columns)]


def _n_columns(n_panels: int, by_roi: dict[str, np.ndarray]) -> int:
    """At most three, or two if long names leave too little room for a third; four panels make two rows of two."""
    has_long_names = any(len(roi) > _SHORT_NAME for roi in by_roi)
    return min(n_panels, 2 if n_panels == 4 or has_long_names else 3)


def _title_height_cm(title: str) -> float:
    return 0.3 + _TITLE_LINE_CM * (1 + title.count("\n"))


def _plot_height_cm(by_roi: dict[str, np.ndarray]) -> float:
    return 1.8 + _ROW_CM * (len(by_roi) + 2) if by_roi else 4.5


def _shortened(name: str) -> str:
    """Without its middle, because names of atlases differ at either end."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 10]}…{name[-9:]}"
    return plain(name)
