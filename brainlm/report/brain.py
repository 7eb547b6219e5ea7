"""Figures of the brain: one value a voxel, and decoder weights of some latents.

Both are drawn on the flattened cortex or, where a dataset has no cortex, by region, with the same titles and counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from brainlm.cortex.flatmap import LIMIT_PERCENTILE, draw_flatmap, symmetric_limit
from brainlm.cortex.subject import Cortex, check_width, load_cortex
from brainlm.cortex.voxels import check_one_a_voxel, read_voxel_table
from brainlm.report.regions import column_count, draw_regions, plot_height_cm, region_note, values_by_roi
from brainlm.report.style import (
    DOUBLE_COLUMN_CM,
    GREY,
    SINGLE_COLUMN_CM,
    SMALL_PT,
    TITLE_PT,
    figure_of_words,
    journal_style,
    lettered,
    new_figure,
    plain,
    title_height_cm,
    wrapped,
)
from brainlm.report.write import formatted, number_of

T = TypeVar("T")
Anatomy: TypeAlias = Cortex | pd.DataFrame
"""Where voxels lie: the subject's cortex or, where the dataset has none, a voxel table of `brainlm.cortex.voxels`."""

_WEIGHT = "decoder weight (normalized units)"
_MAP_WIDTH_CM = 0.74 * DOUBLE_COLUMN_CM
"""Of a map with a histogram beside it."""


@dataclass(frozen=True, eq=False)
class DecoderPanel:
    """One panel of figure 3."""

    title: str
    values: np.ndarray
    """(voxel,) decoder weights, normalized units; NaN for voxels left out of the model."""


def read_anatomy(cortex: Sequence[str], voxels: str, n_voxels: int) -> Anatomy:
    """Read the subject's cortex, or its voxel table.

    Parameters
    ----------
    cortex: path of the cortex' store; none if the dataset has no cortex.
    voxels: path of the voxel table.
    n_voxels: columns of the data.

    Raises
    ------
    InputError: what is needed cannot be read.
    """
    return load_cortex(Path(cortex[0])) if cortex else read_voxel_table(Path(voxels), n_voxels)


@journal_style()
def draw_voxels(
    anatomy: Anatomy, values: np.ndarray, *, quantity: str, based_on: str, colormap: str | Colormap
) -> tuple[Figure, pd.DataFrame]:
    """One value a voxel, with its distribution: figure 4 and its ceiling.

    On the left a flatmap, whose limits go from 0, or the 1st percentile if that is negative, to the 99th percentile;
    or the median and the interquartile range over each ROI's voxels; or, if no ROI is named, all voxels sorted by
    their values. On the right the histogram of all voxels. Nothing but the title if no voxel has a value.

    Parameters
    ----------
    anatomy: a cortex makes a flatmap.
    values: (voxel,), not finite where undefined.
    quantity: what they are, e.g. "test correlation"; with underscores, the name of their column.
    based_on: of what data, e.g. "638 test TRs".
    colormap: of the flatmap; a sequential one.

    Returns
    -------
    The figure, and the numbers: voxel, and the quantity.

    Raises
    ------
    InputError: not one value for each voxel.
    """
    _check_one_a_voxel(anatomy, values)
    numbers = pd.DataFrame({"voxel": np.arange(values.size), quantity.replace(" ", "_"): values})
    finite = values[np.isfinite(values)]
    mean = formatted(finite.mean(), ".3f") if finite.size else ""
    described = f"mean {mean} over {number_of(finite.size, 'voxel')}" * (finite.size > 0)
    title = f"{quantity.capitalize()}: {_with_undefined(described, values)}; {based_on}"
    if not finite.size:
        return figure_of_words(title), numbers
    if isinstance(anatomy, Cortex):
        height_cm, width_ratios = _map_height_cm(anatomy, _MAP_WIDTH_CM) + 0.9, (0.78, 0.22)
        note = anatomy.note
    else:
        by_roi = values_by_roi(anatomy, values)
        height_cm, width_ratios = max(plot_height_cm(by_roi), 4.6), (0.66, 0.34)
        note = region_note(anatomy, by_roi)
    figure, (place,) = _titled_grid([title], [height_cm], DOUBLE_COLUMN_CM, 1, note)
    where, histogram = place.subplots(1, 2, width_ratios=width_ratios)
    if isinstance(anatomy, Cortex):
        low, high = np.percentile(finite, (100 - LIMIT_PERCENTILE, LIMIT_PERCENTILE))
        low = min(0.0, low)
        high = high if high > low else low + 1
        _draw_map(where, anatomy, values, (low, high), colormap=colormap, label=quantity, n_intervals=3)
        histogram.set_box_aspect(0.9)
    else:
        draw_regions(where, finite, by_roi, quantity)
    _draw_distribution(histogram, finite, quantity)
    return figure, numbers


