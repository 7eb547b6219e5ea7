"""Which latents figure 3 and the tables show, one of each role."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from brainlm.scores.evidence.tallies import verified
from brainlm.scores.evidence.verdict import told
from brainlm.scores.interpretation import Separation

ROLES = ("uninterpretable", "shared", "brain-dominant", "lm-dominant")


def candidates(latents: pd.DataFrame, class_name: str) -> np.ndarray:
    """Which live latents of a class are worth showing: the verified ones, if there are any.

    Parameters
    ----------
    latents: as for `choose_latents`.

    Returns
    -------
    (candidate,) numbers of latents: the class's verified ones; if there are none, of class shared those whose
    agreement is significant; if there are none either, all of the class.
    """
    of_class = latents[latents["alive"] & (latents["class"] == class_name)]
    preferred = [verified(of_class)]
    if class_name == "shared":
        preferred.append(told(of_class, "agreement_significant")[0])
    chosen = next((of_class[mask] for mask in preferred if mask.any()), of_class)
    return chosen["latent"].to_numpy()


def choose_latents(
    separations: Mapping[str, Separation], latents: pd.DataFrame, pinned: Mapping[str, int]
) -> pd.DataFrame:
    """The latents that figure 3 and the tables show, one of each role, unless pinned. None is shown twice.

    - shared, brain-dominant, lm-dominant: the live latent, and the theme, of the highest AUC among the class's
      candidates. Its null is the 95th percentile, over shifted labels, of the highest AUC of all candidates and
      themes;
    - uninterpretable: of the brain-dominant candidates whose AUC for no theme exceeds its own 95th percentile
      under shifted labels, the most brain-dominant one (the paper's figure 3a shows such a latent) that is not
      shown as brain-dominant already.

    Candidates are the class's latents that are verified (`brainlm.scores.evidence.tallies.verified`); without any,
    those of class shared whose agreement is significant; without these, all of the class.
    What is pinned for one role is no candidate for another.

    Parameters
    ----------
    separations: theme -> separation over all latents.
    latents: columns latent, class, r, alive, agreement_significant, verdict and qualifier, one row a latent in order.
    pinned: role -> latent.

    Returns
    -------
    Columns role, latent (-1 where there is none), class, theme, auc, null_95, n_candidates, pinned.
    """
    own_null = {theme: np.quantile(found.null, 0.95, axis=0) for theme, found in separations.items()}
    unexplained = latents["latent"].to_numpy()
    for theme, found in separations.items():
        unexplained = unexplained[~(found.auc[unexplained] > own_null[theme][unexplained])]
    by_r = latents.set_index("latent")["r"]
    themes = list(separations)
    auc = np.stack([separations[theme].auc for theme in themes])
    null = np.stack([separations[theme].null for theme in themes])
    rows, shown = {}, list(pinned.values())
    # The classes choose first: tables 1 and 2 show one latent of each.
    for role in (*ROLES[1:], ROLES[0]):
        if role in pinned:
            chosen_from = np.array([pinned[role]])
        elif role == "uninterpretable":
            left = latents[~latents["latent"].isin(shown) & latents["latent"].isin(unexplained)]
            chosen_from = candidates(left, "brain-dominant")
            chosen_from = chosen_from[np.argsort(-by_r[chosen_from].to_numpy())][:1]
        else:
            chosen_from = candidates(latents[~latents["latent"].isin(shown)], role)
        row: dict[str, object] = {"role": role, "latent": -1, "class": role, "theme": ""}
        row |= {"auc": np.nan, "null_95": np.nan}
        if chosen_from.size:
            of_role = auc[:, chosen_from]
            testable = np.isfinite(of_role).any()
            best, position = np.unravel_index(np.nanargmax(of_role), of_role.shape) if testable else (0, 0)
            latent = int(chosen_from[position])
            row |= {"latent": latent, "class": latents["class"].iloc[latent]}
            shown.append(latent)
        if chosen_from.size and testable:
            row |= {"theme": themes[best], "auc": float(of_role[best, position])}
            row["null_95"] = float(np.quantile(np.nanmax(null[..., chosen_from], axis=(0, 2)), 0.95))
        rows[role] = {**row, "n_candidates": chosen_from.size, "pinned": role in pinned}
    return pd.DataFrame([rows[role] for role in ROLES])
