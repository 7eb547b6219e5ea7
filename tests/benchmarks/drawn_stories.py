"""Stories without text: words, themes and a language model's states drawn at random, as many as a study wants.

Words are as long, and themes and pauses as frequent, as in the demo's stories. From the times of words on everything
is as in the demo: the same functions speak them, make features and nuisances of the states, and plant what a listener
follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from brainlm.lm.features import story_features
from brainlm.lm.nuisances import story_nuisances
from brainlm.resample import tr_midpoints
from brainlm.rows.sources import Source
from brainlm.simulation.components import standardize
from brainlm.simulation.listener import autocorrelate
from brainlm.simulation.stories import PAUSES_S, THEMES, speak
from brainlm.store import add_array, new_store

MEAN_LETTERS = 3.9
PAUSE_SHARES = {",": 0.155, ".": 0.07, "paragraph": 0.025}
"""Share of words that a pause follows."""
SPAN_WORDS = 40
"""Mean length of a span of a theme, and of what lies between two."""
# The sound begins before a response's first row and ends after its last: ten volumes are cut off at either end, of
# 2 s, and the sound begins 10 s after the first volume and ends 8 s before the last.
SOUND_BEYOND_ROWS_S = 22.0

EVENT_EVERY_WORDS, EVENT_LASTS_WORDS = 80, 10
BEGINNING_S = 60.0
SIGNAL = 0.3
"""S.d. of what a course adds to a hidden dimension, in units of the noise's."""
NOISE_AUTOCORRELATION = 0.8
"""From word to word."""
MEAN_STATE = 3.0
"""S.d. over hidden dimensions of the mean state: most of a state's norm, as in language models. A row, a sum over
words, so follows how many there are."""


@dataclass(frozen=True)
class Story:
    """A story that was told, and what a language model held at each word."""

    words: pd.DataFrame
    """Columns word, theme, pause, onset_s, offset_s."""
    states: np.ndarray
    """(word, hidden) float32."""
    tr_times_s: np.ndarray
    """(time,) of the response's rows, s after sound onset."""


def draw_stories(
    n_rows: Mapping[str, int],
    random: np.random.Generator,
    *,
    n_topics: int,
    n_hidden: int,
    tr_s: float,
    sound_onset_s: float,
    first_tr: int,
    words_per_minute: float,
) -> dict[str, Story]:
    """Draw stories, and a language model that follows their themes, topics, and how long a story has lasted.

    Parameters
    ----------
    n_rows: story -> TRs of its response.
    n_topics: sparse courses of the language model besides themes.
    first_tr: volumes cut off in front.
    """
    words = {
        story: speak(
            _draw_words(round((rows * tr_s + SOUND_BEYOND_ROWS_S) * words_per_minute / 60), random),
            random,
            words_per_minute=words_per_minute,
        )
        for story, rows in n_rows.items()
    }
    courses = standardize(
        np.concatenate([_draw_courses(table, n_topics, random) for table in words.values()])
    )
    directions = SIGNAL * random.standard_normal((courses.shape[1], n_hidden))
    mean = MEAN_STATE * random.standard_normal(n_hidden)
    noise = autocorrelate(random.standard_normal((len(courses), n_hidden)), NOISE_AUTOCORRELATION)
    states = (courses @ directions + noise + mean).astype(np.float32)
    last = np.cumsum([len(table) for table in words.values()])
    return {
        story: Story(
            table,
            of_story,
            tr_midpoints(n_rows[story], tr_s=tr_s, sound_onset_s=sound_onset_s, first_tr=first_tr),
        )
        for (story, table), of_story in zip(words.items(), np.split(states, last[:-1]), strict=True)
    }


def _draw_words(n_words: int, random: np.random.Generator) -> pd.DataFrame:
    themes: list[str] = []
    while len(themes) < n_words:
        themes += [""] * random.geometric(1 / SPAN_WORDS)
        themes += [str(random.choice(THEMES))] * random.geometric(1 / SPAN_WORDS)
    shares = [PAUSE_SHARES.get(pause, 1 - sum(PAUSE_SHARES.values())) for pause in PAUSES_S]
    return pd.DataFrame(
        {
            "word": ["x" * n for n in 1 + random.poisson(MEAN_LETTERS - 1, n_words)],
            "theme": themes[:n_words],
            "pause": random.choice(list(PAUSES_S), n_words, p=shares),
        }
    )


def _draw_courses(words: pd.DataFrame, n_topics: int, random: np.random.Generator) -> np.ndarray:
    """(word, course): themes, how a story begins, and topics, events that die away over the words after."""
    themes = np.stack([words["theme"] == theme for theme in THEMES], axis=1).astype(float)
    beginning = np.exp(-words["onset_s"].to_numpy() / BEGINNING_S)[:, None]
    happens = random.random((len(words), n_topics)) < 1 / EVENT_EVERY_WORDS
    events = happens * random.exponential(1.0, happens.shape)
    topics = lfilter([1.0], [1.0, -np.exp(-1 / EVENT_LASTS_WORDS)], events, axis=0)
    return np.hstack([themes, beginning, topics])


def write_features(
    stories: Mapping[str, Story], folder: Path, settings: Mapping[str, Any]
) -> tuple[Source, dict[str, np.ndarray], Sequence[str]]:
    """Write each story's features to a store; its nuisances and their names come back.

    Parameters
    ----------
    folder: gets <story>.zarr.
    settings: unit, token_time, delays_s and lanczos, as for `brainlm.lm.features.story_features`; a word is a token.

    Returns
    -------
    The source; story -> (time, nuisance); the nuisances' names.
    """
    stores, nuisances, names = {}, {}, []
    for name, story in stories.items():
        word, onset_s, offset_s = (story.words[of].to_numpy() for of in ("word", "onset_s", "offset_s"))
        features = story_features(
            story.states,
            np.arange(len(word)),
            onset_s,
            offset_s,
            story.tr_times_s,
            unit=settings["unit"],
            token_time=settings["token_time"],
            delays_s=settings["delays_s"],
            **settings["lanczos"],
        )
        names, nuisances[name] = story_nuisances(
            word,
            onset_s,
            offset_s,
            story.tr_times_s,
            features,
            delays_s=settings["delays_s"],
            window=settings["lanczos"]["window"],
        )
        stores[name] = folder / f"{name}.zarr"
        with new_store(stores[name], {"simulated": True}) as store:
            add_array(store, "features", features, ("time", "hidden"))
    return Source("features", stores), nuisances, names
