"""Sparse activations whose latents are found again, or not."""

import numpy as np

K = 4


def sparse_activity(n_times: int, n_latents: int, seed: int, k: int = K) -> np.ndarray:
    """(time, latent) activations that are smooth in time: the k highest of each row, the rest 0."""
    noise = np.random.default_rng(seed).standard_normal((n_times + 8, n_latents))
    smooth = np.stack([np.convolve(column, np.ones(9), mode="valid") for column in noise.T], axis=1)
    kth = np.sort(smooth, axis=1)[:, [-k]]
    return np.where(smooth >= kth, smooth, 0)


def live(n_latents: int, *dead: int) -> np.ndarray:
    alive = np.ones(n_latents, bool)
    alive[list(dead)] = False
    return alive
