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

A hearing that is lost in a voxel (constant there, see `brainlm.scores.correlation.is_constant`, or not finite at some
time) is left out there: n, ȳ and all that follows are those of the others.

Several stories are each taken on their own, and SP, NP and NP / n averaged over them, weighted by T - 1: the more
times, the surer a variance. The equations above then give EV and ceilings of all. Where every hearing is z-scored, EV
is so the mean of the stories' EVs. A story that is undefined in a voxel is left out there; one without measurable
signal is not, for that would choose what is high by chance.

What hearings share without the story (say a slow drift in each scan) counts as signal, and what the story
evokes differently each time (say adaptation) as noise.

Sources: M. Sahani & J. Linden, NIPS 15, 2003; A. Hsu, A. Borst & F. Theunissen, Network 15:91, 2004 (the
ceiling, CC_max); O. Schoppe et al., Front. Comput. Neurosci. 10:10, 2016 (the ceiling from SP, CC_norm).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from zarr.types import AnyArray

from brainlm.errors import InputError
from brainlm.scores.correlation import is_constant


@dataclass(frozen=True)
class RepeatReliability:
    """What repeated hearings say about each voxel; NaN throughout for voxels where `reliability` is undefined."""

    explainable_variance: NDArray[np.float64]
    """(voxel,) float64 EV of one hearing, in [-1 / (n - 1), 1]: unclipped, near 0 on average without signal."""
    ceiling_single: NDArray[np.float64]
    """(voxel,) float64 noise ceiling of a correlation with one hearing, in (0, 1]; NaN where EV <= 0."""
    ceiling_mean: NDArray[np.float64]
    """(voxel,) float64 noise ceiling of a correlation with the mean of the hearings; NaN where EV <= 0."""
    n_hearings: np.ndarray
    """(voxel,) int hearings that are not lost in the voxel; fewer than 2 of every story leave it undefined."""
    signal_power: NDArray[np.float64]
    """(voxel,) float64 SP."""
    noise_power: NDArray[np.float64]
    """(voxel,) float64 NP."""
    noise_power_of_mean: NDArray[np.float64]
    """(voxel,) float64 NP / n."""
    n_repeats: int
    """Of all stories together."""
    n_times: int
    """Of one hearing of each."""

    @property
    def n_without_signal(self) -> int:
        """Voxels without measurable signal, EV <= 0; those where EV is undefined are not among them."""
        return int(np.sum(self.explainable_variance <= 0))

    @property
    def n_with_lost_hearings(self) -> int:
        """Voxels whose values are those of fewer than all hearings; where EV is undefined, none."""
        return int(np.sum((self.n_hearings < self.n_repeats) & np.isfinite(self.explainable_variance)))


def reliability(repeats: np.ndarray | AnyArray, block_voxels: int = 4096) -> RepeatReliability:
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

    noise_of_mean = noise / np.maximum(n_hearings, 1)
    return _from_powers(signal, noise, noise_of_mean, n_hearings, n_repeats, n_times)


def over_stories(stories: Sequence[RepeatReliability]) -> RepeatReliability:
    """What the repeated hearings of several stories say together; of one story, what it says.

    Parameters
    ----------
    stories: of the same voxels, one at least.
    """
    if len(stories) == 1:
        return stories[0]
    degrees = np.array([story.n_times - 1 for story in stories], float)[:, None]
    powers = {
        name: np.stack([getattr(story, name) for story in stories])
        for name in ("signal_power", "noise_power", "noise_power_of_mean")
    }
    # A voxel that varies in no hearing of a story has powers there that are not numbers.
    weights = degrees * np.all([np.isfinite(power) for power in powers.values()], axis=0)
    total = weights.sum(axis=0)
    signal, noise, noise_of_mean = (
        np.divide(
            np.where(weights > 0, weights * power, 0).sum(axis=0),
            total,
            out=np.full(total.size, np.nan),
            where=total > 0,
        )
        for power in powers.values()
    )
    return _from_powers(
        signal,
        noise,
        noise_of_mean,
        n_hearings=np.sum([story.n_hearings for story in stories], axis=0),
        n_repeats=sum(story.n_repeats for story in stories),
        n_times=sum(story.n_times for story in stories),
    )


def _from_powers(
    signal: np.ndarray,
    noise: np.ndarray,
    noise_of_mean: np.ndarray,
    n_hearings: np.ndarray,
    n_repeats: int,
    n_times: int,
) -> RepeatReliability:
    measurable = np.where(signal > 0, signal, np.nan)
    return RepeatReliability(
        explainable_variance=signal / (signal + noise),
        ceiling_single=np.sqrt(measurable / (measurable + noise)),
        ceiling_mean=np.sqrt(measurable / (measurable + noise_of_mean)),
        n_hearings=n_hearings,
        signal_power=signal,
        noise_power=noise,
        noise_power_of_mean=noise_of_mean,
        n_repeats=n_repeats,
        n_times=n_times,
    )


def _powers(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signal and noise power and number of hearings, (voxel,) each, of hearings y, (repeat, time, voxel) float64;
    overwrites y."""
    n_times = y.shape[1]
    squares = np.einsum("rtv,rtv->rv", y, y)
    with np.errstate(invalid="ignore"):
        y -= y.mean(axis=1, keepdims=True)
    deviations = np.einsum("rtv,rtv->rv", y, y)
    varies = np.isfinite(deviations) & ~is_constant(deviations, squares)
    n_hearings = varies.sum(axis=0)
    n = np.where(n_hearings > 1, n_hearings, np.nan)
    # A lost hearing adds 0 to every sum over hearings.
    lost = ~varies[:, None]
    np.copyto(y, 0, where=lost)
    mean = y.sum(axis=0) / n
    np.subtract(y, mean, out=y, where=~lost)
    noise = np.einsum("rtv,rtv->v", y, y) / ((n - 1) * (n_times - 1))
    variance_of_mean = np.einsum("tv,tv->v", mean, mean) / (n_times - 1)
    return variance_of_mean - noise / n, noise, n_hearings
