"""The course of a latent over one test story: its activation, what brain and LM say of it, and words a TR."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainlm.report.browser.answers import known
from brainlm.report.browser.drawings import Tick, line, steps
from brainlm.report.write import number_of
from brainlm.scores.correlation import pearson

WIDTH = 960
"""Of the plot in SVG units."""
ACTIVATION, HALVES, WORDS = (0, 56), (72, 168), (184, 216)
"""Top and bottom of the three parts, one below the other."""
_HALVES_SD = 4.0
"""Standard deviations from the middle of the halves' part to its edges."""
_TICKS_S = (30, 60, 120, 300, 600)


@dataclass(frozen=True)
class Course:
    """What is drawn of one story."""

    story: str
    tr_width: float
    """Of a TR in SVG units: the unit of the paths along the axis of time, whose 0 is the first TR."""
    activation: str
    """SVG paths."""
    brain: str
    lm: str
    words: str
    passages: tuple[float, ...]
    """Where the passages of the page are."""
    ticks: tuple[Tick, ...]
    """Of time, min."""
    most_words: str
    correlation: str
    """Of the two halves over this story."""
    alt: str


def words_a_tr(words: pd.DataFrame, time_s: np.ndarray) -> np.ndarray:
    """(time,) int number of words whose midpoint is nearer to this TR's time than to any other's.

    Parameters
    ----------
    words: columns onset_s, offset_s, s after sound onset.
    time_s: (time,) s after sound onset, increasing; words farther from the first or last one than half a TR are
        left out.
    """
    middle_s = (words["onset_s"].to_numpy(float) + words["offset_s"].to_numpy(float)) / 2
    return np.histogram(middle_s, tr_edges(time_s))[0]


def tr_edges(time_s: np.ndarray) -> np.ndarray:
    """(time + 1,) s: half-way between TRs, and as far before the first and after the last one."""
    half_s = np.diff(time_s).mean() / 2
    return np.concatenate([[time_s[0] - half_s], (time_s[:-1] + time_s[1:]) / 2, [time_s[-1] + half_s]])


def course(
    story: str,
    time_s: np.ndarray,
    activation: np.ndarray,
    brain: np.ndarray,
    lm: np.ndarray,
    words: pd.DataFrame,
    *,
    passages_s: Sequence[float],
) -> Course:
    """A latent's course as paths.

    Parameters
    ----------
    time_s: (time,) s after sound onset of the TRs, at equal distances.
    activation: (time,) of the latent.
    brain, lm: (time,) what each source alone says of it; each is drawn in its standard deviations over the story.
    words: of the story, columns onset_s, offset_s.
    passages_s: times of passages of this story that stand on the page.
    """
    begin_s, end_s, counts = float(time_s[0]), float(time_s[-1]), words_a_tr(words, time_s)

    def place(moment: np.ndarray | float) -> np.ndarray:
        return WIDTH * (np.asarray(moment) - begin_s) / (end_s - begin_s)

    def half(values: np.ndarray) -> str:
        top, bottom = HALVES
        centred = values - values.mean()
        spread = centred.std()
        scaled = centred / spread if spread > 0 else centred
        height = (bottom - top) / 2
        # To a whole unit, of which the height has enough: paths are most of a page.
        drawn = top + height - height / _HALVES_SD * np.clip(scaled, -_HALVES_SD, _HALVES_SD)
        return line(np.arange(len(time_s)), np.round(drawn))

    edges = np.arange(len(time_s) + 1) - 0.5
    positive = np.maximum(activation, 0)
    heights = (ACTIVATION[1] - ACTIVATION[0]) * positive / max(float(positive.max()), 1e-12)
    correlation = known(float(pearson(brain[:, None], lm[:, None])[0]))
    return Course(
        story,
        WIDTH / max(len(time_s) - 1, 1),
        steps(edges, heights, ACTIVATION[1]),
        half(brain),
        half(lm),
        steps(edges, (WORDS[1] - WORDS[0]) * counts / max(int(counts.max()), 1), WORDS[1]),
        tuple(float(place(moment)) for moment in passages_s if begin_s <= moment <= end_s),
        _time_ticks(begin_s, end_s, place),
        number_of(int(counts.max()), "word"),
        correlation,
        f"Over the story {story} the latent is active in {int((activation > 0).sum())} of "
        f"{number_of(len(time_s), 'TR')}; there the brain's and the LM's half correlate at {correlation}.",
    )


def _time_ticks(
    begin_s: float, end_s: float, place: Callable[[np.ndarray | float], np.ndarray]
) -> tuple[Tick, ...]:
    step = next((step for step in _TICKS_S if (end_s - begin_s) / step <= 12), _TICKS_S[-1])
    moments = np.arange(np.ceil(begin_s / step) * step, end_s + 1e-9, step)
    return tuple(Tick(float(place(moment)), f"{moment / 60:g}") for moment in moments)
