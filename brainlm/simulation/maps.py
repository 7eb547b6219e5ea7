"""Where on a simulated cortex each planted feature shows, and how strongly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brainlm.simulation.features import Planted

RADIUS_MM = 12.0
"""Standard deviation of a blob."""
LONG_RADIUS_MM = 45.0
"""Standard deviation, from front to back, of a map that runs from front to back."""

# A map of one hemisphere, or of one long strip, is uneven between slices as an artefact's is. The hard cases are
# features of the brain alone: nothing but the map's shape and repeated hearings tells those from artefacts.
SMALLER_X = "melody 1"
"""Its blobs lie in the hemisphere where x is below the middle of the mask's (the right one of pycortex's S1)."""
LARGER_X = "events 1"
"""Its blobs lie in the hemisphere where x is above the middle of the mask's (the left one of pycortex's S1)."""
FRONT_TO_BACK = "events 2"
"""Its map is one blob that is long along y."""
STRIPE_SLICES = {"stripes 1": 2, "stripes 2": 1}
"""Artefact -> slices a stripe: of two neighbours at a time, or of odd and even slices in turn."""


def blob_map(
    position_mm: np.ndarray,
    centres: Sequence[int] | np.ndarray,
    *,
    radius_mm: float | Sequence[float],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """A smooth map: Gaussian blobs around voxels, cut off at a tenth of their height, of uneven strength.

    Parameters
    ----------
    position_mm: (voxel, 3). centres: indices of voxels.
    radius_mm: standard deviation of a blob, of each axis if they differ.

    Returns
    -------
    (voxel,) float64, maximum 1.
    """
    blobs = np.zeros(len(position_mm))
    for centre in centres:
        distance = np.linalg.norm((position_mm - position_mm[centre]) / radius_mm, axis=1)
        blob = np.exp(-0.5 * distance**2)
        blobs = np.maximum(blobs, np.where(blob < 0.1, 0.0, blob) * random.uniform(0.7, 1.0))
    return blobs / blobs.max()


def stripe_map(slice_index: np.ndarray, slices_per_stripe: int) -> np.ndarray:
    """The slice-wise stripes of an artefact: +1 and -1 in turn."""
    return np.where(slice_index // slices_per_stripe % 2 == 0, 1.0, -1.0)


def feature_map(
    name: str, mask: np.ndarray, voxel_size_mm: float, *, random: np.random.Generator
) -> NDArray[np.float64]:
    """The map of a feature: stripes through whole slices, one long blob, or three blobs around voxels at random.

    Parameters
    ----------
    name: decides which, see the constants of this module.
    mask: (z, y, x) bool cortical mask, cubic voxels.

    Returns
    -------
    (voxel,) float64.
    """
    index = np.argwhere(mask)
    if name in STRIPE_SLICES:
        return stripe_map(index[:, 0], STRIPE_SLICES[name])
    _, y, x = (index - (index.min(axis=0) + index.max(axis=0)) / 2).T
    if name == FRONT_TO_BACK:
        halfway = random.choice(np.flatnonzero(np.abs(y) <= 1), 1)
        radii_mm = (RADIUS_MM, LONG_RADIUS_MM, RADIUS_MM)
        return blob_map(index * voxel_size_mm, halfway, radius_mm=radii_mm, random=random)
    allowed = x < 0 if name == SMALLER_X else x > 0 if name == LARGER_X else np.ones(len(x), bool)
    centres = random.choice(np.flatnonzero(allowed), 3, replace=False)
    return np.where(
        allowed, blob_map(index * voxel_size_mm, centres, radius_mm=RADIUS_MM, random=random), 0.0
    )


def plant_maps(
    planted: Planted, mask: np.ndarray, voxel_size_mm: float, *, random: np.random.Generator
) -> NDArray[np.float64]:
    """Where on the cortex each planted feature shows, and how strongly.

    A feature's share of the signal's variance is its strength over that of all; features that only the LM has
    show nowhere.

    Parameters
    ----------
    mask: (z, y, x) bool cortical mask, cubic voxels.

    Returns
    -------
    (feature, voxel) float64; the sum of squares of a row is the feature's share of the signal's variance.
    """
    shares = planted.strength / planted.strength.sum()
    maps = np.zeros((len(planted.names), int(mask.sum())))
    for i in np.flatnonzero(shares):
        shape = feature_map(planted.names[i], mask, voxel_size_mm, random=random)
        maps[i] = shape * np.sqrt(shares[i]) / np.linalg.norm(shape)
    return maps


def scale_to_ratio(maps: np.ndarray, time_courses: np.ndarray, snr: float) -> np.ndarray:
    """Maps whose signal has the wanted variance over that of noise, which is 1: mean over voxels with signal.

    Parameters
    ----------
    maps: (feature, voxel). time_courses: (time, feature).
    """
    power = (time_courses @ maps).var(axis=0)
    return maps * np.sqrt(snr / power[power > 0].mean())
