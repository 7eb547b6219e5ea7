"""The language model's row for each TR of some stories, the mean of delays, and nuisances beside it."""

import os
from pathlib import Path

import numpy as np
import zarr

from brainlm.data.clocks import check_clocks
from brainlm.data.nuisances import read_nuisances
from brainlm.data.words import load_words
from brainlm.errors import InputError
from brainlm.lm.features import story_features
from brainlm.lm.nuisances import story_nuisances
from brainlm.store import add_array, add_strings, new_store, open_store
from job import dataset_root, logged, warn
from job_inputs import by_story, make_each, tr_times


def require_same_words(
    activations: zarr.Group, onset_s: np.ndarray, offset_s: np.ndarray, store: Path, words: Path
) -> None:
    """Check that the language model has read the words, (word,) s after sound onset."""
    word_index = activations["word_index"][:]
    for edge, now in (("onset_s", onset_s), ("offset_s", offset_s)):
        then = activations[f"word_{edge}"][:]
        if word_index.max(initial=-1) >= len(now) or not np.allclose(then, now[word_index], atol=1e-6):
            raise InputError(f"{store} holds other words than {words}: remove it and run again.")


with logged(snakemake):
    params, settings = snakemake.params, snakemake.params.features
    words_of, activations_of = by_story(snakemake.input.words), by_story(snakemake.input.activations)
    brought = by_story(snakemake.input.nuisances)

    def make_features(story: str, store: Path) -> None:
        """Read the words, and what the language model holds at each of their tokens."""
        source, words = params.words_sources[story], load_words(words_of[story])
        onset_s, offset_s = words["onset_s"].to_numpy(), words["offset_s"].to_numpy()
        times_s = tr_times(story, snakemake.input.respdict, params)
        for sentence in check_clocks(
            onset_s,
            offset_s,
            times_s,
            # Seen from the dataset's root it may lie anywhere.
            transcript=f"{os.path.normpath(dataset_root() / source['transcript'])}, story '{story}'",
            n_volumes=params.trim["first"] + len(times_s) + params.trim["last"],
            tr_s=params.tr_s,
            sound_onset_s=params.sound_onsets_s[story],
            delays_s=settings["delays_s"],
            window=settings["lanczos"]["window"],
            is_segment=source["text"] != story,
            sound_onset_name=source["sound_onset_name"],
        ):
            warn(sentence)
        path = activations_of[source["text"]]
        activations = open_store(path)
        require_same_words(activations, onset_s, offset_s, path, words_of[story])
        block = activations["block"][:].tolist().index(settings["block"])
        features = story_features(
            activations["hidden"][block],
            activations["word_index"][:],
            onset_s,
            offset_s,
            times_s,
            unit=settings["unit"],
            token_time=settings["token_time"],
            delays_s=settings["delays_s"],
            **settings["lanczos"],
        )
        names, nuisances = story_nuisances(
            words["word"],
            onset_s,
            offset_s,
            times_s,
            features,
            delays_s=settings["delays_s"],
            window=settings["lanczos"]["window"],
        )
        if story in brought:
            more, columns = read_nuisances(brought[story], story, n_rows=len(times_s), taken=names)
            names, nuisances = names + more, np.hstack([nuisances, columns])
        with new_store(store, {"story": story, **settings}) as group:
            add_array(group, "features", features, ("time", "hidden"))
            add_array(group, "time", times_s, ("time",), attributes={"units": "s after sound onset"})
            what = (
                "words and letters a TR, time, the norm of the row of features, and what the dataset brings"
            )
            add_array(group, "nuisances", nuisances, ("time", "nuisance"), attributes={"long_name": what})
            add_strings(
                group, "nuisance", names, "nuisance", attributes={"long_name": "name of the nuisance"}
            )

    make_each(by_story(snakemake.output.features), make_features)
