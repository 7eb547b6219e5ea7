"""Draw a value per voxel on the flattened cortex."""

from collections.abc import Sequence
from difflib import get_close_matches
from types import MappingProxyType

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from brainlm.cortex.subject import Cortex, flatmap_image
from brainlm.errors import InputError

_DRAWN = ("AC", "Broca", "sPMv", "M1F", "IPS", "RSC", "OPA", "PPA", "FFA", "EBA", "V1")
LANDMARKS = MappingProxyType(
    {
        **{name: name for name in _DRAWN},
        "superiorfrontal": "SFG",
        "parsopercularis": "IFGop",
        "precentral": "PreCG",
        "postcentral": "PostCG",
        "superiortemporal": "STG",
        "middletemporal": "MTG",
        "supramarginal": "SMG",
        "inferiorparietal": "IPL",
        "precuneus": "PCun",
        "fusiform": "FuG",
        "lateraloccipital": "LOC",
        "pericalcarine": "Calc",
    }
)
"""Areas that orient the eye -> their labels, for which there is room on a flatmap 8 cm wide: of ds003020's drawings,
and of FreeSurfer's aparc (Desikan and Killiany)."""
LARGEST = 12
"""Areas drawn where none is a landmark."""

GYRUS, SULCUS = 0.90, 0.80
"""Brightness of the folds, where no value is known."""
LIMIT_PERCENTILE = 99
"""Of the values: a few extreme voxels would make all others look alike."""

_LABEL_WIDTH = 0.05
"""Of a label, as a share of the flatmap's width at 8 cm: a narrower area has its label below it."""
_LABEL_LENGTH = 8


def draw_flatmap(
    axes: Axes,
    cortex: Cortex,
    values: np.ndarray,
    *,
    colormap: str | Colormap,
    vmin: float,
    vmax: float,
    rois: Sequence[str] | None = None,
) -> AxesImage:
    """Draw a map over the cortex's folds (light grey gyri, darker sulci), with areas outlined and named.

    Parameters
    ----------
    axes: takes the flatmap's shape and loses its frame and ticks.
    values: (voxel,); the folds show where they are NaN.
    vmin, vmax: values at the ends of the colormap.
    rois: areas to outline, by default the landmarks; those that the subject lacks are left out.

    Returns
    -------
    The map's image, for a colorbar.

    Raises
    ------
    InputError: not one value for each voxel of the cortex, or an unknown colormap.
    """
    image = flatmap_image(cortex, values)
    scale, colours_of = Normalize(vmin, vmax), known_colormap(colormap)
    mappable = ScalarMappable(scale, colours_of)
    # One image of white, greys and colours: viewers of PDF blur images, and the edges of a partly transparent
    # one on top would get a dark rim.
    colours = np.ones((*image.shape, 4))
    colours[..., 3] = cortex.on_cortex
    colours[cortex.on_cortex, :3] = np.where(cortex.curvature > 0, GYRUS, SULCUS)[cortex.on_cortex, None]
    known = ~np.isnan(image)
    colours[known] = mappable.to_rgba(image[known])
    drawn = axes.imshow(colours, cmap=colours_of, norm=scale, interpolation="none")
    for roi in landmarks(cortex) if rois is None else rois:
        _draw_roi(axes, cortex, roi)
    axes.text(0, 1, "L", transform=axes.transAxes, fontsize=7, ha="left", va="top")
    axes.text(1, 1, "R", transform=axes.transAxes, fontsize=7, ha="right", va="top")
    axes.axis("off")
    return drawn


def symmetric_limit(values: np.ndarray) -> float:
    """The value at the ends of a colormap that is symmetric about 0: LIMIT_PERCENTILE of |value|.

    Parameters
    ----------
    values: any shape; what is not finite does not count.

    Returns
    -------
    1 where all values are 0, NaN where there are none.
    """
    finite = values[np.isfinite(values)]
    return float(np.percentile(np.abs(finite), LIMIT_PERCENTILE) or 1.0) if finite.size else float("nan")


def landmarks(cortex: Cortex) -> list[str]:
    """The areas to outline: the subject's LANDMARKS or, where it has none, its LARGEST areas."""
    known = [name for name in LANDMARKS if name in cortex.roi_outlines]
    by_size = sorted(cortex.roi_outlines, key=lambda name: -len(cortex.voxel_rois.get(name, ())))
    return known or by_size[:LARGEST]


def area_label(name: str) -> str:
    """What is written on a flatmap, short enough to leave the map to be seen: atlases have long names."""
    return LANDMARKS.get(name) or (name if len(name) <= _LABEL_LENGTH else f"{name[: _LABEL_LENGTH - 1]}…")


def outlines_on_cortex(cortex: Cortex, roi: str) -> list[np.ndarray]:
    """Outlines of an area, (point, xy) each in pixels, NaN where it goes beyond a cut through the cortex.

    Empty for an area that the subject lacks.
    """
    return [
        np.where(_on_cortex(outline, cortex.on_cortex)[:, None], outline, np.nan)
        for outline in cortex.roi_outlines.get(roi, [])
    ]


def known_colormap(colormap: str | Colormap) -> Colormap:
    """A colormap by its name.

    Raises
    ------
    InputError: Matplotlib knows none of this name.
    """
    if isinstance(colormap, str) and colormap not in matplotlib.colormaps:
        close = get_close_matches(colormap, matplotlib.colormaps, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else "; see Matplotlib's list of colormaps."
        raise InputError(f"'{colormap}' is no colormap{hint}")
    return matplotlib.colormaps[colormap] if isinstance(colormap, str) else colormap


def _draw_roi(axes: Axes, cortex: Cortex, roi: str) -> None:
    for line, (x, y) in zip(outlines_on_cortex(cortex, roi), cortex.roi_labels.get(roi, []), strict=True):
        if np.isnan(line).all():
            continue
        axes.plot(*line.T, color="black", linewidth=0.5, path_effects=[_halo(1.1)])
        left, right = np.nanmin(line[:, 0]), np.nanmax(line[:, 0])
        narrow = right - left < _LABEL_WIDTH * cortex.image_shape[1]
        axes.annotate(
            area_label(roi),
            ((left + right) / 2, np.nanmax(line[:, 1])) if narrow else (x, y),
            xytext=(0, -0.5 if narrow else 0),
            textcoords="offset points",
            fontsize=5,
            parse_math=False,
            ha="center",
            va="top" if narrow else "center",
            path_effects=[_halo(0.8)],
        )


def _halo(width: float) -> withStroke:
    return withStroke(linewidth=width, foreground="white")


def _on_cortex(points: np.ndarray, on_cortex: np.ndarray) -> NDArray[np.bool_]:
    """(point,) bool: the (point, xy) pixel positions that lie on the cortex."""
    column, row = np.clip(points.round().astype(int), 0, np.array(on_cortex.shape[::-1]) - 1).T
    return on_cortex[row, column]
