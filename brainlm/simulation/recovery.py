"""In simulated data the answer is known: which latent found which planted feature, and how well."""

import numpy as np
import pandas as pd

from brainlm.scores.correlation import pearson
from brainlm.scores.shifts import shift_test
from brainlm.simulation.features import Planted

WELL_FOUND = 0.5
"""Correlation over test TRs from which on a feature counts as well found."""


def match_planted(
    planted: Planted,
    maps: np.ndarray,
    *,
    training: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    test_brain: np.ndarray,
    decoder_maps: np.ndarray,
    latents: pd.DataFrame,
    minimum_shift: int,
) -> pd.DataFrame:
    """Match each planted feature to a latent on training stories and judge the match on test stories.

    A feature's latent is the live one whose activation correlates best with its time course over training
    TRs. It is *found* if their correlation over test TRs exceeds 99 % of those with the time course turned
    around in a circle, and *well found* if it is `WELL_FOUND` or more. A shared feature can be found through the LM
    alone, so whether it is found is also asked of what the latent reads from the brain: *found in the brain*.

    Parameters
    ----------
    maps: (feature, voxel) planted maps.
    training, test: (time, feature) planted time courses and (time, latent) activations.
    test_brain: (time, latent) W_brainᵀ x_brain over test TRs.
    decoder_maps: (voxel, latent) brain decoder weights.
    latents: columns latent, r, class, alive, agreement, agreement_significant, one row a latent in order.

    Returns
    -------
    One row a feature: feature, kind, latent, training_correlation, test_correlation, null_99, found, well_found,
    brain_correlation, found_in_brain, map_correlation (NaN where nothing is planted in the brain), r, class,
    agreement, agreement_significant.
    """
    courses, activation = training
    alive = latents["alive"].to_numpy()
    rows = []
    for i, (name, kind) in enumerate(zip(planted.names, planted.kinds, strict=True)):
        with_each = pearson(np.repeat(courses[:, [i]], activation.shape[1], axis=1), activation)
        latent = int(np.argmax(np.where(alive & np.isfinite(with_each), with_each, -np.inf)))
        course = test[0][:, [i]]
        held_out = shift_test(course, test[1][:, [latent]], minimum_shift=minimum_shift)
        in_brain = shift_test(course, test_brain[:, [latent]], minimum_shift=minimum_shift)
        rows.append(
            {
                "feature": name,
                "kind": kind,
                "latent": latent,
                "training_correlation": with_each[latent],
                "test_correlation": held_out.correlation[0],
                "null_99": held_out.null_99[0],
                "found": bool(held_out.correlation[0] > held_out.null_99[0]),
                "well_found": bool(held_out.correlation[0] >= WELL_FOUND),
                "brain_correlation": in_brain.correlation[0],
                "found_in_brain": bool(in_brain.correlation[0] > in_brain.null_99[0]),
                "map_correlation": pearson(maps[[i]].T, decoder_maps[:, [latent]])[0],
            }
        )
    columns = ["latent", "r", "class", "agreement", "agreement_significant"]
    return pd.DataFrame(rows).merge(latents[columns], on="latent", how="left")
