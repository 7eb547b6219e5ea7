"""Do brain and LM say the same about a latent on held-out stories, beyond smoothness, and beyond any other story?

The *agreement* of a latent is the correlation over test TRs of what the brain says about it with what the LM says:
unmixed projections (`brainlm.scores.evidence.unmixing`), nuisances taken out (`brainlm.scores.evidence.nuisances`).
It is tested, one-sided, against every circular shift of the test rows and against swaps of stories; its p is the
larger of the two. Shifts keep each signal's smoothness. Swaps also keep what all stories have in common at the same
time since their start, but there must be enough of them.

A shifted signal follows the nuisances again, by chance, which the unshifted one cannot any more. So that both compare
what is left, nuisances are taken out of the shifted brain once more: as the LM's half has nothing of them, that only
divides the correlation by the root of the share of variance that they leave (without it the null is too narrow where
rows are few: M. Anderson & P. Legendre, J. Stat. Comput. Simul. 62:271, 1999).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array
from brainlm.errors import InputError
from brainlm.scores.evidence.nuisances import share_left_by_lag
from brainlm.scores.evidence.significance import at_most, significant
from brainlm.scores.evidence.swaps import N_SWAPS, draw_swaps, paired_stories, swap_correlations
from brainlm.scores.shifts import (
    ShiftTest,
    circular_cross_correlation,
    n_shifts,
    require_shifts,
    shift_test_of_lags,
)

FEWEST_SWAPS = 199
"""With fewer, no p could be as low as 1/200, and swaps are not asked."""
N_TURNS = 20
"""Shifts of the brain's test rows after which the share of latents called agreeing is measured."""
_LEAST_LEFT = 1e-9
"""Of the variance of shifted rows; less is rounding."""
_BLOCK_LATENTS = 128
"""5,376 TRs by 128 latents take 6 MB, of which some 10 are held at a time."""


@dataclass(frozen=True)
class AgreementTest:
    """Agreement of each latent, and of all together; see the module's docstring."""

    correlation: NDArray[np.float64]
    """(latent,) float64; NaN where a side is constant."""
    null_99: NDArray[np.float64]
    """(latent,) float64: 99th percentile over shifts; NaN as above."""
    p_shift: NDArray[np.float64]
    """(latent,) float64: share of shifts that do as well, the unshifted one counted in; 1 where undefined."""
    p_swap: NDArray[np.float64]
    """(latent,) float64: the same over swaps; 1 where undefined, NaN where there are too few swaps: not known."""
    p: NDArray[np.float64]
    """(latent,) float64: the larger of those that are known."""
    n_shifts: int
    n_swaps: int
    """Too few ones counted too."""
    whole_model_mean: float
    """Mean correlation over the latents that have one; NaN if none has."""
    whole_model_p: float
    """Share of shifts after which that mean is as large, the unshifted one counted in; 1 if there is none."""

    @property
    def n_null(self) -> int:
        """Size of the smaller null of those that are known: no p is below 1 / (1 + n_null)."""
        return self.n_shifts if np.isnan(self.p_swap).all() else min(self.n_shifts, self.n_swaps)


