"""Story swaps: each test story's brain rows beside another story's LM rows, a null that no smoothness explains away.

A swap gives every test story another story of a pool, the test stories and the validation stories: none its own, none
of the recording that it is cut from, and none twice.

How many swaps there are is known without trying them. Let test stories and pool fall into recordings, t_r and n_r
stories of recording r. k test stories can be given k stories of their own recordings in w_k ways, where

    Σ_k w_k x^k = Π_r Σ_j (t_r choose j) (n_r choose j) j! x^j

(the rook polynomial), and then by inclusion and exclusion T test stories and a pool of N have

    Σ_k (-1)^k w_k (N - k)! / (N - T)!

swaps (Riordan, An Introduction to Combinatorial Analysis, 1958, chapter 7). The same sum counts how many swaps go on
from each choice for the first test stories, so that the swap of a given rank is written down choice by choice. Ranks
drawn evenly and without repetition give different swaps, each set of them as likely as any other.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from math import comb, perm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array, require_finite
from brainlm.errors import InputError
from brainlm.scores.correlation import is_constant

N_SWAPS = 999


def draw_swaps(
    test_recordings: Sequence[str], pool_recordings: Sequence[str], *, n_swaps: int = N_SWAPS, seed: int = 0
) -> np.ndarray:
    """Different swaps of stories, drawn evenly from all that there are, or all of them if there are no more.

    Parameters
    ----------
    test_recordings: for each test story the recording that it is, or that it is cut from.
    pool_recordings: the same for the pool, whose first stories are the test stories.
    seed: of the choice.

    Returns
    -------
    (swap, test_story) int: the story of the pool whose LM rows stand beside the test story's brain rows. No rows
    where every pairing would give some story its own recording.

    Raises
    ------
    InputError: a pool that does not begin with the test stories.
    """
    tests, pool = list(test_recordings), list(pool_recordings)
    if pool[: len(tests)] != tests:
        raise InputError("The stories to swap with must begin with the test stories, in their order.")
    n_all = _n_completions(Counter(tests), Counter(pool))
    if n_all <= n_swaps:
        ranks: Sequence[int] = range(n_all)
    else:
        # Python's own generator: 17 test and 8 validation stories have 2e20 swaps, beyond 64 bits.
        generator, drawn = random.Random(seed), dict[int, None]()
        while len(drawn) < n_swaps:
            drawn[generator.randrange(n_all)] = None
        ranks = list(drawn)
    return np.array([_swap_of_rank(rank, tests, pool) for rank in ranks], int).reshape(-1, len(tests))


def _swap_of_rank(rank: int, tests: Sequence[str], pool: Sequence[str]) -> list[int]:
    waiting, free = Counter(tests), defaultdict(list)
    for story, recording in enumerate(pool):
        free[recording].append(story)
    swap = []
    for own in tests:
        waiting[own] -= 1
        # Recordings that have as many stories left are alike.
        of_kind: dict[tuple[int, int], int] = {}
        for other, stories in free.items():
            if other == own or not stories:
                continue
            kind = waiting[other], len(stories)
            if kind not in of_kind:
                left = {recording: len(of) - (recording == other) for recording, of in free.items()}
                of_kind[kind] = _n_completions(waiting, left)
            n_each = of_kind[kind]
            if rank < n_each * len(stories):
                place, rank = divmod(rank, n_each)
                swap.append(stories.pop(place))
                break
            rank -= n_each * len(stories)
    return swap


def _n_completions(waiting: dict[str, int], free: dict[str, int]) -> int:
    """In how many ways the test stories that wait, so many of each recording, get a story that is free."""
    # Recordings of which no test story waits, or no story is free, forbid nothing.
    clashing = sorted((waiting[r], free[r]) for r in waiting if waiting[r] and free[r])
    return _n_assignments(tuple(clashing), sum(waiting.values()), sum(free.values()))


@lru_cache(maxsize=200_000)
def _n_assignments(clashing: tuple[tuple[int, int], ...], n_waiting: int, n_free: int) -> int:
    ways = [1]
    for waiting, free in clashing:
        own = [comb(waiting, j) * perm(free, j) for j in range(min(waiting, free) + 1)]
        product = [0] * (len(ways) + len(own) - 1)
        for k, many in enumerate(ways):
            for j, of_own in enumerate(own):
                product[k + j] += many * of_own
        ways = product
    return sum((-1) ** k * many * perm(n_free - k, n_waiting - k) for k, many in enumerate(ways))


def swap_correlations(brain: Sequence[Any], lm: Sequence[Any], swaps: np.ndarray) -> NDArray[np.float64]:
    """Pearson correlation over all test TRs that a swap pairs, both stories of a pair cut to the shorter.

    Sums of products of each two stories that are paired in some swap are taken once; a swap adds them up.

    Parameters
    ----------
    brain: for each test story (time, latent).
    lm: for each story of the pool (time, latent), the test stories first.
    swaps: (swap, test_story) int, see `draw_swaps`.

    Returns
    -------
    (swap, latent) float64; NaN where either side is constant (`is_constant`).

    Raises
    ------
    InputError: rows that do not fit (`paired_stories`).
    """
    brain, lm = paired_stories(brain, lm)
    swaps = np.asarray(swaps)
    if swaps.ndim != 2 or swaps.shape[1] != len(brain) or swaps.dtype.kind not in "iu":
        raise InputError(f"Swaps of {len(brain)} test stories must be numbers (swap, {len(brain)}).")
    if swaps.size and not 0 <= swaps.min() <= swaps.max() < len(lm):
        raise InputError(f"Swaps must number {len(lm)} stories from 0; got {swaps.min()} to {swaps.max()}.")
    # Without the means sums of squares lose no digits to them.
    x_mean, y_mean = (np.concatenate(rows).mean(axis=0) for rows in (brain, lm))
    brain, lm = [rows - x_mean for rows in brain], [rows - y_mean for rows in lm]
    sums = np.zeros((6, len(swaps), x_mean.size))
    for rows, partners in zip(brain, swaps.T, strict=True):
        of_story = np.zeros((6, len(lm), x_mean.size))
        for partner in np.unique(partners):
            of_story[:, partner] = _sums(rows, lm[partner])
        sums += of_story[:, partners]
    n, x, y, xx, yy, xy = sums
    of_x, of_y = xx - x**2 / n, yy - y**2 / n
    # Constant in relation to the size, the mean included; nor is it more than rounding what is small beside the
    # deviation of these stories from the mean of all.
    undefined = is_constant(of_x, xx + n * x_mean**2) | is_constant(of_y, yy + n * y_mean**2)
    return np.where(undefined, np.nan, (xy - x * y / n) / np.sqrt(np.where(undefined, 1, of_x * of_y)))


def _sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(6, latent): n, Σx, Σy, Σx², Σy² and Σxy over the rows that both have."""
    n = min(len(x), len(y))
    x, y = x[:n], y[:n]
    products = (np.einsum("tl,tl->l", a, b) for a, b in ((x, x), (y, y), (x, y)))
    return np.stack([np.full(x.shape[1], float(n)), x.sum(axis=0), y.sum(axis=0), *products])


