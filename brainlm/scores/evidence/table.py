"""All that is asked of the latents of a model, and the verdict: one row a latent, and one row for the whole."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from brainlm.errors import InputError
from brainlm.scores.correlation import pearson
from brainlm.scores.evidence.agreement import (
    AgreementTest,
    agreement_evidence,
    nuisance_loss,
    plain_agreement,
    shifted_shares,
)
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.contribution import (
    Contribution,
    contributes,
    contribution,
    relative_contribution,
)
from brainlm.scores.evidence.halves import Half, Halves
from brainlm.scores.evidence.repeats import ceiling_agreement, ceiling_agreement_of_mean, latent_reliability
from brainlm.scores.evidence.significance import resolution, significant
from brainlm.scores.evidence.tallies import jackknife_error, verdict_shares
from brainlm.scores.evidence.texture import Texture
from brainlm.scores.evidence.verdict import verdicts
from brainlm.scores.shifts import ShiftTest


@dataclass(frozen=True)
class Asking:
    """How latents are asked."""

    minimum_shift: int
    """Rows (TRs): smallest circular shift in a null, and length of the blocks of a bootstrap."""
    false_discovery_rate: float
    """Benjamini-Hochberg, over a model's live latents (and one brain)."""
    bounds: VerdictBounds = field(default_factory=VerdictBounds)


@dataclass(frozen=True)
class _Answers:
    """What the live latents' rows over some test stories say."""

    agreement: AgreementTest
    plain: ShiftTest
    brain: Contribution
    lm: Contribution


