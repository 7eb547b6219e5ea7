"""Verdicts counted: shares and how sure they are, beside the paper's classes, and step by step."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brainlm.arrays import real_array
from brainlm.errors import InputError
from brainlm.scores.evidence.verdict import HEADLINE, LABELS, VERDICTS, is_shared, labels, numbers, told
from brainlm.scores.latents import CLASSES, SHARED_BOUND

DEAD = VERDICTS[0]
LIVE_LABELS = tuple(label for label in LABELS if label != DEAD)
"""Of live latents, in order: shared without a qualifier, and with each of them, apart."""
VERIFYING = {
    "shared": (HEADLINE,),
    "brain-dominant": ("shared, mostly brain", "brain, story-driven", "brain, spontaneous", "brain"),
    "lm-dominant": ("shared, mostly LM", "LM"),
}
"""Class of the paper -> the verdicts that bear it out: for a dominant one, that the latent contributes to the one
source alone, or far more to it than to the other. An artefact is the scanner's, not the brain's."""


def verdict_shares(verdicts: pd.DataFrame, live: np.ndarray) -> dict[str, float]:
    """Share of each of LIVE_LABELS among live latents; they add up to 1. NaN if none is alive.

    Parameters
    ----------
    verdicts: columns verdict and qualifier, one row a latent, see `brainlm.scores.evidence.verdict.verdicts`.
    live: (latent,) bool.

    Raises
    ------
    InputError: live latents of another model than the verdicts.
    """
    live = np.asarray(live, bool)
    of_latent = labels(verdicts).to_numpy()
    if live.shape != of_latent.shape or (live != (of_latent != DEAD)).any():
        raise InputError(
            f"Verdicts of {of_latent.size} latents, {np.sum(of_latent != DEAD)} of them live, do not belong to "
            f"{live.size} latents with {live.sum()} live ones: take both from one model."
        )
    return {
        label: float(np.mean(of_latent[live] == label)) if live.any() else float("nan")
        for label in LIVE_LABELS
    }


def verified(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Which latents have a verdict that bears out their class, see VERIFYING.

    Parameters
    ----------
    table: columns class, verdict and qualifier, one row a latent.

    Returns
    -------
    (latent,) bool; False for those of the class between.
    """
    return np.array(
        [label in VERIFYING.get(name, ()) for name, label in zip(table["class"], labels(table), strict=True)],
        bool,
    )


def verified_shares(table: pd.DataFrame) -> dict[str, float]:
    """How much of each class is verified: share of live latents that are of it and `verified`. NaN if none is alive.

    Parameters
    ----------
    table: columns class, alive, verdict and qualifier, one row a latent.

    Returns
    -------
    Class, of VERIFYING -> share, at most that of `brainlm.scores.latents.class_shares`.
    """
    live = table[table["alive"]]
    holds = verified(live)
    return {
        name: float(np.mean(holds & (live["class"] == name))) if len(live) else float("nan")
        for name in VERIFYING
    }


def jackknife_error(leave_one_out: Sequence[float]) -> float:
    """Standard error of a share over test stories: √((n - 1) / n Σ (x_i - x̄)²), x_i without story i.

    Source: B. Efron & C. Stein, Ann. Statist. 9:586, 1981.

    Parameters
    ----------
    leave_one_out: the share for each of n test stories that is left out, the verdicts being given anew.

    Returns
    -------
    NaN, not known, with fewer than two stories.
    """
    values = real_array(leave_one_out, "Shares without each story", ("story",), float)
    n = values.size
    if n < 2:
        return float("nan")
    return float(np.sqrt((n - 1) / n * np.square(values - values.mean()).sum()))


def cross_table(classes: Sequence[str], verdicts: pd.DataFrame) -> pd.DataFrame:
    """How many live latents of each of the paper's classes have each verdict.

    Parameters
    ----------
    classes: (latent,) of `brainlm.scores.latents.classify`.
    verdicts: columns verdict and qualifier, one row a latent.

    Returns
    -------
    One row a class, in the order of CLASSES, one column for each of LIVE_LABELS; int counts.

    Raises
    ------
    InputError: classes of other latents, or other than the paper's.
    """
    of_class, of_latent = np.asarray(classes, str), labels(verdicts).to_numpy()
    if of_class.shape != of_latent.shape:
        raise InputError(
            f"There are {of_class.size} classes and {of_latent.size} verdicts: take both from one model."
        )
    for values, known in ((of_class, CLASSES), (of_latent, LABELS)):
        if unknown := set(values) - set(known):
            raise InputError(f"'{min(unknown)}' is none of {', '.join(known)}.")
    counts = [
        [int(np.sum((of_class == name) & (of_latent == label))) for label in LIVE_LABELS] for name in CLASSES
    ]
    return pd.DataFrame(counts, index=pd.Index(CLASSES, name="class"), columns=list(LIVE_LABELS))


def funnel(table: pd.DataFrame) -> pd.DataFrame:
    """How many of the latents that the paper calls shared stand each further test, and how many others do.

    Parameters
    ----------
    table: one row a latent of one brain. Numbers: r. True or False: alive; plain_agreement_significant (not
        partialled, against shifts); shift_agreement_significant (without nuisances, against shifts);
        agreement_significant (the same and against swaps, where they are known); swaps_known; contributes_brain,
        contributes_lm. Further verdict and qualifier and, if several models were compared, found_again_in_most:
        whether it is found again with most of the other seeds. NaN, None or "not known" is what is not known.

    Returns
    -------
    One row a step, each counting latents that passed all steps before: step; within_paper_shared (live latents with
    |r| < 0.2) and others (all other live ones), Int64. A step that is known of no live latent has missing counts,
    "not known", and is left out of those after it.

    Raises
    ------
    InputError: a column is missing or holds anything else.
    """
    live, _ = told(table, "alive")
    swaps_known, _ = told(table, "swaps_known")
    found_again = None
    if "found_again_in_most" in table:
        found_again, not_found = told(table, "found_again_in_most")
        found_again = found_again if (live & (found_again | not_found)).any() else None
    steps = {
        "live": live,
        "agree plainly": told(table, "plain_agreement_significant")[0],
        "agree without nuisances": told(table, "shift_agreement_significant")[0],
        "agree against story swaps": (
            told(table, "agreement_significant")[0] if (live & swaps_known).any() else None
        ),
        "contribute to both": told(table, "contributes_brain")[0] & told(table, "contributes_lm")[0],
        f"called {HEADLINE}": is_shared(table),
        "found again in most seeds": found_again,
    }
    paper_shared = np.abs(numbers(table, "r")) < SHARED_BOUND
    remaining, rows = live, []
    for step, passed in steps.items():
        counts = (pd.NA, pd.NA)
        if passed is not None:
            remaining = remaining & passed
            counts = (int(np.sum(remaining & paper_shared)), int(np.sum(remaining & ~paper_shared)))
        rows.append((step, *counts))
    return pd.DataFrame(rows, columns=["step", "within_paper_shared", "others"]).astype(
        {"within_paper_shared": "Int64", "others": "Int64"}
    )
