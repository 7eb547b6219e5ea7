"""Take out of two signals what both may follow without corresponding: word rate, loudness, time since the start."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError
from brainlm.scores.correlation import is_constant

ROWS_A_NUISANCE = 10
"""TRs that each nuisance needs at least."""
_LEAST_EIGENVALUE = 1e-10
"""Of the largest one: combinations of nuisances with a standard deviation below 1e-5 of the largest are rounding (of
float32 data with a mean 100 times their standard deviation, say), and weights on them would be noise."""


@dataclass(frozen=True)
class NuisanceFit:
    """A least-squares fit of values by nuisances over the rows fitted, intercept included."""

    kept: NDArray[np.bool_]
    """(nuisance,) bool: varies over the rows fitted; others are left out."""
    nuisance_mean: NDArray[np.float64]
    """(nuisance,) float64 over the rows fitted."""
    value_mean: NDArray[np.float64]
    """(latent,) float64 over the rows fitted."""
    coefficients: NDArray[np.float64]
    """(nuisance, latent) float64 change of a value with a nuisance, in their units; 0 for those left out."""

    def residual(self, values: Any, nuisances: Any) -> NDArray[np.float64]:
        """Values of any rows, test rows say, minus their fitted part: mean and nuisances.

        Parameters
        ----------
        values: (time, latent).
        nuisances: (time, nuisance), columns as in the fit.

        Returns
        -------
        (time, latent) float64.

        Raises
        ------
        InputError: other than finite numbers of the widths of the fit, or of different numbers of rows.
        """
        values, nuisances = _side_by_side(values, nuisances, self.value_mean.size, self.kept.size)
        return values - self.value_mean - (nuisances - self.nuisance_mean) @ self.coefficients


def fit_nuisances(stories: Iterable[tuple[Any, Any]], *, names: Sequence[str] | None = None) -> NuisanceFit:
    """Regress values on nuisances over the rows fitted, in one pass that holds one story at a time.

    Least squares with an intercept; nuisances are standardized, and those that are constant over the rows fitted
    (`is_constant`) left out. Of collinear ones the solution of smallest norm is taken, so that a column that comes
    twice, or that others add up to, changes nothing. Means and products of deviations are pooled over stories
    (Chan, Golub & LeVeque, Am. Stat. 37:242, 1983), which loses no digits to large means.

    Parameters
    ----------
    stories: for each held-out story values (time, latent), of both sources side by side perhaps, and nuisances
        (time, nuisance), which may be none, (time, 0).
    names: of the nuisances, for errors.

    Raises
    ------
    InputError: no rows, other than finite numbers, stories that differ in width, or more nuisances that vary than a
        tenth of the rows.
    """
    pooled: _Moments | None = None
    for number, (values, nuisances) in enumerate(stories):
        widths = ("latent", "nuisance") if pooled is None else (pooled.y_mean.size, pooled.x_mean.size)
        of_story = _moments(*_side_by_side(values, nuisances, *widths, names=names, story=number))
        pooled = of_story if pooled is None else _pooled(pooled, of_story)
    if pooled is None or pooled.n == 0:
        raise InputError("Nuisances are fitted over held-out TRs, but there are none.")
    deviations = np.diagonal(pooled.xx)
    kept = ~is_constant(deviations, pooled.x_squares)
    if ROWS_A_NUISANCE * kept.sum() > pooled.n:
        raise InputError(
            f"{kept.sum()} nuisances cannot be fitted over {pooled.n} held-out TRs, which allow "
            f"{pooled.n // ROWS_A_NUISANCE} (a tenth): use more test and validation stories, or fewer nuisances."
        )
    scale = np.sqrt(deviations[kept])
    coefficients = np.zeros(pooled.xy.shape)
    coefficients[kept] = (
        _pseudo_inverse(pooled.xx[np.ix_(kept, kept)] / np.outer(scale, scale))
        @ (pooled.xy[kept] / scale[:, None])
        / scale[:, None]
    )
    return NuisanceFit(kept, pooled.x_mean, pooled.y_mean, coefficients)


def share_left_by_lag(values: Any, nuisances: Any) -> NDArray[np.float64]:
    """What nuisances leave of the variance of values after these were turned around in a circle by every possible
    lag.

    Of values that nuisances were taken out of all is left without a turn, and less after one: turned rows follow
    other moments' nuisances by chance, the more the slower both are. With Q an orthonormal basis of the centred
    nuisances and x_l the centred values turned by l rows, 1 - ‖Qᵀ x_l‖² / ‖x‖².

    Parameters
    ----------
    values: (time, latent). nuisances: (time, nuisance); constant and collinear ones change nothing.

    Returns
    -------
    (lag, latent) float64 from 0 to 1, as many lags as rows; lag l is that of
    `brainlm.scores.shifts.circular_cross_correlation` with the values first; 1 of constant values.

    Raises
    ------
    InputError: other than finite numbers of the same rows.
    """
    values, nuisances = _side_by_side(values, nuisances, "latent", "nuisance")
    centred, basis = values - values.mean(axis=0), _orthonormal(nuisances)
    squares = np.square(centred).sum(axis=0)
    spectrum, explained = np.fft.rfft(centred, axis=0), np.zeros(centred.shape)
    for direction in np.fft.rfft(basis, axis=0).T:
        explained += np.square(np.fft.irfft(spectrum * np.conj(direction)[:, None], n=len(values), axis=0))
    return 1 - np.clip(np.divide(explained, squares, out=explained, where=squares > 0), 0, 1)


def _orthonormal(nuisances: np.ndarray) -> np.ndarray:
    """(time, direction) an orthonormal basis of the nuisances that vary, about their means."""
    centred = nuisances - nuisances.mean(axis=0)
    deviations = np.square(centred).sum(axis=0)
    varies = ~is_constant(deviations, np.square(nuisances).sum(axis=0))
    scaled = centred[:, varies] / np.sqrt(deviations[varies])
    vectors, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    return vectors[:, singular**2 > _LEAST_EIGENVALUE * (singular**2).max(initial=0)]


@dataclass(frozen=True)
class _Moments:
    """Of some rows of nuisances x and values y: their number, means, and sums of products of deviations from them."""

    n: int
    x_mean: np.ndarray
    y_mean: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    x_squares: np.ndarray
    """(nuisance,) Σx², means left in: what "constant" is relative to."""


def _moments(y: np.ndarray, x: np.ndarray) -> _Moments:
    if not len(x):
        n_x, n_y = x.shape[1], y.shape[1]
        return _Moments(0, *(np.zeros(shape) for shape in (n_x, n_y, (n_x, n_x), (n_x, n_y), n_x)))
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    return _Moments(
        len(x), x_mean, y_mean, centred.T @ centred, centred.T @ (y - y_mean), np.square(x).sum(axis=0)
    )


def _pooled(a: _Moments, b: _Moments) -> _Moments:
    n = a.n + b.n
    if n == 0:
        return a
    x_step, y_step = b.x_mean - a.x_mean, b.y_mean - a.y_mean
    between = a.n * b.n / n
    return _Moments(
        n,
        a.x_mean + x_step * (b.n / n),
        a.y_mean + y_step * (b.n / n),
        a.xx + b.xx + between * np.outer(x_step, x_step),
        a.xy + b.xy + between * np.outer(x_step, y_step),
        a.x_squares + b.x_squares,
    )


def _pseudo_inverse(symmetric: np.ndarray) -> np.ndarray:
    eigenvalues, vectors = np.linalg.eigh(symmetric)
    usable = eigenvalues > _LEAST_EIGENVALUE * eigenvalues.max(initial=0)
    return vectors[:, usable] / eigenvalues[usable] @ vectors[:, usable].T


def _side_by_side(
    values: Any,
    nuisances: Any,
    n_latents: int | str,
    n_nuisances: int | str,
    *,
    names: Sequence[str] | None = None,
    story: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, checked; `story` is the number of the one that they are of."""
    where = "" if story is None else f" of held-out story {story} (counted from 0)"
    values = real_array(values, f"The values{where}", ("time", n_latents), float)
    nuisances = real_array(nuisances, f"The nuisances{where}", ("time", n_nuisances), float)
    if len(values) != len(nuisances):
        raise InputError(
            f"Values and nuisances{where} must be of the same TRs; got {len(values)} and {len(nuisances)}."
        )
    require_finite(values, f"The array of values{where}")
    if names is not None:
        if len(names) != nuisances.shape[1]:
            raise InputError(f"{nuisances.shape[1]} nuisances{where} have {len(names)} names.")
        for name, column in zip(names, nuisances.T, strict=True):
            require_finite(column, f"Nuisance '{name}'{where}")
    require_finite(nuisances, f"The array of nuisances{where}")
    return values, nuisances
