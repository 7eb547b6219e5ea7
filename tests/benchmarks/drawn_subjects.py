"""Simulated subjects that hear stories drawn at random, with nested sets of training and of test stories."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.cortex.voxels import voxel_table
from brainlm.rows.sources import Source
from brainlm.simulation.features import plant_features
from brainlm.simulation.listener import Listener, listen
from drawn_stories import draw_stories, write_features
from listeners import write_responses
from pipeline.config import Plan


@dataclass(frozen=True)
class Sizes:
    """How much data there is, and how much of it is used at a time."""

    rows_a_latent: Sequence[int] = (5, 15, 50)
    test_trs: Sequence[int] = (80, 160, 320, 640, 1280, 2500, 5000)
    story_trs: int = 320
    """Of the longest story; fewer test TRs are those at the beginning of one."""
    n_validation: int = 8
    """Validation stories; the first is the one that is heard several times."""
    n_hidden: int = 200


@dataclass(frozen=True)
class Subject:
    """A simulated subject with all stories, in stores."""

    listener: Listener
    n_rows: Mapping[str, int]
    """Story -> its TRs, in the order of the planted courses."""
    training: Mapping[int, Sequence[str]]
    """TRs -> stories, each set being part of the next."""
    test: Mapping[int, Sequence[str]]
    """The same; the smallest sets are beginnings of one story."""
    validation: Sequence[str]
    sources: Mapping[str, Source]
    nuisances: Mapping[str, np.ndarray]
    """Story -> (time, nuisance)."""
    nuisance_names: Sequence[str]
    voxels: pd.DataFrame
    """Voxel table, see `brainlm.cortex.voxels`."""


def nested_stories(
    sizes: Sequence[int], longest: int, name: str
) -> tuple[dict[str, int], dict[int, list[str]]]:
    """Stories that make up each of some sizes, all stories of a size being among those of the next.

    Parameters
    ----------
    sizes: TRs, rising. Those below `longest` are beginnings of the first story, one for each size.
    longest: TRs of the longest story.

    Returns
    -------
    Story -> its TRs, beginnings apart, and size -> its stories; a beginning is called "<first story>-<size>".
    """
    n_rows: dict[str, int] = {}
    chosen: dict[int, list[str]] = {}
    for size in sizes:
        if size < longest:
            chosen[size] = [f"{name}1-{size}"]
            continue
        added = size - sum(n_rows.values())
        for rows in np.array_split(np.arange(added), math.ceil(added / longest)):
            n_rows[f"{name}{len(n_rows) + 1}"] = len(rows)
        chosen[size] = list(n_rows)
    return n_rows, chosen


def simulate(
    plan: Plan, sizes: Sizes, mask: np.ndarray, voxel_size_mm: float, seed: int, folder: Path
) -> Subject:
    """Draw stories and a subject that hears them, and write the rows of both sources.

    Parameters
    ----------
    mask: (z, y, x) bool, cubic voxels.
    folder: gets the stores.
    """
    dataset, settings = plan.config["dataset"], plan.experiments["matched"]
    simulation = dataset["simulation"]
    random = np.random.default_rng([seed, *b"data-size study"])
    wanted = [settings["crosscoder"]["n_latents"] * rows for rows in sizes.rows_a_latent]
    of_training, training = nested_stories(wanted, sizes.story_trs, "train")
    of_test, test = nested_stories(sizes.test_trs, sizes.story_trs, "test")
    validation = [f"validation{i + 1}" for i in range(sizes.n_validation)]
    n_rows = of_training | dict.fromkeys(validation, sizes.story_trs) | of_test
    stories = draw_stories(
        n_rows,
        random,
        # One more is how a story begins.
        n_topics=simulation["n_lm_features"] + simulation["n_lm_only"] - 1,
        n_hidden=sizes.n_hidden,
        tr_s=dataset["tr_s"],
        sound_onset_s=dataset["sound_onset_s"],
        first_tr=dataset["trim"]["first"],
        words_per_minute=simulation["words_per_minute"],
    )
    driven = plant_features(
        {name: story.words for name, story in stories.items()},
        {name: story.states for name, story in stories.items()},
        {name: story.tr_times_s for name, story in stories.items()},
        n_lm_features=simulation["n_lm_features"],
        n_lm_only=simulation["n_lm_only"],
        n_story_driven=simulation["n_story_driven"],
        seed=seed,
    )
    listener = listen(
        driven,
        n_rows,
        mask,
        voxel_size_mm,
        n_spontaneous=simulation["n_spontaneous"],
        snr=simulation["snr"],
        tr_s=dataset["tr_s"],
        random=random,
        repeated_story=validation[0],
        n_repeats=simulation["n_repeats"],
    )
    runs = dict(listener.runs)
    for size in sizes.test_trs:
        if size < sizes.story_trs:
            (beginning,), first = test[size], next(iter(of_test))
            runs[beginning] = [runs[first][0][:size]]
            stories[beginning] = replace(stories[first], tr_times_s=stories[first].tr_times_s[:size])
    lm, nuisances, names = write_features(stories, folder / "lm", settings["features"])
    return Subject(
        listener=listener,
        n_rows=n_rows,
        training=training,
        test=test,
        validation=validation,
        sources={"brain": write_responses(runs, folder / "brain"), "lm": lm},
        nuisances=nuisances,
        nuisance_names=names,
        voxels=voxel_table(mask, {}),
    )
