"""What of a latent does the story drive? Its projections over several hearings of one story, compared.

The formula is that of `brainlm.scores.ceiling`, with a latent's projections y_r of hearing r of n in a voxel's place:
explainable variance EV = SP / (SP + NP), in latents called ρ. For centred y_r it is

    EV = (‖Σ_r y_r‖² / Σ_r ‖y_r‖² - 1) / (n - 1)

because n var(ȳ) / mean_r var(y_r) = ‖Σ_r y_r‖² / Σ_r ‖y_r‖². Turning hearings round in a circle changes only the
numerator, Σ_r ‖y_r‖² + 2 Σ_{r<q} y_r·y_q, whose products are those of pairs of hearings at the difference of their
shifts: one circular cross-correlation a pair gives all draws of the null.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array
from brainlm.errors import InputError
from brainlm.scores.ceiling import reliability
from brainlm.scores.correlation import is_constant
from brainlm.scores.shifts import circular_cross_correlation, n_shifts


@dataclass(frozen=True)
class LatentReliability:
    """How alike each latent's projections are in all hearings of a story."""

    rho: NDArray[np.float64]
    """(latent,) float64 explainable variance of one hearing, unclipped; NaN where it is undefined in every story."""
    p: np.ndarray
    """(latent,) one-sided: share of draws of shifts that do as well, the hearings as they are counted in; 1 if
    undefined."""
    n_repeats: int
    """Hearings of all stories together."""
    n_stories: int
    """Repeated stories that are long enough."""


def latent_reliability(
    hearings: Sequence[np.ndarray], *, minimum_shift: int, n_draws: int = 999, seed: int = 0
) -> LatentReliability | None:
    """Explainable variance of each latent's projections over hearings of repeated stories, and is it beyond chance?

    Chance is what smoothness in time gives: in each draw every hearing is turned round by a circular shift of its
    own, of at least `minimum_shift` rows either way. Shifts of two hearings may be equal; were they kept apart, few
    possible shifts would pass for many draws. Several stories: the mean of their explainable variances, and in the
    null the mean of theirs, draw by draw; a story in which a latent is undefined is left out there.

    Parameters
    ----------
    hearings: for each repeated story its (repeat, time, latent) projections of one source. Stories heard once, of
        under 3 TRs or too short for a shift are left out.
    minimum_shift: rows; should exceed the haemodynamic response.
    n_draws: of the null; no p is below 1 / (1 + n_draws).
    seed: of the shifts.

    Returns
    -------
    None, not known, if no story is left.

    Raises
    ------
    InputError: other than three axes, or stories of different numbers of latents.
    """
    stories = [
        real_array(story, "Hearings of a story", ("repeat", "time", "latent"), float) for story in hearings
    ]
    if len({story.shape[2] for story in stories}) > 1:
        counts = ", ".join(str(story.shape[2]) for story in stories)
        raise InputError(f"Hearings of all stories must be of the same latents; got {counts} of them.")
    stories = [story for story in stories if _tells(story, minimum_shift)]
    if not stories:
        return None
    random = np.random.default_rng(seed)
    rho = _mean_over_stories([reliability(story).explainable_variance for story in stories])
    # Row 0 of each is the hearings as they are, by the same sums as the draws, which so tie where shifts are equal.
    by_draw = _mean_over_stories(
        [_under_shifts(story, _draw_shifts(story, minimum_shift, n_draws, random)) for story in stories]
    )
    as_well = (by_draw[1:] >= by_draw[0]).sum(axis=0)
    p = np.where(np.isnan(rho), 1.0, (1 + as_well) / (1 + n_draws))
    return LatentReliability(rho, p, n_repeats=sum(map(len, stories)), n_stories=len(stories))


def _tells(story: np.ndarray, minimum_shift: int) -> bool:
    n_repeats, n_times, _ = story.shape
    return n_repeats > 1 and n_times > 2 and n_shifts(n_times, minimum_shift) > 0


def _mean_over_stories(values: Sequence[np.ndarray]) -> np.ndarray:
    known = np.isfinite(values)
    n_known = known.sum(axis=0)
    total = np.where(known, values, 0).sum(axis=0)
    return np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)


