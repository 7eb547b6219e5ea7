"""How much worse is a source reconstructed over test rows without a latent, and is that more than chance?

A source's rows X, (time, width), are reconstructed from the code Z, (time, latent), by decoder vectors d_i, columns
of W, (width, latent). The reconstruction loses z d_i without latent i, and each row's squared error grows by

    ‖x - x̂ + z d_i‖² - ‖x - x̂‖² = 2 z d_iᵀ(x - x̂) + z² ‖d_i‖² = 2 z R_i + z² G_ii,    R = X W - Z G,    G = WᵀW

so that nothing is reconstructed. The sum over test rows, in percent of Σ‖x - x̄‖², is the contribution.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError, TooLittleDataError

FEWEST_BLOCKS = 2
"""Of one block all bootstraps are the same."""


@dataclass(frozen=True)
class Contribution:
    """How much worse one source is reconstructed without each latent."""

    percent: NDArray[np.float64]
    """(latent,) float64, of the source's variance over test rows; below 0 where it is better without."""
    low: NDArray[np.float64]
    """(latent,) float64 lower end of the 95 % interval."""
    high: NDArray[np.float64]
    """(latent,) float64 upper end of the 95 % interval."""
    n_blocks: int
    """Blocks of rows that the interval rests on. With few it is too narrow: without a contribution 2.5 % of intervals
    should lie above 0, and 3.5 % do with 20 blocks or more, 6 % with 8, 11 % with 4."""


def residual_projection(
    projections: np.ndarray, activation: np.ndarray, gram: np.ndarray
) -> NDArray[np.float64]:
    """R = X W - Z G, what the decoder vectors find in the part of a source that is not reconstructed.

    Of all latents, dead ones as well: what has not been active in training may be on test rows, and then takes
    part in the reconstruction.

    Parameters
    ----------
    projections: (time, latent) X W, rows times *decoder* vectors, those of encoders being others in untied models.
    activation: (time, latent) code Z.
    gram: (latent, latent) G = WᵀW.

    Returns
    -------
    (time, latent) float64.

    Raises
    ------
    InputError: arrays that are not of the same rows or latents.
    """
    projections = real_array(projections, "The projections", ("time", "latent"), float)
    n_latents = projections.shape[1]
    activation = real_array(activation, "The activations", projections.shape, float)
    gram = real_array(gram, "The Gram matrix of the decoder vectors", (n_latents, n_latents), float)
    return projections - activation @ gram


def contribution(
    activation: np.ndarray,
    residual_projection: np.ndarray,
    squared_norms: np.ndarray,
    story_of_row: np.ndarray,
    total: float,
    *,
    block: int,
    n_bootstraps: int = 1000,
    seed: int = 0,
) -> Contribution:
    """Contribution of each latent to one source: 100 Σ_t (2 z R + z² ‖d‖²) / Σ_t ‖x - x̄‖², see the module.

    Its 95 % interval is that of percentiles over bootstraps of blocks of consecutive rows: each story is cut into
    blocks from its first row on, what remains at its end being a block of its own; as many blocks as there are are
    drawn with replacement, from all stories; and because blocks differ in length, a bootstrap's sum is that of its
    blocks times all rows / its rows. The denominator stays that of all rows. The interval speaks for other times of
    these stories, not for other stories.

    Parameters
    ----------
    activation: (time, latent) code Z over test rows.
    residual_projection: (time, latent) R of `residual_projection`.
    squared_norms: (latent,) ‖d‖² of the source's decoder vectors, the diagonal of G.
    story_of_row: (time,) the story of each row, a number or a name; the rows of a story stand together.
    total: Σ‖x - x̄‖² of the source's normalized rows, x̄ being their mean.
    block: rows; should exceed the haemodynamic response, so that blocks are nearly independent.
    seed: of the draws of blocks.

    Raises
    ------
    InputError: arrays that do not fit each other, values that are not finite, a source that does not vary.
    TooLittleDataError: fewer than two blocks.
    """
    activation = real_array(activation, "The activations", ("time", "latent"), float)
    residual = real_array(residual_projection, "The projections of the residuals", activation.shape, float)
    squared_norms = real_array(squared_norms, "The squared norms", activation.shape[1:], float)
    require_finite(activation, "The code")
    require_finite(residual, "The projection of the residuals")
    if not (np.isfinite(total) and total > 0):
        raise InputError(
            f"A contribution is a share of the source's variance over test rows, and that is {total:g}: "
            "leave the source out."
        )
    starts = _block_starts(story_of_row, len(activation), block)
    if len(starts) < FEWEST_BLOCKS:
        raise TooLittleDataError(
            f"{len(activation)} test TRs make {len(starts)} block(s) of {block} TRs (the minimum shift), but "
            f"it takes {FEWEST_BLOCKS} at least to tell how sure a contribution is: use more or longer test stories."
        )
    growth = activation * (2 * residual + activation * squared_norms)
    of_block = 100 / total * np.add.reduceat(growth, starts, axis=0)
    lengths = np.diff([*starts, len(activation)])
    n_blocks = len(starts)
    random = np.random.default_rng(seed)
    counts = random.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_bootstraps)
    bootstraps = (counts @ of_block) * (lengths.sum() / (counts @ lengths))[:, None]
    low, high = np.percentile(bootstraps, [2.5, 97.5], axis=0)
    return Contribution(of_block.sum(axis=0), low, high, n_blocks)


def _block_starts(story_of_row: np.ndarray, n_rows: int, block: int) -> np.ndarray:
    story = np.asarray(story_of_row)
    if story.shape != (n_rows,):
        raise InputError(f"There are {n_rows} rows of activations, but stories of {story.shape} rows.")
    if block < 1:
        raise ValueError(f"block is {block}, but must be at least 1")
    if not n_rows:
        return np.zeros(0, int)
    edges = [0, *np.flatnonzero(story[1:] != story[:-1]) + 1, n_rows]
    return np.concatenate([np.arange(a, b, block) for a, b in zip(edges, edges[1:], strict=False)])


def contributes(contribution: Contribution) -> np.ndarray:
    """Which latents contribute to the source: those whose whole interval lies above 0. (latent,) bool."""
    return contribution.low > 0


def relative_contribution(brain: Contribution, lm: Contribution) -> NDArray[np.float64]:
    """q = (c_brain⁺ - c_lm⁺) / max(c_brain⁺, c_lm⁺), c⁺ = max(c, 0): 1 for the brain alone, -1 for the LM alone.

    It has the form of r (`brainlm.scores.latents.relative_difference`), but each source counts in its own variance
    and only as far as its rows, not seen in training, are reconstructed better.

    Returns
    -------
    (latent,) float64 in [-1, 1]; NaN, not known, where the latent improves neither source.

    Raises
    ------
    InputError: contributions of different numbers of latents.
    """
    if brain.percent.shape != lm.percent.shape:
        raise InputError(
            f"q compares contributions of the same latents; got {brain.percent.size} and {lm.percent.size} of them."
        )
    of_brain, of_lm = np.maximum(brain.percent, 0), np.maximum(lm.percent, 0)
    larger = np.maximum(of_brain, of_lm)
    return np.divide(of_brain - of_lm, larger, out=np.full(larger.shape, np.nan), where=larger > 0)
