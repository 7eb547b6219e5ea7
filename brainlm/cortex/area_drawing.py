"""Outlines of areas that are known voxel by voxel, not as drawings."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import ndimage, sparse

from brainlm.cortex.outlines import label_position

SMALLEST_PART = 0.1
"""Of an area's largest part: smaller ones are left without an outline and a name of their own."""
_MARGIN = 3
"""Pixels that an area goes on beyond the edge of the cortex, where its outline is not to be seen."""
_EDGE = 1e-3
"""By how much a pixel is in or out at least: a line must not touch itself."""


def draw_areas(
    pixel_of_voxel: sparse.csr_matrix, on_cortex: np.ndarray, voxel_rois: Mapping[str, np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """Draw lines around the pixels more than half of which is of an area's voxels.

    Parameters
    ----------
    pixel_of_voxel: (pixel, voxel) float32: share of each voxel in a pixel.
    on_cortex: (height, width) bool.
    voxel_rois: area -> (member,) int, its voxels.

    Returns
    -------
    Area -> its outlines, each (point, xy) float32 in pixels, closed, around its parts; holes are filled. Areas of
    which no pixel is shown are left out.
    """
    distance, nearest = ndimage.distance_transform_edt(~on_cortex, return_indices=True)
    known = np.maximum(pixel_of_voxel.sum(axis=1).A1, np.finfo(np.float32).tiny)

    def beyond(image: np.ndarray) -> np.ndarray:
        """As if the cortex went on; with one pixel of nothing more around the image."""
        return np.pad(np.where(distance <= _MARGIN, image[tuple(nearest)], 0), 1)

    axes = Figure().subplots()
    outlines = {}
    for name, members in voxel_rois.items():
        weights = np.zeros(pixel_of_voxel.shape[1], np.float32)
        weights[members] = 1
        share = (pixel_of_voxel @ weights / known).reshape(on_cortex.shape)
        # Parts are told apart first: beyond the cortex those of both hemispheres may meet.
        part, _ = ndimage.label((share > 0.5) & on_cortex)
        sizes = np.bincount(part.ravel())[1:]
        if sizes.size:
            outlines[name] = _outlines(beyond(share), beyond(part), sizes, axes)
    return outlines


def label_areas(
    outlines: Mapping[str, list[np.ndarray]], on_cortex: np.ndarray
) -> dict[str, list[tuple[float, float]]]:
    """Area -> (x, y) of the place for its name in each of its outlines, all in pixels."""
    return {
        name: [label_position(outline, on_cortex) for outline in of_area]
        for name, of_area in outlines.items()
    }


def _outlines(share: np.ndarray, part: np.ndarray, sizes: np.ndarray, axes: Axes) -> list[np.ndarray]:
    """Of one area, the largest part first.

    Parameters
    ----------
    share, part: (height + 2, width + 2) the area's share of each pixel, and in which part of it that is, from 1 on.
    sizes: (part,) pixels on the cortex.
    """
    boxes, outlines = ndimage.find_objects(part), []
    for number in np.argsort(-sizes, kind="stable"):
        if sizes[number] < SMALLEST_PART * sizes.max():
            break
        box = tuple(slice(side.start - 1, side.stop + 1) for side in boxes[number])
        own = ndimage.binary_fill_holes(part[box] == number + 1)
        # The line runs between the part's pixels and all others, and where shares say.
        level = np.where(own, np.maximum(share[box], 0.5 + _EDGE), np.minimum(share[box], 0.5 - _EDGE))
        # (0, 0) is the centre of the image's first pixel, which the pixel around it moves by 1.
        y, x = (np.arange(side.start, side.stop) - 1 for side in box)
        (lines,) = axes.contour(x, y, level, levels=[0.5]).allsegs
        outlines.append(max(lines, key=len).astype(np.float32))
    return outlines
