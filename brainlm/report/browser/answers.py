"""What a latent was asked, and what it answered: the strip of evidence of its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from brainlm.files import NOT_KNOWN
from brainlm.report.browser.drawings import Intervals, Strip, intervals, strip
from brainlm.report.write import CLASS_LABELS, formatted, number_of, percent
from brainlm.scores.evidence.verdict import numbers
from brainlm.scores.latents import DOMINANT_BOUND, SHARED_BOUND


@dataclass(frozen=True)
class Answer:
    """One question, and what is known of it."""

    question: str
    value: str
    """The number, or "not known"."""
    detail: str
    drawing: Strip | Intervals | None
    alt: str
    """What the drawing shows, in words."""

    @property
    def is_known(self) -> bool:
        """Whether there is an answer."""
        return self.value != NOT_KNOWN


@dataclass(frozen=True)
class FoundAgain:
    """In how many other models a latent is found again."""

    n_seeds: int
    """Other seeds in which it was looked for."""
    n_found: int
    n_same_verdict: int
    n_subjects: int
    """Other subjects' models in which it was looked for."""
    n_found_in_subjects: int


def known(value: float | None, spec: str = ".2f") -> str:
    """A number for reading, or "not known"; what is rounded to 0 has no sign."""
    if value is None or not np.isfinite(value):
        return NOT_KNOWN
    text = formatted(value, spec)
    return text if text.strip("−0.") else text.removeprefix("−")


def answers(
    row: Mapping[str, Any], live: pd.DataFrame, summary: Mapping[str, Any], found: FoundAgain, *, r0: float
) -> list[Answer]:
    """All that a live latent was asked, in the order of the page.

    Parameters
    ----------
    row: its row of `live`, column -> value.
    live: rows of `brainlm.scores.evidence.table.evidence_table` of all live latents of the model and brain.
    summary: of the model as a whole, from the same function.
    found: where it is found again.
    r0: median r of white noise; NaN if not known.
    """

    def histogram(name: str, **options: Any) -> Strip | None:
        return strip(numbers(live, name), row[name], **options)

    def alt(what: str, value: str) -> str:
        return f"{what}: {value}, on the histogram of {number_of(len(live), 'live latent')}"

    neutral = f"; white noise has r0 = {known(r0)}" if np.isfinite(r0) else "; r0 of white noise is not known"
    r = Answer(
        "Whose energy is it?",
        f"r = {known(row['r'])}",
        f"the paper's class: {class_in_words(row['class'])}{neutral}",
        histogram(
            "r",
            limits=(-1.0, 1.0),
            bounds=(-DOMINANT_BOUND, -SHARED_BOUND, SHARED_BOUND, DOMINANT_BOUND),
        ),
        alt("relative difference r", known(row["r"])),
    )
    density = Answer(
        "How often is it active?",
        percent(row["density"]),
        "of test TRs",
        histogram("density"),
        alt("share of test TRs", percent(row["density"])),
    )
    return [
        r,
        Answer(
            "Do brain and LM say the same of it?",
            known(row["agreement"]),
            _agreement(row),
            histogram("agreement", bounds=(row["agreement_null_99"],)),
            alt("agreement", known(row["agreement"])),
        ),
        _nuisance(row),
        _contributions(row, summary),
        Answer(
            "Does the story drive its brain half?",
            known(row["partialled_reliability"]),
            _reliability(row, summary),
            histogram("partialled_reliability"),
            alt("reliability", known(row["partialled_reliability"])),
        ),
        _texture(row, histogram("slice_share", limits=(0.0, 1.0)), alt),
        _found_again(found),
        density,
    ]


def class_in_words(name: str) -> str:
    """A class of the paper as figures call it."""
    return CLASS_LABELS.get(name, name)


