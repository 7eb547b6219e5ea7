"""Repeated hearings of one story: how much of a voxel's variance is signal, and how well can it be predicted?

Hearing r of n is y_r = s + e_r: a signal s that every hearing shares, and noise e_r that is independent of s
and of the other hearings' noise. With var over time (T - 1 in the denominator) and ȳ the mean of the hearings

    NP = sum_r var(y_r - ȳ) / (n - 1)                   noise power, that is of one hearing
    SP = var(ȳ) - NP / n                                signal power
    EV = SP / (SP + NP)                                 explainable variance of one hearing
    ceiling with one hearing = sqrt(EV)                 expected r of a perfect prediction s with y_r
    ceiling with the mean of n = sqrt(SP / var(ȳ))      the same with ȳ

Because mean_r var(y_r - ȳ) = mean_r var(y_r) - var(ȳ), this is Sahani & Linden's (2003) signal power
SP = (n var(ȳ) - mean_r var(y_r)) / (n - 1), which is the mean covariance of all pairs of hearings, and
SP + NP = mean_r var(y_r). SP and NP are therefore unbiased for var(s) and var(e) over the times heard, even
if noise is autocorrelated; SP is negative for about half of the voxels without signal. EV equals
ev - (1 - ev) / (n - 1) with ev = 1 - mean_r var(y_r - ȳ) / mean_r var(y_r), the explainable variance of the
Gallant and Huth labs corrected for n. The ratio and the roots have a bias in the order of 1 / T: sqrt(EV) is
too low by about var(EV estimate) / (8 EV^1.5), which matters where EV is small.

A hearing that is lost in a voxel (constant there, or not finite at some time) is left out there: n, ȳ and all that
follows are those of the others.

What hearings share without the story (say a slow drift in each scan) counts as signal, and what the story
evokes differently each time (say adaptation) as noise.

Sources: M. Sahani & J. Linden, NIPS 15, 2003; A. Hsu, A. Borst & F. Theunissen, Network 15:91, 2004 (the
ceiling, CC_max); O. Schoppe et al., Front. Comput. Neurosci. 10:10, 2016 (the ceiling from SP, CC_norm).
"""

from dataclasses import dataclass

import numpy as np
import zarr

from brainlm.errors import InputError


@dataclass(frozen=True)
class RepeatReliability:
    """What repeated hearings say about each voxel; NaN throughout for voxels where `reliability` is undefined."""

    explainable_variance: np.ndarray
    """(voxel,) float64 EV of one hearing, in [-1 / (n - 1), 1]: unclipped, near 0 on average without signal."""
    ceiling_single: np.ndarray
    """(voxel,) float64 noise ceiling of a correlation with one hearing, in (0, 1]; NaN where EV <= 0."""
    ceiling_mean: np.ndarray
    """(voxel,) float64 noise ceiling of a correlation with the mean of the hearings; NaN where EV <= 0."""
    n_hearings: np.ndarray
    """(voxel,) int hearings that are not lost in the voxel; fewer than 2 leave it undefined."""
    n_repeats: int
    n_times: int

    @property
    def n_without_signal(self) -> int:
        """Voxels without measurable signal, EV <= 0; those where EV is undefined are not among them."""
        return int(np.sum(self.explainable_variance <= 0))

    @property
    def n_with_lost_hearings(self) -> int:
        """Voxels whose values are those of fewer than all hearings; where EV is undefined, none."""
        return int(np.sum((self.n_hearings < self.n_repeats) & np.isfinite(self.explainable_variance)))


