"""A simulated listener whose answer is known: spontaneous activity, artefacts, noise, and recordings of stories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from brainlm.files import whole_file
from brainlm.simulation.components import standardize
from brainlm.simulation.courses import artefact_bursts, spontaneous_events
from brainlm.simulation.features import NEW_AT_EVERY_HEARING, Planted, alike, together
from brainlm.simulation.maps import STRIPE_SLICES, plant_maps, scale_to_ratio

NOISE_SMOOTH_MM = 8.0
NOISE_AUTOCORRELATION = 0.4


@dataclass(frozen=True)
class Listener:
    """A simulated subject's recording and the answer to it."""

    planted: Planted
    """Everything planted in this subject; courses of the repeated story are means over its hearings."""
    maps: NDArray[np.float64]
    """(feature, voxel) float64, in units of the noise's s.d."""
    runs: dict[str, list[np.ndarray]]
    """Story -> (time, voxel) BOLD of each hearing."""


def autocorrelate(white: np.ndarray, coefficient: float) -> np.ndarray:
    """First-order autoregressive noise along the first axis from white noise of variance 1, in place."""
    white[1:] *= np.sqrt(1 - coefficient**2)
    for t in range(1, len(white)):
        white[t] += coefficient * white[t - 1]
    return white


def scanner_noise(
    n_rows: int, mask: np.ndarray, voxel_size_mm: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Noise of voxels: half of its variance each voxel's own, half smooth in space (by a Gaussian whose s.d. is
    `NOISE_SMOOTH_MM`); all autocorrelated in time (`NOISE_AUTOCORRELATION` at lag 1).

    Parameters
    ----------
    mask: (z, y, x) bool, cubic voxels.

    Returns
    -------
    (time, voxel) float64, variance 1 over time in expectation.
    """
    noise = random.standard_normal((n_rows, int(mask.sum())))
    sigma = (0, *[NOISE_SMOOTH_MM / voxel_size_mm] * 3)
    for start in range(0, n_rows, 256):
        block = noise[start : start + 256]
        smooth = gaussian_filter(random.standard_normal((len(block), *mask.shape)), sigma, mode="wrap")
        # Wrapped around, smoothing lowers the variance of every voxel by the same factor.
        block += smooth[:, mask] / smooth.std()
    return autocorrelate(noise / np.sqrt(2), NOISE_AUTOCORRELATION)


def add_own_courses(
    driven: Planted, n_spontaneous: int, *, tr_s: float, random: np.random.Generator
) -> Planted:
    """Add what is in a recording of one hearing and in no other: spontaneous events of the brain, and stripes.

    The stories are taken as one recording after the other. Spontaneous features are half as strong as a shared one;
    stripes, artefacts of the whole brain, are together as strong as all features of the brain alone.

    Parameters
    ----------
    driven: what stories drive, from `plant_features`.
    """
    n_rows = len(driven.time_courses)
    events = [spontaneous_events(n_rows, tr_s, random, every_s=30) for _ in range(n_spontaneous)]
    spontaneous = alike("events", "spontaneous", np.column_stack(events), strength=0.5)
    stripes = [artefact_bursts(n_rows, tr_s, random, every_s=30, lasting_s=6) for _ in STRIPE_SLICES]
    of_brain_alone = (
        driven.strength[np.array(driven.kinds) == "story-driven"].sum() + spontaneous.strength.sum()
    )
    artefacts = alike("stripes", "stripes", np.column_stack(stripes), strength=of_brain_alone / len(stripes))
    return together(driven, spontaneous, artefacts)


def listen(
    driven: Planted,
    n_rows: Mapping[str, int],
    mask: np.ndarray,
    voxel_size_mm: float,
    *,
    n_spontaneous: int,
    snr: float,
    tr_s: float,
    random: np.random.Generator,
    repeated_story: str | None = None,
    n_repeats: int = 1,
) -> Listener:
    """Record a subject hearing every story once, and one of them several times.

    Spontaneous events, stripes and noise are drawn anew for each subject and each hearing; all else is the same.

    Parameters
    ----------
    driven: from `plant_features`. n_rows: story -> its TRs, in the same order.
    mask: (z, y, x) bool, cubic voxels. n_spontaneous: features of spontaneous events.
    """
    planted = add_own_courses(driven, n_spontaneous, tr_s=tr_s, random=random)
    maps = plant_maps(planted, mask, voxel_size_mm, random=random)
    maps = scale_to_ratio(maps, planted.time_courses, snr)
    edges = np.cumsum([0, *n_rows.values()])
    rows_of = {story: slice(a, b) for story, a, b in zip(n_rows, edges[:-1], edges[1:], strict=True)}

    def bold(courses: np.ndarray) -> np.ndarray:
        return courses @ maps + scanner_noise(len(courses), mask, voxel_size_mm, random)

    whole = bold(planted.time_courses)
    runs = {story: [whole[rows]] for story, rows in rows_of.items()}
    if repeated_story is not None:
        rows = rows_of[repeated_story]
        hearings = [planted.time_courses[rows]]
        for _ in range(n_repeats - 1):
            again = add_own_courses(driven, n_spontaneous, tr_s=tr_s, random=random)
            hearings.append(again.time_courses[rows])
            runs[repeated_story].append(bold(hearings[-1]))
        planted.time_courses[rows] = np.mean(hearings, axis=0)
    return Listener(planted, maps, runs)


def explainable_variance(
    planted: Planted, maps: np.ndarray, n_rows: Mapping[str, int], story: str
) -> NDArray[np.float64]:
    """Share of each voxel's variance in one hearing of a story that is the same at every hearing: what was planted.

    var(driven by the story) / (var(driven by the story) + var(new at every hearing) + var(noise)): the first over
    the story; the second, of spontaneous events and stripes, over all stories; noise has variance 1.

    Parameters
    ----------
    maps: (feature, voxel), as in `Listener`. n_rows: story -> its TRs, in order.

    Returns
    -------
    (voxel,) float64.
    """
    starts = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))
    rows = slice(starts[story], starts[story] + n_rows[story])
    is_new = np.isin(planted.kinds, NEW_AT_EVERY_HEARING)
    driven = (planted.time_courses[rows][:, ~is_new] @ maps[~is_new]).var(axis=0)
    new = (planted.time_courses[:, is_new] @ maps[is_new]).var(axis=0)
    return driven / (driven + new + 1)


def write_hdf5(path: Path, runs: Sequence[np.ndarray]) -> None:
    """Write a story's response as ds003020 has it: float64, each voxel z-scored over the story.

    Parameters
    ----------
    runs: (time, voxel) BOLD of each hearing; of several, `data` is the mean of the z-scored runs and
        `individual_repeats` (repeat, time, voxel) holds them.
    """
    repeats = np.stack([standardize(run) for run in runs])
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        file.create_dataset("data", data=repeats.mean(axis=0))
        if len(runs) > 1:
            file.create_dataset("individual_repeats", data=repeats)
        file.attrs["simulated"] = True