@journal_style()
def draw_decoders(
    anatomy: Anatomy, panels: Sequence[DecoderPanel], *, colormap: str | Colormap
) -> tuple[Figure, pd.DataFrame]:
    """Figure 3: where in the brain a latent acts, one panel a latent.

    A panel is a flatmap with limits of its own, symmetric about 0, at the 99th percentile of its |weight|; or the
    median and the interquartile range over each ROI's voxels, on an axis that is symmetric about 0; or, if no ROI is
    named, all voxels sorted by their weights. A panel without weights is not drawn; its title stands below.

    Parameters
    ----------
    anatomy: a cortex makes flatmaps.
    colormap: of the flatmaps; a diverging one.

    Returns
    -------
    The figure, and the numbers: panel (its title), voxel, weight; for panels that are not drawn as well.

    Raises
    ------
    InputError: not one value for each voxel.
    """
    for panel in panels:
        _check_one_a_voxel(anatomy, panel.values)
    numbers = pd.concat(
        [
            pd.DataFrame(
                {"panel": panel.title, "voxel": np.arange(panel.values.size), "weight": panel.values}
            )
            for panel in panels
        ],
        ignore_index=True,
    )
    drawn = [panel for panel in panels if np.isfinite(panel.values).any()]
    missing = "; ".join(panel.title for panel in panels if not np.isfinite(panel.values).any())
    if not drawn:
        return figure_of_words(missing), numbers
    n_known = int(np.isfinite(drawn[0].values).sum())
    notes = [_with_undefined(f"{number_of(n_known, 'voxel')} with weights", drawn[0].values)]
    if isinstance(anatomy, Cortex):
        # An even number stands in pairs; labels of areas are too crowded on three maps side by side.
        n_columns = 2 if len(drawn) % 2 == 0 else 1
        heights_cm = [_map_height_cm(anatomy, SINGLE_COLUMN_CM) + 1.2] * len(drawn)
        notes.append(anatomy.note)
    else:
        by_roi = [values_by_roi(anatomy, panel.values) for panel in drawn]
        n_columns = column_count(len(drawn), max(by_roi, key=len))
        heights_cm = [plot_height_cm(of_panel) for of_panel in by_roi]
        notes.append(region_note(anatomy, max(by_roi, key=len)))
    width_cm = SINGLE_COLUMN_CM if n_columns == 1 else DOUBLE_COLUMN_CM
    titles, note = lettered([panel.title for panel in drawn]), "\n".join(filter(None, [*notes, missing]))
    figure, places = _titled_grid(titles, heights_cm, width_cm, n_columns, note)
    for number, panel in enumerate(drawn):
        axes, finite = places[number].subplots(), panel.values[np.isfinite(panel.values)]
        if isinstance(anatomy, Cortex):
            limit = symmetric_limit(finite)
            limits = (-limit, limit)
            _draw_map(axes, anatomy, panel.values, limits, colormap=colormap, label=_WEIGHT, n_intervals=2)
        else:
            draw_regions(axes, finite, by_roi[number], _WEIGHT.replace(" (", "\n("), symmetric=True)
    return figure, numbers


