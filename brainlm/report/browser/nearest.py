"""Which latents are most like a latent: by what they write into the sources, and by when they are active."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

N_NEAREST = 3
_ROWS = 8192
"""Of a decoder, that are multiplied at a time."""


def decoder_cosines(decoders: Mapping[str, np.ndarray]) -> NDArray[np.float32]:
    """Cosines between whole decoder vectors, those of all sources one below the other.

    Parameters
    ----------
    decoders: source -> (width, latent) float32, normalized units.

    Returns
    -------
    (latent, latent) float32; 0 where a vector is 0.
    """
    gram = sum(
        weights[start : start + _ROWS].T @ weights[start : start + _ROWS]
        for weights in decoders.values()
        for start in range(0, len(weights), _ROWS)
    )
    return _normalized(gram)


def activation_correlations(activation: np.ndarray) -> NDArray[np.float32]:
    """Pearson correlations of activations over TRs.

    Parameters
    ----------
    activation: (time, latent) float32.

    Returns
    -------
    (latent, latent) float32; 0 for a latent that does not vary.
    """
    centred = activation - activation.mean(axis=0)
    return _normalized(centred.T @ centred)


def nearest(similarity: np.ndarray, n: int = N_NEAREST) -> list[list[tuple[int, float]]]:
    """The other latents that are most similar to each, the most similar first: index and similarity.

    Parameters
    ----------
    similarity: (latent, latent).
    """
    others = similarity.astype(float)
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(-others, axis=1, kind="stable")[:, : min(n, len(others) - 1)]
    return [
        [(int(other), float(row[other])) for other in best] for row, best in zip(others, order, strict=True)
    ]


def _normalized(gram: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.diagonal(gram))
    products = np.outer(norms, norms)
    return np.divide(gram, products, out=np.zeros_like(gram), where=products > 0)
