"""Is a latent's decoder map smooth, noisy or striped by slices? What a scanner does comes in whole slices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError
from brainlm.scores.correlation import is_constant

SMALLEST_SLICE = 20
"""Voxels; the mean of fewer is mostly noise."""
_LATENTS_AT_A_TIME = 32


@dataclass(frozen=True)
class Texture:
    """How each latent's decoder map is spread over the brain; NaN throughout what is not known."""

    total_variation: NDArray[np.float64]
    """(latent,) float64 Σ|w_a - w_b| over neighbouring voxels / Σ|w|; NaN without neighbours or for maps of zeros."""
    slice_share: NDArray[np.float64]
    """(latent,) float64 share of the map's variance that lies between slices, in [0, 1]; NaN with fewer than two
    slices or for maps that are constant."""
    slice_jumps: NDArray[np.float64]
    """(latent,) float64, in [0, 2]: near 0 where slice means change smoothly, about 1 where slices know nothing of
    their neighbours; NaN as the share, and where no slice has a neighbour or slice means are all the same."""


def texture(
    weights: np.ndarray,
    pairs: np.ndarray | None,
    slice_number: np.ndarray | None,
    *,
    smallest_slice: int = SMALLEST_SLICE,
) -> Texture:
    """Total variation of decoder maps (the paper's appendix A), and how much of them is stripes.

    With m_k the mean of slice k's voxels, the slice share is Σ_k n_k (m_k - w̄)² / Σ (w - w̄)², and slice jumps are
    Σ (m_k - m_{k-1})² / 2 Σ (m_k - m̄)², half of von Neumann's ratio. A map of one hemisphere has a share near 1 along
    the axis from ear to ear as well, but it does not jump from slice to slice. Slices of fewer than `smallest_slice`
    voxels are left out, together with their voxels; jumps are those between slices that lie side by side: across a
    slice that is left out there is none.

    Parameters
    ----------
    weights: (voxel, latent) decoder weights, in normalized units, float32 or float64; never copied as a whole.
    pairs: (pair, 2) int, two voxels (rows of `weights`) that are neighbours, every pair once; None: not known.
    slice_number: (voxel,) int, the slice of each voxel; slices with numbers that follow each other lie side by side.
        None: not known, as for surfaces and regions.

    Raises
    ------
    InputError: weights that are not finite, pairs of other voxels, not one slice for each voxel.
    """
    weights = real_array(weights, "The decoder weights", ("voxel", "latent"), None)
    n_voxels, n_latents = weights.shape
    pairs = None if pairs is None else _checked_pairs(pairs, n_voxels)
    slices = None if slice_number is None else _slices(slice_number, n_voxels, smallest_slice)
    values = np.full((3, n_latents), np.nan)
    for start in range(0, n_latents, _LATENTS_AT_A_TIME):
        block = slice(start, start + _LATENTS_AT_A_TIME)
        maps = np.ascontiguousarray(weights[:, block], float)
        require_finite(maps, "The decoder weights of a voxel")
        if pairs is not None:
            values[0, block] = _total_variation(maps, pairs)
        if slices is not None:
            values[1:, block] = _between_slices(maps, *slices)
    return Texture(*values)


def _checked_pairs(pairs: np.ndarray, n_voxels: int) -> np.ndarray:
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise InputError(
            f"Neighbours must be (pair, 2) whole numbers of voxels; got {pairs.dtype} {pairs.shape}."
        )
    if pairs.size and not 0 <= pairs.min() <= pairs.max() < n_voxels:
        raise InputError(
            f"Neighbours must be voxels of the decoder map, from 0 to {n_voxels - 1}; got {pairs.min()} to "
            f"{pairs.max()}."
        )
    return pairs


def _slices(slice_number: np.ndarray, n_voxels: int, smallest: int) -> tuple[sparse.csr_array, np.ndarray]:
    """Which voxels lie in slices that count, (slice, voxel) of 0 and 1, and those slices' numbers, (slice,)."""
    slice_number = np.asarray(slice_number)
    if slice_number.shape != (n_voxels,) or slice_number.dtype.kind not in "iu":
        raise InputError(
            f"Slices must be a whole number for each of {n_voxels} voxels; got {slice_number.dtype} "
            f"{slice_number.shape}."
        )
    numbers, place, n_in_slice = np.unique(slice_number, return_inverse=True, return_counts=True)
    members = sparse.csr_array(
        (np.ones(n_voxels), (place, np.arange(n_voxels))), shape=(numbers.size, n_voxels)
    )
    counts = n_in_slice >= smallest
    return members[np.flatnonzero(counts)], numbers[counts]


def _total_variation(maps: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    variation = np.abs(maps[pairs[:, 0]] - maps[pairs[:, 1]]).sum(axis=0)
    size = np.abs(maps).sum(axis=0)
    return np.divide(variation, size, out=np.full(size.size, np.nan), where=(size > 0) & (len(pairs) > 0))


def _between_slices(
    maps: np.ndarray, members: sparse.csr_array, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Share and jumps of some maps, (voxel, latent): (latent,) each."""
    unknown = np.full(maps.shape[1], np.nan)
    if numbers.size < 2:
        return unknown, unknown
    n_in_slice = members.sum(axis=1)[:, None]
    n_voxels = n_in_slice.sum()
    squares = members.sum(axis=0) @ np.square(maps)
    sums = members @ maps
    mean = sums.sum(axis=0) / n_voxels
    total = members.sum(axis=0) @ np.square(maps - mean)
    of_slice = sums / n_in_slice - mean
    between = (n_in_slice * np.square(of_slice)).sum(axis=0)
    share = np.divide(between, total, out=unknown.copy(), where=~is_constant(total, squares))
    deviations = np.square(of_slice - of_slice.mean(axis=0)).sum(axis=0)
    # Rounding alone must not pass for slices that differ.
    differ = ~is_constant(deviations, numbers.size * squares / n_voxels)
    side_by_side = np.diff(numbers) == 1
    jumps = np.square(np.diff(of_slice, axis=0)[side_by_side]).sum(axis=0)
    return share, np.divide(jumps, 2 * deviations, out=unknown, where=differ & side_by_side.any())