def paired_stories(brain: Sequence[Any], lm: Sequence[Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows of the test stories and of the pool, as float64, after checking that they fit.

    Parameters
    ----------
    brain: for each test story (time, latent).
    lm: for each story of the pool (time, latent), the test stories first.

    Raises
    ------
    InputError: no test story, other than finite numbers, stories without rows or with other latents, or a test story
        with more rows in one source than in the other.
    """
    if not len(brain) or len(lm) < len(brain):
        raise InputError(
            f"{len(brain)} test stories of the brain need theirs of the LM; got {len(lm)} stories."
        )
    n_latents: int | str = "latent"
    checked: dict[str, list[np.ndarray]] = {"brain": [], "LM": []}
    for source, stories in (("brain", brain), ("LM", lm)):
        for number, rows in enumerate(stories):
            name = f"The {source}'s story {number} (counted from 0, test stories first)"
            rows = real_array(rows, name, ("time", n_latents), float)
            if not len(rows):
                raise InputError(f"{name} has no rows.")
            require_finite(rows, name)
            n_latents = rows.shape[1]
            checked[source].append(rows)
    for number, (of_brain, of_lm) in enumerate(zip(checked["brain"], checked["LM"], strict=False)):
        if len(of_brain) != len(of_lm):
            raise InputError(
                f"Test story {number} (counted from 0) has {len(of_brain)} rows of the brain, but {len(of_lm)} "
                "of the LM."
            )
    return checked["brain"], checked["LM"]
