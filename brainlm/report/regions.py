"""Figures over voxels or ROIs, for a subject without a flattened cortex: they take the place of the flatmaps."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from brainlm.cortex.voxels import ALL_VOXELS, check_one_a_voxel, rois_of
from brainlm.report.brain import FlatmapPanel, all_numbers, drawn_and_missing
from brainlm.report.style import (
    BLUE,
    CM_PER_INCH,
    DOUBLE_COLUMN_CM,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    TITLE_PT,
    draw_distribution,
    figure_of_words,
    journal_style,
    new_figure,
    plain,
    title_height_cm,
    voxel_title,
    wrapped,
)

LARGEST_ROIS = 20
"""Drawn, of those that have values: more would not be legible in a column."""

_QUARTILES = (25, 50, 75)
_ROW_CM = 0.32
_LONGEST_NAME = 24
_SHORT_NAME = 14
_POINTS = 50
"""As many voxels are told apart by eye, each a point of the curve."""
_CURVE_POINTS = 1001
"""Look like all voxels, in a file that is a hundred times smaller."""


@journal_style()
def voxel_plot(
    table: pd.DataFrame,
    values: np.ndarray,
    *,
    quantity: str,
    based_on: str,
    n_undefined: int,
) -> tuple[Figure, pd.DataFrame]:
    """One value a voxel, by ROI, with its distribution: figure 4 and its ceiling without a cortex.

    On the left the median and the interquartile range over each ROI's voxels, or, if no ROI is named, all voxels
    sorted by their values; the axis contains 0. On the right the histogram of all voxels. Nothing but the title if
    no voxel has a value.

    Parameters
    ----------
    table: a voxel table, see `brainlm.cortex.voxels`.
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
    numbers = pd.DataFrame({"voxel": table["voxel"], quantity.replace(" ", "_"): values})
    title = voxel_title(values, quantity, based_on, n_undefined)
    if not finite.size:
        return figure_of_words(title), numbers
    title = wrapped(title, DOUBLE_COLUMN_CM)
    height_cm = title_height_cm(title) + max(_plot_height_cm(by_roi), 5.0)
    figure = new_figure(DOUBLE_COLUMN_CM, height_cm)
    # A title of the whole figure would run into the mark of simulated data.
    place = figure.subfigures()
    _add_title(place, title)
    left, right = place.subplots(1, 2, width_ratios=[0.66, 0.34])
    _draw_values(left, finite, by_roi, quantity)
    draw_distribution(right, finite, quantity)
    _add_note(figure, table, by_roi)
    return figure, numbers


