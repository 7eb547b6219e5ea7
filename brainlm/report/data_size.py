"""What verdicts tell with little data: over test TRs and training rows a latent, of simulated listeners."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from brainlm.report.evidence import span
from brainlm.report.style import (
    BLUE,
    DOUBLE_COLUMN_CM,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    SMALL_PT,
    add_titles,
    journal_style,
    new_figure,
)
from brainlm.report.write import formatted, number_of

SIZE = ["rows_a_latent", "test_trs"]
SHARES = {
    "found": ("found", "planted"),
    "called_shared": ("called_shared", "shared_found"),
    "right": ("right", "well_found"),
    "shared_shifted": ("shared_shifted", "live_shifted"),
}
"""Share -> the counts that it is the quotient of."""
SIGNIFICANT_P = 0.05
_LOOKS = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (SKY_BLUE, "v"))
"""Colour and marker of each number of rows a latent, in rising order."""


def data_size_numbers(cells: pd.DataFrame) -> pd.DataFrame:
    """What all seeds together say of each number of training rows a latent and of test TRs.

    Parameters
    ----------
    cells: one row for each rows_a_latent, test_trs and seed. Counts of planted features: planted (that voxels follow,
        word rate apart) and found (well found of these); shared_found and called_shared ("shared" without a
        qualifier); well_found (of all kinds) and right (verdicts). Of the model trained on shifted pairs live_shifted
        and shared_shifted, live latents and how many are called shared. p of the whole-model test, whole_model_p and
        whole_model_p_shifted, with the smallest that there can be, whole_model_floor; the smallest p of a latent,
        p_floor, and how many latents must reach it, n_at_floor.

    Returns
    -------
    One row for each rows_a_latent and test_trs, in rising order: models (seeds); sums of the counts; for each of
    SHARES <share>_percent, NaN of nothing; whole_model_p (median), whole_model_p_lowest, whole_model_p_highest,
    significant and significant_shifted (models whose p is below SIGNIFICANT_P); whole_model_floor; p_floor and
    n_at_floor, the largest over seeds.
    """
    of_size = cells.groupby(SIZE)
    counts = list(dict.fromkeys(count for pair in SHARES.values() for count in pair))
    numbers = of_size[counts].sum()
    numbers.insert(0, "models", of_size.size())
    for share, (part, whole) in SHARES.items():
        numbers[f"{share}_percent"] = _percent(numbers[part], numbers[whole])
    p = of_size["whole_model_p"]
    numbers["whole_model_p"] = p.median()
    numbers["whole_model_p_lowest"], numbers["whole_model_p_highest"] = p.min(), p.max()
    for name, column in (("significant", "whole_model_p"), ("significant_shifted", "whole_model_p_shifted")):
        numbers[name] = (cells[column] < SIGNIFICANT_P).groupby([cells[of] for of in SIZE]).sum()
    for name in ("whole_model_floor", "p_floor", "n_at_floor"):
        numbers[name] = of_size[name].max()
    return numbers.reset_index()


def data_size_table(numbers: pd.DataFrame) -> pd.DataFrame:
    """The table for reading: shares with the counts that they are of.

    Parameters
    ----------
    numbers: of `data_size_numbers`.
    """

    def share(name: str) -> list[str]:
        part, whole = SHARES[name]
        return [
            f"{formatted(percent, '.0f')} ({n} of {of})"
            for percent, n, of in numbers[[f"{name}_percent", part, whole]].itertuples(index=False)
        ]

    def of_models(name: str) -> list[str]:
        return [f"{n} of {of}" for n, of in numbers[[name, "models"]].itertuples(index=False)]

    extremes = numbers[["whole_model_p_lowest", "whole_model_p_highest"]].to_numpy()
    return pd.DataFrame(
        {
            "rows a latent": numbers["rows_a_latent"],
            "test TRs": numbers["test_trs"],
            "features found (%)": share("found"),
            "shared ones called shared (%)": share("called_shared"),
            "right verdicts (%)": share("right"),
            "latents called shared, shifted (%)": share("shared_shifted"),
            "whole-model p": [span(pair, ".2g") for pair in extremes],
            "its floor": [formatted(floor, ".2g") for floor in numbers["whole_model_floor"]],
            f"p < {SIGNIFICANT_P:g}, matched": of_models("significant"),
            f"p < {SIGNIFICANT_P:g}, shifted": of_models("significant_shifted"),
            "floor of a latent's p": [formatted(floor, ".2g") for floor in numbers["p_floor"]],
            "latents that must reach it": numbers["n_at_floor"],
        }
    )


@journal_style()
def data_size_figure(cells: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Verdicts over test TRs, a line for each number of training rows a latent; always of simulated data.

    Panels: well-found shared features that are called shared, right verdicts of all well-found features, p of the
    whole-model test, and features well found over rows a latent. Lines are of all seeds together (of p the median),
    small symbols of single seeds; beside p stands that of models trained on shifted pairs.

    Parameters
    ----------
    cells: as for `data_size_numbers`; what is found does not depend on test_trs.

    Returns
    -------
    The figure, and the numbers: panel (its column, whole_model_p_shifted apart), rows_a_latent, test_trs, seed
    (missing for all together), value (percent, or p), n (what the percentage is of; missing for p).
    """
    together = data_size_numbers(cells)
    singly = cells.assign(
        **{f"{share}_percent": _percent(cells[part], cells[whole]) for share, (part, whole) in SHARES.items()}
    )
    at_most = together["test_trs"].max()
    largest, largest_singly = (table[table["test_trs"] == at_most] for table in (together, singly))
    figure = new_figure(DOUBLE_COLUMN_CM, 11.0)
    shared, right, p, found = figure.subplots(2, 2).ravel()
    _draw_over_trs(shared, together, singly, "called_shared_percent", label="called shared (%)")
    _draw_over_trs(right, together, singly, "right_percent", label="right (%)")
    _draw_over_trs(p, together, singly, "whole_model_p", label="p")
    _draw_what_p_is_beside(p, together, singly)
    _draw_found(found, largest, largest_singly)
    for axes in (shared, right, found):
        axes.set_ylim(-3, 103)
    shared.legend(title="training rows a latent", title_fontsize=SMALL_PT, loc="lower right")
    seeds = number_of(cells["seed"].nunique(), "seed")
    add_titles(
        [shared, right, p, found],
        ["Shared features called shared", "Right verdicts", "The whole model's test", "Features found"],
        [
            f"of those well found, {seeds} together: n = {_listed(largest['shared_found'])}",
            f"of all features well found, {seeds} together: n = {_listed(largest['well_found'])}",
            f"median of {seeds}; small: each seed",
            f"with {at_most:,} test TRs, {seeds} together: of n = {_listed(largest['planted'].unique())}",
        ],
    )
    both = pd.concat([together.assign(seed=pd.NA), singly], ignore_index=True)
    drawn = {
        "called_shared_percent": both,
        "right_percent": both,
        "whole_model_p": both,
        "whole_model_p_shifted": singly,
        "found_percent": both[both["test_trs"] == at_most],
    }
    return figure, pd.concat([_points(of, column) for column, of in drawn.items()], ignore_index=True)


