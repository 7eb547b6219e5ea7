"""What studies of simulated listeners have in common: responses as stores, and which latent found what."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.codes import StoryCode
from brainlm.rows.pairs import Rows
from brainlm.rows.sources import Source
from brainlm.simulation.components import standardize
from brainlm.simulation.listener import Listener
from brainlm.simulation.recovery import match_planted
from brainlm.store import add_array, new_store


def write_responses(runs: Mapping[str, Sequence[np.ndarray]], folder: Path) -> Source:
    """Write each story's responses to a store: what a run makes of the dataset's files, as far as models read it.

    Parameters
    ----------
    runs: story -> (time, voxel) BOLD of each hearing. `bold` is the mean of z-scored hearings; of several, `repeats`
        (repeat, time, voxel) holds them.
    folder: gets <story>.zarr.
    """
    stores = {story: folder / f"{story}.zarr" for story in runs}
    for story, hearings in runs.items():
        zscored = np.stack([standardize(hearing) for hearing in hearings])
        with new_store(stores[story], {"simulated": True}) as store:
            add_array(store, "bold", zscored.mean(axis=0).astype(np.float32), ("time", "voxel"))
            if len(hearings) > 1:
                add_array(store, "repeats", zscored.astype(np.float32), ("repeat", "time", "voxel"))
    return Source("bold", stores)


def activation_of(model: Crosscoder, rows: Rows) -> np.ndarray:
    """The code of all rows: (time, latent) float32."""
    values, active = model.active_rows({source: rows.source(source) for source in model.weights})
    return StoryCode(values, active, np.arange(len(values)), model.n_latents).activation


def found_by(
    model: Crosscoder,
    listener: Listener,
    n_rows: Mapping[str, int],
    *,
    training: Rows,
    test: Rows,
    latents: pd.DataFrame,
    minimum_shift: int,
) -> pd.DataFrame:
    """Which latent found which planted feature: `brainlm.simulation.recovery.match_planted` of a model's rows.

    Parameters
    ----------
    n_rows: story -> its TRs, in the order of the planted courses.
    training, test: in the LM's time.
    latents: of `brainlm.scores.summary.latent_table`, over the same test rows.
    """
    first = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))

    def courses_and_activation(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        index = np.concatenate([first[story] + np.arange(n_rows[story]) for story in rows.stories])
        return listener.planted.time_courses[index], activation_of(model, rows)

    return match_planted(
        listener.planted,
        listener.maps[:, model.normalization["brain"].kept],
        training=courses_and_activation(training),
        test=courses_and_activation(test),
        test_brain=model.project("brain", test.source("brain")).numpy(),
        decoder_maps=model.weights["brain"].numpy(),
        latents=latents,
        minimum_shift=minimum_shift,
    )
