"""In which hemisphere each voxel lies, as the surface or the flatmap tells."""

import numpy as np

from brainlm.cortex.subject import Cortex


def voxel_sides(cortex: Cortex) -> np.ndarray:
    """The hemisphere of each voxel: its vertex's or, in a volume, the side of the flatmap that shows more of it.

    Flatmaps lay the left hemisphere to the left of the right one, so that some column between them, in the middle
    third of the image, has the fewest pixels on the cortex (of equal ones the nearest to the middle).

    Returns
    -------
    (voxel,) "L", "R", or "" for a voxel of a volume that no pixel shows.
    """
    if cortex.mask.ndim == 2:
        return np.array(["L", "R"])[np.nonzero(cortex.mask)[0]]
    height, width = cortex.image_shape
    middle = np.arange(width // 3, width - width // 3)
    n_pixels = cortex.on_cortex.sum(axis=0)[middle]
    nearest_first = np.argsort(np.abs(middle - (width - 1) / 2), kind="stable")
    border = middle[nearest_first][np.argmin(n_pixels[nearest_first])]
    is_left = np.tile(np.arange(width) < border, height)
    weights = cortex.pixel_of_voxel
    left, right = (weights.T @ side.astype(weights.dtype) for side in (is_left, ~is_left))
    return np.select([(left == 0) & (right == 0), left >= right], ["", "L"], "R")
