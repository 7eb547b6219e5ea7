"""What a story does to a simulated listener: features planted through the text, and their time courses.

*Shared* features are driven by the text, either through the language model's hidden states or through the
annotated spans. They pass through a haemodynamic response, which the analysis only approximates by its mean of
delays. What a brain does besides, and what is recorded, is in `listener`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import gamma

from brainlm.simulation.stories import THEMES
from brainlm.store import add_array, add_strings, new_store, open_store, read_strings


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


def varimax(scores: np.ndarray) -> np.ndarray:
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
    for _ in range(200):
        rotated = scores @ rotation
        gradient = scores.T @ (rotated**3 - rotated * (rotated**2).mean(axis=0))
        left, singular, right = np.linalg.svd(gradient / n_rows)
        rotation = left @ right
        if singular.sum() - previous < 1e-9 * singular.sum():
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


def plant_features(
    words: Mapping[str, pd.DataFrame],
    states: Mapping[str, np.ndarray],
    tr_times_s: Mapping[str, np.ndarray],
    *,
    n_lm_features: int,
) -> Planted:
    """Time courses of what the text drives, over all stories in order; the same for every listener.

    Shared: "place", as the LM reads it out of the text; "negative", the annotated spans themselves; and
    `n_lm_features` sparse components of what the LM carries besides the three themes. LM-only: "colloquial",
    as the LM reads it; because themes exclude each other in time, it is not independent of the other two.

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

    named = {
        "place": ("shared", standardize(read_out["place"])[:, 0]),
        "negative": ("shared", standardize(negative_spans)[:, 0]),
        **{f"lm {i + 1}": ("shared", course) for i, course in enumerate(lm_features.T)},
        "colloquial": ("lm-only", standardize(read_out["colloquial"])[:, 0]),
    }
    time_courses = np.column_stack([course for _, course in named.values()])
    return Planted(
        names=tuple(named),
        kinds=tuple(kind for kind, _ in named.values()),
        time_courses=time_courses,
        lm_energy=np.square(time_courses.T @ heard_states / len(time_courses)).mean(axis=1),
    )


def save_planted(
    planted: Planted, n_rows: Mapping[str, int], path: Path, maps: np.ndarray | None = None
) -> None:
    """Write planted features as a Zarr store; `n_rows` is story -> its number of TRs, in order."""
    with new_store(path, {"simulated": True}) as store:
        add_array(store, "time_courses", planted.time_courses, ("time", "feature"))
        add_array(store, "lm_energy", planted.lm_energy, ("feature",))
        add_strings(store, "feature", planted.names, "feature")
        add_strings(store, "kind", planted.kinds, "feature")
        add_strings(store, "story", list(n_rows), "story")
        add_array(store, "n_rows", list(n_rows.values()), ("story",))
        if maps is not None:
            add_array(store, "maps", maps, ("feature", "voxel"))


def load_planted(path: Path) -> tuple[Planted, dict[str, int]]:
    """Read the features and each story's number of TRs; a subject's `maps` are an array of the store."""
    store = open_store(path)
    planted = Planted(
        names=tuple(read_strings(store, "feature")),
        kinds=tuple(read_strings(store, "kind")),
        time_courses=store["time_courses"][:],
        lm_energy=store["lm_energy"][:],
    )
    return planted, dict(zip(read_strings(store, "story"), store["n_rows"][:].tolist(), strict=True))
