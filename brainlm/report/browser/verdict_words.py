"""What a verdict says, in a sentence; the rule itself stands in `brainlm.scores.evidence.verdict`."""

import pandas as pd

from brainlm.files import NOT_KNOWN
from brainlm.report.browser.answers import known

_SHARED = "Brain and LM agree about it on test stories, and both are reconstructed worse without it"
_BRAIN = "The brain alone is reconstructed worse without it"
SENTENCES = {
    "dead": "It was active in no training row of the last epoch.",
    "silent": "It is active in no test row.",
    "shared": f"{_SHARED}.",
    "shared, mostly nuisance": f"{_SHARED}; but most of the agreement goes with speech rate, time and the like.",
    "shared, mostly LM": f"{_SHARED}; but it is far more of the LM's.",
    "shared, mostly brain": f"{_SHARED}; but it is far more of the brain's.",
    "agreeing": "Brain and LM agree about it on test stories",
    "nuisance": "Both sources need it, but what they agree about goes with speech rate, time and the like.",
    "artefact": f"{_BRAIN}, no story drives it, and its map jumps from slice to slice.",
    "brain, story-driven": f"{_BRAIN}, and the same story drives it again at every hearing, without the LM's help.",
    "brain, spontaneous": f"{_BRAIN}, and it does not come again when the story is heard again.",
    "brain": f"{_BRAIN}; whether the story drives it is not known.",
    "LM": "The LM alone is reconstructed worse without it.",
    "unclear": "None of the verdicts fits",
}
"""Verdict with its qualifier -> sentence; a reason follows where there is none of a sentence's full stop."""
WITH_MAPS = ("shared", "brain, story-driven", "artefact")
"""Latents whose maps are drawn large, beside their partners': those of these verdicts, with any qualifier."""


def sentence(verdict: str, reason: str) -> str:
    """What a verdict says.

    Parameters
    ----------
    verdict: with its qualifier, of `brainlm.scores.evidence.verdict.LABELS`.
    reason: which half does not contribute, or which test failed first; "" where nothing is to be told.
    """
    told = SENTENCES[verdict]
    return told if told.endswith(".") else f"{told}: {reason}." if reason else f"{told}."


def has_large_map(verdict: str) -> bool:
    """Whether a latent's map is drawn large."""
    return verdict.startswith(WITH_MAPS)


def name_of(names: pd.DataFrame, latent: int) -> tuple[str, str]:
    """A latent's name, and a sentence on it.

    Parameters
    ----------
    names: as in `brainlm.report.browser.run.Tables`.

    Returns
    -------
    "" where it has no name.
    """
    rows = names[names["latent"] == latent]
    if not len(rows) or rows["name"].iloc[0] == NOT_KNOWN:
        return (
            "",
            "Whether words are key to it is not known: training stories are too few, or too short, to tell.",
        )
    row = rows.iloc[0]
    if not row["name"]:
        return "", "It has no name: no word is key to its strongest TRs in training stories."
    words = f"The words of its name are key to its strongest TRs, in {row['n_stories']:g} training stories"
    if pd.isna(row["auc"]):
        return row["name"], f"{words}; whether they tell on test stories when it is active is not known."
    tell = "tell" if row["above_null"] else "do not tell"
    return row["name"], (
        f"{words}; they {tell} on test stories when it is active (AUC {known(row['auc'])}, 95 % of shifts below "
        f"{known(row['null_95'])})."
    )
