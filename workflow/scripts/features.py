"""The language model's row for each TR of a story: Lanczos resampling and the mean of delays."""

from pathlib import Path

import numpy as np

from brainlm.data.clocks import check_clocks
from brainlm.data.words import load_words
from brainlm.errors import InputError
from brainlm.lm.features import story_features
from brainlm.store import add_array, new_store, open_store
from job import dataset_root, logged, warn
from job_inputs import tr_times

with logged(snakemake):
    params, story = snakemake.params, snakemake.wildcards.story
    settings, source = params.features, params.words_source
    words = load_words(Path(snakemake.input.words))
    onset_s, offset_s = words["onset_s"].to_numpy(), words["offset_s"].to_numpy()
    times_s = tr_times(story, snakemake.input.respdict, params)
    for sentence in check_clocks(
        onset_s,
        offset_s,
        times_s,
        transcript=f"{dataset_root() / source['transcript']}, story '{story}'",
        n_volumes=params.trim["first"] + len(times_s) + params.trim["last"],
        tr_s=params.tr_s,
        sound_onset_s=params.sound_onset_s,
        delays_s=settings["delays_s"],
        window=settings["lanczos"]["window"],
        is_segment=source["is_segment"],
        sound_onset_name=source["sound_onset_name"],
    ):
        warn(sentence)
    activations = open_store(snakemake.input.activations)
    block = activations["block"][:].tolist().index(settings["block"])
    word_index = activations["word_index"][:]
    for edge, now in (("onset_s", onset_s), ("offset_s", offset_s)):
        then = activations[f"word_{edge}"][:]
        if word_index.max(initial=-1) >= len(now) or not np.allclose(then, now[word_index], atol=1e-6):
            raise InputError(
                f"{snakemake.input.activations} holds other words than {snakemake.input.words}: remove it and run "
                "again."
            )
    features = story_features(
        activations["hidden"][block],
        word_index,
        onset_s,
        offset_s,
        times_s,
        unit=settings["unit"],
        token_time=settings["token_time"],
        delays_s=settings["delays_s"],
        **settings["lanczos"],
    )
    with new_store(snakemake.output.features, {"story": story, **settings}) as store:
        add_array(store, "features", features, ("time", "hidden"))
        add_array(store, "time", times_s, ("time",), attributes={"units": "s after sound onset"})
