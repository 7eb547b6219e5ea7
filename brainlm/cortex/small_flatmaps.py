"""Flatmaps of many maps at once, as small PNG files: decoder maps of all latents for a browser.

They show what `draw_flatmap` draws, the folds where nothing is known, and areas' outlines, without text. A picture
with a palette takes a byte a pixel, and all maps come from one sparse product, pixel from voxel, where a Matplotlib
figure takes seconds each.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.colors import Colormap
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import sparse

from brainlm.cortex.flatmap import (
    GYRUS,
    SULCUS,
    known_colormap,
    landmarks,
    outlines_on_cortex,
    symmetric_limit,
)
from brainlm.cortex.subject import Cortex
from brainlm.errors import InputError

_OUTSIDE, _GYRUS, _SULCUS, _OUTLINE, _FIRST_COLOUR = range(5)
"""Places in the palette; the colours of values follow."""
_STEPS = 63
"""Colours on either side of the neutral one."""
_NEUTRAL = _FIRST_COLOUR + _STEPS
_MAPS_AT_A_TIME = 32
"""Bounds memory: 12 MB of weights of 95,556 voxels, and as much again."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """What all small flatmaps of a subject have in common."""

    pixel_of_voxel: sparse.csr_matrix
    """(pixel on the cortex, voxel) float32: share of each voxel in a pixel; in C order of `on_cortex`."""
    on_cortex: NDArray[np.bool_]
    """(height, width) bool."""
    folds: NDArray[np.bool_]
    """(height, width) bool: gyri."""
    outlines: NDArray[np.bool_]
    """(height, width) bool: pixels on the outline of an area."""


class SmallFlatmap(NamedTuple):
    """One map as a picture."""

    png: bytes
    limit: float
    """The value at the ends of the colormap, which is symmetric about 0; NaN if no voxel has one."""


def small_canvas(cortex: Cortex, width: int, rois: Sequence[str] | None = None) -> Canvas:
    """Prepare flatmaps of another size than the figures'.

    A pixel is the mean over the pixels of the cortex's own flatmap that it covers, by how much of each it covers; it
    lies on the cortex if half of it does.

    Parameters
    ----------
    width: in pixels; the height follows.
    rois: areas to outline, by default the landmarks; those that the subject lacks are left out.
    """
    own_height, own_width = cortex.image_shape
    height = max(1, round(own_height * width / own_width))
    cover = sparse.kron(_cover(height, own_height), _cover(width, own_width), format="csr")
    share = cover @ cortex.on_cortex.ravel().astype(np.float32)
    on_cortex = share >= 0.5 * own_height * own_width / (height * width)
    # Off the cortex curvature is NaN.
    gyrus = cover @ (cortex.curvature > 0).ravel().astype(np.float32)
    shape = (height, width)
    return Canvas(
        pixel_of_voxel=sparse.csr_matrix(cover[on_cortex] @ cortex.pixel_of_voxel),
        on_cortex=on_cortex.reshape(shape),
        folds=(gyrus > share / 2).reshape(shape),
        outlines=_draw_outlines(cortex, landmarks(cortex) if rois is None else rois, shape)
        & on_cortex.reshape(shape),
    )


def small_flatmaps(canvas: Canvas, maps: np.ndarray, colormap: str | Colormap) -> Iterator[SmallFlatmap]:
    """Draw maps, each with limits of its own, as figure 3 does.

    Parameters
    ----------
    maps: (voxel, map) float32, e.g. decoder weights; NaN where not known. Read a few columns at a time.
    colormap: a diverging one.

    Returns
    -------
    A picture for each map, in order, drawn when it is asked for: a PNG with a palette, transparent outside of the
    cortex.

    Raises
    ------
    InputError: not one row for each voxel of the cortex, or an unknown colormap.
    """
    if maps.ndim != 2 or len(maps) != canvas.pixel_of_voxel.shape[1]:
        raise InputError(
            f"Maps must be an array (voxel, map) with {canvas.pixel_of_voxel.shape[1]:,} voxels, as the subject's "
            f"cortical mask has; got {maps.shape}."
        )
    return _drawn(canvas, maps, _palette(known_colormap(colormap)))


def project(pixel_of_voxel: sparse.csr_matrix, maps: np.ndarray) -> NDArray[np.float32]:
    """Project maps to pixels: each is the mean of those of its voxels that are not NaN.

    Parameters
    ----------
    pixel_of_voxel: (pixel, voxel) float32 of shares.
    maps: (voxel, map) float32 in C order.

    Returns
    -------
    (pixel, map) float32, NaN where all of a pixel's voxels are.
    """
    known = ~np.isnan(maps)
    # Voxels left out of a model are so in all of its maps.
    shared = known[:, :1] if (known == known[:, :1]).all() else known
    total = pixel_of_voxel @ np.where(known, maps, 0)
    weight = pixel_of_voxel @ shared.astype(np.float32)
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _drawn(canvas: Canvas, maps: np.ndarray, palette: bytes) -> Iterator[SmallFlatmap]:
    for start in range(0, maps.shape[1], _MAPS_AT_A_TIME):
        block = np.ascontiguousarray(maps[:, start : start + _MAPS_AT_A_TIME], np.float32)
        pixels = project(canvas.pixel_of_voxel, block)
        for values, of_map in zip(pixels.T, block.T, strict=True):
            limit = symmetric_limit(of_map)
            yield SmallFlatmap(_png(canvas, values, limit, palette), limit)


def _cover(n_pixels: int, n_own: int) -> sparse.csr_matrix:
    """(pixel, own pixel) float32: how much of each own pixel a pixel covers along one axis."""
    edges = np.linspace(0, n_own, n_pixels + 1)
    own = np.arange(n_own)
    overlap = np.minimum(edges[1:, None], own + 1) - np.maximum(edges[:-1, None], own)
    return sparse.csr_matrix(np.maximum(overlap, 0).astype(np.float32))


def _draw_outlines(cortex: Cortex, rois: Sequence[str], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(height, width) bool: pixels on the outline of an area."""
    image = Image.new("1", shape[::-1])
    draw = ImageDraw.Draw(image)
    scale = np.array(shape[::-1]) / cortex.image_shape[::-1]
    for line in (line for roi in rois for line in outlines_on_cortex(cortex, roi)):
        # (0, 0) is a pixel's centre in either image.
        points = (line + 0.5) * scale - 0.5
        for start, end in zip(points[:-1], points[1:], strict=True):
            if np.isfinite([start, end]).all():
                draw.line([*start, *end], fill=1)
    return np.array(image)


def _palette(colormap: Colormap) -> bytes:
    colours = np.ones((_NEUTRAL + _STEPS + 1, 3))
    colours[_GYRUS], colours[_SULCUS], colours[_OUTLINE] = GYRUS, SULCUS, 0
    colours[_FIRST_COLOUR:] = colormap(np.linspace(0, 1, 2 * _STEPS + 1))[:, :3]
    return np.rint(255 * colours).astype(np.uint8).tobytes()


def _png(canvas: Canvas, values: np.ndarray, limit: float, palette: bytes) -> bytes:
    """(pixel on the cortex,) values as a PNG."""
    places = np.where(canvas.folds, _GYRUS, _SULCUS)[canvas.on_cortex]
    known = ~np.isnan(values)
    steps = np.clip(values[known] / limit, -1, 1) * _STEPS
    places[known] = _NEUTRAL + np.rint(steps).astype(int)
    image = np.full(canvas.on_cortex.shape, _OUTSIDE, np.uint8)
    image[canvas.on_cortex] = places
    image[canvas.outlines] = _OUTLINE
    picture = Image.fromarray(image)
    picture.putpalette(palette)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, transparency=_OUTSIDE)
    return file.getvalue()
