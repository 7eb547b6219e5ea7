"""Values of voxels by region (ROI), or sorted where no region is named: what `brain` draws in place of a flatmap."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from brainlm.cortex.voxels import ALL_VOXELS, rois_of
from brainlm.report.style import BLUE, plain
from brainlm.report.write import number_of

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


def values_by_roi(table: pd.DataFrame, values: np.ndarray) -> dict[str, np.ndarray]:
    """The finite values of the largest ROIs that have any, the ROI of the highest median first.

    ROIs that are as large, or as high, as others come in the order of their first voxels in the data.

    Parameters
    ----------
    table: a voxel table, see `brainlm.cortex.voxels`.
    values: (voxel,), not finite where undefined.
    """
    members_of = sorted(rois_of(table).items(), key=lambda named: named[1][0])
    chosen = {roi: values[members] for roi, members in members_of}
    finite = {roi: of_roi[np.isfinite(of_roi)] for roi, of_roi in chosen.items()}
    # Sorts are stable.
    largest = sorted((roi for roi in finite if finite[roi].size), key=lambda roi: -finite[roi].size)
    shown = sorted(largest[:LARGEST_ROIS], key=lambda roi: -np.median(finite[roi]))
    return {roi: finite[roi] for roi in shown}


def draw_regions(
    axes: Axes, finite: np.ndarray, by_roi: dict[str, np.ndarray], label: str, *, symmetric: bool = False
) -> None:
    """Median and interquartile range over each ROI's voxels; without ROIs all voxels, sorted by their values.

    Parameters
    ----------
    finite: (voxel,) values of all voxels that have one.
    by_roi: `values_by_roi`; the axis contains 0.
    label: what the values are.
    symmetric: whether 0 is in the middle of the ROIs' axis.
    """
    if by_roi:
        _draw_rois(axes, by_roi, finite)
        axes.set_xlabel(label)
        if symmetric:
            limit = np.abs(axes.get_xlim()).max()
            axes.set_xlim(-limit, limit)
            # Labels as short as can be: three panels in a row leave little room.
            axes.xaxis.set_major_formatter("{x:.3g}")
    else:
        share_percent = np.linspace(0, 100, min(finite.size, _CURVE_POINTS)) if finite.size > 1 else [50]
        marker = "o" if finite.size <= _POINTS else None
        axes.plot(
            share_percent, np.percentile(finite, share_percent), color=BLUE, marker=marker, markersize=3
        )
        axes.set_xlabel(f"{number_of(finite.size, 'voxel')}, sorted (%)")
        axes.set_ylabel(label)
        axes.set_xlim(-2, 102)
        axes.axhline(0, color="0.7", linewidth=0.5, zorder=0)


def region_note(table: pd.DataFrame, by_roi: dict[str, np.ndarray]) -> str:
    """What points and lines mean, and which ROIs are not shown; empty without ROIs."""
    if not by_roi:
        return ""
    notes = ["● median, ━ interquartile range; in brackets the number of voxels"]
    n_rois = len(rois_of(table))
    if len(by_roi) < n_rois:
        most = "those with most voxels, of equal ones the first in the data"
        why = most if len(by_roi) == LARGEST_ROIS else "the others have no values"
        notes.append(f"{len(by_roi)} of {n_rois} ROIs, {why}")
    return "; ".join(notes)


def column_count(n_panels: int, by_roi: dict[str, np.ndarray]) -> int:
    """At most three, or two if long names leave too little room for a third; four panels make two rows of two."""
    has_long_names = any(len(roi) > _SHORT_NAME for roi in by_roi)
    return min(n_panels, 2 if n_panels == 4 or has_long_names else 3)


def plot_height_cm(by_roi: dict[str, np.ndarray]) -> float:
    """Of a panel without its title."""
    return 1.4 + _ROW_CM * (len(by_roi) + 2) if by_roi else 4.5


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


def _shortened(name: str) -> str:
    """Without its middle, because names of atlases differ at either end."""
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 10]}…{name[-9:]}"
    return plain(name)
