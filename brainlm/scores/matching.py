"""Is a latent found again when a crosscoder is trained with another seed, or on another subject?

The latents of two models are matched one to one by their activations over the test TRs that both encode, whatever
their order and their decoder vectors (two subjects have no voxels in common). A partner is chosen among many latents,
so that some correlation is reached by chance. The null is therefore that of the choice: with the other model's
activations turned around in a circle, which keeps their smoothness in time and breaks the correspondence, the
*highest* correlation with any of its live latents. A latent is *found again* if the correlation with its partner
exceeds all but 1 % of these maxima. By chance that happens to at most 1 % of latents, because a partner is at best
the latent of the highest correlation.

Found again means that something of a latent returns, not all of it: the correlation and the partner's class tell how
much.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from brainlm.scores.correlation import is_constant
from brainlm.scores.shifts import N_CHANCE_SHIFTS, N_NULL_SHIFTS, require_shifts_to_match

Activation: TypeAlias = np.ndarray | sparse.sparray
"""(time, latent) activations, 0 where a latent is not active."""


@dataclass(frozen=True)
class Matches:
    """One model's latents matched to another's, one to one."""

    partner: np.ndarray
    """(latent,) int: latent of the other model; -1 if none."""
    correlation: NDArray[np.float64]
    """(latent,) float64: Pearson correlation with the partner over TRs; NaN if none."""


@dataclass(frozen=True)
class MatchTest:
    """Which latents of one model are found again in another."""

    matches: Matches
    threshold: NDArray[np.float64]
    """(latent,) float64: what at most 1 % of shifts exceed; NaN for latents that cannot be matched."""
    found: NDArray[np.bool_]
    """(latent,) bool: the correlation with the partner exceeds the threshold."""
    chance: NDArray[np.float64]
    """(latent,) float64: share of further shifts after which the latent, matched anew, exceeds the threshold."""


def activation_correlation(a: Activation, b: Activation) -> NDArray[np.float64]:
    """Pearson correlation over TRs of every latent of one model with every latent of another.

    One sparse product, with a multiplication for each two latents that are active in the same TR.

    Parameters
    ----------
    a, b: (time, latent_a) and (time, latent_b) activations over the same TRs, sparse or dense.

    Returns
    -------
    (latent_a, latent_b) float64; NaN where either latent is constant (never active, say).
    """
    return _correlation(_standardized(a), _standardized(b))


def match_test(
    a: Activation,
    b: Activation,
    alive_a: np.ndarray,
    alive_b: np.ndarray,
    *,
    minimum_shift: int,
    seed: int = 0,
) -> tuple[MatchTest, MatchTest]:
    """Match two models' latents and ask which are found again; the module's docstring has the null.

    Of all ways to match live latents one to one it is the one whose summed correlation is largest (Hungarian method).
    All live latents of the model that has fewer get a partner, however low the correlation, unless they are constant
    over these TRs.

    Takes `N_NULL_SHIFTS` + `N_CHANCE_SHIFTS` products like `activation_correlation`'s, for both directions together.

    Parameters
    ----------
    a, b: (time, latent_a) and (time, latent_b) activations over the same TRs, sparse or dense.
    alive_a, alive_b: (latent_a,) and (latent_b,) bool.
    minimum_shift: rows; smallest circular shift, either way.
    seed: of the random choice of shifts, all of which are different.

    Returns
    -------
    For a's latents in b, and for b's latents in a.

    Raises
    ------
    TooLittleDataError: too few TRs for as many shifts as are needed.
    """
    shifts = _draw_shifts(a.shape[0], minimum_shift, seed)
    standardized = _standardized(a), _standardized(b)
    null = [
        _maxima(shifted, alive_a, alive_b)
        for shifted in _shifted_correlations(*standardized, shifts[:-N_CHANCE_SHIFTS])
    ]
    by_chance = [
        [matches.correlation for matches in _assigned_both_ways(shifted, alive_a, alive_b)]
        for shifted in _shifted_correlations(*standardized, shifts[-N_CHANCE_SHIFTS:])
    ]
    matched = _assigned_both_ways(activation_correlation(a, b), alive_a, alive_b)
    of_a, of_b = map(_tested, matched, zip(*null, strict=True), zip(*by_chance, strict=True))
    return of_a, of_b


@dataclass(frozen=True)
class _Standardized:
    """Two models' correlations are Uᵀ V - outer(offset_u, offset_v), with U and V as sparse as the activations."""

    scaled: sparse.csr_array
    """(time, latent): U, the activations over the norms of the centred activations."""
    offset: np.ndarray
    """(latent,) √time times the means of U; NaN for constant latents."""


