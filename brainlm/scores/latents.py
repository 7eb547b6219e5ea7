"""Whose is a latent, does it hold on unseen data, and how often is it active?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError
from brainlm.rows.pairs import Rows
from brainlm.scores.correlation import pearson
from brainlm.scores.shifts import ShiftTest, shift_test

if TYPE_CHECKING:
    from brainlm.crosscoder.model import Crosscoder


CLASSES = ("shared", "brain-dominant", "lm-dominant", "between", "undefined")
SHARED_BOUND = 0.2
DOMINANT_BOUND = 0.5


def relative_difference(brain_norms: Any, lm_norms: Any) -> NDArray[np.float64]:
    """r of eq. 5: (‖d_brain‖ - ‖d_lm‖) / max(‖d_brain‖, ‖d_lm‖), in [-1, 1]; NaN where both norms are 0.

    Parameters
    ----------
    brain_norms, lm_norms: (latent,) norms of the decoder vectors.

    Returns
    -------
    (latent,) float64.

    Raises
    ------
    InputError: other than as many norms of one source as of the other, or negative ones.
    """
    brain_norms = real_array(brain_norms, "The norms of the brain's decoder vectors", None, float)
    lm_norms = real_array(lm_norms, "The norms of the LM's decoder vectors", None, float)
    if brain_norms.shape != lm_norms.shape:
        raise InputError(
            f"r compares the norms of the same latents; got {brain_norms.shape} and {lm_norms.shape}."
        )
    if (brain_norms < 0).any() or (lm_norms < 0).any():
        raise InputError(
            "r compares norms of decoder vectors, which are never negative: give norms, not weights."
        )
    larger = np.maximum(brain_norms, lm_norms)
    return np.divide(brain_norms - lm_norms, larger, out=np.full(larger.shape, np.nan), where=larger > 0)


def classify(r: Any) -> np.ndarray:
    """The paper's classes (section 3.3), bounds excluded.

    -0.2 < r < 0.2 shared; r > 0.5 brain-dominant; r < -0.5 lm-dominant; NaN undefined; the rest between.

    Returns
    -------
    (latent,) array of strings.

    Raises
    ------
    InputError: other than real numbers.
    """
    r = real_array(r, "r", None, float)
    conditions = [np.isnan(r), np.abs(r) < SHARED_BOUND, r > DOMINANT_BOUND, r < -DOMINANT_BOUND]
    return np.select(conditions, ["undefined", "shared", "brain-dominant", "lm-dominant"], default="between")


def class_shares(classes: np.ndarray, alive: np.ndarray) -> dict[str, float]:
    """Share of each class among the live latents; NaN if none is alive."""
    live = np.asarray(classes)[np.asarray(alive, bool)]
    return {name: float(np.mean(live == name)) if live.size else float("nan") for name in CLASSES}


def agreement(
    model: "Crosscoder", inputs: Mapping[str, Any], *, source: str = "brain", reference: str = "lm"
) -> NDArray[np.float64]:
    """Do two sources, say brain and LM, say the same about a latent on rows it was not trained on?

    The correlation over rows of W_brainᵀ x_brain with W_lmᵀ x_lm; a latent that only memorised its training
    rows, or only follows slow drifts, has none beyond its null (see `brainlm.scores.shifts.shift_test`).

    Parameters
    ----------
    inputs: the two sources' raw held-out rows, e.g. "brain" -> (time, voxel), "lm" -> (time, hidden).

    Returns
    -------
    (latent,) float64, NaN where a projection is constant.

    Raises
    ------
    InputError: one of the two sources is missing, arrays do not fit the model, or rows are not finite.
    """
    rows = model.normalize(inputs)
    missing = [name for name in (source, reference) if name not in rows]
    if missing:
        raise InputError(f"Agreement is between '{source}' and '{reference}'; '{missing[0]}' is missing.")
    for name in (source, reference):
        require_finite(rows[name], f"Source '{name}'")
    return pearson(*(model.project(name, rows[name]).numpy() for name in (source, reference)))


def agreement_test(
    model: "Crosscoder", rows: Rows, *, minimum_shift: int, source: str = "brain", reference: str = "lm"
) -> ShiftTest:
    """`agreement` on normalized held-out rows, with its circular-shift null."""
    projections = (model.project(name, rows.source(name)).numpy() for name in (source, reference))
    return shift_test(*projections, minimum_shift=minimum_shift)


def density(values: np.ndarray, latents: np.ndarray, n_latents: int) -> NDArray[np.float64]:
    """Share of rows in which each latent is active: in the top k, and not cut off by a ReLU.

    Parameters
    ----------
    values, latents: (time, k) activations and indices of each row's top k.

    Returns
    -------
    (latent,) float64; sums to k where there is no ReLU.
    """
    return np.bincount(latents[values != 0], minlength=n_latents) / len(latents)
