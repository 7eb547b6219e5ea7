"""What a story does to every simulated listener: planted features, their kinds and their time courses.

What a brain does besides, and what is recorded, is in `listener`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.simulation.components import (
    least_explained,
    rectified,
    share_explained,
    sparse_components,
    standardize,
    theme_readout,
    without,
)
from brainlm.simulation.courses import hear, melodies, speech_rate, time_in_story
from brainlm.simulation.stories import THEMES
from brainlm.store import add_array, add_strings, new_store, open_store, read_array, read_strings

KINDS = ("shared", "word rate", "story-driven", "spontaneous", "stripes", "LM-only")
NEW_AT_EVERY_HEARING = ("spontaneous", "stripes")
"""Kinds of which another hearing of a story has nothing again."""
MOST_NUISANCE = 1 / 3
"""A component of the LM counts as word rate if speech rate and time in the story explain more of it (R²)."""
MOST_FOLLOWED = 0.05
"""A component is the LM's alone if all that voxels follow explains less of it than this (R²)."""


@dataclass(frozen=True)
class Planted:
    """Planted features over all stories, one after the other."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    """Of `KINDS`:

    - shared: voxels and LM follow it;
    - word rate: voxels follow how fast is spoken, and so does the LM, for its rows are sums over words;
    - story-driven: voxels follow the story, the same at every hearing and in every subject, in what the LM lacks;
    - spontaneous: what voxels do of their own accord, new at every hearing;
    - stripes: an artefact of the scanner, new at every hearing;
    - LM-only: the LM carries it, no voxel follows it, nor does it go along with what voxels follow.
    """
    time_courses: NDArray[np.float64]
    """(time, feature) float64, each of mean 0 and s.d. 1."""
    strength: np.ndarray
    """(feature,) variance in the brain, in units of a shared feature's on average; 0: in no voxel."""


def plant_features(
    words: Mapping[str, pd.DataFrame],
    states: Mapping[str, np.ndarray],
    tr_times_s: Mapping[str, np.ndarray],
    *,
    n_lm_features: int,
    n_lm_only: int,
    n_story_driven: int,
    seed: int,
) -> Planted:
    """Time courses of what the stories drive, over all of them in order; the same for every listener and hearing.

    - Shared: "place", as the LM reads it out of the text; "negative", the annotated spans themselves; and "lm",
      sparse components of what the LM carries besides the three themes. Each is as strong in the brain as it is
      prominent in the LM.
    - Word rate: "words", fast speech, twice as strong as a shared feature, as in auditory cortex; and "letters", long
      words, as strong: what letters a TR have besides words a TR. Of both, as of components of the LM, only what is
      high drives the brain: of a course that is as often low as high a sparse dictionary makes no latent of its own.
      A component of the LM that speech rate and time in the story explain to more than `MOST_NUISANCE` counts as word
      rate as well.
    - Story-driven: "melody", unrelated to the text, half as strong as a shared feature.
    - LM-only: "lm-only", of all sparse components of the LM those that the other ones and all else explain least.

    Parameters
    ----------
    words: story -> columns word, onset_s, offset_s, theme.
    states: story -> (word, hidden) hidden states, one a word.
    tr_times_s: story -> (time,) s after sound onset.
    seed: of the melodies.

    Raises
    ------
    InputError: what voxels follow explains a component of the LM too well for it to be the LM's alone.
    """
    duration_s = np.concatenate([table["offset_s"] - table["onset_s"] for table in words.values()])

    def heard(carried: np.ndarray) -> np.ndarray:
        """(word, dim) -> (time, dim): each word acts for as long as it lasts."""
        return standardize(hear(carried * duration_s[:, None], words, tr_times_s))

    carried = standardize(np.concatenate([states[story] for story in words]).astype(np.float64))
    heard_states = heard(carried)
    themes = np.concatenate([table["theme"] for table in words.values()])
    read_out = {theme: heard(theme_readout(carried, themes == theme)[:, None]) for theme in THEMES}
    negative_spans = heard((themes == "negative")[:, None].astype(float))
    rate = speech_rate(words, tr_times_s)
    speech = rectified(np.hstack([rate[:, :1], without(rate[:, 1:], rate[:, :1])]))
    melody = standardize(melodies(words, tr_times_s, n_story_driven, seed))

    # What is left of the LM once the themes are taken out, so that no theme is planted twice.
    besides_themes = without(heard_states, np.hstack(list(read_out.values())))
    components = rectified(sparse_components(besides_themes, n_lm_features + n_lm_only))
    nuisances = np.hstack([rate, time_in_story(words, tr_times_s)])
    is_rate = share_explained(components, nuisances) > MOST_NUISANCE
    is_unheard = least_explained(
        components, np.hstack([read_out["place"], negative_spans, speech, melody]), n_lm_only, not_of=is_rate
    )
    through_lm = np.hstack([read_out["place"], negative_spans, components[:, ~is_unheard]])
    lm_only = components[:, is_unheard]
    explained = share_explained(lm_only, np.hstack([through_lm, speech, melody]))
    if (explained >= MOST_FOLLOWED).any():
        raise InputError(
            f"What voxels follow explains {explained.max():.1%} of a component that only the language model is to "
            f"have, and may explain {MOST_FOLLOWED:.0%}: simulate more stories, or fewer components."
        )

    of_rate = np.concatenate([[False, False], is_rate[~is_unheard]])
    prominence = np.square(through_lm.T @ heard_states / len(heard_states)).mean(axis=1)
    return together(
        Planted(
            names=("place", "negative", *(f"lm {i + 1}" for i in range(n_lm_features))),
            kinds=tuple(np.where(of_rate, "word rate", "shared").tolist()),
            time_courses=through_lm,
            strength=prominence / prominence[~of_rate].mean(),
        ),
        Planted(("words", "letters"), ("word rate",) * 2, speech, np.array([2.0, 1.0])),
        alike("melody", "story-driven", melody, strength=0.5),
        alike("lm-only", "LM-only", lm_only, strength=0.0),
    )


