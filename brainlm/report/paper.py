"""How far runs lie from the numbers of the paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats

from brainlm.report.write import with_unit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """One quantity of the paper beside this run's."""

    quantity: str
    paper: float | str
    """A number, or the paper's words where it gives none."""
    here: float
    """NaN if not measured."""
    unit: str = ""
    note: str = ""


def paper_comparison(rows: Sequence[Comparison]) -> pd.DataFrame:
    """The paper's numbers beside this run's.

    Returns
    -------
    Columns quantity (with its unit), paper, this run, note.
    """
    return pd.DataFrame(
        {
            "quantity": [with_unit(row.quantity, row.unit) for row in rows],
            # As the paper prints it: a fixed number of digits would claim more precision, or less.
            "paper": [row.paper if isinstance(row.paper, str) else f"{row.paper:,.6g}" for row in rows],
            "this run": pd.Series([row.here for row in rows], dtype=object),
            "note": [row.note for row in rows],
        }
    )


@dataclass(frozen=True)
class PaperNumber:
    """A number that the paper reports (sections 4.2 and 4.3)."""

    name: str
    paper: float
    """A correlation, or a share in %."""
    column: str
    """Of a model's summary."""
    shuffled: bool = False
    """Whether it is of the models whose brain time is shuffled."""

    @property
    def is_share(self) -> bool:
        """Whether it is a share of latents; summaries have fractions."""
        return self.column.startswith("share_")

    def of(self, summaries: pd.DataFrame) -> pd.Series:
        """The number of each model, in the unit of the paper."""
        return (100 if self.is_share else 1) * summaries[self.column]


PAPER_NUMBERS = (
    PaperNumber("brain correlation", 0.44, "test_correlation_brain"),
    PaperNumber("LM correlation", 0.52, "test_correlation_lm"),
    PaperNumber("shared (%)", 24, "share_shared"),
    PaperNumber("shared, shuffled (%)", 4, "share_shared", shuffled=True),
)


def grouped_deviations(deviations: Sequence[str]) -> list[str]:
    """A sentence each on what deviates from the paper in the data, the language model and the settings.

    Parameters
    ----------
    deviations: each begins with "subject", "stories" or a setting's name, e.g. "crosscoder.k 8 (paper: 64)".
    """
    if not deviations:
        return ["Deviations from the paper: none."]
    groups: dict[str, list[str]] = {"data": [], "language model": [], "settings": []}
    of_section = {"subject": "data", "stories": "data", "dataset": "data", "language_model": "language model"}
    for deviation in deviations:
        section = deviation.partition(" ")[0].partition(".")[0]
        groups[of_section.get(section, "settings")].append(deviation)
    return [
        f"Deviations from the paper in the {group} ({len(found)}): {'; '.join(found)}."
        for group, found in groups.items()
        if found
    ]


@dataclass(frozen=True)
class ReadingResults:
    """What models that read the paper in one way have found."""

    choices: Mapping[str, str]
    """Open point -> what is chosen."""
    matched: pd.DataFrame
    """One row a model (seed), with the columns of `brainlm.scores.summary.model_summary`."""
    shuffled: pd.DataFrame
    """The same, one row a permutation of the brain's time."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean of independent runs and the half-width of its 95 % confidence interval (Student's t).

    Values that are not finite are left out. The half-width is NaN for fewer than two runs.
    """
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if finite.size < 2:
        return (float(finite[0]) if finite.size else np.nan), np.nan
    quantile = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, finite.size - 1)
    return float(finite.mean()), float(quantile * finite.std(ddof=1) / np.sqrt(finite.size))


def distance_table(readings: Sequence[ReadingResults]) -> pd.DataFrame:
    """Each reading's numbers beside the paper's, the nearest first.

    The distance is the root mean square of the four differences from the paper in points: hundredths of a
    correlation, percent of live latents. It is NaN, and last, where a number is undefined.

    Returns
    -------
    The open points; for each of `PAPER_NUMBERS` its mean over runs and a column "±" with the half-width of the
    mean's 95 % confidence interval; "distance (points)". The first row is the paper.
    """
    rows = []
    for reading in readings:
        row: dict[str, object] = dict(reading.choices)
        differences = []
        for number in PAPER_NUMBERS:
            models = reading.shuffled if number.shuffled else reading.matched
            mean, half_width = interval(number.of(models))
            row |= {number.name: mean, _half_width_of(number): half_width}
            differences.append((1 if number.is_share else 100) * (mean - number.paper))
        rows.append(row | {"distance (points)": float(np.sqrt(np.mean(np.square(differences))))})
    paper: dict[str, object] = {
        point: "paper" if n == 0 else "" for n, point in enumerate(readings[0].choices)
    }
    for number in PAPER_NUMBERS:
        paper |= {number.name: number.paper, _half_width_of(number): np.nan}
    found = pd.DataFrame(rows).sort_values("distance (points)", kind="stable", na_position="last")
    return pd.concat([pd.DataFrame([paper | {"distance (points)": 0.0}]), found], ignore_index=True)


def _half_width_of(number: PaperNumber) -> str:
    return f"± {number.name}"
