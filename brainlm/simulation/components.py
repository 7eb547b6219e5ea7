"""Sparse components of what a language model carries, and how much of a time course others explain."""

import numpy as np
from numpy.typing import NDArray


def standardize(time_courses: np.ndarray) -> np.ndarray:
    """Each column to mean 0 and s.d. 1."""
    return (time_courses - time_courses.mean(axis=0)) / time_courses.std(axis=0)


def varimax(scores: np.ndarray) -> np.ndarray:
    """Rotation that makes the columns of scores as unevenly distributed over rows as it can (Kaiser, 1958).

    Parameters
    ----------
    scores: (row, component), white.

    Returns
    -------
    (component, component) orthogonal; ``scores @ rotation`` are the rotated scores.
    """
    n_rows, n_components = scores.shape
    rotation, previous = np.eye(n_components), 0.0
    for _ in range(200):
        rotated = scores @ rotation
        gradient = scores.T @ (rotated**3 - rotated * (rotated**2).mean(axis=0))
        left, singular, right = np.linalg.svd(gradient / n_rows)
        rotation = left @ right
        if singular.sum() - previous < 1e-9 * singular.sum():
            break
        previous = singular.sum()
    return rotation


def sparse_components(heard: np.ndarray, n_components: int) -> NDArray[np.float64]:
    """Components read linearly out of the LM's hidden states that are near 0 most of the time.

    The `n_components` largest principal components of what is heard are rotated by varimax and turned so that
    their long tail is positive.

    Parameters
    ----------
    heard: (time, hidden) haemodynamic response to the hidden states.

    Returns
    -------
    (time, n_components) float64, mean 0, s.d. 1, uncorrelated.
    """
    left, _, _ = np.linalg.svd(standardize(heard), full_matrices=False)
    white = standardize(left[:, :n_components])
    components = standardize(white @ varimax(white))
    return components * np.sign((components**3).mean(axis=0))


def rectified(courses: np.ndarray, *, threshold: float = 0.5) -> NDArray[np.float64]:
    """What of each course is more than `threshold` s.d. above its mean, which is what drives the brain.

    Parameters
    ----------
    courses: (time, course).

    Returns
    -------
    (time, course) float64, mean 0, s.d. 1.
    """
    return standardize(np.maximum(standardize(courses) - threshold, 0.0))


def theme_readout(hidden: np.ndarray, in_span: np.ndarray, *, penalty: float = 1.0) -> NDArray[np.float64]:
    """How much the LM itself takes each word to be part of an annotated span: a ridge readout of its states.

    Parameters
    ----------
    hidden: (word, hidden), standardized columns. in_span: (word,) bool.
    penalty: ridge penalty in units of the number of words.

    Returns
    -------
    (word,) float64.
    """
    gram = hidden.T @ hidden / len(hidden)
    target = in_span - in_span.mean()
    return hidden @ np.linalg.solve(gram + penalty * np.eye(len(gram)), hidden.T @ target / len(hidden))


def without(values: np.ndarray, courses: np.ndarray) -> NDArray[np.float64]:
    """What least squares on `courses`, and a constant, leaves of `values`.

    Parameters
    ----------
    values: (time, column). courses: (time, course).

    Returns
    -------
    (time, column) float64, mean 0.
    """
    values, courses = values - values.mean(axis=0), courses - courses.mean(axis=0)
    return values - courses @ np.linalg.lstsq(courses, values)[0]


def share_explained(values: np.ndarray, courses: np.ndarray) -> NDArray[np.float64]:
    """R² of least squares: the share of each column's variance that `courses` explain together.

    Parameters
    ----------
    values: (time, column), none constant. courses: (time, course).

    Returns
    -------
    (column,) float64, in [0, 1].
    """
    return 1 - without(values, courses).var(axis=0) / values.var(axis=0)


def least_explained(
    components: np.ndarray, others: np.ndarray, n: int, *, not_of: np.ndarray
) -> NDArray[np.bool_]:
    """Which `n` components the other components and `others` explain least (R² of least squares).

    Parameters
    ----------
    components: (time, component). others: (time, course).
    not_of: (component,) bool, components that come last.

    Returns
    -------
    (component,) bool.
    """
    explained = [
        share_explained(components[:, [i]], np.hstack([np.delete(components, i, axis=1), others]))[0]
        for i in range(components.shape[1])
    ]
    order = np.lexsort((explained, not_of))
    return np.isin(np.arange(len(order)), order[:n])