def _percent(part: pd.Series, whole: pd.Series) -> pd.Series:
    return 100 * part / whole.where(whole > 0).astype(float)


def _draw_over_trs(
    axes: Axes, together: pd.DataFrame, singly: pd.DataFrame, column: str, *, label: str
) -> None:
    rows_a_latent = sorted(together["rows_a_latent"].unique())
    for place, (rows, (color, marker)) in enumerate(zip(rows_a_latent, cycle(_LOOKS), strict=False)):
        line, single = (table[table["rows_a_latent"] == rows] for table in (together, singly))
        # Side by side, or equal values would hide each other.
        beside = 1.04 ** (place - (len(rows_a_latent) - 1) / 2)
        axes.plot(single["test_trs"] * beside, single[column], marker, color=color, markersize=1.8, alpha=0.5)
        x = line["test_trs"] * beside
        axes.plot(x, line[column], f"{marker}-", color=color, markersize=4, label=f"{rows:g}")
    _log_ticks(axes, together["test_trs"].unique())
    axes.set_xlabel("test TRs")
    axes.set_ylabel(label)


def _draw_what_p_is_beside(axes: Axes, together: pd.DataFrame, singly: pd.DataFrame) -> None:
    """The smallest p there can be, that of shifted models, and the usual bound."""
    floors = together.groupby("test_trs")["whole_model_floor"].max()
    # Wide, because matched models often lie on it.
    (floor,) = axes.plot(
        floors.index, floors, color="0.85", linewidth=5, zorder=0, label="smallest p there can be"
    )
    (shifted,) = axes.plot(
        singly["test_trs"],
        singly["whole_model_p_shifted"],
        "x",
        color=GREY,
        markersize=3,
        zorder=0,
        label="pairs shifted in time, each model",
    )
    axes.axhline(SIGNIFICANT_P, color="0.5", linewidth=0.5, linestyle="--", zorder=0)
    text = f" {SIGNIFICANT_P:g}"
    axes.text(1, SIGNIFICANT_P, text, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL_PT)
    axes.set_yscale("log")
    axes.legend(handles=[shifted, floor], loc="lower left")


def _draw_found(axes: Axes, together: pd.DataFrame, singly: pd.DataFrame) -> None:
    axes.plot(singly["rows_a_latent"], singly["found_percent"], ".", color=GREY, markersize=3)
    axes.plot(together["rows_a_latent"], together["found_percent"], "o-", color="black", markersize=4)
    _log_ticks(axes, together["rows_a_latent"])
    axes.set_xlabel("training rows a latent")
    axes.set_ylabel("well found (%)")


def _log_ticks(axes: Axes, sizes: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,g}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(str(count) for count in counts)


def _points(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of a panel's points, as the figure's numbers have it."""
    wholes = {f"{share}_percent": whole for share, (_, whole) in SHARES.items()}
    n = table[wholes[column]] if column in wholes else np.nan
    points = table[[*SIZE, "seed"]].assign(value=table[column], n=n)
    points.insert(0, "panel", column)
    return points