def agreement_evidence(
    brain: Sequence[Any],
    lm: Sequence[Any],
    *,
    recordings: Sequence[str],
    minimum_shift: int,
    nuisances: Sequence[Any] | None = None,
    n_swaps: int = N_SWAPS,
    fewest_swaps: int = FEWEST_SWAPS,
    seed: int = 0,
) -> AgreementTest:
    """Test the agreement of latents against shifts and swaps.

    Parameters
    ----------
    brain: for each test story (time, latent).
    lm: for each test story, and then for each validation story, (time, latent).
    recordings: for each story of `lm` the recording that it is, or that it is cut from.
    minimum_shift: rows; should exceed the haemodynamic response.
    nuisances: for each test story (time, nuisance), in the LM's time: those that were taken out of both. None: none.
    n_swaps: at most.
    fewest_swaps: with fewer, `p_swap` is not known.
    seed: of the choice of swaps.

    Raises
    ------
    InputError: rows or names that do not fit, or too few test TRs for a shift.
    """
    brain, lm = paired_stories(brain, lm)
    swaps = _swaps(brain, lm, recordings, n_swaps, seed)
    test, mean_by_lag = _against_shifts(*_test_rows(brain, lm), minimum_shift, nuisances)
    p_swap = _p_of_swaps(brain, lm, swaps, test.correlation, fewest_swaps)
    whole_model = shift_test_of_lags(mean_by_lag[:, None], minimum_shift=minimum_shift)
    return AgreementTest(
        test.correlation,
        test.null_99,
        test.p_value,
        p_swap,
        np.fmax(test.p_value, p_swap),
        n_shifts(len(mean_by_lag), minimum_shift),
        len(swaps),
        float(whole_model.correlation[0]),
        float(whole_model.p_value[0]),
    )


def plain_agreement(brain: Sequence[Any], lm: Sequence[Any], *, minimum_shift: int) -> ShiftTest:
    """Agreement before nuisances are taken out, against shifts only.

    Parameters
    ----------
    brain, lm: for each test story (time, latent).
    minimum_shift: rows; should exceed the haemodynamic response.

    Raises
    ------
    InputError: rows that do not fit, or too few test TRs for a shift.
    """
    return _against_shifts(*_test_rows(*paired_stories(brain, lm)), minimum_shift)[0]


def nuisance_loss(agreement: Any, plain: Any, plain_significant: Any) -> NDArray[np.float64]:
    """1 - a² / a_plain²: how much of the variance that brain and LM shared went with the nuisances.

    Parameters
    ----------
    agreement, plain: (latent,) correlations with nuisances taken out and without.
    plain_significant: (latent,) bool.

    Returns
    -------
    (latent,) float64, at most 1 and negative where agreement rose; NaN where plain agreement is not significant.

    Raises
    ------
    InputError: other than as many numbers of each.
    """
    agreement = real_array(agreement, "Agreement", ("latent",), float)
    plain = real_array(plain, "Plain agreement", agreement.shape, float)
    known = real_array(plain_significant, "What is significant", agreement.shape, float) > 0
    ratio = np.divide(agreement, plain, out=np.full(agreement.shape, np.nan), where=known & (plain != 0))
    return 1 - ratio**2


