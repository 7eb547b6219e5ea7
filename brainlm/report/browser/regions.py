"""Weights of a latent without a flatmap: region by region, or all voxels in order of their weights."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainlm.report.browser.drawings import Tick, axis_ticks, line, scaled
from brainlm.report.regions import values_by_roi

WIDTH = 240.0
"""Of the plot in SVG units."""
ROW = 14.0
"""Height of a region's row."""
CURVE_HEIGHT = 120.0
_QUARTILES = (25, 50, 75)
_CURVE_POINTS = 201


@dataclass(frozen=True)
class RegionRow:
    """A region's voxels: median and interquartile range of their weights."""

    name: str
    n_voxels: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class RegionPlot:
    """Regions, one below the other; or a curve through all voxels where none is named."""

    rows: tuple[RegionRow, ...]
    curve: str
    """SVG path; "" with regions."""
    zero: float
    """Where 0 is: of regions on the horizontal axis, of the curve on the vertical one."""
    ticks: tuple[Tick, ...]
    """Of the weights' axis."""


def region_plot(voxels: pd.DataFrame, weights: np.ndarray) -> RegionPlot | None:
    """A latent's weights by region.

    Parameters
    ----------
    voxels: a voxel table of `brainlm.cortex.voxels`.
    weights: (voxel,) decoder weights, NaN for voxels that were left out of the model.

    Returns
    -------
    None if no voxel has a weight.
    """
    finite = weights[np.isfinite(weights)]
    if not finite.size:
        return None
    by_roi = values_by_roi(voxels, weights)
    if by_roi:
        quartiles = np.array([np.percentile(values, _QUARTILES) for values in by_roi.values()])
        limit = float(np.abs(quartiles).max()) or 1.0
        places = scaled(quartiles, -limit, limit, WIDTH)
        rows = tuple(
            RegionRow(name, values.size, *of_region.tolist())
            for (name, values), of_region in zip(by_roi.items(), places, strict=True)
        )
        return RegionPlot(rows, "", WIDTH / 2, axis_ticks(-limit, limit, WIDTH))
    limit = float(np.abs(finite).max()) or 1.0
    share = np.linspace(0, 100, _CURVE_POINTS)
    height = CURVE_HEIGHT - scaled(np.percentile(finite, share), -limit, limit, CURVE_HEIGHT)
    ticks = axis_ticks(-limit, limit, CURVE_HEIGHT)
    upwards = tuple(Tick(CURVE_HEIGHT - tick.place, tick.label) for tick in ticks)
    return RegionPlot((), line(WIDTH * share / 100, height), CURVE_HEIGHT / 2, upwards)
