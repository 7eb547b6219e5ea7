"""Which TRs of a latent a page shows: not the strongest alone, which would show a reader only what fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PER_THIRD = 2
"""TRs of each third of a latent's activations."""
NEAR_MISSES = 3
_ALIKE = 0.1
"""Share of a latent's silent TRs, the most alike ones, of which near misses are drawn."""


@dataclass(frozen=True)
class Choice:
    """Rows (TRs) in the order in which they are shown."""

    strongest: tuple[int, ...]
    thirds: tuple[tuple[int, ...], ...]
    """Of the highest, the middle and the lowest third of the TRs in which the latent is active."""
    near_misses: tuple[int, ...]


def resemblance(activation: np.ndarray) -> NDArray[np.float32]:
    """How much the other latents at each TR are those that are active together with a latent.

    s_ti = cos(z_t, m_i), with m_i = Σ_t z_ti z_t, both without latent i itself.

    Parameters
    ----------
    activation: (time, latent) float32 code.

    Returns
    -------
    (time, latent) float32; 0 where nothing else is active.
    """
    others = activation.T @ activation
    np.fill_diagonal(others, 0)
    similar = activation @ others
    own = np.square(activation)
    norms = np.sqrt(np.maximum(own.sum(axis=1, keepdims=True) - own, 0)) * np.linalg.norm(others, axis=0)
    return np.divide(similar, norms, out=np.zeros_like(similar), where=norms > 0)


def choose_rows(
    activation: np.ndarray,
    alike: np.ndarray,
    story_of_row: np.ndarray,
    time_s: np.ndarray,
    *,
    strongest: Sequence[int],
    apart_s: float,
    seed: int,
) -> Choice:
    """Draw the TRs that stand below the strongest ones; none is closer than `apart_s` to another that is shown.

    From each third (by rank) of the TRs in which the latent has a positive value PER_THIRD are drawn; and of TRs in
    which it is silent, and at least `apart_s` from any in which it is not, NEAR_MISSES: of the tenth in which the
    other latents are most like those at its active TRs.

    Parameters
    ----------
    activation: (time,) of one latent; stories one after the other.
    alike: (time,) its column of `resemblance`.
    story_of_row: (time,) int.
    time_s: (time,) s after the sound onset of the row's story.
    strongest: rows that are shown anyway.
    apart_s: s.
    seed: of the draw; the same seed draws the same.
    """
    random = np.random.default_rng(seed)
    taken = list(strongest)

    def drawn(candidates: np.ndarray, n: int) -> tuple[int, ...]:
        chosen: list[int] = []
        for row in random.permutation(candidates).tolist():
            if len(chosen) == n:
                break
            same_story = [other for other in taken if story_of_row[other] == story_of_row[row]]
            if all(abs(time_s[other] - time_s[row]) >= apart_s for other in same_story):
                chosen.append(row)
                taken.append(row)
        return tuple(sorted(chosen, key=lambda row: -activation[row]))

    active = np.flatnonzero(activation > 0)
    by_rank = active[np.argsort(-activation[active], kind="stable")]
    thirds = tuple(drawn(third, PER_THIRD) for third in np.array_split(by_rank, 3))
    silent = np.flatnonzero(_is_silent(activation != 0, story_of_row, time_s, apart_s))
    n_alike = max(round(_ALIKE * silent.size), NEAR_MISSES)
    most_alike = silent[np.argsort(-alike[silent], kind="stable")][:n_alike]
    return Choice(tuple(strongest), thirds, drawn(most_alike, NEAR_MISSES))


def _is_silent(
    active: np.ndarray, story_of_row: np.ndarray, time_s: np.ndarray, apart_s: float
) -> NDArray[np.bool_]:
    """(time,) bool: no active row of the same story is closer than `apart_s`."""
    silent = np.empty(active.size, bool)
    for story in np.unique(story_of_row):
        rows = np.flatnonzero(story_of_row == story)
        active_s = np.concatenate([[-np.inf], time_s[rows][active[rows]], [np.inf]])
        after = np.searchsorted(active_s, time_s[rows])
        nearest_s = np.minimum(active_s[after] - time_s[rows], time_s[rows] - active_s[after - 1])
        silent[rows] = nearest_s >= apart_s
    return silent