def _agreement(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["agreement"]):
        return "one of its halves does not vary over test TRs"
    swaps = (
        f", beyond story swaps p = {known(row['agreement_p_swap'], '.2g')}"
        if _says(row["swaps_known"])
        else "; too few stories to swap"
    )
    return (
        f"correlation over test TRs, nuisances taken out; {_significance(row['agreement_significant'])}: beyond "
        f"circular shifts p = {known(row['agreement_p_shift'], '.2g')}{swaps}; one shift in a hundred reaches "
        f"{known(row['agreement_null_99'])}"
    )


def _nuisance(row: Mapping[str, Any]) -> Answer:
    loss = row["nuisance_loss"]
    plain = f"plain agreement {known(row['plain_agreement'])}"
    detail = (
        f"of its {plain} goes with speech rate, time and the like"
        if np.isfinite(loss)
        else f"asked only where plain agreement is significant; {plain}"
    )
    return Answer(
        "Is it more than speech rate?",
        percent(loss) if np.isfinite(loss) else NOT_KNOWN,
        detail,
        None,
        "",
    )


def _contributions(row: Mapping[str, Any], summary: Mapping[str, Any]) -> Answer:
    ends = ("_low", "", "_high")

    def interval(source: str) -> tuple[float, float, float]:
        low, value, high = (float(row[f"contribution_{source}{end}"]) for end in ends)
        return low, value, high

    drawn = intervals({"brain": interval("brain"), "LM": interval("lm")})

    def told(source: str, name: str) -> str:
        low, value, high = (row[f"contribution_{source}{end}"] for end in ends)
        return f"{name} {known(value, '.2g')} % ({known(low, '.2g')} to {known(high, '.2g')})"

    needed = [
        name for name, source in (("brain", "brain"), ("LM", "lm")) if _says(row[f"contributes_{source}"])
    ]
    value = NOT_KNOWN if drawn is None else " and ".join(needed) or "neither"
    text = f"{told('brain', 'brain')}, {told('lm', 'LM')}"
    return Answer(
        "Which source needs it?",
        value,
        f"how much worse each is reconstructed without it: {text}; 95 % intervals over "
        f"{number_of(int(summary['n_blocks']), 'block')} of test TRs",
        drawn,
        f"contribution: {text}",
    )


def _reliability(row: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    if not _says(row["partialled_reliability_known"]):
        return "no held-out story was heard more than once"
    hearings = number_of(int(summary["n_hearings"]), "hearing")
    ceiling = row["agreement_at_ceiling"]
    at_ceiling = f"; agreement at its ceiling {known(ceiling)}" if np.isfinite(ceiling) else ""
    return (
        f"share of its variance over {hearings} that comes again; "
        f"{_significance(row['partialled_reliability_significant'])}, p = "
        f"{known(row['partialled_reliability_p'], '.2g')}{at_ceiling}"
    )


def _texture(row: Mapping[str, Any], drawing: Strip | None, alt: Any) -> Answer:
    share = row["slice_share"]
    return Answer(
        "Is its map an artefact of slices?",
        percent(share) if np.isfinite(share) else NOT_KNOWN,
        f"of the map's variance lies between slices; jumps from slice to slice {known(row['slice_jumps'])}"
        if np.isfinite(share)
        else "where voxels lie is not known",
        drawing,
        alt("share of variance between slices", known(share)),
    )


def _found_again(found: FoundAgain) -> Answer:
    if found.n_seeds:
        value = f"{found.n_found} of {number_of(found.n_seeds, 'other seed')}"
        detail = f"with the same verdict in {found.n_same_verdict}"
    else:
        value, detail = NOT_KNOWN, "looked for in no other seed"
    others = (
        f"; in {found.n_found_in_subjects} of {number_of(found.n_subjects, 'model')} of other subjects"
        if found.n_subjects
        else "; looked for in no other subject"
    )
    return Answer("Is it found again?", value, detail + others, None, "")


def _significance(value: Any) -> str:
    return "significant" if _says(value) else "not significant"


def _says(value: Any) -> bool:
    """Whether a cell says True; what is not known does not."""
    return isinstance(value, bool | np.bool_) and bool(value)
