"""What a run's models show of evidence, as tables: a row an experiment, classes beside verdicts, and step by step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN
from brainlm.report.write import formatted
from brainlm.scores.evidence.tallies import LIVE_LABELS, cross_table, funnel, verdict_shares
from brainlm.scores.evidence.verdict import HEADLINE, told
from brainlm.scores.latents import SHARED_BOUND, class_shares

NOISE = "noise"
"""The experiment whose sources are both white noise of the same shapes."""
WITHIN = f"|r| < {SHARED_BOUND:g}"
"""What the paper's class "shared" asks."""
VERDICT_COLUMNS = {label: f"{label} (%)" for label in dict.fromkeys((HEADLINE, *LIVE_LABELS))}
"""Verdict -> its column in the table of evidence, the headline first."""
SIGNIFICANT = "agreement significant (%)"
CLASS_SHARED = f"class shared, {WITHIN} (%)"
OVER_STORIES = "± shared over stories (points)"
LIVE = "live latents"
WHOLE_MODEL = "whole-model agreement"
_RANGED = (LIVE, *VERDICT_COLUMNS.values(), SIGNIFICANT, WHOLE_MODEL, CLASS_SHARED)
"""Of which the table has the mean over models, the lowest and the highest."""


def models_of(
    summaries: pd.DataFrame, latents: Mapping[str, Sequence[pd.DataFrame]]
) -> Iterator[tuple[str, Mapping[str, Any], pd.DataFrame]]:
    """Experiment, row of the summaries and latents of each model, an experiment after the other.

    Parameters
    ----------
    summaries: one row a model (and brain, of joint models), with columns experiment and those that
        `brainlm.scores.evidence.table.evidence_table` gives of a model as a whole.
    latents: experiment -> for each of its rows, in their order, the table of its latents.

    Raises
    ------
    InputError: they are not of the same models.
    """
    names = dict.fromkeys([*summaries["experiment"], *latents])
    for name in names:
        rows = summaries[summaries["experiment"] == name].to_dict("records")
        tables = latents.get(name, [])
        if len(rows) != len(tables):
            raise InputError(
                f"There are {len(rows)} summaries and {len(tables)} tables of latents of '{name}': take both from "
                "the same models."
            )
        for row, table in zip(rows, tables, strict=True):
            n_live = int(table["alive"].sum())
            if n_live != row["live_latents"]:
                raise InputError(
                    f"A summary of '{name}' counts {row['live_latents']} live latents, its table {n_live}: take both "
                    "from one model."
                )
            yield name, row, table


