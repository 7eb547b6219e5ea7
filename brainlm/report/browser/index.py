"""The first page: counts of verdicts, all latents in one plot, and a table of them that can be searched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from brainlm.files import NOT_KNOWN
from brainlm.report.browser.answers import known
from brainlm.report.browser.pages import Page
from brainlm.report.browser.run import Tables
from brainlm.report.browser.said import STRONGEST
from brainlm.report.evidence_figures import MARKS
from brainlm.report.latents import R_LABEL
from brainlm.report.write import number_of
from brainlm.scores.evidence.verdict import labels, numbers
from brainlm.scores.latents import SHARED_BOUND

_CROSS = "M-1-.6L-.6-1L0-.4L.6-1L1-.6L.4 0L1 .6L.6 1L0 .4L-.6 1L-1 .6L-.4 0Z"
_SHAPES = {
    "o": "circle",
    "s": "square",
    "<": "triangle-left",
    ">": "triangle-right",
    "^": "triangle-up",
    "v": "triangle-down",
    "D": "diamond",
    "P": "cross",
    "X": _CROSS,
    "x": _CROSS,
    "p": "wedge",
}
"""Matplotlib's markers -> Vega's shapes."""


@dataclass(frozen=True)
class Count:
    """How many live latents have a verdict."""

    verdict: str
    n: int


@dataclass(frozen=True)
class Row:
    """A latent in the table of the first page."""

    page: Page
    values: tuple[tuple[str, float | None], ...]
    """Of NUMBERS: the number as it is shown, and by which it is sorted; None: not known."""
    found: tuple[str, float | None]
    said: str
    """The shaded words of its strongest passage."""
    more: str
    """The shaded words of its other strongest passages, each once: not shown, but searched."""


NUMBERS = {
    "r": ("r", ".2f"),
    "agreement": ("agreement", ".2f"),
    "contribution_brain": ("brain (%)", ".2f"),
    "contribution_lm": ("LM (%)", ".2f"),
    "partialled_reliability": ("reliability", ".2f"),
    "density": ("active (%)", ".1f"),
}
"""Column of the evidence -> how the table of the first page calls it, and its format."""


def verdict_counts(tables: Tables) -> list[Count]:
    """Verdicts of live latents, in the order of figures; those that no latent has are left out."""
    of_live = labels(tables.live).value_counts()
    return [Count(verdict, int(of_live[verdict])) for verdict in MARKS if verdict in of_live]


def extent(tables: Tables) -> list[str]:
    """How much was asked of how many, sentence by sentence."""
    summary, n_dead = tables.summary, len(tables.evidence) - len(tables.live)
    n_stories = int(summary["n_stories"])
    stories = f"{n_stories} stor{'y' if n_stories == 1 else 'ies'}"
    return [
        f"{number_of(len(tables.live), 'live latent')}"
        + (f"; {n_dead:,} dead ones have no page" if n_dead else ""),
        f"asked on {number_of(int(summary['n_rows']), 'test TR')} of {stories}",
        f"the smallest p that its shifts and swaps allow is {known(summary['p_floor'], '.2g')}, and "
        f"{summary['n_at_floor']:,} or more latents must reach it, or none agrees",
        f"all latents together agree with p = {known(summary['whole_model_p'], '.2g')}",
    ]


def table_rows(tables: Tables, pages: Sequence[Page]) -> list[Row]:
    """The rows of the table, one a live latent."""
    live = tables.live
    columns = {name: numbers(live, name) * (100 if name == "density" else 1) for name in NUMBERS}
    rows = []
    for place, page in enumerate(pages):
        values = tuple(
            (known(float(columns[name][place]), spec), _sortable(columns[name][place]))
            for name, (_, spec) in NUMBERS.items()
        )
        strongest = [group for group in page.said if group.title == STRONGEST]
        texts = [passage.shaded_text for group in strongest for passage in group.passages]
        shown, others = (set(texts[0].split()), " ".join(texts[1:]).split()) if texts else (set(), [])
        more = " ".join(word for word in dict.fromkeys(others) if word not in shown)
        rows.append(Row(page, values, _found(page), "".join(texts[:1]), more))
    return rows


def scatter(tables: Tables, pages: Sequence[Page]) -> dict[str, Any]:
    """r against agreement, coloured by verdict, as a Vega-Lite specification; a click opens the latent's page."""
    live = tables.live
    points = pd.DataFrame(
        {
            "latent": live["latent"],
            "r": numbers(live, "r"),
            "agreement": numbers(live, "agreement"),
            "verdict": labels(live),
            "name": [page.heading.name or "no name" for page in pages],
            "page": [page.heading.page for page in pages],
        }
    ).dropna(subset=["r", "agreement"])
    given = [verdict for verdict in MARKS if (points["verdict"] == verdict).any()]
    marks = [MARKS[verdict] for verdict in given]

    def by_verdict(channel: type, values: list[str]) -> Any:
        legend = alt.Legend(title=None, orient="bottom", columns=2, labelLimit=240)
        return channel("verdict:N", legend=legend).scale(domain=given, range=values)

    chosen = alt.selection_point(name="chosen", fields=["verdict"], bind="legend")
    # As values, of which there may be any number.
    drawn = (
        alt.Chart(alt.InlineData(values=points.to_dict("records")))
        .mark_point(size=60, strokeWidth=1.5, cursor="pointer")
        .encode(
            x=alt.X("r:Q", title=R_LABEL.replace(" ", "\u00a0")).scale(domain=(-1, 1)),
            y=alt.Y("agreement:Q", title="agreement of brain and LM on test stories"),
            stroke=by_verdict(alt.Stroke, [mark.color for mark in marks]),
            fill=by_verdict(alt.Fill, [mark.color if mark.filled else "white" for mark in marks]),
            shape=by_verdict(alt.Shape, [_SHAPES[mark.marker] for mark in marks]),
            opacity=alt.condition(chosen, alt.value(0.85), alt.value(0.08)),
            tooltip=[
                *("latent:N", "name:N", "verdict:N"),
                *(alt.Tooltip(f"{quantity}:Q", format=".2f") for quantity in ("r", "agreement")),
            ],
            href="page:N",
        )
        .add_params(chosen)
    )
    bounds = alt.InlineData(values=[{"bound": -SHARED_BOUND}, {"bound": SHARED_BOUND}])
    rules = alt.Chart(bounds).mark_rule(color="#8a8a8a", strokeDash=[4, 3]).encode(x="bound:Q")
    chart = (
        alt.layer(rules, drawn, width="container", height=380)
        .configure_view(stroke=None)
        .configure_axis(gridColor="#eeeeee", labelFontSize=12, titleFontSize=13, titleFontWeight="normal")
        .configure_legend(labelFontSize=13)
    )
    return chart.to_dict()


def _found(page: Page) -> tuple[str, float | None]:
    found = page.found
    if not found.n_seeds:
        return NOT_KNOWN, None
    return f"{found.n_found} of {found.n_seeds}", found.n_found / found.n_seeds


def _sortable(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
