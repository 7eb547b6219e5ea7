"""Pearson correlations, and which columns are constant, so that they have none."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array

LEAST_VARIANCE = 1e-12
"""Of a column's mean square: with less variance it is constant."""


def is_constant(deviations: np.ndarray, squares: np.ndarray) -> NDArray[np.bool_]:
    """Which columns are constant: Σ(x - mean)² <= 1e-12 Σx², a standard deviation below a millionth of the size.

    The mean of equal numbers need not equal them, so that rounding leaves some variance: where Σx² - (Σx)²/n is taken
    in float64 over 100,000 rows, up to about 1e-13 Σx². And what varies by less than a millionth of its size is not
    much more than rounding in float32, in which most data come.

    Parameters
    ----------
    deviations, squares: (column,) float64 sums over rows of (x - mean)² and of x².

    Returns
    -------
    (column,) bool; True for columns of zeros, False where a sum is NaN.
    """
    return deviations <= LEAST_VARIANCE * squares


def pearson(x: Any, y: Any) -> NDArray[np.float64]:
    """Pearson correlation of each column of x with the same column of y over rows.

    Parameters
    ----------
    x, y: (time, column).

    Returns
    -------
    (column,) float64; NaN where either column is constant (`is_constant`) or holds a value that is not finite.

    Raises
    ------
    InputError: other than real numbers of one shape, (time, column).
    """
    x = real_array(x, "x", ("time", "column"), float)
    y = real_array(y, "y", x.shape, float)
    result = np.full(x.shape[1], np.nan)
    if not len(x):
        return result
    finite = np.isfinite(x).all(axis=0) & np.isfinite(y).all(axis=0)
    x, y = x[:, finite], y[:, finite]
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    of_a, of_b = (a**2).sum(axis=0), (b**2).sum(axis=0)
    undefined = is_constant(of_a, (x**2).sum(axis=0)) | is_constant(of_b, (y**2).sum(axis=0))
    result[finite] = _ratio((a * b).sum(axis=0), of_a * of_b, undefined)
    return result


def pearson_of_sums(sums: np.ndarray) -> NDArray[np.float64]:
    """Pearson correlation of columns of which only sums over rows are kept.

    Parameters
    ----------
    sums: (6, column) float64: n, Σx, Σy, Σx², Σy² and Σxy.

    Returns
    -------
    (column,) float64; NaN where either column is constant (`is_constant`).
    """
    n, sum_x, sum_y, sum_xx, sum_yy, sum_xy = sums
    of_x, of_y = sum_xx - sum_x**2 / n, sum_yy - sum_y**2 / n
    undefined = is_constant(of_x, sum_xx) | is_constant(of_y, sum_yy)
    return _ratio(sum_xy - sum_x * sum_y / n, of_x * of_y, undefined)


def _ratio(covariance: np.ndarray, product: np.ndarray, undefined: np.ndarray) -> np.ndarray:
    return np.where(undefined, np.nan, covariance / np.sqrt(np.where(undefined, 1, product)))
