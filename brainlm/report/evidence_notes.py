"""What is said below the tables of evidence: what was asked, how finely it could be told, and for what it speaks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainlm.report.evidence import NOISE, WITHIN, models_of, neutral_point, span
from brainlm.report.write import formatted, number_of
from brainlm.scores.evidence.agreement import FEWEST_SWAPS, N_TURNS
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.verdict import told


def evidence_notes(
    summaries: pd.DataFrame,
    latents: Mapping[str, Sequence[pd.DataFrame]],
    never: Sequence[str],
    bounds: VerdictBounds,
    *,
    rate: float,
) -> list[str]:
    """Below the table of evidence.

    Parameters
    ----------
    summaries, latents: as for `brainlm.report.evidence.models_of`.
    never: verdicts that were left out, because no latent has them.
    bounds: of the verdicts.
    rate: false discovery rate.

    Raises
    ------
    InputError: as `models_of`.
    """
    models = list(models_of(summaries, latents))
    rows = [(name, row) for name, row, _ in models]
    stories = summaries["n_stories"]
    over_stories = (
        f"± over stories: the jackknife's standard error of shared over {span(stories, ',')} test stories, verdicts "
        "given anew without each; mean over models, which the error of their mean does not exceed. "
        if summaries["error_shared"].notna().any()
        else "± over stories: not known, because without a test story too little is left. "
    )
    return [
        headline_note(rate),
        bounds_note(bounds),
        "Verdicts in percent of live latents. Means over an experiment's models, in parentheses the lowest and the "
        "highest." + _left_out(never),
        over_stories
        + "It speaks for other stories; the 95 % intervals above which a latent contributes speak for other times of "
        "the same ones, the range over models for other seeds.",
        "Nuisances taken out: " + _each(rows, lambda row: row["nuisances"] or "none") + ".",
        *resolution_notes(summaries, rate),
        "Asked against: " + _each(rows, _nulls) + ". Reliability: " + _each(models, _hearings) + ".",
        "After turns: share of latents called agreeing after the brain's test rows were turned around in a circle, "
        f"where nothing is to be found; mean and largest over {_turns(summaries)} turns. Beside it, agreement "
        "significant: the same share of the rows as they are, whatever the verdict.",
        "Whole-model agreement: mean over live latents, and its p against the same mean at every shift.",
        neutral_note(latents),
    ]


def verdicts_notes(
    summaries: pd.DataFrame, never: Sequence[str], bounds: VerdictBounds, *, rate: float
) -> list[str]:
    """Below the table of classes and verdicts.

    Parameters
    ----------
    summaries: of the models that are counted, as for `brainlm.report.evidence.models_of`.
    never: verdicts that were left out, because no latent has them.
    bounds: of the verdicts.
    rate: false discovery rate.
    """
    n_models = int(summaries.groupby("experiment", sort=False).size().max())
    return [
        f"Counts of live latents of {number_of(n_models, 'model')}. Rows: the paper's classes, which compare the "
        f"norms of a latent's two decoder vectors (shared: {WITHIN}); columns: verdicts." + _left_out(never),
        headline_note(rate),
        bounds_note(bounds),
        *resolution_notes(summaries, rate),
    ]


def funnel_notes(
    summaries: pd.DataFrame, latents: Mapping[str, Sequence[pd.DataFrame]], *, reported: int, rate: float
) -> list[str]:
    """Below the table of what is left after each test.

    Parameters
    ----------
    summaries: of the models that are counted, as for `brainlm.report.evidence.models_of`.
    latents: as there, of all experiments.
    reported: the seed whose latents are counted.
    rate: false discovery rate.
    """
    r0 = neutral_point(latents, summaries["experiment"].iloc[0])
    zero = f"is {formatted(r0, '.2f')} here" if np.isfinite(r0) else "is not known"
    return [
        "Each step counts the latents that passed all steps before it. Agree plainly: brain and LM agree beyond "
        "circular shifts. Without nuisances: also after these are taken out. Against story swaps: also beyond "
        "swapped stories. Contribute to both: without the latent both are reconstructed worse. Called shared: not "
        "mostly nuisance, mostly LM or mostly brain. Found again in most seeds: so in most of the subject's other "
        "models.",
        f"Counts of seed {reported}; means over {number_of(len(summaries), 'seed')}. {WITHIN}: the paper's class "
        f"shared. r0, the r of what says nothing (see the table evidence), {zero}.",
        *resolution_notes(summaries, rate),
    ]


def headline_note(rate: float) -> str:
    """What a latent must show to be called shared."""
    return (
        "Shared, the headline: what the brain says about the latent agrees with what the LM says over test TRs, "
        f"nuisances taken out, beyond circular shifts and swaps of stories (false discovery rate {rate:g}), and "
        "without the latent both are reconstructed worse; it is not counted there if mostly nuisance, mostly LM or "
        "mostly brain."
    )


def bounds_note(bounds: VerdictBounds) -> str:
    """From where on a number decides a verdict."""
    return (
        "Bounds, which are settings and no laws: mostly nuisance where nuisances take more than "
        f"{bounds.nuisance_loss:g} of plain agreement's variance; mostly LM or mostly brain where q, the relative "
        f"difference of the contributions, is beyond −{bounds.one_sided:g} or {bounds.one_sided:g}; story-driven "
        f"where reliability is significant and above {bounds.reliability:g}; artefact where "
        f"more than {bounds.slice_share:g} of the decoder map's variance lies between slices and its jumps from "
        f"slice to slice exceed {bounds.slice_jumps:g}."
    )


def resolution_notes(summaries: pd.DataFrame, rate: float) -> list[str]:
    """How small a p can be, how many latents it takes there, and where that is more than there are.

    Parameters
    ----------
    summaries: as for `brainlm.report.evidence.models_of`.
    rate: false discovery rate.
    """
    notes = [
        f"Resolution: no latent's p is below {span(summaries['p_floor'], '.2g')}, so that at a false discovery rate "
        f"of {rate:g} of {span(summaries['live_latents'], ',')} live latents {span(summaries['n_at_floor'], ',')} or "
        "more agree, or none does."
    ]
    blind = summaries[summaries["n_at_floor"] > summaries["live_latents"]]
    if len(blind):
        names = ", ".join(dict.fromkeys(blind["experiment"]))
        notes.append(
            f"In {names} that is more than there are: no latent can be found to agree, whatever is there. More test "
            "TRs would tell; the test of the whole model needs fewer."
        )
    return notes


def neutral_note(latents: Mapping[str, Sequence[pd.DataFrame]]) -> str:
    """Where r has its zero, and what classes may be compared with."""
    n_live = [int(table["alive"].sum()) for name, of in latents.items() if _is_noise(name) for table in of]
    known = (
        f"the median r over the {span(n_live, ',')} live latents of a model of white noise in both sources' shapes"
        if n_live
        else "which a model of white noise would tell: not known"
    )
    return (
        f"r0: the r of what says nothing, {known}. The class {WITHIN} lies around 0, not around r0; shares of "
        "classes are not comparable between subjects, regions or LMs of other widths."
    )


def _left_out(never: Sequence[str]) -> str:
    return f" Left out, because no latent has them: {'; '.join(never)}." if never else ""


def _each(models: Iterable[tuple[Any, ...]], say: Callable[..., str]) -> str:
    """What is said of all models, or of which experiments what: (experiment, what `say` takes)."""
    said: dict[str, list[str]] = {}
    for name, *about in models:
        said.setdefault(say(*about), []).append(name)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {text}" for text, names in said.items())


def _nulls(summary: Mapping[str, Any]) -> str:
    n_swaps = summary["n_swaps"]
    swaps = (
        f"{n_swaps:,} swaps of stories"
        if n_swaps >= FEWEST_SWAPS
        else f"swaps of stories not known (there are {n_swaps}; it takes {FEWEST_SWAPS})"
    )
    return f"{number_of(summary['n_shifts'], 'shift')}, {swaps}"


def _hearings(summary: Mapping[str, Any], table: pd.DataFrame) -> str:
    hearings = f"{number_of(summary['n_hearings'], 'hearing')} of repeated stories"
    if told(table, "reliability_known")[0].any():
        return f"over {hearings}"
    too_short = summary["n_hearings"] > 0 and table["alive"].any()
    return f"not known ({hearings}, which are too short for a shift)" if too_short else "not known"


def _turns(summaries: pd.DataFrame) -> str:
    return span(np.minimum(summaries["n_shifts"], N_TURNS), ",")


def _is_noise(name: str) -> bool:
    return name.partition(": ")[0] == NOISE
