"""A simulated listener whose answer is known: maps, spontaneous activity, noise, and recordings of stories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy.ndimage import gaussian_filter

from brainlm.files import whole_file
from brainlm.simulation.features import Planted, haemodynamic_response, standardize

HRF_DURATION_S = 32.0
NOISE_SMOOTH_MM = 8.0
NOISE_AUTOCORRELATION = 0.4


@dataclass(frozen=True)
class Listener:
    """A simulated subject's recording and the answer to it."""

    planted: Planted
    """Everything planted in this subject; courses of the repeated story are means over its hearings."""
    maps: np.ndarray
    """(feature, voxel) float64, in units of the noise's s.d."""
    runs: dict[str, list[np.ndarray]]
    """Story -> (time, voxel) BOLD of each hearing."""


def spontaneous_events(
    n_rows: int, tr_s: float, random: np.random.Generator, *, every_s: float
) -> np.ndarray:
    """A time course unrelated to any story: events at random times, every `every_s` s on average, of random size.

    Returns
    -------
    (time,) float64, mean 0, s.d. 1.
    """
    events = (random.random(n_rows) < tr_s / every_s) * random.exponential(1.0, n_rows)
    response = haemodynamic_response(np.arange(0, HRF_DURATION_S, tr_s))
    return standardize(np.convolve(events, response)[:n_rows])


def artefact_bursts(
    n_rows: int, tr_s: float, random: np.random.Generator, *, every_s: float, lasting_s: float
) -> np.ndarray:
    """The time course of a scanner artefact: fast noise in bursts at random times, as after head movements.

    Parameters
    ----------
    every_s: mean time between bursts. lasting_s: time in which a burst's amplitude falls to 1/e.

    Returns
    -------
    (time,) float64, mean 0, s.d. 1.
    """
    movements = (random.random(n_rows) < tr_s / every_s) * random.exponential(1.0, n_rows)
    decay = np.exp(-np.arange(0, 5 * lasting_s, tr_s) / lasting_s)
    amplitude = np.convolve(movements, decay)[:n_rows]
    return standardize(amplitude * random.standard_normal(n_rows))


def autocorrelate(white: np.ndarray, coefficient: float) -> np.ndarray:
    """First-order autoregressive noise along the first axis from white noise of variance 1, in place."""
    white[1:] *= np.sqrt(1 - coefficient**2)
    for t in range(1, len(white)):
        white[t] += coefficient * white[t - 1]
    return white


def scanner_noise(
    n_rows: int, mask: np.ndarray, voxel_size_mm: float, random: np.random.Generator
) -> np.ndarray:
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


def blob_map(
    position_mm: np.ndarray, centres: Sequence[int], *, radius_mm: float, random: np.random.Generator
) -> np.ndarray:
    """A smooth map: Gaussian blobs around voxels, cut off at a tenth of their height, of uneven strength.

    Parameters
    ----------
    position_mm: (voxel, 3). centres: indices of voxels.
    radius_mm: standard deviation of a blob.

    Returns
    -------
    (voxel,) float64, maximum 1.
    """
    blobs = np.zeros(len(position_mm))
    for centre in centres:
        distance = np.linalg.norm(position_mm - position_mm[centre], axis=1)
        blob = np.exp(-0.5 * (distance / radius_mm) ** 2)
        blobs = np.maximum(blobs, np.where(blob < 0.1, 0.0, blob) * random.uniform(0.7, 1.0))
    return blobs / blobs.max()


