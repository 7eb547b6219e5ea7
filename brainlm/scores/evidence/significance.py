"""Which of many tests are significant together, and how many it takes where a null is small."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from brainlm.arrays import real_array
from brainlm.errors import InputError

_ROUNDING = 1 + 1e-9


def at_most(p: np.ndarray, bound: float) -> np.ndarray:
    """p <= bound, where rounding does not decide: p is a multiple of 1 / (1 + shifts), and can equal a bound."""
    return p <= bound * _ROUNDING


@dataclass(frozen=True)
class Resolution:
    """What the fewest shifts that could do as well leave to be found."""

    floor: float
    """The smallest p that there can be."""
    n_at_floor: int
    """Latents that must reach it before any is significant; none ever is if that is more than there are."""


def resolution(n_shifts: int, n_latents: int, rate: float) -> Resolution:
    """How fine a test of this many shifts can be: 1 / (S + 1), and L / (rate (S + 1)) of L latents, rounded up.

    Parameters
    ----------
    n_shifts: S, or the size of the smaller null where swaps are known (`AgreementTest.n_null`).
    n_latents: L, that are tested together.
    rate: false discovery rate (Benjamini-Hochberg).
    """
    needed = n_latents / (rate * (n_shifts + 1))
    return Resolution(1 / (n_shifts + 1), ceil(needed / _ROUNDING))


def significant(p: Any, rate: float) -> NDArray[np.bool_]:
    """Which of a family of tests are significant at a false discovery rate (Benjamini & Hochberg, 1995).

    Parameters
    ----------
    p: (test,) in [0, 1]; one that is not known, NaN, is never significant, but counts as a test.

    Returns
    -------
    (test,) bool.

    Raises
    ------
    InputError: other than probabilities.
    """
    p = real_array(p, "p", ("test",), float)
    p = np.where(np.isnan(p), 1.0, p)
    if not np.all((p >= 0) & (p <= 1)):
        raise InputError("p must lie between 0 and 1.")
    return at_most(false_discovery_control(p), rate) if p.size else np.zeros(0, bool)
