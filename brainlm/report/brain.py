"""Figures on the flattened cortex: decoder weights of latents, and how well voxels are reconstructed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from brainlm.cortex.flatmap import draw_flatmap
from brainlm.cortex.subject import Cortex, check_width
from brainlm.report.style import (
    DOUBLE_COLUMN_CM,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    add_titles,
    draw_distribution,
    figure_of_words,
    journal_style,
    new_figure,
    plain,
    title_height_cm,
    voxel_title,
    wrapped,
)

LIMIT_PERCENTILE = 99
"""Of the values: a few extreme voxels would make all others look alike."""


@dataclass(frozen=True, eq=False)
class FlatmapPanel:
    """One map of Figure 3."""

    title: str
    values: np.ndarray
    """(voxel,) decoder weights, normalized units."""


@journal_style()
def decoder_flatmaps(
    cortex: Cortex, panels: Sequence[FlatmapPanel], *, colormap: str | Colormap
) -> tuple[Figure, pd.DataFrame]:
    """Figure 3: where a latent acts on the brain, one flatmap per latent.

    Each map has its own limits, symmetric about 0, at the 99th percentile of its |weight|. A panel without weights is
    not drawn: its title stands below the others.

    Parameters
    ----------
    panels: values of each have one entry per voxel of the cortex.
    colormap: a diverging one.

    Returns
    -------
    The figure, and the numbers: panel (its title), voxel, weight.

    Raises
    ------
    InputError: not one value for each voxel of the cortex.
    """
    for panel in panels:
        check_width(cortex.mask, panel.values.size, "The map to be drawn")
    numbers = all_numbers(panels)
    panels, missing = drawn_and_missing(panels)
    if not panels:
        return figure_of_words(missing), numbers
    # An even number stands in pairs; labels of areas are too crowded on three maps side by side.
    n_columns = 2 if len(panels) % 2 == 0 else 1
    n_rows = len(panels) // n_columns
    map_height_cm = SINGLE_COLUMN_CM * cortex.image_shape[0] / cortex.image_shape[1]
    titles_cm = max(title_height_cm(panel.title) for panel in panels)
    height_cm = n_rows * (map_height_cm + titles_cm + 1.2) + (0.7 if missing else 0.4)
    figure = new_figure(SINGLE_COLUMN_CM * n_columns, height_cm)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False).ravel())
    for axes, panel in zip(grid, panels, strict=True):
        limit = _percentile(np.abs(panel.values), LIMIT_PERCENTILE) or 1.0
        drawn = draw_flatmap(axes, cortex, panel.values, colormap=colormap, vmin=-limit, vmax=limit)
        _add_colorbar(axes, drawn, "decoder weight (normalized units)", n_intervals=2)
    add_titles(grid, [panel.title for panel in panels])
    n_known = int(np.isfinite(panels[0].values).sum())
    note = f"{n_known:,} voxel{'s' * (n_known > 1)} with weights"
    figure.supxlabel(plain("\n".join(filter(None, [note, missing]))), fontsize=SMALL_PT, color="0.35")
    return figure, numbers


def drawn_and_missing(panels: Sequence[FlatmapPanel]) -> tuple[list[FlatmapPanel], str]:
    """The panels that have a finite value, and the titles of the others in one line."""
    drawn = [panel for panel in panels if np.isfinite(panel.values).any()]
    return drawn, "; ".join(panel.title for panel in panels if not np.isfinite(panel.values).any())


def all_numbers(panels: Sequence[FlatmapPanel]) -> pd.DataFrame:
    """What figure 3 shows: panel (its title), voxel, weight; for panels that are not drawn as well."""
    return pd.concat(
        [
            pd.DataFrame({"panel": p.title, "voxel": np.arange(p.values.size), "weight": p.values})
            for p in panels
        ],
        ignore_index=True,
    )


@journal_style()
def voxel_flatmap(
    cortex: Cortex,
    values: np.ndarray,
    *,
    quantity: str,
    based_on: str,
    colormap: str | Colormap,
    n_undefined: int,
) -> tuple[Figure, pd.DataFrame]:
    """One value a voxel on the flattened cortex, with its distribution: figure 4 and its ceiling.

    The map's limits go from 0, or the 1st percentile if that is negative, to the 99th percentile.

    Parameters
    ----------
    values: (voxel,), NaN where undefined.
    quantity: what they are, e.g. "test correlation"; with underscores, the name of their column.
    based_on: of what data, e.g. "638 test TRs".
    colormap: a sequential one.
    n_undefined: voxels without a value, for the title.

    Returns
    -------
    The figure, and the numbers: voxel, and the quantity.

    Raises
    ------
    InputError: not one value for each voxel of the cortex.
    """
    map_width_cm = 0.74 * DOUBLE_COLUMN_CM
    map_height_cm = map_width_cm * cortex.image_shape[0] / cortex.image_shape[1]
    title = wrapped(voxel_title(values, quantity, based_on, n_undefined), DOUBLE_COLUMN_CM)
    figure = new_figure(DOUBLE_COLUMN_CM, map_height_cm + 0.7 + title_height_cm(title))
    map_axes, histogram_axes = figure.subplots(1, 2, width_ratios=[0.78, 0.22])
    low = min(0.0, _percentile(values, 100 - LIMIT_PERCENTILE))
    high = _percentile(values, LIMIT_PERCENTILE)
    high = high if high > low else low + 1
    drawn = draw_flatmap(map_axes, cortex, values, colormap=colormap, vmin=low, vmax=high)
    finite = values[np.isfinite(values)]
    if finite.size:
        _add_colorbar(map_axes, drawn, quantity, n_intervals=3)
        draw_distribution(histogram_axes, finite, quantity)
        histogram_axes.set_box_aspect(0.9)
    else:
        histogram_axes.remove()
    map_axes.set_title(title)
    return figure, pd.DataFrame({"voxel": np.arange(cortex.n_voxels), quantity.replace(" ", "_"): values})


def _percentile(values: np.ndarray, percentile: float) -> float:
    """Of the finite values; 0 if there are none."""
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, percentile)) if finite.size else 0.0


def _add_colorbar(axes: Axes, drawn: AxesImage, label: str, *, n_intervals: int) -> None:
    # Below the gap between the hemispheres.
    bar_axes = axes.inset_axes((0.36, -0.06, 0.28, 0.025))
    bar = axes.figure.colorbar(drawn, cax=bar_axes, orientation="horizontal", extend="both")
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=SMALL_PT - 0.5, length=1.5, pad=1.5)
    # No more ticks, and no longer labels, than have room beside each other.
    bar.locator = MaxNLocator(n_intervals, min_n_ticks=n_intervals)
    bar.formatter = StrMethodFormatter("{x:.3g}")
    bar.update_ticks()
    bar.set_label(label, fontsize=SMALL_PT, labelpad=1.5)
