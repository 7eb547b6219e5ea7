"""From the times of tokens to the times of fMRI volumes: TR grids, Lanczos weights, haemodynamic delays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from brainlm.arrays import real_array
from brainlm.errors import InputError


def tr_midpoints(n_rows: int, *, tr_s: float, sound_onset_s: float, first_tr: int) -> NDArray[np.float64]:
    """Times of a story's response rows, in seconds after its sound began.

    A volume stands for the middle of its repetition time. In ds003020 the sound starts 10 s into the
    recording and the first ten volumes are cut off, so that row i lies at 11 + 2 i s.

    Parameters
    ----------
    n_rows: rows of the story's response, after trimming.
    tr_s: repetition time in s.
    sound_onset_s: time of the sound's onset, in s after the recording's.
    first_tr: index in the recording of the response's first row (volumes cut off in front).

    Returns
    -------
    (time,) float64, s.
    """
    return (first_tr + np.arange(n_rows, dtype=np.float64) + 0.5) * tr_s - sound_onset_s


def lanczos_weights(
    times_s: np.ndarray, tr_times_s: np.ndarray, *, window: int = 3, normalize: bool = False
) -> sparse.csr_array:
    """Weights of a Lanczos resampling from samples at any times to a grid of TRs.

    K_ij = sinc(x) sinc(x / window) for |x| <= window, else 0, with x = (t_TR,i - t_sample,j) / mean TR spacing
    and sinc(x) = sin(pi x) / (pi x). Samples need no order and may share a time.

    Parameters
    ----------
    times_s: (sample,) times of the samples, s.
    tr_times_s: (time,) times wanted, s, increasing, at least two.
    window: number of lobes on each side.
    normalize: divide each row by its sum, which turns the weighted sum into a weighted mean. Rows whose
        weights all but cancel (sum below a tenth of the sum of magnitudes) hold no mean and become zero,
        and so do rows whose weights are all 0 but for rounding (samples whole TRs away).

    Returns
    -------
    (time, sample) float64, sparse.

    Raises
    ------
    InputError: times that are no finite numbers, TR times that are fewer than two or not increasing, or a window
        without lobes.
    """
    times_s = real_array(times_s, "The samples' times", ("sample",), float)
    tr_times_s = real_array(tr_times_s, "The TR times", ("time",), float)
    if not (np.isfinite(times_s).all() and np.isfinite(tr_times_s).all()):
        raise InputError(
            "The samples' times and the TR times must be finite: leave out samples without a time."
        )
    if tr_times_s.size < 2 or np.any(np.diff(tr_times_s) <= 0):
        raise InputError("The TR times must be two or more, and increasing.")
    if window <= 0:
        raise InputError(f"A Lanczos window needs a lobe on each side; got {window}.")
    spacing = np.diff(tr_times_s).mean()
    order = np.argsort(times_s, kind="stable")
    reach = window * spacing
    begin = np.searchsorted(times_s[order], tr_times_s - reach, side="left")
    end = np.searchsorted(times_s[order], tr_times_s + reach, side="right")
    counts = end - begin
    row_pointer = np.concatenate([[0], np.cumsum(counts)])
    position = np.arange(row_pointer[-1]) - np.repeat(row_pointer[:-1] - begin, counts)
    sample = order[position]
    x = (np.repeat(tr_times_s, counts) - times_s[sample]) / spacing
    weights = np.sinc(x) * np.sinc(x / window)
    matrix = sparse.csr_array((weights, sample, row_pointer), shape=(tr_times_s.size, times_s.size))
    if normalize:
        sums, magnitudes = matrix.sum(axis=1), abs(matrix).sum(axis=1)
        has_mean = sums > np.maximum(0.1 * magnitudes, 1e-12)
        factors = np.divide(1.0, sums, out=np.zeros_like(sums), where=has_mean)
        matrix = sparse.csr_array(sparse.diags_array(factors) @ matrix)
    return matrix


def lanczos(
    values: Any,
    times_s: Any,
    tr_times_s: Any,
    window: int = 3,
    normalize: bool = False,
) -> np.ndarray:
    """Resample values at any times to a grid of TRs; see `lanczos_weights` for the equation.

    Parameters
    ----------
    values: (sample, dim).
    times_s: (sample,) s.
    tr_times_s: (time,) s.

    Returns
    -------
    (time, dim), of the values' floating type, float32 at least. A value that is not finite reaches all TRs in whose
    window it is.

    Raises
    ------
    InputError: as `lanczos_weights`, and other than one row of values for each time.
    """
    weights = lanczos_weights(times_s, tr_times_s, window=window, normalize=normalize)
    values = real_array(values, "The values", (weights.shape[1], "dim"), None)
    return weights.astype(values.dtype) @ values


def delayed_weights(
    times_s: np.ndarray,
    tr_times_s: np.ndarray,
    *,
    delays_s: Sequence[float],
    window: int = 3,
    normalize: bool = False,
) -> sparse.csr_array:
    """Weights of the delayed representation: the mean over delays of the resampled signal at t - delay.

    Each delayed time is resampled directly, so nothing is padded, nothing wraps around and delays need
    not be whole TRs. Where they are, this equals resampling on the recording's whole grid, averaging
    earlier rows and trimming afterwards.

    Returns
    -------
    (time, sample) float64, sparse.
    """
    tr_times_s = np.asarray(tr_times_s, float)
    delayed = [
        lanczos_weights(times_s, tr_times_s - delay, window=window, normalize=normalize) for delay in delays_s
    ]
    return sparse.csr_array(sum(delayed) / len(delayed))
