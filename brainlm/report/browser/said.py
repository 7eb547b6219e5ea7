"""What was said when a latent was active, and when it nearly was."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainlm.report.browser.choice import Choice, choose_rows
from brainlm.report.browser.course import Course, course
from brainlm.report.browser.passages import Passage, passage
from brainlm.report.browser.run import Recordings

STRONGEST = "Strongest, one a story"
"""Title of the first group of passages; a latent that is never active has none."""


@dataclass(frozen=True)
class PassageGroup:
    """Passages that were chosen in one way."""

    title: str
    passages: tuple[Passage, ...]


def strongest_rows(passages: pd.DataFrame, recordings: Recordings) -> list[int]:
    """The rows (TRs) of one latent's top passages, best first.

    Parameters
    ----------
    passages: the latent's rows of `brainlm.scores.interpretation.maximal_passages`.
    """
    ranked = passages.sort_values("rank")
    return [
        recordings.row_at(story, time_s)
        for story, time_s in zip(ranked["story"], ranked["time_s"], strict=True)
    ]


def chosen_rows(
    latent: int, alike: np.ndarray, recordings: Recordings, strongest: Sequence[int], *, reach_s: float
) -> Choice:
    """The rows that a latent's page shows; the same ones each time.

    Parameters
    ----------
    alike: (time,) the latent's column of `brainlm.report.browser.choice.resemblance`.
    reach_s: length of a passage, s: two of one story do not overlap.
    """
    return choose_rows(
        recordings.activation[:, latent],
        alike,
        recordings.story_of_row,
        recordings.time_s,
        strongest=strongest,
        apart_s=reach_s,
        seed=latent,
    )


def passage_groups(
    latent: int, choice: Choice, recordings: Recordings, *, reach_s: float
) -> tuple[PassageGroup, ...]:
    """The passages of a page, in its order; groups without passages are left out."""
    highest, middle, lowest = choice.thirds
    chosen = {
        STRONGEST: choice.strongest,
        "From the highest third of its activations": highest,
        "From the middle third": middle,
        "From the lowest third": lowest,
        "Near misses: it is silent, though the other latents are as when it is active": choice.near_misses,
    }
    return tuple(
        PassageGroup(title, tuple(passage_at(row, latent, recordings, reach_s=reach_s) for row in rows))
        for title, rows in chosen.items()
        if rows
    )


def passage_at(row: int, latent: int, recordings: Recordings, *, reach_s: float) -> Passage:
    """What was said before a row, with the latent's activation there."""
    number = int(recordings.story_of_row[row])
    return passage(
        recordings.stories[number],
        row - recordings.rows_of(number).start,
        float(recordings.activation[row, latent]),
        largest=float(recordings.activation[:, latent].max()),
        reach_s=reach_s,
    )


def course_of(latent: int, choice: Choice, recordings: Recordings, live: int) -> Course | None:
    """A latent's course over the story of its strongest passage; None if it has none.

    Parameters
    ----------
    live: the latent's place among the live ones.
    """
    if not choice.strongest:
        return None
    number = int(recordings.story_of_row[choice.strongest[0]])
    story, rows = recordings.stories[number], recordings.rows_of(number)
    shown = [row for of_group in (choice.strongest, *choice.thirds) for row in of_group]
    return course(
        story.name,
        story.time_s,
        recordings.activation[rows, latent],
        recordings.brain[rows, live],
        recordings.lm[rows, live],
        story.words,
        passages_s=[float(recordings.time_s[row]) for row in shown if rows.start <= row < rows.stop],
    )
