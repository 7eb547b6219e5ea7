"""The verdict of a latent, from all that it was asked: one rule, the same for every latent.

The first line that fits; a latent contributes to a source *alone* if to it and not to the other:

    dead                  in no training row's top k in the last epoch
    silent                live, but active in no test row
    shared                agreement significant, contributes to both; "mostly nuisance" where nuisance loss is above
                          its bound, else "mostly LM" where q is below minus its bound, "mostly brain" where above it
    agreeing              agreement significant, otherwise
    nuisance              contributes to both, and plain agreement significant
    artefact              contributes to the brain alone, not reliable or reliability not known, and both the share of
                          the map's variance between slices and its jumps from slice to slice above their bounds
    brain, story-driven   contributes to the brain alone, reliable: reliability significant and above its bound
    brain, spontaneous    contributes to the brain alone, not reliable
    brain                 contributes to the brain alone, reliability not known
    LM                    contributes to the LM alone
    unclear               the rest

What is not known speaks neither for nor against: "significant" and "above" ask for a known value that is so, "not"
for a known one that is not.
"""

import numpy as np
import pandas as pd

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN
from brainlm.scores.evidence.bounds import VerdictBounds

VERDICTS = (
    "dead",
    "silent",
    "shared",
    "agreeing",
    "nuisance",
    "artefact",
    "brain, story-driven",
    "brain, spontaneous",
    "brain",
    "LM",
    "unclear",
)
"""In the order in which they are tried."""
QUALIFIERS = ("mostly nuisance", "mostly LM", "mostly brain")
"""Of shared latents, in the order in which they are tried."""
HEADLINE = "shared"
"""The verdict that headlines count, where it has no qualifier."""
LABELS = (
    *VERDICTS[: VERDICTS.index(HEADLINE) + 1],
    *(f"{HEADLINE}, {qualifier}" for qualifier in QUALIFIERS),
    *VERDICTS[VERDICTS.index(HEADLINE) + 1 :],
)
"""Verdicts with their qualifiers, in order: all that `labels` gives."""


def verdicts(table: pd.DataFrame, bounds: VerdictBounds) -> pd.DataFrame:
    """The verdict of each latent and what must be said beside it; the module's docstring has the rule.

    Parameters
    ----------
    table: one row a latent (and brain), other columns being left alone. True or False: alive, active (in some test
        row), agreement_significant, plain_agreement_significant, contributes_brain, contributes_lm,
        reliability_known, reliability_significant. Numbers: nuisance_loss, q, reliability, slice_share, slice_jumps.
        In any of them NaN, None or "not known" is what is not known.

    Returns
    -------
    One row for each of the table's, with its index: verdict, one of VERDICTS; qualifier, one of QUALIFIERS or "";
    reason, which for "agreeing" says which half does not contribute, for "unclear" which test failed first
    (contribution to any source, then agreement), and else is "".

    Raises
    ------
    InputError: a column is missing or holds anything else.
    """
    agrees, does_not_agree = told(table, "agreement_significant")
    agrees_plainly, _ = told(table, "plain_agreement_significant")
    brain, not_brain = told(table, "contributes_brain")
    lm, not_lm = told(table, "contributes_lm")
    reliability_known, _ = told(table, "reliability_known")
    reliability, (significant, not_significant) = (
        numbers(table, "reliability"),
        told(table, "reliability_significant"),
    )
    reliable = reliability_known & significant & (reliability > bounds.reliability)
    unreliable = reliability_known & (not_significant | (reliability <= bounds.reliability))
    striped = (numbers(table, "slice_share") > bounds.slice_share) & (
        numbers(table, "slice_jumps") > bounds.slice_jumps
    )
    both, neither, brain_alone, lm_alone = brain & lm, not_brain & not_lm, brain & not_lm, lm & not_brain
    fits = {
        "dead": told(table, "alive")[1],
        "silent": told(table, "active")[1],
        "shared": agrees & both,
        "agreeing": agrees,
        "nuisance": both & agrees_plainly,
        "artefact": brain_alone & ~reliable & striped,
        "brain, story-driven": brain_alone & reliable,
        "brain, spontaneous": brain_alone & unreliable,
        "brain": brain_alone,
        "LM": lm_alone,
    }
    verdict = _first(fits, otherwise="unclear")

    q = numbers(table, "q")
    lopsided = {
        "mostly nuisance": numbers(table, "nuisance_loss") > bounds.nuisance_loss,
        "mostly LM": q < -bounds.one_sided,
        "mostly brain": q > bounds.one_sided,
    }
    why_agreeing = {
        "contributes to neither source": neither,
        "does not contribute to the LM": not_lm,
        "does not contribute to the brain": not_brain,
    }
    why_unclear = {
        "contributes to neither source": neither,
        "contributions not known": ~both,
        "agreement not significant": does_not_agree,
    }
    reasons = {
        "agreeing": _first(why_agreeing, otherwise="contributions not known"),
        "unclear": _first(why_unclear, otherwise="agreement not known"),
    }
    return pd.DataFrame(
        {
            "verdict": verdict,
            "qualifier": np.where(verdict == HEADLINE, _first(lopsided, otherwise=""), ""),
            "reason": np.select([verdict == name for name in reasons], list(reasons.values()), default=""),
        },
        index=table.index,
    )


def labels(verdicts: pd.DataFrame) -> pd.Series:
    """Verdicts with their qualifiers, of LABELS: "shared" is without one, "shared, mostly LM" with it.

    Parameters
    ----------
    verdicts: columns verdict and qualifier of `verdicts`, or of a table that was read from a file.
    """
    # Empty fields of a file are read as NaN.
    qualifier = verdicts["qualifier"].fillna("").astype(str)
    return verdicts["verdict"].where(qualifier == "", verdicts["verdict"] + ", " + qualifier)


def is_shared(verdicts: pd.DataFrame) -> np.ndarray:
    """Which latents headlines count, shared without a qualifier: (latent,) bool; takes what `labels` takes."""
    return (labels(verdicts) == HEADLINE).to_numpy(bool)


def told(table: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    """In which rows a column says True and in which False, (row,) bool each; in neither where it is not known.

    Raises
    ------
    InputError: there is no such column, or it holds anything but True, False, NaN, None and "not known".
    """
    column, known = _known(table, name)
    for value in column[known]:
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"Column {name} must hold True, False or {NOT_KNOWN!r}; got {value!r}.")
    yes = np.zeros(len(column), bool)
    yes[known] = column[known].astype(bool)
    return yes, known & ~yes


def numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    """A column of numbers, (row,) float64, NaN where it is not known: no comparison with that is true.

    Raises
    ------
    InputError: there is no such column, or it holds anything but numbers, None and "not known".
    """
    column, known = _known(table, name)
    values = np.full(len(column), np.nan)
    try:
        values[known] = column[known].to_numpy(float)
    except (TypeError, ValueError):
        raise InputError(f"Column {name} must hold numbers or {NOT_KNOWN!r}.") from None
    return values


def _known(table: pd.DataFrame, name: str) -> tuple[pd.Series, np.ndarray]:
    if name not in table:
        raise InputError(f"A verdict needs the column {name}, which the table of latents lacks.")
    column = table[name]
    return column, ~(column.isna() | column.isin([NOT_KNOWN])).to_numpy(bool)


def _first(conditions: dict[str, np.ndarray], *, otherwise: str) -> np.ndarray:
    # The name of the first condition that holds in each row.
    return np.select(list(conditions.values()), list(conditions), default=otherwise)
