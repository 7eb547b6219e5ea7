"""Nulls that turn time around in a circle, and how many TRs they need."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError, TooLittleDataError
from brainlm.scores.correlation import is_constant

N_NULL_SHIFTS = 199
"""Of the null of latents that are found again, at most."""
FEWEST_NULL_SHIFTS = 99
"""With fewer, nothing can exceed all but 1 %."""
N_CHANCE_SHIFTS = 20
"""Shifts besides those of the null, at which the share of latents found again by chance is measured."""


def n_shifts(n_rows: int, minimum_shift: int) -> int:
    """Circular shifts of at least `minimum_shift` of `n_rows` rows, either way."""
    return max(n_rows - 2 * minimum_shift + 1, 0)


def require_shifts(n_rows: int, minimum_shift: int) -> None:
    """Check that rows can be turned around in a circle by at least `minimum_shift`, either way.

    Raises
    ------
    InputError: too few rows.
    """
    if n_shifts(n_rows, minimum_shift) == 0:
        raise InputError(
            f"{n_rows} test TRs leave no circular shift of at least {minimum_shift} TRs for a null: "
            "use more or longer test stories, or lower the minimum shift."
        )


def require_shifts_to_match(n_rows: int, minimum_shift: int) -> None:
    """Check that rows can be turned around in as many ways as it takes to tell which latents are found again.

    Raises
    ------
    TooLittleDataError: too few rows.
    """
    possible, fewest = n_shifts(n_rows, minimum_shift), FEWEST_NULL_SHIFTS + N_CHANCE_SHIFTS
    if possible < fewest:
        raise TooLittleDataError(
            f"{n_rows} test TRs leave {possible} circular shifts of at least {minimum_shift} TRs "
            f"(the minimum shift), but {fewest} are needed to tell which latents are found again: give the test "
            f"split {2 * minimum_shift + fewest - 1} TRs or more."
        )


def circular_cross_correlation(x: np.ndarray, y: np.ndarray) -> NDArray[np.float64]:
    """Pearson correlation of x with y turned around in a circle by every possible lag, column by column.

    Parameters
    ----------
    x, y: (time, column).

    Returns
    -------
    (lag, column) float64; row 0 is the correlation without a shift; NaN for constant columns.

    Raises
    ------
    InputError: x and y of different shapes.
    """
    if np.shape(x) != np.shape(y):
        raise InputError(
            f"Only rows of the same times can be correlated; got {np.shape(x)} and {np.shape(y)}."
        )
    n_rows = len(x)
    standardized = []
    for values in (x, y):
        centred = np.asarray(values, float) - np.mean(values, axis=0, dtype=float)
        deviations, squares = (np.square(of).sum(axis=0) for of in (centred, np.asarray(values, float)))
        constant = is_constant(deviations, squares)
        standardized.append(centred / np.where(constant, np.nan, np.sqrt(deviations)))
    spectrum_x, spectrum_y = (np.fft.rfft(values, axis=0) for values in standardized)
    return np.fft.irfft(spectrum_x * np.conj(spectrum_y), n=n_rows, axis=0)


@dataclass(frozen=True)
class ShiftTest:
    """A correlation against the same correlation after circular shifts in time, column by column."""

    correlation: np.ndarray
    """(column,) without a shift."""
    null_99: np.ndarray
    """(column,) 99th percentile over shifts."""
    p_value: np.ndarray
    """(column,) one-sided: share of shifts that do as well, the unshifted one counted in; 1 if undefined."""


def shift_test(x: np.ndarray, y: np.ndarray, *, minimum_shift: int) -> ShiftTest:
    """Is each column of x correlated with the same column of y beyond what smoothness in time gives?

    Every circular shift of at least `minimum_shift` rows (either way) is in the null, which so keeps both
    signals' autocorrelation and breaks their correspondence.

    Parameters
    ----------
    x, y: (time, column).
    minimum_shift: rows; should exceed the haemodynamic response.

    Raises
    ------
    InputError: fewer than twice `minimum_shift` rows, so that no shift is left.
    """
    require_shifts(len(x), minimum_shift)
    return shift_test_of_lags(circular_cross_correlation(x, y), minimum_shift=minimum_shift)


def shift_test_of_lags(by_lag: np.ndarray, *, minimum_shift: int) -> ShiftTest:
    """`shift_test` of what `circular_cross_correlation` has found.

    Parameters
    ----------
    by_lag: (lag, column), as many lags as rows, the first one without a shift. Turned around in a circle itself, it
        holds the correlations after the first signal has been turned as far.
    minimum_shift: rows, of which `require_shifts` has been asked.
    """
    null = by_lag[minimum_shift : len(by_lag) - minimum_shift + 1]
    undefined = np.isnan(by_lag[0])
    p_value = np.where(undefined, 1.0, (1 + (null >= by_lag[0]).sum(axis=0)) / (1 + len(null)))
    null_99 = np.where(undefined, np.nan, np.quantile(null, 0.99, axis=0))
    return ShiftTest(by_lag[0], null_99, p_value)
