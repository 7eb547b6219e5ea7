"""What one source alone says about each latent, without what leaks in from other latents."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError

RIDGE = 0.3
"""Of the mean squared norm of the decoder vectors."""
_ASYMMETRY = 1e-4
"""Of the largest entry: far beyond what float32 rounds, far below what another matrix has."""


def unmixed(projections: Any, gram: Any, *, ridge: float = RIDGE) -> NDArray[np.float64]:
    """U = X W (WᵀW + λ mean(diag WᵀW) I)⁻¹, the least-squares code of rows X with a little ridge.

    The projection X W reads a latent's decoder vector, and with it a part of every latent whose vector is not
    orthogonal to it: what drives one latent shows up in others. Here each is given what the others do not explain.
    The ridge keeps latents with nearly parallel vectors from being told apart by noise; where all vectors are
    orthogonal it scales latents only. Rows and weights times one factor leave U as it is.

    Parameters
    ----------
    projections: (time, latent) X W of one source's normalized rows with its decoder weights.
    gram: (latent, latent) WᵀW of the same latents, the live ones.
    ridge: λ, positive.

    Returns
    -------
    (time, latent) float64; 0 for latents that have no weights in this source.

    Raises
    ------
    InputError: other than finite numbers of these shapes, or a matrix that is no WᵀW.
    ValueError: a ridge that is not positive.
    """
    if not ridge > 0:
        raise ValueError(f"ridge is {ridge}, but must be positive")
    projections = real_array(projections, "The projections", ("time", "latent"), float)
    n_latents = projections.shape[1]
    gram = real_array(gram, "The products of decoder vectors", (n_latents, n_latents), float)
    require_finite(projections, "An array of projections")
    if not np.isfinite(gram).all():
        raise InputError("The products of decoder vectors must be finite.")
    squared_norms = np.diagonal(gram)
    if (squared_norms < 0).any() or np.abs(gram - gram.T).max(initial=0) > _ASYMMETRY * np.abs(gram).max(
        initial=0
    ):
        raise InputError(
            "The products of decoder vectors with each other must be symmetric, with squared norms in the diagonal."
        )
    if not squared_norms.any():
        # A source without any weights says nothing about any latent.
        return np.zeros_like(projections)
    regularized = gram + ridge * squared_norms.mean() * np.eye(n_latents)
    return solve(regularized, projections.T, assume_a="pos").T