def alike(name: str, kind: str, time_courses: np.ndarray, *, strength: float) -> Planted:
    """Features "name 1", "name 2", ... of one kind and strength; time_courses: (time, feature)."""
    n = time_courses.shape[1]
    return Planted(
        tuple(f"{name} {i + 1}" for i in range(n)), (kind,) * n, time_courses, np.full(n, strength)
    )


def together(*parts: Planted) -> Planted:
    """All features of several parts with the same times."""
    return Planted(
        names=tuple(chain(*(part.names for part in parts))),
        kinds=tuple(chain(*(part.kinds for part in parts))),
        time_courses=np.hstack([part.time_courses for part in parts]),
        strength=np.concatenate([part.strength for part in parts]),
    )


def save_planted(
    planted: Planted, n_rows: Mapping[str, int], path: Path, maps: np.ndarray | None = None
) -> None:
    """Write planted features as a Zarr store; `n_rows` is story -> its number of TRs, in order."""
    with new_store(path, {"simulated": True}) as store:
        add_array(store, "time_courses", planted.time_courses, ("time", "feature"))
        add_array(store, "strength", planted.strength, ("feature",))
        add_strings(store, "feature", planted.names, "feature")
        add_strings(store, "kind", planted.kinds, "feature")
        add_strings(store, "story", list(n_rows), "story")
        add_array(store, "n_rows", list(n_rows.values()), ("story",))
        if maps is not None:
            add_array(store, "maps", maps, ("feature", "voxel"))


def load_planted(path: Path) -> tuple[Planted, dict[str, int]]:
    """Read the features and each story's number of TRs; a subject's `maps` are an array of the store."""
    store = open_store(path)
    planted = Planted(
        names=tuple(read_strings(store, "feature")),
        kinds=tuple(read_strings(store, "kind")),
        time_courses=read_array(store, "time_courses"),
        strength=read_array(store, "strength"),
    )
    return planted, dict(zip(read_strings(store, "story"), read_array(store, "n_rows").tolist(), strict=True))