def reliability(repeats: np.ndarray | zarr.Array, block_voxels: int = 4096) -> RepeatReliability:
    """Explainable variance and noise ceilings of each voxel; the module's docstring has the equations.

    Neither a constant added to a voxel's hearings, nor a factor common to them, changes anything. Hearings
    that are z-scored one by one, as the dataset's are, make EV the mean Pearson correlation of all pairs of
    hearings; with white noise and 291 TRs this moves EV and ceilings by less than 0.015, their means by 0.001.

    Parameters
    ----------
    repeats : (repeat, time, voxel) numbers of any dtype: an array, or what can be sliced like one (zarr, HDF5).
    block_voxels : voxels computed at a time, in float64; changes memory and speed, not the result. An array
        on disk whose chunks span many blocks is read again for each: load it first if memory allows.

    Returns
    -------
    Float64 arrays; NaN for voxels in which fewer than 2 hearings vary and are finite at all times.

    Raises
    ------
    InputError : if `repeats` is not three-dimensional, or has fewer than 2 repeats or 3 times.
    ValueError : if `block_voxels` is less than 1.
    """
    shape = repeats.shape
    if len(shape) != 3:
        raise InputError(f"The repeats have shape {shape}, but (repeat, time, voxel) is needed.")
    n_repeats, n_times, n_voxels = shape
    if n_repeats < 2 or n_times < 3:
        raise InputError(
            f"{n_repeats} repeat(s) of {n_times} TR(s) cannot tell signal from noise: use a story of at least "
            "3 TRs that was heard at least twice."
        )
    if block_voxels < 1:
        raise ValueError(f"block_voxels is {block_voxels}, but must be at least 1")

    signal, noise, n_hearings = np.empty(n_voxels), np.empty(n_voxels), np.empty(n_voxels, int)
    for start in range(0, n_voxels, block_voxels):
        voxels = slice(start, min(start + block_voxels, n_voxels))
        # A copy even of float64, because `_powers` overwrites it.
        block = np.array(repeats[:, :, voxels], dtype=np.float64)
        signal[voxels], noise[voxels], n_hearings[voxels] = _powers(block)

    measurable = np.where(signal > 0, signal, np.nan)
    of_mean = np.maximum(n_hearings, 1)
    return RepeatReliability(
        explainable_variance=signal / (signal + noise),
        ceiling_single=np.sqrt(measurable / (measurable + noise)),
        ceiling_mean=np.sqrt(measurable / (measurable + noise / of_mean)),
        n_hearings=n_hearings,
        n_repeats=n_repeats,
        n_times=n_times,
    )


def _powers(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal and noise power and number of hearings, (voxel,) each, of hearings y, (repeat, time, voxel) float64;
    overwrites y."""
    n_times = y.shape[1]
    # Exact where a variance is not: the mean of equal numbers need not equal them, and leaves a variance > 0.
    with np.errstate(invalid="ignore"):
        spread = np.ptp(y, axis=1)
    varies = np.isfinite(spread) & (spread > 0)
    n_hearings = varies.sum(axis=0)
    n = np.where(n_hearings > 1, n_hearings, np.nan)
    # A lost hearing adds 0 to every sum over hearings.
    lost = ~varies[:, None]
    np.copyto(y, 0, where=lost)
    y -= y.mean(axis=1, keepdims=True)
    mean = y.sum(axis=0) / n
    np.subtract(y, mean, out=y, where=~lost)
    noise = np.einsum("rtv,rtv->v", y, y) / ((n - 1) * (n_times - 1))
    variance_of_mean = np.einsum("tv,tv->v", mean, mean) / (n_times - 1)
    return variance_of_mean - noise / n, noise, n_hearings


def normalized_correlation(correlation: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """r / ceiling: the estimated correlation of a prediction with the signal itself (CC_norm, Schoppe et al.).

    Not clipped: the estimate exceeds 1 by chance, and by far where the ceiling is low. Ceilings of voxels
    that pass EV > 0 by chance are such, so choose voxels by a bound on EV before averaging.

    Parameters
    ----------
    correlation : (..., voxel) Pearson r with one hearing, or with the mean of all.
    ceiling : (voxel,) `ceiling_single` or `ceiling_mean` accordingly, of the same times.

    Returns
    -------
    (..., voxel) float64; NaN where either is NaN.
    """
    return np.asarray(correlation, float) / np.asarray(ceiling, float)