def evidence_table(
    latents: pd.DataFrame, halves: Halves, texture: Texture, asking: Asking
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Ask a model's latents all questions.

    Parameters
    ----------
    latents: all rows of `brainlm.scores.summary.latent_table` for one brain: latent, source, r, class, alive,
        density.
    halves: of the live ones. texture: of the live latents' brain decoder maps.

    Returns
    -------
    One row a latent, in order: latent, source, r, class, alive, active, density; agreement (partialled) with
    agreement_null_99, agreement_p_shift, agreement_p_swap, agreement_p, agreement_significant,
    shift_agreement_significant (against shifts only) and swaps_known; plain_agreement, plain_agreement_p,
    plain_agreement_significant; nuisance_loss; contribution_brain, contribution_lm (percent, each with _low and
    _high) and contributes_brain, contributes_lm; q; reliability of the brain's half with _p, _significant and
    _known, the same of partialled_reliability; agreement_at_ceiling; total_variation, slice_share, slice_jumps;
    verdict, qualifier, reason. NaN: not known, and of dead latents not asked.

    And of the model as a whole: live_latents, n_rows, n_stories, n_shifts, n_swaps; p_floor and n_at_floor
    (`resolution`); whole_model_agreement and whole_model_p; n_hearings that reliability rests on; n_blocks;
    nuisances; share_<verdict> of live latents and error_<verdict>, its jackknife error over test stories;
    shifted_share_agreeing, the mean share called agreeing after turns of the brain's rows, and
    largest_shifted_share_agreeing.

    Raises
    ------
    InputError: a table of other latents, or too few test TRs for a shift or for two blocks.
    """
    _require_same_latents(latents, halves, texture)
    answers = _answers(halves, asking)
    reliability, n_hearings = _reliability(halves, asking)
    fixed = reliability | {
        name: getattr(texture, name) for name in ("total_variation", "slice_share", "slice_jumps")
    }
    ceiling = {"agreement_at_ceiling": _at_ceiling(halves, answers.agreement, reliability)}
    table = _judged(latents, halves, _columns(answers, asking) | fixed | ceiling, asking)

    agreement, n_live = answers.agreement, len(halves.latents)
    floor = resolution(agreement.n_null, n_live, asking.false_discovery_rate)
    false_alarms = shifted_shares(
        halves.brain.partialled,
        halves.lm.partialled,
        recordings=halves.recordings,
        minimum_shift=asking.minimum_shift,
        rate=asking.false_discovery_rate,
        nuisances=halves.nuisance_rows,
    )
    shares = verdict_shares(table, table["alive"])
    without_each = _shares_without_each_story(latents, halves, fixed, asking)
    return table, {
        "live_latents": n_live,
        "n_rows": len(halves.activation),
        "n_stories": halves.n_stories,
        "n_shifts": agreement.n_shifts,
        "n_swaps": agreement.n_swaps,
        "p_floor": floor.floor,
        "n_at_floor": floor.n_at_floor,
        "whole_model_agreement": agreement.whole_model_mean,
        "whole_model_p": agreement.whole_model_p,
        "n_hearings": n_hearings,
        "n_blocks": answers.brain.n_blocks,
        "nuisances": ", ".join(halves.nuisances),
        **{f"share_{name}": share for name, share in shares.items()},
        **{f"error_{name}": jackknife_error([of[name] for of in without_each]) for name in shares},
        "shifted_share_agreeing": false_alarms.mean(),
        "largest_shifted_share_agreeing": false_alarms.max(),
    }


def _require_same_latents(latents: pd.DataFrame, halves: Halves, texture: Texture) -> None:
    live = latents.loc[latents["alive"], "latent"].to_numpy()
    if not np.array_equal(live, halves.latents) or len(texture.total_variation) != len(live):
        raise InputError(
            f"The table of latents has {len(live)} live ones, but there are projections of {len(halves.latents)} and "
            f"maps of {len(texture.total_variation)}, or of others: take all from one model and brain, in order."
        )


def _answers(halves: Halves, asking: Asking) -> _Answers:
    brain, lm = halves.brain, halves.lm

    def contribution_to(half: Half) -> Contribution:
        return contribution(
            halves.activation,
            half.residual,
            half.squared_norms,
            halves.story_of_row,
            half.energy.total(range(halves.n_stories)),
            block=asking.minimum_shift,
        )

    return _Answers(
        agreement_evidence(
            brain.partialled,
            lm.partialled,
            recordings=halves.recordings,
            minimum_shift=asking.minimum_shift,
            nuisances=halves.nuisance_rows,
        ),
        plain_agreement(brain.plain, lm.plain[: halves.n_stories], minimum_shift=asking.minimum_shift),
        contribution_to(brain),
        contribution_to(lm),
    )


def _columns(answers: _Answers, asking: Asking) -> dict[str, np.ndarray]:
    """What rows say, as columns of `evidence_table`, a value for each live latent."""
    agreement, plain, rate = answers.agreement, answers.plain, asking.false_discovery_rate
    plainly = significant(plain.p_value, rate)
    columns = {
        "agreement": agreement.correlation,
        "agreement_null_99": agreement.null_99,
        "agreement_p_shift": agreement.p_shift,
        "agreement_p_swap": agreement.p_swap,
        "agreement_p": agreement.p,
        "agreement_significant": significant(agreement.p, rate),
        "shift_agreement_significant": significant(agreement.p_shift, rate),
        "swaps_known": np.isfinite(agreement.p_swap),
        "plain_agreement": plain.correlation,
        "plain_agreement_p": plain.p_value,
        "plain_agreement_significant": plainly,
        "nuisance_loss": nuisance_loss(agreement.correlation, plain.correlation, plainly),
    }
    for name, of_source in (("brain", answers.brain), ("lm", answers.lm)):
        columns |= {
            f"contribution_{name}": of_source.percent,
            f"contribution_{name}_low": of_source.low,
            f"contribution_{name}_high": of_source.high,
            f"contributes_{name}": contributes(of_source),
        }
    return columns | {"q": relative_contribution(answers.brain, answers.lm)}


def _reliability(halves: Halves, asking: Asking) -> tuple[dict[str, np.ndarray], int]:
    """Columns, and the number of hearings that they rest on: of stories that are long enough."""
    n_latents, n_hearings = len(halves.latents), 0
    columns: dict[str, np.ndarray] = {}
    for number, name in enumerate(("reliability", "partialled_reliability")):
        found = latent_reliability(
            [both[number] for both in halves.hearings], minimum_shift=asking.minimum_shift
        )
        if found is None:
            unknown = np.full(n_latents, np.nan)
            columns |= {name: unknown, f"{name}_p": unknown, f"{name}_significant": unknown}
        else:
            reliable = significant(found.p, asking.false_discovery_rate)
            columns |= {name: found.rho, f"{name}_p": found.p, f"{name}_significant": reliable}
            n_hearings = found.n_repeats
        columns[f"{name}_known"] = np.full(n_latents, found is not None)
    return columns, n_hearings


def _at_ceiling(halves: Halves, agreement: AgreementTest, reliability: dict[str, np.ndarray]) -> np.ndarray:
    """Agreement at its ceiling over test stories heard once; over the repeated ones if there are no others."""
    rho, known = (reliability[f"partialled_reliability{end}"] for end in ("", "_known"))
    if not known.all():
        return np.full(len(rho), np.nan)
    reliable = reliability["partialled_reliability_significant"].astype(bool)
    once = [number for number, n in enumerate(halves.hearings_of_mean) if n == 1]
    if not once:
        return ceiling_agreement_of_mean(agreement.correlation, rho, reliable, halves.hearings_of_mean)
    brain, lm = (
        np.concatenate([half.partialled[number] for number in once]) for half in (halves.brain, halves.lm)
    )
    return ceiling_agreement(pearson(brain, lm), rho, reliable)


def _judged(
    latents: pd.DataFrame, halves: Halves, columns: dict[str, np.ndarray], asking: Asking
) -> pd.DataFrame:
    """The columns, those of dead latents missing, and the verdicts that follow from them."""
    table = latents[["latent", "source", "r", "class", "alive", "density"]].reset_index(drop=True)
    # Asked of the rows at hand: without a test story a latent may be active in none.
    active = (table["density"] > 0).to_numpy(copy=True)
    active[table["alive"]] = (halves.activation != 0).any(axis=0)
    table.insert(5, "active", active)
    table = table.join(pd.DataFrame(columns, index=halves.latents), on="latent")
    return table.join(verdicts(table, asking.bounds))


def _shares_without_each_story(
    latents: pd.DataFrame, halves: Halves, fixed: dict[str, np.ndarray], asking: Asking
) -> list[dict[str, float]]:
    """Shares of verdicts that are given anew with each test story left out; none if too little is then left."""
    if halves.n_stories < 2:
        return []
    shares = []
    for left_out in range(halves.n_stories):
        rest = halves.chosen([number for number in range(halves.n_stories) if number != left_out])
        try:
            columns = _columns(_answers(rest, asking), asking)
        except InputError:
            return []
        table = _judged(latents, rest, columns | fixed, asking)
        shares.append(verdict_shares(table, table["alive"]))
    return shares