@journal_style()
def decoder_plot(table: pd.DataFrame, panels: Sequence[FlatmapPanel]) -> tuple[Figure, pd.DataFrame]:
    """Figure 3 without a cortex: on which ROIs a latent acts, one panel per latent.

    Each panel has the median and the interquartile range over each ROI's voxels, on an axis that is symmetric about
    0, or, if no ROI is named, all voxels sorted by their weights. A panel without weights is not drawn: its title
    stands below the others.

    Parameters
    ----------
    table: a voxel table, see `brainlm.cortex.voxels`.
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
    numbers = all_numbers(panels)
    panels, missing = drawn_and_missing(panels)
    if not panels:
        return figure_of_words(missing), numbers
    finite = [panel.values[np.isfinite(panel.values)] for panel in panels]
    by_roi = [_values_by_roi(table, panel.values) for panel in panels]
    n_columns = _n_columns(len(panels), max(by_roi, key=len))
    n_rows = math.ceil(len(panels) / n_columns)
    width_cm = SINGLE_COLUMN_CM if n_columns == 1 else DOUBLE_COLUMN_CM
    letters = [f"({chr(ord('a') + position)}) " * (len(panels) > 1) for position in range(len(panels))]
    titles = _as_high_in_each_row(
        [wrapped(a + panel.title, width_cm / n_columns) for a, panel in zip(letters, panels, strict=True)],
        n_columns,
    )
    heights_cm = [
        title_height_cm(title) + _plot_height_cm(rois) for title, rois in zip(titles, by_roi, strict=True)
    ]
    row_heights_cm = [max(row) for row in _rows(heights_cm, n_columns)]
    figure = new_figure(width_cm, sum(row_heights_cm))
    places = figure.subfigures(n_rows, n_columns, squeeze=False, height_ratios=row_heights_cm).ravel()
    for place, title, weights, rois in zip(places, titles, finite, by_roi, strict=False):
        _add_title(place, title)
        axes = place.subplots()
        _draw_values(axes, weights, rois, "decoder weight\n(normalized units)")
        if rois:
            limit = np.abs(axes.get_xlim()).max()
            axes.set_xlim(-limit, limit)
            # Labels as short as can be: three panels in a row leave little room.
            axes.xaxis.set_major_formatter("{x:.3g}")
    _add_note(figure, table, max(by_roi, key=len), missing)
    return figure, numbers


def _values_by_roi(table: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """The finite values of the largest ROIs that have any, the ROI of the highest median first.

    ROIs that are as large, or as high, as others come in the order of their first voxels in the data.
    """
    members_of = sorted(rois_of(table).items(), key=lambda named: named[1][0])
    chosen = {roi: values[members] for roi, members in members_of}
    finite = {roi: of_roi[np.isfinite(of_roi)] for roi, of_roi in chosen.items()}
    # Sorts are stable.
    largest = sorted((roi for roi in finite if finite[roi].size), key=lambda roi: -finite[roi].size)
    shown = sorted(largest[:LARGEST_ROIS], key=lambda roi: -np.median(finite[roi]))
    return {roi: finite[roi] for roi in shown}


def _draw_values(axes: Axes, finite: np.ndarray, by_roi: dict[str, np.ndarray], label: str) -> None:
    """By ROI, or sorted if there are no ROIs."""
    if by_roi:
        _draw_rois(axes, by_roi, finite)
        axes.set_xlabel(label)
    else:
        share_percent = np.linspace(0, 100, min(finite.size, _CURVE_POINTS)) if finite.size > 1 else [50]
        marker = "o" if finite.size <= _POINTS else None
        axes.plot(
            share_percent, np.percentile(finite, share_percent), color=BLUE, marker=marker, markersize=3
        )
        axes.set_xlabel(f"{finite.size:,} voxel{'s' * (finite.size > 1)}, sorted (%)")
        axes.set_ylabel(label)
        axes.set_xlim(-2, 102)
        axes.axhline(0, color="0.7", linewidth=0.5, zorder=0)


def _draw_rois(axes: Axes, by_roi: dict[str, np.ndarray], finite: np.ndarray) -> None:
    rows = [*by_roi.items(), (ALL_VOXELS, finite)]
    # All voxels stand apart, half a row below the ROIs.
    height = np.append(np.arange(len(by_roi)), len(by_roi) + 0.5)
    low, median, high = np.array([np.percentile(values, _QUARTILES) for _, values in rows]).T
    axes.hlines(height, low, high, color=[*[BLUE] * len(by_roi), "0.2"], linewidth=1.2)
    axes.plot(median[:-1], height[:-1], "o", color=BLUE, markersize=3)
    axes.plot(median[-1:], height[-1:], "o", color="0.2", markersize=3)
    axes.axvline(0, color="0.7", linewidth=0.5, zorder=0)
    first, last = min(low.min(), 0), max(high.max(), 0)
    margin = 0.08 * (last - first) or 1.0
    axes.set_xlim(first - margin, last + margin)
    axes.set_yticks(height, [f"{_shortened(name)} ({values.size:,})" for name, values in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(height[-1] + 0.6, -0.6)


def _add_note(figure: Figure, table: pd.DataFrame, by_roi: dict[str, np.ndarray], missing: str = "") -> None:
    """What points and lines mean, which ROIs are not shown, and which panels are missing; nothing where none are."""
    notes = []
    if by_roi:
        notes.append("● median, ━ interquartile range; in brackets the number of voxels")
    n_rois = len(rois_of(table))
    if 0 < len(by_roi) < n_rois:
        most = "those with most voxels, of equal ones the first in the data"
        why = most if len(by_roi) == LARGEST_ROIS else "the others have no values"
        notes.append(f"{len(by_roi)} of {n_rois} ROIs, {why}")
    text = "\n".join(filter(None, ["; ".join(notes), missing]))
    if text:
        width_cm = figure.get_size_inches()[0] * CM_PER_INCH
        figure.supxlabel(plain(wrapped(text, width_cm, SMALL_PT)), fontsize=SMALL_PT, color="0.35")


def _add_title(figure: FigureBase, title: str) -> None:
    figure.suptitle(plain(title), x=0.01, ha="left", fontsize=TITLE_PT)


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


def _plot_height_cm(by_roi: dict[str, np.ndarray]) -> float:
    return 1.8 + _ROW_CM * (len(by_roi) + 2) if by_roi else 4.5


def _shortened(name: str) -> str:
    """Without its middle, because names of atlases differ at either end."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 10]}…{name[-9:]}"
    return plain(name)
