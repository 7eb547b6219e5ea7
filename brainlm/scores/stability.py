"""Which latents are found again with another seed and in another subject: one by one, and counted by class."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from brainlm.errors import InputError, TooLittleDataError
from brainlm.rows.codes import StoryCode
from brainlm.scores.latents import CLASSES
from brainlm.scores.matching import MatchTest, match_test

COMPARED_CLASSES = tuple(name for name in CLASSES if name != "undefined")
LATENT_COLUMNS = (
    *("subject", "seed", "latent", "other_subject", "other_seed"),
    *("partner", "correlation", "found"),
)
"""Of a table that has a row for each latent that was looked for."""


@dataclass(frozen=True)
class EncodedModel:
    """What is compared of a trained crosscoder."""

    subject: str
    seed: int
    codes: Mapping[str, StoryCode]
    """Test story -> its code, as `brainlm.rows.codes.load_codes` reads them."""
    latents: pd.DataFrame
    """Columns class and alive (bool), one row a latent in order: `latent_table`'s rows for one source."""


Pair = tuple[EncodedModel, EncodedModel]


def pairs_of_seeds(models: Sequence[EncodedModel]) -> list[Pair]:
    """All pairs of one subject's models."""
    return list(itertools.combinations(models, 2))


def pairs_of_subjects(one: Sequence[EncodedModel], other: Sequence[EncodedModel]) -> list[Pair]:
    """Each model of one subject with the next seed's of another.

    With the same seed two subjects' models see rows in the same order and, if they have as many voxels, start from
    the same weights, which alone can make latents alike; such pairs are taken only for subjects with a single seed.
    """
    return [(model, other[(number + 1) % len(other)]) for number, model in enumerate(one)]


def compare_pairs(pairs: Sequence[Pair], *, minimum_shift: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`compare_models` of some pairs, one below the other.

    In the first table a pair with too little in common to be compared has a single row: comparison, the models, and a
    column not_compared, which says why and is there only for such pairs. In the second it has none.
    """
    by_class, by_latent = [], []
    for a, b in pairs:
        try:
            of_classes, of_latents = compare_models(a, b, minimum_shift=minimum_shift)
            by_latent.append(of_latents)
        except TooLittleDataError as reason:
            of_classes = pd.DataFrame([_models(a, b) | {"not_compared": str(reason)}])
        by_class.append(of_classes)
    latents = pd.concat(by_latent, ignore_index=True) if by_latent else pd.DataFrame(columns=LATENT_COLUMNS)
    return pd.concat(by_class, ignore_index=True), latents


def compare_models(
    a: EncodedModel, b: EncodedModel, *, minimum_shift: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which latents of one model, and how many of each class, are found again in another, and the other way round.

    Parameters
    ----------
    minimum_shift: see `match_test`.

    Returns
    -------
    One row for each direction and class: comparison ("seeds" within a subject, otherwise "subjects"); subject_a,
    seed_a, the model whose latents are looked for, and subject_b, seed_b, the model they are looked for in; n_rows
    (TRs of the stories that both have); class (in a); n_live; n_found; found_percent and chance_percent (of live
    latents; the latter after shifts); mean_correlation (with partners, of live latents that have one); n_same_class
    and same_class_percent (of latents found again: those whose partner has the same class). NaN where there is no
    latent to take a share or mean of.

    And one row for each direction and latent, dead ones too, in order: LATENT_COLUMNS. subject, seed, the model of
    the latent; other_subject, other_seed, the model it is looked for in; partner, its latent there (Int64), and the
    correlation of their activations over the common TRs, both missing for latents without a partner; found (bool),
    whether the correlation is beyond its null. Latents without a partner are not found.

    Raises
    ------
    InputError: a story with different TRs.
    TooLittleDataError: no common test story, or too few TRs for the null.
    """
    activations = _common_activations(a, b)
    alive = (model.latents["alive"].to_numpy(bool) for model in (a, b))
    of_a, of_b = match_test(*activations, *alive, minimum_shift=minimum_shift)
    n_rows = activations[0].shape[0]
    by_class = [_by_class(of_a, a, b, n_rows), _by_class(of_b, b, a, n_rows)]
    by_latent = [_by_latent(of_a, a, b), _by_latent(of_b, b, a)]
    return pd.concat(by_class, ignore_index=True), pd.concat(by_latent, ignore_index=True)


def _common_activations(a: EncodedModel, b: EncodedModel) -> list[sparse.csr_array]:
    """Both models' (time, latent) activations over the test stories that both have."""
    stories = [story for story in a.codes if story in b.codes]
    if not stories:
        raise TooLittleDataError(
            f"Subjects {a.subject} and {b.subject} have no test story in common: leave one of them out."
        )
    for story in stories:
        if not np.array_equal(a.codes[story].time_s, b.codes[story].time_s):
            raise InputError(
                f"Story '{story}' has other TRs in the latents of {a.subject}, seed {a.seed}, than in those of "
                f"{b.subject}, seed {b.seed}: compute both again."
            )
    return [
        sparse.vstack([sparse.csr_array(model.codes[story].activation) for story in stories], format="csr")
        for model in (a, b)
    ]


def _by_class(test: MatchTest, a: EncodedModel, b: EncodedModel, n_rows: int) -> pd.DataFrame:
    partner, class_of = test.matches.partner, a.latents["class"].to_numpy(str)
    latents = pd.DataFrame(
        {
            "correlation": test.matches.correlation,
            "found": test.found,
            "chance": test.chance,
            # A latent without a partner, -1, is not found again.
            "same_class": test.found & (b.latents["class"].to_numpy(str)[partner] == class_of),
        }
    )
    rows = []
    for name in COMPARED_CLASSES:
        live = latents[(class_of == name) & a.latents["alive"].to_numpy(bool)]
        rows.append(
            {
                **_models(a, b),
                "n_rows": n_rows,
                "class": name,
                "n_live": len(live),
                "n_found": int(live["found"].sum()),
                "found_percent": 100 * live["found"].mean(),
                "chance_percent": 100 * live["chance"].mean(),
                "mean_correlation": live["correlation"].mean(),
                "n_same_class": int(live["same_class"].sum()),
                "same_class_percent": 100 * live.loc[live["found"], "same_class"].mean(),
            }
        )
    return pd.DataFrame(rows)


def _by_latent(test: MatchTest, a: EncodedModel, b: EncodedModel) -> pd.DataFrame:
    partner = pd.array(test.matches.partner, dtype="Int64")
    partner[test.matches.partner < 0] = pd.NA
    return pd.DataFrame(
        {
            "subject": a.subject,
            "seed": a.seed,
            "latent": np.arange(len(partner)),
            "other_subject": b.subject,
            "other_seed": b.seed,
            "partner": partner,
            "correlation": test.matches.correlation,
            "found": test.found,
        }
    )


def _models(a: EncodedModel, b: EncodedModel) -> dict[str, object]:
    return {
        "comparison": "seeds" if a.subject == b.subject else "subjects",
        "subject_a": a.subject,
        "seed_a": a.seed,
        "subject_b": b.subject,
        "seed_b": b.seed,
    }