def _draw_shifts(
    story: np.ndarray, minimum_shift: int, n_draws: int, random: np.random.Generator
) -> np.ndarray:
    # (1 + draw, repeat); none in the first row.
    n_repeats, n_times, _ = story.shape
    drawn = random.integers(minimum_shift, n_times - minimum_shift + 1, size=(n_draws, n_repeats))
    return np.concatenate([np.zeros((1, n_repeats), int), drawn])


def _under_shifts(story: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Explainable variance of hearings, (repeat, time, latent), each turned round by its shift of each draw, (draw,
    repeat): (draw, latent) float64, NaN where fewer than 2 hearings vary."""
    n_times = story.shape[1]
    squares = np.square(story).sum(axis=1)
    deviations = np.square(story - story.mean(axis=1, keepdims=True)).sum(axis=1)
    # As in `reliability`, a hearing that is lost in a latent adds 0 to every sum.
    varies = np.isfinite(deviations) & ~is_constant(deviations, squares)
    norms = np.sqrt(np.where(varies, deviations, 0))
    products = np.zeros((len(shifts), story.shape[2]))
    for r, q in itertools.combinations(range(len(story)), 2):
        by_lag = np.nan_to_num(circular_cross_correlation(story[r], story[q])) * (norms[r] * norms[q])
        products += by_lag[(shifts[:, q] - shifts[:, r]) % n_times]
    n_hearings = varies.sum(axis=0)
    pairs = np.where(n_hearings > 1, n_hearings - 1, np.nan) * np.square(norms).sum(axis=0)
    return 2 * products / pairs


def ceiling_agreement(agreement: np.ndarray, rho: np.ndarray, significant: np.ndarray) -> NDArray[np.float64]:
    """Agreement at its ceiling, a / √ρ: what it would be if the brain's projection were free of noise.

    Parameters
    ----------
    agreement: (latent,) correlation over test stories that were heard once each.
    rho: (latent,) explainable variance of one hearing, of the brain's projection that agreement correlates.
    significant: (latent,) bool: whether ρ is beyond chance.

    Returns
    -------
    (latent,) float64, not clipped: above 1 by chance; NaN, not known, where ρ is not significant or not above 0.

    Raises
    ------
    InputError: other than one value a latent of each.
    """
    return _over_ceiling(agreement, rho, significant, noise_power_share=1.0)


def ceiling_agreement_of_mean(
    agreement: np.ndarray, rho: np.ndarray, significant: np.ndarray, n_hearings: Sequence[int]
) -> NDArray[np.float64]:
    """`ceiling_agreement` of test stories that were all heard several times, whose rows are means of hearings.

    The ceiling is that of the mean, √(SP / (SP + NP / n)), as in `brainlm.scores.ceiling`; SP and NP being shares ρ
    and 1 - ρ of a hearing's power, it is √(ρ / (ρ + (1 - ρ) / n)).

    Parameters
    ----------
    agreement: (latent,) correlation over the means of the hearings.
    rho, significant: as in `ceiling_agreement`: ρ is that of one hearing.
    n_hearings: of each story; NP / n is averaged over stories.

    Returns
    -------
    (latent,) float64, as in `ceiling_agreement`.

    Raises
    ------
    InputError: other than one value a latent of each, no story, or a story without hearings.
    """
    if not len(n_hearings) or min(n_hearings) < 1:
        raise InputError(f"Each story must be heard at least once; got {list(n_hearings)} hearings.")
    share = float(np.mean(1 / np.asarray(n_hearings, float)))
    return _over_ceiling(agreement, rho, significant, noise_power_share=share)


def _over_ceiling(
    agreement: np.ndarray, rho: np.ndarray, significant: np.ndarray, *, noise_power_share: float
) -> np.ndarray:
    agreement = real_array(agreement, "Agreement", ("latent",), float)
    rho = real_array(rho, "Reliability", agreement.shape, float)
    significant = np.asarray(significant)
    if significant.shape != agreement.shape or significant.dtype != bool:
        raise InputError(
            f"Whether reliability is significant must be told of {agreement.size} latents as True or False; "
            f"got {significant.dtype} {significant.shape}."
        )
    known = np.where(significant & (rho > 0), rho, np.nan)
    return agreement / np.sqrt(known / (known + (1 - known) * noise_power_share))