def shifted_shares(
    brain: Sequence[Any],
    lm: Sequence[Any],
    *,
    recordings: Sequence[str],
    minimum_shift: int,
    rate: float,
    nuisances: Sequence[Any] | None = None,
    n_turns: int = N_TURNS,
    n_swaps: int = N_SWAPS,
    fewest_swaps: int = FEWEST_SWAPS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Share of latents called agreeing after the brain's test rows are turned around in a circle: false alarms.

    Turns are spaced evenly over all shifts that are allowed. After each one `agreement_evidence` is asked anew, where
    "story" is a story's place among the test rows; the other shifts, the unturned rows among them, are its null.

    Parameters
    ----------
    brain, lm, recordings, minimum_shift, nuisances, n_swaps, fewest_swaps, seed: as for `agreement_evidence`.
    rate: false discovery rate over the latents given (`significant`).
    n_turns: at most; fewer if there are no more shifts.

    Returns
    -------
    (turn,) float64; NaN if there are no latents.

    Raises
    ------
    InputError: rows or names that do not fit, or too few test TRs for a shift.
    """
    brain, lm = paired_stories(brain, lm)
    swaps = _swaps(brain, lm, recordings, n_swaps, seed)
    x, y = _test_rows(brain, lm)
    require_shifts(len(x), minimum_shift)
    turns = np.unique(np.linspace(minimum_shift, len(x) - minimum_shift, n_turns).round().astype(int))
    correlation, p = np.empty((2, len(turns), x.shape[1]))
    for latents, by_lag in _by_lag(x, y, nuisances):
        for turn, rows in enumerate(turns):
            test = shift_test_of_lags(np.roll(by_lag, rows, axis=0), minimum_shift=minimum_shift)
            correlation[turn, latents], p[turn, latents] = test.correlation, test.p_value
    edges = np.cumsum([len(rows) for rows in brain])[:-1]
    for turn, rows in enumerate(turns):
        # Above the rate no latent is called, whatever swaps say.
        undecided = np.flatnonzero(at_most(p[turn], rate))
        turned = np.split(np.roll(x[:, undecided], rows, axis=0), edges)
        p_swap = _p_of_swaps(
            turned, [of[:, undecided] for of in lm], swaps, correlation[turn, undecided], fewest_swaps
        )
        p[turn, undecided] = np.fmax(p[turn, undecided], p_swap)
    called = np.array([significant(of_turn, rate) for of_turn in p])
    return called.mean(axis=1) if x.shape[1] else np.full(len(turns), np.nan)


def _test_rows(brain: Sequence[np.ndarray], lm: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(brain), np.concatenate(lm[: len(brain)])


def _swaps(
    brain: Sequence[np.ndarray],
    lm: Sequence[np.ndarray],
    recordings: Sequence[str],
    n_swaps: int,
    seed: int,
) -> np.ndarray:
    if len(recordings) != len(lm):
        raise InputError(
            f"{len(lm)} stories of the LM need the name of a recording each; got {len(recordings)}."
        )
    return draw_swaps(recordings[: len(brain)], recordings, n_swaps=n_swaps, seed=seed)


def _blocks(n_latents: int) -> Iterator[slice]:
    # One block at least, so that of no latents empty results come.
    for start in range(0, max(n_latents, 1), _BLOCK_LATENTS):
        yield slice(start, start + _BLOCK_LATENTS)


def _by_lag(
    x: np.ndarray, y: np.ndarray, nuisances: Sequence[Any] | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some latents at a time: (lag, latent) correlations, nuisances taken out of shifted rows once more."""
    for latents in _blocks(x.shape[1]):
        by_lag = circular_cross_correlation(x[:, latents], y[:, latents])
        if nuisances is not None:
            left = share_left_by_lag(x[:, latents], np.concatenate(nuisances))
            # They were taken out of the rows as they are, in the fit over all held-out rows.
            by_lag[1:] /= np.sqrt(np.maximum(left[1:], _LEAST_LEFT))
        yield latents, by_lag


def _against_shifts(
    x: np.ndarray, y: np.ndarray, minimum_shift: int, nuisances: Sequence[Any] | None = None
) -> tuple[ShiftTest, np.ndarray]:
    """The test of every latent, and (lag,) the mean correlation over latents."""
    require_shifts(len(x), minimum_shift)
    tests, total, n_defined = [], np.zeros(len(x)), 0
    for _, by_lag in _by_lag(x, y, nuisances):
        tests.append(shift_test_of_lags(by_lag, minimum_shift=minimum_shift))
        defined = np.isfinite(by_lag[0])
        total += by_lag[:, defined].sum(axis=1)
        n_defined += defined.sum()
    correlation, null_99, p = (
        np.concatenate([getattr(test, name) for test in tests])
        for name in ("correlation", "null_99", "p_value")
    )
    mean_by_lag = total / n_defined if n_defined else np.full(len(x), np.nan)
    return ShiftTest(correlation, null_99, p), mean_by_lag


def _p_of_swaps(
    brain: Sequence[np.ndarray],
    lm: Sequence[np.ndarray],
    swaps: np.ndarray,
    correlation: np.ndarray,
    fewest_swaps: int,
) -> np.ndarray:
    if len(swaps) < fewest_swaps:
        return np.full(correlation.shape, np.nan)
    p = []
    for latents in _blocks(correlation.size):
        null = swap_correlations([of[:, latents] for of in brain], [of[:, latents] for of in lm], swaps)
        # What is undefined counts as not smaller.
        p.append((1 + (~(null < correlation[latents])).sum(axis=0)) / (1 + len(swaps)))
    return np.concatenate(p)
