"""Time courses of what is planted: what words, speech rate and melody of a story evoke, and what no story does.

What a story drives passes through a haemodynamic response, which the analysis only approximates by its mean of
delays.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import gamma

from brainlm.simulation.components import standardize

HRF_DURATION_S = 32.0
MELODY_EVERY_S = 30.0
"""Mean time between events of a melody."""


def haemodynamic_response(t_s: np.ndarray) -> np.ndarray:
    """The canonical double-gamma response: a peak near 5 s, an undershoot near 15 s, and an area of 1 (1/s)."""
    return (gamma.pdf(t_s, 6) - gamma.pdf(t_s, 16) / 6) / (1 - 1 / 6)


def respond(sizes: np.ndarray, times_s: np.ndarray, tr_times_s: np.ndarray) -> NDArray[np.float64]:
    """Haemodynamic response to events of these sizes.

    Parameters
    ----------
    sizes: (event, dim). times_s: (event,) s. tr_times_s: (time,) s.

    Returns
    -------
    (time, dim) float64.
    """
    return haemodynamic_response(tr_times_s[:, None] - times_s) @ sizes


def hear(
    sizes: np.ndarray, words: Mapping[str, pd.DataFrame], tr_times_s: Mapping[str, np.ndarray]
) -> NDArray[np.float64]:
    """Haemodynamic response to what each word carries, at the word's middle.

    Parameters
    ----------
    sizes: (word, dim) over all stories. words: story -> columns onset_s, offset_s.
    tr_times_s: story -> (time,) s after sound onset.

    Returns
    -------
    (time, dim) float64 over all stories.
    """
    edges = np.cumsum([0, *(len(table) for table in words.values())])
    middles_s = {story: (table["onset_s"] + table["offset_s"]) / 2 for story, table in words.items()}
    of_each = zip(words, edges[:-1], edges[1:], strict=True)
    return np.concatenate(
        [respond(sizes[a:b], middles_s[story].to_numpy(), tr_times_s[story]) for story, a, b in of_each]
    )


def speech_rate(
    words: Mapping[str, pd.DataFrame], tr_times_s: Mapping[str, np.ndarray]
) -> NDArray[np.float64]:
    """Haemodynamic response to how fast is spoken: to words, and to letters, digits among them.

    Parameters
    ----------
    words: story -> columns word, onset_s, offset_s. tr_times_s: story -> (time,) s after sound onset.

    Returns
    -------
    (time, 2) float64 over all stories, per s.
    """
    letters = np.concatenate([table["word"].str.count(r"[^\W_]") for table in words.values()])
    return hear(np.column_stack([np.ones(len(letters)), letters]), words, tr_times_s)


def time_in_story(
    words: Mapping[str, pd.DataFrame], tr_times_s: Mapping[str, np.ndarray]
) -> NDArray[np.float64]:
    """How long a story has lasted: t / its length, exp(-t / 20 s) and exp(-t / 60 s), with t at least 0.

    Parameters
    ----------
    words: story -> column offset_s. tr_times_s: story -> (time,) s after sound onset.

    Returns
    -------
    (time, 3) float64 over all stories.
    """
    columns = []
    for story, table in words.items():
        t_s = np.maximum(tr_times_s[story], 0.0)
        columns.append(
            np.column_stack([t_s / table["offset_s"].iloc[-1], np.exp(-t_s / 20), np.exp(-t_s / 60)])
        )
    return np.concatenate(columns)


def melodies(
    words: Mapping[str, pd.DataFrame], tr_times_s: Mapping[str, np.ndarray], n_features: int, seed: int
) -> NDArray[np.float64]:
    """What stories drive besides their text, say where the speaker's voice rises: events at random times.

    Parameters
    ----------
    words: story -> column offset_s. tr_times_s: story -> (time,) s after sound onset.

    Returns
    -------
    (time, n_features) float64 over all stories: haemodynamic response to events of random size, every
    `MELODY_EVERY_S` s on average, at times that seed and story decide.
    """
    of_stories = []
    for story, table in words.items():
        # Each story has its own stream, so that adding one leaves the others as they are.
        random = np.random.default_rng([seed, *b"melody", *story.encode()])
        length_s = table["offset_s"].iloc[-1]
        columns = []
        for _ in range(n_features):
            n_events = random.poisson(length_s / MELODY_EVERY_S)
            times_s, sizes = random.uniform(0, length_s, n_events), random.exponential(1.0, (n_events, 1))
            columns.append(respond(sizes, times_s, tr_times_s[story]))
        of_stories.append(np.hstack(columns))
    return np.concatenate(of_stories)


def spontaneous_events(
    n_rows: int, tr_s: float, random: np.random.Generator, *, every_s: float
) -> NDArray[np.float64]:
    """A time course unrelated to any story: events at random times, every `every_s` s on average, of random size.

    Returns
    -------
    (time,) float64, mean 0, s.d. 1.
    """
    events = (random.random(n_rows) < tr_s / every_s) * random.exponential(1.0, n_rows)
    response = haemodynamic_response(np.arange(0, HRF_DURATION_S, tr_s))
    return standardize(np.convolve(events, response)[:n_rows])


def artefact_bursts(
    n_rows: int, tr_s: float, random: np.random.Generator, *, every_s: float, lasting_s: float
) -> NDArray[np.float64]:
    """The time course of a scanner artefact: fast noise in bursts at random times, as after head movements.

    Parameters
    ----------
    every_s: mean time between bursts. lasting_s: time in which a burst's amplitude falls to 1/e.

    Returns
    -------
    (time,) float64, mean 0, s.d. 1.
    """
    movements = (random.random(n_rows) < tr_s / every_s) * random.exponential(1.0, n_rows)
    decay = np.exp(-np.arange(0, 5 * lasting_s, tr_s) / lasting_s)
    amplitude = np.convolve(movements, decay)[:n_rows]
    return standardize(amplitude * random.standard_normal(n_rows))
