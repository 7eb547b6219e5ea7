"""A simulated listener whose answer is known: planted features, their maps, and BOLD responses.

*Shared* features are driven by the text, either through the language model's hidden states or through the
annotated spans; *brain-only* features have nothing to do with the text. Everything passes through a
haemodynamic response, which the analysis only approximates by its mean of delays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy.stats import gamma

from brainlm.store import add_array, add_strings, new_store, open_store, read_strings
from brainlm.stories import THEMES

HRF_DURATION_S = 32.0


@dataclass(frozen=True)
class Planted:
    """Planted features over all stories, one after the other."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    """shared, brain-only or lm-only (in the LM, in no voxel)."""
    time_courses: np.ndarray
    """(time, feature) float64, each of mean 0 and s.d. 1."""
    lm_energy: np.ndarray
    """(feature,) share of the LM's variance that goes along with the feature, after the haemodynamic response."""


def haemodynamic_response(t_s: np.ndarray) -> np.ndarray:
    """The canonical double-gamma response: a peak near 5 s, an undershoot near 15 s, and an area of 1 (1/s)."""
    return (gamma.pdf(t_s, 6) - gamma.pdf(t_s, 16) / 6) / (1 - 1 / 6)


def hear(values: np.ndarray, onset_s: np.ndarray, offset_s: np.ndarray, tr_times_s: np.ndarray) -> np.ndarray:
    """Haemodynamic response to what each word carries, for as long as the word lasts.

    Parameters
    ----------
    values: (word, dim). onset_s, offset_s: (word,) s. tr_times_s: (time,) s.

    Returns
    -------
    (time, dim) float64.
    """
    middle, duration = (onset_s + offset_s) / 2, offset_s - onset_s
    return (haemodynamic_response(tr_times_s[:, None] - middle) * duration) @ values


def varimax(scores: np.ndarray, *, iterations: int = 200, tolerance: float = 1e-9) -> np.ndarray:
    """Rotation that makes the columns of scores as unevenly distributed over rows as it can (Kaiser, 1958).

    Parameters
    ----------
    scores: (row, component), white.

    Returns
    -------
    (component, component) orthogonal; ``scores @ rotation`` are the rotated scores.
    """
    n_rows, n_components = scores.shape
    rotation, previous = np.eye(n_components), 0.0
    for _ in range(iterations):
        rotated = scores @ rotation
        gradient = scores.T @ (rotated**3 - rotated * (rotated**2).mean(axis=0))
        left, singular, right = np.linalg.svd(gradient / n_rows)
        rotation = left @ right
        if singular.sum() - previous < tolerance * singular.sum():
            break
        previous = singular.sum()
    return rotation


def standardize(time_courses: np.ndarray) -> np.ndarray:
    """Each column to mean 0 and s.d. 1."""
    return (time_courses - time_courses.mean(axis=0)) / time_courses.std(axis=0)


def language_model_features(heard: np.ndarray, n_features: int, *, threshold: float = 0.5) -> np.ndarray:
    """Sparse time courses read linearly out of the LM's hidden states, then rectified.

    The `n_features` largest principal components of what is heard are rotated by varimax, turned so that
    their long tail is positive, and only what exceeds `threshold` s.d. drives the brain.

    Parameters
    ----------
    heard: (time, hidden) haemodynamic response to the hidden states.

    Returns
    -------
    (time, n_features) float64, mean 0, s.d. 1.
    """
    left, _, _ = np.linalg.svd(standardize(heard), full_matrices=False)
    white = standardize(left[:, :n_features])
    components = standardize(white @ varimax(white))
    components = components * np.sign((components**3).mean(axis=0))
    return standardize(np.maximum(components - threshold, 0.0))


def theme_readout(hidden: np.ndarray, in_span: np.ndarray, *, penalty: float = 1.0) -> np.ndarray:
    """How much the LM itself takes each word to be part of an annotated span: a ridge readout of its states.

    Parameters
    ----------
    hidden: (word, hidden), standardized columns. in_span: (word,) bool.
    penalty: ridge penalty in units of the number of words.

    Returns
    -------
    (word,) float64.
    """
    gram = hidden.T @ hidden / len(hidden)
    target = in_span - in_span.mean()
    return hidden @ np.linalg.solve(gram + penalty * np.eye(len(gram)), hidden.T @ target / len(hidden))


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


def autocorrelated_noise(
    shape: tuple[int, ...], coefficient: float, random: np.random.Generator
) -> np.ndarray:
    """First-order autoregressive noise along the first axis, variance 1, float64."""
    noise = random.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - coefficient**2)
    for t in range(1, shape[0]):
        noise[t] += coefficient * noise[t - 1]
    return noise


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