def _titled_grid(
    titles: Sequence[str], heights_cm: Sequence[float], width_cm: float, n_columns: int, note: str
) -> tuple[Figure, list[SubFigure]]:
    """A figure with a place for each panel below its title, and a note below all.

    Parameters
    ----------
    heights_cm: of each panel without its title.
    """
    titles = _as_high_in_each_row([wrapped(title, width_cm / n_columns) for title in titles], n_columns)
    heights_cm = [title_height_cm(title) + own for title, own in zip(titles, heights_cm, strict=True)]
    row_heights_cm = [max(row) for row in _rows(heights_cm, n_columns)]
    note = wrapped(note, width_cm, SMALL_PT)
    note_cm = 0.1 + 0.3 * (1 + note.count("\n")) if note else 0.0
    figure = new_figure(width_cm, sum(row_heights_cm) + note_cm)
    grid = figure.subfigures(len(row_heights_cm), n_columns, squeeze=False, height_ratios=row_heights_cm)
    places = list(grid.ravel()[: len(titles)])
    for place, title in zip(places, titles, strict=True):
        # A title of the whole figure would run into the mark of simulated data.
        place.suptitle(plain(title), x=0.01, ha="left", fontsize=TITLE_PT)
    if note:
        figure.supxlabel(plain(note), fontsize=SMALL_PT, color="0.35")
    return figure, places


def _as_high_in_each_row(titles: Sequence[str], n_columns: int) -> list[str]:
    """Titles with empty lines below those that have fewer than others in their row, so that plots are aligned."""
    padded = []
    for row in _rows(titles, n_columns):
        most = max(title.count("\n") for title in row)
        padded += [title + "\n" * (most - title.count("\n")) for title in row]
    return padded


def _rows(of_panel: Sequence[T], n_columns: int) -> list[Sequence[T]]:
    return [of_panel[start : start + n_columns] for start in range(0, len(of_panel), n_columns)]


def _check_one_a_voxel(anatomy: Anatomy, values: np.ndarray) -> None:
    if isinstance(anatomy, Cortex):
        check_width(anatomy.mask, values.size, "The map to be drawn")
    else:
        check_one_a_voxel(anatomy, values.size, "The map to be drawn")


def _with_undefined(of_known: str, values: np.ndarray) -> str:
    """What is said of the voxels that have a value, and how many have none."""
    n_undefined = int((~np.isfinite(values)).sum())
    return ", ".join(filter(None, [of_known, f"{n_undefined:,} undefined" * (n_undefined > 0)]))


def _draw_map(
    axes: Axes,
    cortex: Cortex,
    values: np.ndarray,
    limits: tuple[float, float],
    *,
    colormap: str | Colormap,
    label: str,
    n_intervals: int,
) -> None:
    """A flatmap with its colour bar."""
    drawn = draw_flatmap(axes, cortex, values, colormap=colormap, vmin=limits[0], vmax=limits[1])
    # Close to its title.
    axes.set_anchor("N")
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


def _draw_distribution(axes: Axes, finite: np.ndarray, quantity: str) -> None:
    """The histogram of voxels' values, with their mean."""
    # Few voxels in many bins are a comb.
    n_bins = int(np.clip(np.ceil(2 * np.sqrt(finite.size)), 5, 40))
    low, high = finite.min(), finite.max()
    if low == high:
        # Alone, a value would stand in the middle of an axis 1 wide: a correlation of 0.9 on one that ends at 1.4.
        half_width = 0.02 * abs(float(low)) or 0.02
        low, high = low - half_width, high + half_width
    axes.hist(finite, bins=n_bins, range=(low, high), color=GREY, edgecolor="white", linewidth=0.3)
    axes.axvline(finite.mean(), color="black", linewidth=0.6, linestyle=(0, (3, 2)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel(quantity)
    axes.set_ylabel("voxels")


def _map_height_cm(cortex: Cortex, width_cm: float) -> float:
    height, width = cortex.image_shape
    return width_cm * height / width