def stripe_map(slice_index: np.ndarray) -> np.ndarray:
    """The slice-wise stripes of a multiband artefact: +1 and -1 in turn, two slices each."""
    return np.where(slice_index // 2 % 2 == 0, 1.0, -1.0)


def add_brain_only(planted: Planted, n_events: int, *, tr_s: float, random: np.random.Generator) -> Planted:
    """Add what a listener's brain does of its own accord during one hearing, unrelated to any story.

    `n_events` trains of spontaneous events, and "stripes", a scanner artefact in bursts. The stories are
    taken as one recording after the other.
    """
    n_rows = len(planted.time_courses)
    events = [spontaneous_events(n_rows, tr_s, random, every_s=30) for _ in range(n_events)]
    stripes = artefact_bursts(n_rows, tr_s, random, every_s=30, lasting_s=6)
    names = [*(f"events {i + 1}" for i in range(n_events)), "stripes"]
    return Planted(
        names=(*planted.names, *names),
        kinds=(*planted.kinds, *["brain-only"] * len(names)),
        time_courses=np.column_stack([planted.time_courses, *events, stripes]),
        lm_energy=np.append(planted.lm_energy, np.zeros(len(names))),
    )


def plant_maps(
    planted: Planted, mask: np.ndarray, voxel_size_mm: float, *, random: np.random.Generator
) -> np.ndarray:
    """Where on the cortex each planted feature shows, and how strongly.

    Every feature has three blobs around voxels drawn at random; the stripes go through whole slices; LM-only
    features show nowhere. Shared features make half of the signal's variance, in proportion to what the LM
    carries of them, so that a feature which is prominent in the LM is so in the brain. Brain-only features
    make the other half; the stripes, an artefact of the whole brain, have as much of it as all the others.

    Parameters
    ----------
    mask: (z, y, x) bool cortical mask, cubic voxels.

    Returns
    -------
    (feature, voxel) float64; the sum of squares of a row is the feature's share of the signal's variance.
    """
    index = np.argwhere(mask)
    maps = np.zeros((len(planted.names), len(index)))
    kinds = np.array(planted.kinds)
    strength = np.where(kinds == "shared", planted.lm_energy, 1.0)
    strength[planted.names.index("stripes")] = (kinds == "brain-only").sum() - 1
    for i, (name, kind) in enumerate(zip(planted.names, planted.kinds, strict=True)):
        if kind == "lm-only":
            continue
        if name == "stripes":
            maps[i] = stripe_map(index[:, 0])
        else:
            centres = random.choice(len(index), 3, replace=False)
            maps[i] = blob_map(index * voxel_size_mm, centres, radius_mm=12, random=random)
        share = 0.5 * strength[i] / strength[kinds == kind].sum()
        maps[i] *= np.sqrt(share) / np.linalg.norm(maps[i])
    return maps


def scale_to_ratio(maps: np.ndarray, time_courses: np.ndarray, snr: float) -> np.ndarray:
    """Maps whose signal has the wanted variance over that of noise, which is 1: mean over voxels with signal.

    Parameters
    ----------
    maps: (feature, voxel). time_courses: (time, feature).
    """
    power = (time_courses @ maps).var(axis=0)
    return maps * np.sqrt(snr / power[power > 0].mean())


def listen(
    text_driven: Planted,
    n_rows: Mapping[str, int],
    mask: np.ndarray,
    voxel_size_mm: float,
    *,
    n_events: int,
    snr: float,
    tr_s: float,
    random: np.random.Generator,
    repeated_story: str | None = None,
    n_repeats: int = 1,
) -> Listener:
    """Record a subject hearing every story once, and one of them several times.

    Brain-only features and noise are drawn anew for each subject and each hearing.

    Parameters
    ----------
    text_driven: from `plant_features`. n_rows: story -> its TRs, in the same order.
    mask: (z, y, x) bool, cubic voxels. n_events: trains of spontaneous events.
    """
    planted = add_brain_only(text_driven, n_events, tr_s=tr_s, random=random)
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
            again = add_brain_only(text_driven, n_events, tr_s=tr_s, random=random)
            hearings.append(again.time_courses[rows])
            runs[repeated_story].append(bold(hearings[-1]))
        planted.time_courses[rows] = np.mean(hearings, axis=0)
    return Listener(planted, maps, runs)


def explainable_variance(
    planted: Planted, maps: np.ndarray, n_rows: Mapping[str, int], story: str
) -> np.ndarray:
    """Share of each voxel's variance in one hearing of a story that is the same at every hearing: what was planted.

    var(text-driven signal) / (var(text-driven) + var(brain-only) + var(noise)): the first over the story, the second
    over all stories, for events are drawn anew at each hearing; noise has variance 1.

    Parameters
    ----------
    maps: (feature, voxel), as in `Listener`. n_rows: story -> its TRs, in order.

    Returns
    -------
    (voxel,) float64.
    """
    starts = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))
    rows = slice(starts[story], starts[story] + n_rows[story])
    of_brain = np.array(planted.kinds) == "brain-only"
    heard = (planted.time_courses[rows][:, ~of_brain] @ maps[~of_brain]).var(axis=0)
    spontaneous = (planted.time_courses[:, of_brain] @ maps[of_brain]).var(axis=0)
    return heard / (heard + spontaneous + 1)


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
