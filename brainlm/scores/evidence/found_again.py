"""Is a latent found again in another model, and does it get the same verdict there?

Which latents are found again is what `brainlm.scores.stability.compare_models` tells. Here the verdicts of a latent
and of its partner stand beside each other, and are counted: found in k of n other seeds, with the same verdict in m.
"""

from collections.abc import Iterable, Mapping

import pandas as pd

from brainlm.errors import InputError
from brainlm.scores.evidence.verdict import labels
from brainlm.scores.stability import LATENT_COLUMNS

Model = tuple[str, int]
"""Subject and seed."""
COLUMNS = (*LATENT_COLUMNS, "verdict", "partner_verdict", "same_verdict")
_LATENT = ["subject", "seed", "latent"]
_MODELS = ["subject", "seed", "other_subject", "other_seed"]


def found_again(
    subject: str, compared: Iterable[pd.DataFrame], evidence: Mapping[Model, pd.DataFrame]
) -> pd.DataFrame:
    """A subject's latents beside their partners in other models.

    Parameters
    ----------
    compared: the second tables of `brainlm.scores.stability.compare_pairs`; rows of other subjects are left out.
    evidence: subject and seed -> columns latent, verdict and qualifier of `evidence_table`, one row a latent, for
        every model that is compared with one of the subject's, and for these.

    Returns
    -------
    One row for each latent, dead ones too, and model that it was looked for in: COLUMNS. See `compare_models` for the
    first; verdict and partner_verdict are of LABELS, the latter "" where there is no partner; same_verdict (bool) is
    whether there is one with the same verdict, found again or not. No rows if no models were compared.

    Raises
    ------
    InputError: a model has no evidence, or evidence of other latents than were compared.
    """
    tables = []
    for table in compared:
        of_subject = table[table["subject"] == subject]
        for models, rows in of_subject.groupby(_MODELS, sort=False):
            own, other = (_verdicts(evidence, model) for model in (models[:2], models[2:]))
            partner = rows["partner"].astype("Int64")
            if rows["latent"].tolist() != own.index.tolist():
                raise _does_not_fit(models[:2])
            if not partner.dropna().isin(other.index).all():
                raise _does_not_fit(models[2:])
            verdict, of_partner = rows["latent"].map(own), partner.map(other).astype(object).fillna("")
            same = verdict == of_partner
            columns = {"verdict": verdict, "partner_verdict": of_partner, "same_verdict": same}
            tables.append(rows.assign(partner=partner, **columns)[list(COLUMNS)])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def found_in_seeds(found_again: pd.DataFrame) -> pd.DataFrame:
    """Found in k of n other seeds of the subject, with the same verdict in m.

    Parameters
    ----------
    found_again: rows of `found_again`, of one or several subjects.

    Returns
    -------
    One row a latent: subject, seed, latent; n_seeds, in which it was looked for (those with too little in common
    apart); n_found and, of these, n_same_verdict (Int64); found_again_in_most (boolean), whether found in more than
    half of them. The last three are missing, not known, for latents that were looked for in other subjects alone;
    there is no row for those that were looked for nowhere.
    """
    in_seed = found_again["other_subject"] == found_again["subject"]
    found = in_seed & found_again["found"].astype(bool)
    counts = (
        found_again[_LATENT]
        .assign(
            n_seeds=in_seed, n_found=found, n_same_verdict=found & found_again["same_verdict"].astype(bool)
        )
        .groupby(_LATENT, sort=False, as_index=False)
        .sum()
        .astype({name: "Int64" for name in ("n_seeds", "n_found", "n_same_verdict")})
    )
    counts["found_again_in_most"] = 2 * counts["n_found"] > counts["n_seeds"]
    answers = ["n_found", "n_same_verdict", "found_again_in_most"]
    counts[answers] = counts[answers].mask(counts["n_seeds"] == 0)
    return counts


def _verdicts(evidence: Mapping[Model, pd.DataFrame], model: Model) -> pd.Series:
    """Latent -> its verdict with the qualifier."""
    if model not in evidence:
        subject, seed = model
        raise InputError(
            f"Latents of {subject}, seed {seed}, were compared, but it has no verdicts: give them."
        )
    table = evidence[model]
    if not table["latent"].is_unique:
        raise _does_not_fit(model)
    return pd.Series(labels(table).to_numpy(object), index=table["latent"].to_numpy())


def _does_not_fit(model: Model) -> InputError:
    subject, seed = model
    return InputError(
        f"The verdicts of {subject}, seed {seed}, are of other latents than those that were compared: compute both "
        "again."
    )