def _standardized(activation: Activation) -> _Standardized:
    columns = sparse.csc_array(activation, dtype=np.float64)
    n_rows = columns.shape[0]
    mean, n_stored = columns.sum(axis=0) / n_rows, np.diff(columns.indptr)
    centred = columns.copy()
    centred.data -= np.repeat(mean, n_stored)
    deviations = centred.power(2).sum(axis=0) + (n_rows - n_stored) * mean**2
    constant = is_constant(deviations, columns.power(2).sum(axis=0))
    norm = np.where(constant, np.nan, np.sqrt(deviations))
    scaled = columns @ sparse.diags_array(np.where(constant, 0, 1 / norm))
    return _Standardized(scaled.tocsr(), np.sqrt(n_rows) * mean / norm)


def _correlation(a: _Standardized, b: _Standardized) -> np.ndarray:
    return (a.scaled.T @ b.scaled).toarray() - np.outer(a.offset, b.offset)


def _shifted_correlations(a: _Standardized, b: _Standardized, shifts: np.ndarray) -> Iterator[np.ndarray]:
    """Correlations with b turned around in a circle, which changes neither its norms nor its offsets."""
    n_rows = b.scaled.shape[0]
    twice = sparse.vstack([b.scaled, b.scaled], format="csr")
    for shift in shifts:
        yield _correlation(a, _Standardized(twice[n_rows - shift : 2 * n_rows - shift], b.offset))


def _assigned(correlation: np.ndarray, alive_a: np.ndarray, alive_b: np.ndarray) -> Matches:
    # Constant latents are NaN in their whole row or column.
    defined = np.isfinite(correlation)
    usable_a = np.flatnonzero(alive_a & defined.any(axis=1))
    usable_b = np.flatnonzero(alive_b & defined.any(axis=0))
    rows, columns = linear_sum_assignment(correlation[np.ix_(usable_a, usable_b)], maximize=True)
    partner, with_partner = np.full(alive_a.size, -1), np.full(alive_a.size, np.nan)
    partner[usable_a[rows]] = usable_b[columns]
    with_partner[usable_a[rows]] = correlation[usable_a[rows], usable_b[columns]]
    return Matches(partner, with_partner)


def _assigned_both_ways(
    correlation: np.ndarray, alive_a: np.ndarray, alive_b: np.ndarray
) -> tuple[Matches, Matches]:
    return _assigned(correlation, alive_a, alive_b), _assigned(correlation.T, alive_b, alive_a)


def _maxima(
    correlation: np.ndarray, alive_a: np.ndarray, alive_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Highest correlation of each latent of a, and of each of b, with a live one of the other; NaN if none."""
    of_live = np.where(np.outer(alive_a, alive_b), correlation, np.nan)
    return np.fmax.reduce(of_live, axis=1, initial=np.nan), np.fmax.reduce(of_live, axis=0, initial=np.nan)


def _tested(matches: Matches, null: Sequence[np.ndarray], by_chance: Sequence[np.ndarray]) -> MatchTest:
    """From each shift's maxima, (latent,), and from each further shift's correlations with partners, (latent,)."""
    # A further maximum is as likely to have one rank among them as another: 2 in 200 exceed the second of 199.
    threshold = np.sort(null, axis=0)[-((len(null) + 1) // 100)]
    chance = np.mean(np.array(by_chance) > threshold, axis=0)
    return MatchTest(matches, threshold, matches.correlation > threshold, chance)


def _draw_shifts(n_rows: int, minimum_shift: int, seed: int) -> np.ndarray:
    require_shifts_to_match(n_rows, minimum_shift)
    possible = np.arange(minimum_shift, n_rows - minimum_shift + 1)
    return np.random.default_rng(seed).permutation(possible)[: N_NULL_SHIFTS + N_CHANCE_SHIFTS]
