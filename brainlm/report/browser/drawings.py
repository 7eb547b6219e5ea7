"""Small drawings of a page as numbers and SVG paths; templates give them colours and words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from brainlm.report.write import formatted

WIDTH, HEIGHT = 240, 30
"""Of a strip's plot, in SVG units; the labels of its axis stand below."""
_BINS = 30


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float
    label: str


@dataclass(frozen=True)
class Strip:
    """A latent's value on the histogram of all live latents."""

    bars: str
    """SVG path of the histogram's outline."""
    x: float | None
    """Where the latent is; None where that is not known."""
    bounds: tuple[float, ...]
    """Where something is that the value is compared with."""
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Interval:
    """A value with its interval; None where they are not known."""

    name: str
    low: float | None
    x: float | None
    high: float | None


@dataclass(frozen=True)
class Intervals:
    """Values with their intervals on one axis."""

    rows: tuple[Interval, ...]
    zero: float
    ticks: tuple[Tick, ...]


def strip(
    values: np.ndarray,
    value: float,
    *,
    limits: tuple[float, float] | None = None,
    bounds: Sequence[float] = (),
) -> Strip | None:
    """A value on the histogram of all.

    Parameters
    ----------
    values: of all live latents, NaN where not known.
    value: the latent's.
    limits: of the axis; those of the values, and 0, unless given.
    bounds: values to compare with; NaN ones are left out.

    Returns
    -------
    None if no value is known.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = limits or (min(known.min(), 0.0), max(known.max(), 0.0))
    high = high if high > low else low + 1.0
    counts, edges = np.histogram(known, bins=_BINS, range=(low, high))
    return Strip(
        steps(scaled(edges, low, high, WIDTH), HEIGHT * counts / counts.max(), HEIGHT),
        _place(value, low, high),
        tuple(float(scaled(bound, low, high, WIDTH)) for bound in bounds if low <= bound <= high),
        axis_ticks(low, high, WIDTH),
    )


def intervals(rows: Mapping[str, tuple[float, float, float]]) -> Intervals | None:
    """Values with their intervals on one axis that holds all of them, and 0.

    Parameters
    ----------
    rows: name -> low, value, high; NaN where not known.

    Returns
    -------
    None if no value is known.
    """
    known = np.array([of_row for of_row in rows.values() if np.isfinite(of_row).all()])
    if not known.size:
        return None
    low, high = min(known.min(), 0.0), max(known.max(), 0.0)
    high = high if high > low else low + 1.0
    drawn = tuple(
        Interval(name, *(_place(value, low, high) for value in of_row)) for name, of_row in rows.items()
    )
    return Intervals(drawn, float(scaled(0.0, low, high, WIDTH)), axis_ticks(low, high, WIDTH))


def line(x: np.ndarray, y: np.ndarray) -> str:
    """SVG path through points, to a tenth of a unit; NaN breaks it."""
    x, y = np.round(x, 1), np.round(y, 1)
    known = np.flatnonzero(np.isfinite(y))
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if known.size else []
    return "".join(
        f"M{_pair(x[run[0]], y[run[0]])}"
        # What follows the first move to a place after "l" are moves too.
        + "l" * (run.size > 1)
        + " ".join(map(_pair, np.diff(x[run]), np.diff(y[run])))
        for run in runs
    )


def steps(edges: np.ndarray, heights: np.ndarray, base: float) -> str:
    """SVG path around bars that touch one another and stand on a line, to a tenth of a unit.

    Parameters
    ----------
    edges: (bar + 1,) of the bars. heights: (bar,), 0 for none. base: where the line is.
    """
    edges, tops = np.round(edges, 1), np.round(heights, 1)
    path, before = f"M{_pair(edges[0], base)}", 0.0
    # Neighbours of one height are drawn as one.
    for places in np.split(np.arange(tops.size), np.flatnonzero(np.diff(tops)) + 1):
        top = tops[places[0]]
        path += f"v{_short(before - top)}h{_short(edges[places[-1] + 1] - edges[places[0]])}"
        before = top
    return f"{path}v{_short(before)}z"


def scaled(values: float | np.ndarray, low: float, high: float, length: float) -> np.ndarray:
    """Places on an axis of some length that goes from low to high."""
    return length * (np.asarray(values, float) - low) / (high - low)


def axis_ticks(low: float, high: float, length: float) -> tuple[Tick, ...]:
    """A few round numbers on an axis of some length that goes from low to high."""
    places = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high)
    inside = [float(place) for place in places if low <= place <= high]
    return tuple(Tick(float(scaled(place, low, high, length)), formatted(place, ".3g")) for place in inside)


def _place(value: float, low: float, high: float) -> float | None:
    # Within the plot, whatever limits are given.
    return float(np.clip(scaled(value, low, high, WIDTH), 0, WIDTH)) if np.isfinite(value) else None


def _pair(x: float, y: float) -> str:
    # A sign parts two numbers as well as a blank.
    down = _short(y)
    return f"{_short(x)}{'' if down.startswith('-') else ' '}{down}"


def _short(value: float) -> str:
    # Adding 0 makes 0 of -0.
    return f"{round(float(value), 1) + 0.0:g}"
