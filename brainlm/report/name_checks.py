"""Do latents that found a planted theme have a name of its words, which holds in other stories?"""

import numpy as np
import pandas as pd

from brainlm.errors import InputError
from brainlm.report.checks import Bar
from brainlm.scores.evidence.verdict import is_shared, told
from brainlm.scores.interpretation import comparable

NAMEABLE = ("place", "negative")
"""Planted features that are themes, whose words are known: annotated spans, and what the LM reads of them."""


def planted_names(planted: pd.DataFrame, names: pd.DataFrame, annotations: pd.DataFrame) -> pd.DataFrame:
    """The names of the latents that found a planted theme.

    A name is *of the theme* if there is one, and each of its words makes up a larger share of the words inside the
    theme's spans than of those outside.

    Parameters
    ----------
    planted: `brainlm.simulation.recovery.match_planted` of a model.
    names: `brainlm.scores.names.name_latents` of the same one.
    annotations: one row a word of all stories: word, theme ("" outside the spans).

    Returns
    -------
    One row for each of `NAMEABLE` that was well found: feature, latent, name, auc, null_95, of_theme (bool), holds
    (bool: of the theme, and its AUC on test stories above its null).

    Raises
    ------
    InputError: such a latent has no row of names.
    """
    found = planted[planted["well_found"] & planted["feature"].isin(NAMEABLE)]
    unnamed = sorted(set(found["latent"]) - set(names["latent"]))
    if unnamed:
        raise InputError(
            f"Latent {unnamed[0]} found a planted feature, but has no row of names: name all live latents."
        )
    table = found[["feature", "latent"]].merge(names, on="latent", how="left")
    words = annotations["word"].map(comparable)
    of_theme = [
        bool(name)
        and all(_more_frequent(word, words, annotations["theme"] == feature) for word in name.split(", "))
        for name, feature in zip(table["name"], table["feature"], strict=True)
    ]
    table = table.assign(of_theme=np.array(of_theme, bool))
    table = table.assign(holds=table["of_theme"] & told(table, "above_null")[0])
    return table[["feature", "latent", "name", "auc", "null_95", "of_theme", "holds"]]


def other_shared_names(evidence: pd.DataFrame, names: pd.DataFrame, planted: pd.DataFrame) -> pd.DataFrame:
    """The names of the latents that are called shared, without a qualifier, and found no theme: rows of `names`."""
    of_themes = planted.loc[planted["well_found"] & planted["feature"].isin(NAMEABLE), "latent"]
    shared = set(evidence.loc[is_shared(evidence), "latent"]) - set(of_themes)
    return names[names["latent"].isin(shared)]


def name_check(themes: pd.DataFrame, others: pd.DataFrame) -> Bar:
    """Every latent that found a planted theme must have a name of its words that holds in test stories.

    Parameters
    ----------
    themes: `planted_names` of several models, one below the other.
    others: `other_shared_names` of the same ones, of which nothing is promised.
    """
    by_theme = "; ".join(
        f"{feature} {int(rows['holds'].sum())} of {len(rows)}"
        for feature, rows in themes.groupby("feature", sort=False)
    )
    of_others = f"of other latents called shared {int(told(others, 'above_null')[0].sum())} of {len(others)}"
    return Bar(
        "latents that found a planted theme: named by its words, above the null on test stories",
        100 * themes["holds"].mean() if len(themes) else np.nan,
        100,
        ">=",
        "%",
        f"{by_theme or 'none found'}; {of_others} have a name above its null",
    )


def _more_frequent(word: str, words: pd.Series, inside: pd.Series) -> bool:
    said = words == word
    return said[inside].mean() > said[~inside].mean()