def evidence_table(summaries: pd.DataFrame, latents: Mapping[str, Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """What each experiment's models show, in numbers; `shown_evidence` is for reading.

    Parameters
    ----------
    summaries, latents: as for `models_of`. A joint model's brains are experiments of their own, called
        "<experiment>: <brain>".

    Returns
    -------
    One row an experiment, in order: experiment; models (their number); for each of live latents, every verdict's
    share, the share whose agreement is significant (percent of live latents), whole-model agreement and the share of
    the paper's class shared (percent) three columns, the mean over models, ", lowest" and ", highest", of models that
    have live latents; whole-model p, lowest and highest; ± shared over stories (points: the jackknife's error over
    test stories, mean over models, which the error of their mean does not exceed); agreeing after turns (percent:
    mean, and largest of all); r0 (median r over live latents of NOISE, of the same brain). NaN: not known.

    Raises
    ------
    InputError: as `models_of`.
    """
    models = pd.DataFrame(
        [{"experiment": name, **_numbers(row, table)} for name, row, table in models_of(summaries, latents)]
    )
    of_experiment = models.groupby("experiment", sort=False)
    columns: dict[str, pd.Series] = {"models": of_experiment.size()}
    for name in _RANGED:
        columns[name] = of_experiment[name].mean()
        columns[f"{name}, lowest"] = of_experiment[name].min()
        columns[f"{name}, highest"] = of_experiment[name].max()
    columns["whole-model p, lowest"] = of_experiment["p"].min()
    columns["whole-model p, highest"] = of_experiment["p"].max()
    # Not known of one model, it is not known of their mean.
    columns[OVER_STORIES] = of_experiment["error"].agg(lambda errors: errors.mean(skipna=False))
    columns["agreeing after turns (%)"] = of_experiment["turned"].mean()
    columns["agreeing after turns (%), largest"] = of_experiment["turned, largest"].max()
    table = pd.DataFrame(columns)
    table["r0"] = [neutral_point(latents, name) for name in table.index]
    return table.reset_index()


def neutral_point(latents: Mapping[str, Sequence[pd.DataFrame]], experiment: str) -> float:
    """r0, where r tells nothing: the median r over live latents of NOISE, of the brain of an experiment.

    Parameters
    ----------
    latents: as for `models_of`.

    Returns
    -------
    NaN, not known, if there is no such model or none of its latents is alive.
    """
    _, separator, brain = experiment.partition(": ")
    tables = latents.get(f"{NOISE}{separator}{brain}", [])
    r = [table.loc[table["alive"], "r"] for table in tables]
    return float(pd.concat(r).median()) if r else float("nan")


def shown_evidence(numbers: pd.DataFrame) -> pd.DataFrame:
    """The table of evidence for reading: ranges in the cells of means, verdicts that no latent has left out.

    Parameters
    ----------
    numbers: of `evidence_table`.
    """
    none = never_given(numbers)
    columns = {
        "experiment": numbers["experiment"],
        "models": numbers["models"],
        LIVE: with_range(numbers, LIVE, ",.0f"),
        **{
            column: with_range(numbers, column, ".1f")
            for label, column in VERDICT_COLUMNS.items()
            if label not in none
        },
        SIGNIFICANT: with_range(numbers, SIGNIFICANT, ".1f"),
        "after turns (%)": [
            _at_most(mean, largest)
            for mean, largest in zip(
                numbers["agreeing after turns (%)"],
                numbers["agreeing after turns (%), largest"],
                strict=True,
            )
        ],
        WHOLE_MODEL: with_range(numbers, WHOLE_MODEL, ".3f"),
        "its p": [
            span([low, high], ".2g")
            for low, high in zip(
                numbers["whole-model p, lowest"], numbers["whole-model p, highest"], strict=True
            )
        ],
        CLASS_SHARED: with_range(numbers, CLASS_SHARED, ".1f"),
        "r0": [_text(value, ".2f") for value in numbers["r0"]],
    }
    table = pd.DataFrame(columns)
    errors = [_text(value, ".1f") for value in numbers[OVER_STORIES]]
    table.insert(table.columns.get_loc(VERDICT_COLUMNS[HEADLINE]) + 1, "± over stories", errors)
    return table


def verdicts_table(latents: Mapping[str, Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """The paper's classes beside the verdicts: how many live latents have both, all models of an experiment together.

    Parameters
    ----------
    latents: experiment (or "<experiment>: <brain>") -> one table of latents a model, with columns class, verdict
        and qualifier.

    Returns
    -------
    Columns experiment, class (that of the paper, and "all"), live latents, and one for each of LIVE_LABELS: counts.
    """
    parts = []
    for experiment, tables in latents.items():
        counts = sum(cross_table(table["class"], table) for table in tables)
        counts.loc["all"] = counts.sum()
        counts.insert(0, LIVE, counts.sum(axis=1))
        parts.append(counts.rename_axis("class").reset_index().assign(experiment=experiment))
    table = pd.concat(parts, ignore_index=True)
    return table[["experiment", *table.columns.drop("experiment")]]


def never_given(table: pd.DataFrame) -> list[str]:
    """Verdicts that no latent has, of `evidence_table` or `verdicts_table`; the headline is told even so."""
    columns = {
        label: column if (column := VERDICT_COLUMNS[label]) in table else label for label in LIVE_LABELS
    }
    return [label for label, column in columns.items() if label != HEADLINE and not (table[column] > 0).any()]


def funnel_table(latents: Mapping[int, pd.DataFrame], *, reported: int) -> pd.DataFrame:
    """What is left of the latents that the paper calls shared, and of all others, after each further test.

    Parameters
    ----------
    latents: seed -> table of latents, as `brainlm.scores.evidence.tallies.funnel` takes it, of one subject.
    reported: the seed whose latents are counted.

    Returns
    -------
    Columns step; |r| < 0.2 and others, live latents of the reported seed (Int64); the same ", mean over seeds". A
    step that is not known is missing; of the mean, if it is not known of any seed.

    Raises
    ------
    InputError: no latents of the reported seed, and as `funnel`.
    """
    if reported not in latents:
        raise InputError(
            f"Seed {reported} is reported, but there are latents of {', '.join(map(str, latents))} only."
        )
    funnels = {
        seed: funnel(table).rename(columns={"within_paper_shared": WITHIN}) for seed, table in latents.items()
    }
    counted = funnels[reported]
    sides = pd.concat(funnels.values()).set_index("step").astype(float)
    means = sides.groupby(level="step", sort=False).agg(lambda counts: counts.mean(skipna=False))
    return counted.merge(means.add_suffix(", mean over seeds"), left_on="step", right_index=True)


def span(values: Sequence[float], spec: str) -> str:
    """The lowest and the highest of some numbers, e.g. "3 to 5"; one of them if both look the same."""
    low, high = (_text(value, spec) for value in (np.min(values), np.max(values)))
    return low if low == high else f"{low} to {high}"


def with_range(numbers: pd.DataFrame, name: str, spec: str) -> list[str]:
    """Cells that say a mean and, if they differ, the lowest and the highest, e.g. "5.0 (3.0 to 7.0)".

    Parameters
    ----------
    numbers: columns <name>, "<name>, lowest" and "<name>, highest"; NaN: not known.
    """
    cells = []
    for mean, low, high in numbers[[name, f"{name}, lowest", f"{name}, highest"]].itertuples(index=False):
        text, extent = _text(mean, spec), span([low, high], spec)
        cells.append(text if extent == text else f"{text} ({extent})")
    return cells


def _numbers(summary: Mapping[str, Any], table: pd.DataFrame) -> dict[str, float]:
    """What the table of evidence says of one model."""
    live = table["alive"].to_numpy(bool)
    shares = verdict_shares(table, live)
    agrees = told(table, "agreement_significant")[0]
    return {
        LIVE: float(live.sum()),
        **{column: 100 * shares[label] for label, column in VERDICT_COLUMNS.items()},
        SIGNIFICANT: 100 * agrees[live].mean() if live.any() else float("nan"),
        WHOLE_MODEL: summary["whole_model_agreement"],
        CLASS_SHARED: 100 * class_shares(table["class"], live)["shared"],
        "p": summary["whole_model_p"],
        "error": 100 * summary[f"error_{HEADLINE}"],
        "turned": 100 * summary["shifted_share_agreeing"],
        "turned, largest": 100 * summary["largest_shifted_share_agreeing"],
    }


def _at_most(mean: float, largest: float) -> str:
    text, most = (_text(value, ".1f") for value in (mean, largest))
    return text if text == most else f"{text}, at most {most}"


def _text(value: float, spec: str) -> str:
    return formatted(value, spec) if np.isfinite(value) else NOT_KNOWN