def responses(
    time_courses: np.ndarray, maps: np.ndarray, *, snr: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """BOLD = planted signal + noise, at a given signal-to-noise ratio.

    The ratio is var(signal) / var(noise), averaged over the voxels that carry signal.

    Parameters
    ----------
    time_courses: (time, feature). maps: (feature, voxel). noise: (time, voxel) of variance 1.

    Returns
    -------
    (time, voxel) BOLD, and the (time, voxel) signal in it.
    """
    signal = time_courses @ maps
    power = signal.var(axis=0)
    signal *= np.sqrt(snr / power[power > 0].mean())
    return signal + noise, signal


def plant_features(
    words: Mapping[str, pd.DataFrame],
    states: Mapping[str, np.ndarray],
    tr_times_s: Mapping[str, np.ndarray],
    *,
    n_lm_features: int,
    n_brain_only: int,
    tr_s: float,
    random: np.random.Generator,
) -> Planted:
    """Time courses of everything that is planted, over all stories in order.

    Shared: "place", as the LM reads it out of the text; "negative", the annotated spans themselves; and
    `n_lm_features` sparse components of what the LM carries besides the three themes. LM-only: "colloquial",
    as the LM reads it. Brain-only: `n_brain_only` trains of spontaneous events, and the "stripes" artefact in
    bursts. The stories are taken as one recording after the other.

    Parameters
    ----------
    words: story -> columns onset_s, offset_s, theme.
    states: story -> (word, hidden) hidden states, one a word.
    tr_times_s: story -> (time,) s after sound onset.
    """
    themes = np.concatenate([table["theme"].to_numpy() for table in words.values()])
    carried = standardize(np.concatenate([states[story] for story in words]).astype(np.float64))

    def heard(values: np.ndarray) -> np.ndarray:
        edges = np.cumsum([0, *(len(table) for table in words.values())])
        return np.concatenate(
            [
                hear(
                    values[start:stop],
                    table["onset_s"].to_numpy(),
                    table["offset_s"].to_numpy(),
                    tr_times_s[story],
                )
                for (story, table), start, stop in zip(words.items(), edges[:-1], edges[1:], strict=True)
            ]
        )

    read_out = {theme: heard(theme_readout(carried, themes == theme)[:, None]) for theme in THEMES}
    negative_spans = heard((themes == "negative")[:, None].astype(float))
    # What is left of the LM once the themes are taken out, so that no theme is planted twice.
    basis, _ = np.linalg.qr(np.hstack([standardize(course) for course in read_out.values()]))
    heard_states = standardize(heard(carried))
    lm_features = language_model_features(heard_states - basis @ (basis.T @ heard_states), n_lm_features)

    n_rows = len(lm_features)
    events = [spontaneous_events(n_rows, tr_s, random, every_s=30) for _ in range(n_brain_only)]
    stripes = artefact_bursts(n_rows, tr_s, random, every_s=30, lasting_s=6)
    named = {
        "place": ("shared", standardize(read_out["place"])[:, 0]),
        "negative": ("shared", standardize(negative_spans)[:, 0]),
        **{f"lm {i + 1}": ("shared", course) for i, course in enumerate(lm_features.T)},
        **{f"events {i + 1}": ("brain-only", course) for i, course in enumerate(events)},
        "stripes": ("brain-only", stripes),
        "colloquial": ("lm-only", standardize(read_out["colloquial"])[:, 0]),
    }
    time_courses = np.column_stack([course for _, course in named.values()])
    return Planted(
        names=tuple(named),
        kinds=tuple(kind for kind, _ in named.values()),
        time_courses=time_courses,
        lm_energy=np.square(time_courses.T @ heard_states / n_rows).mean(axis=1),
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


def save_planted(planted: Planted, n_rows: Mapping[str, int], path: Path) -> None:
    """Write planted features as a Zarr store; `n_rows` is story -> its number of TRs, in order."""
    with new_store(path, {"simulated": True}) as store:
        add_array(store, "time_courses", planted.time_courses, ("time", "feature"))
        add_array(store, "lm_energy", planted.lm_energy, ("feature",))
        add_strings(store, "feature", planted.names, "feature")
        add_strings(store, "kind", planted.kinds, "feature")
        add_strings(store, "story", list(n_rows), "story")
        add_array(store, "n_rows", list(n_rows.values()), ("story",))


def load_planted(path: Path) -> tuple[Planted, dict[str, int]]:
    """Read what `save_planted` wrote."""
    store = open_store(path)
    planted = Planted(
        names=tuple(read_strings(store, "feature")),
        kinds=tuple(read_strings(store, "kind")),
        time_courses=store["time_courses"][:],
        lm_energy=store["lm_energy"][:],
    )
    return planted, dict(zip(read_strings(store, "story"), store["n_rows"][:].tolist(), strict=True))


def save_maps(maps: np.ndarray, signal_variance: np.ndarray, path: Path) -> None:
    """Write planted maps, (feature, voxel), and each voxel's variance of signal at a noise variance of 1."""
    with new_store(path, {"simulated": True}) as store:
        add_array(store, "maps", maps, ("feature", "voxel"))
        add_array(store, "signal_variance", signal_variance, ("voxel",))


def write_hdf5(path: Path, runs: Sequence[np.ndarray]) -> None:
    """Write a story's response as ds003020 has it: float64, each voxel z-scored over the story.

    Parameters
    ----------
    runs: (time, voxel) BOLD of each hearing; of several, `data` is the mean of the z-scored runs and
        `individual_repeats` (repeat, time, voxel) holds them.
    """
    repeats = np.stack([standardize(run) for run in runs])
    partial = path.with_name(path.name + ".partial")
    with h5py.File(partial, "w") as file:
        file.create_dataset("data", data=repeats.mean(axis=0))
        if len(runs) > 1:
            file.create_dataset("individual_repeats", data=repeats)
        file.attrs["simulated"] = True
    partial.replace(path)
