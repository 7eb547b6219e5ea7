"""A name for each latent: the words that are key to it in training stories, scored on test stories."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from brainlm.errors import TooLittleDataError
from brainlm.files import NOT_KNOWN
from brainlm.rows.codes import StoryCode
from brainlm.scores.interpretation import separation
from brainlm.scores.keyness import Keyness, PassageWords, keyness, passage_words, strongest_rows
from brainlm.scores.shifts import n_shifts

N_WORDS = 5
"""Of a name, at most."""


def name_latents(
    training: Mapping[str, StoryCode],
    test: Mapping[str, StoryCode],
    words: Mapping[str, pd.DataFrame],
    latents: Sequence[int],
    *,
    span_s: float,
    minimum_shift: int,
) -> pd.DataFrame:
    """Name latents by the words of their strongest passages, and ask whether the names hold in other stories.

    A latent's name is made of words above the null of `brainlm.scores.keyness`, five at most: those whose log-odds
    are largest even at the lower end of their 95 % interval. (By z, words that everybody says all the time come
    first, because little is enough to tell that they are more frequent; by log-odds alone, words heard twice.)

    On test stories it is asked whether a latent is active (above 0) where the passage before the TR holds a word of
    its name: the area under the ROC curve of "holds a word" for "is active", (1 + share of active TRs that hold one -
    share of others that do) / 2, against the 95th percentile of it after the latent's activity was turned around in a
    circle. The words were chosen without these stories, so that this is the null of one latent: of latents that have
    nothing to do with their names 5 % exceed it.

    The order of the stories makes no difference.

    Parameters
    ----------
    training, test: story -> code.
    words: story -> columns word, onset_s, offset_s, for the stories of both.
    latents: (latent,) those that are to be named.
    span_s: length of a passage before its TR.
    minimum_shift: rows; smallest circular shift, either way.

    Returns
    -------
    One row a latent, in the order given: latent; name (words joined by ", "; "" if none is above the null, "not
    known" if training stories are too short or say too little to tell); n_words; z (of its first word); n_stories
    (training stories in whose strongest passages a word of the name is heard); auc, null_95, above_null (bool). NaN:
    what a latent without a name has none of, and what cannot be told because the test stories are too short, or a
    latent is active, or its name is heard, in none or all of their TRs.

    Raises
    ------
    InputError: a story without a table of words.
    """
    training, test = (dict(sorted(codes.items())) for codes in (training, test))
    heard, heard_in_test = (
        passage_words(words, {story: code.time_s for story, code in codes.items()}, span_s)
        for codes in (training, test)
    )
    strongest = strongest_rows(_activation(training)[:, latents])
    try:
        found = keyness(heard, strongest, minimum_shift=minimum_shift)
    except TooLittleDataError:
        return pd.DataFrame([_row(latent, NOT_KNOWN) for latent in latents])
    active = (_activation(test)[:, latents] > 0).toarray()
    rows = []
    for column, latent in enumerate(latents):
        chosen = _chosen(found, column)
        if chosen.size == 0:
            rows.append(_row(latent, "", n_words=0))
            continue
        name = found.words[chosen]
        carrying = holds_any(heard, name) & (strongest[:, [column]].toarray()[:, 0] > 0)
        rows.append(
            _row(
                latent,
                ", ".join(name),
                n_words=len(name),
                z=found.z[chosen[0], column],
                n_stories=np.unique(heard.story[carrying]).size,
                **_score(active[:, column], holds_any(heard_in_test, name), minimum_shift),
            )
        )
    return pd.DataFrame(rows)


def holds_any(heard: PassageWords, words: Iterable[str]) -> NDArray[np.bool_]:
    """(time,) bool: the row's passage holds one of the words, which are written as `comparable` makes them."""
    wanted = np.isin(heard.words, list(words))
    return heard.counts[wanted].sum(axis=0) > 0


def _activation(codes: Mapping[str, StoryCode]) -> sparse.csc_array:
    """(time, latent) activations of stories, one after the other."""
    return sparse.vstack([sparse.csr_array(code.activation) for code in codes.values()], format="csc")


def _chosen(found: Keyness, column: int) -> np.ndarray:
    """The words of a latent's name, as places in `found.words`, the first one first."""
    above = np.flatnonzero(found.above_null[:, column])
    return above[np.argsort(-found.least_log_odds[above, column], kind="stable")][:N_WORDS]


def _score(active: np.ndarray, holds: np.ndarray, minimum_shift: int) -> dict[str, Any]:
    """auc, null_95 and above_null of a name, from (time,) bool of test stories; {} where they cannot be told."""
    if n_shifts(len(active), minimum_shift) == 0 or any(of.all() or not of.any() for of in (active, holds)):
        return {}
    found = separation(holds[:, None].astype(float), active, minimum_shift=minimum_shift)
    auc, null_95 = float(found.auc[0]), float(np.quantile(found.null, 0.95))
    # So few values are possible that the two are often equal, but for rounding.
    return {"auc": auc, "null_95": null_95, "above_null": auc > null_95 + 1e-9}


def _row(latent: int, name: str, **told: Any) -> dict[str, Any]:
    missing = dict.fromkeys(["n_words", "z", "n_stories", "auc", "null_95", "above_null"], np.nan)
    return {"latent": latent, "name": name, **missing, **told}
