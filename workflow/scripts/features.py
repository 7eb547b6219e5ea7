"""The language model's row for each TR of a story: Lanczos resampling and the mean of delays."""

from pathlib import Path

import numpy as np

from brainlm.errors import InputError
from brainlm.features import story_features
from brainlm.store import add_array, new_store, open_store
from brainlm.words import load_words
from job import logged, tr_times

with logged(snakemake):
    settings = snakemake.params.features
    activations = open_store(snakemake.input.activations)
    block = activations["block"][:].tolist().index(settings["block"])
    words, word_index = load_words(Path(snakemake.input.words)), activations["word_index"][:]
    for edge in ("onset_s", "offset_s"):
        then, now = activations[f"word_{edge}"][:], words[edge].to_numpy()
        if word_index.max(initial=-1) >= len(now) or not np.allclose(then, now[word_index], atol=1e-6):
            raise InputError(
                f"{snakemake.input.activations} holds other words than {snakemake.input.words}: remove it and run "
                "again."
            )
    times_s = tr_times(snakemake.wildcards.story, snakemake.input.respdict, snakemake.params)
    features = story_features(
        activations["hidden"][block],
        word_index,
        words["onset_s"].to_numpy(),
        words["offset_s"].to_numpy(),
        times_s,
        unit=settings["unit"],
        token_time=settings["token_time"],
        delays_s=settings["delays_s"],
        **settings["lanczos"],
    )
    with new_store(snakemake.output.features, {"story": snakemake.wildcards.story, **settings}) as store:
        add_array(store, "features", features, ("time", "hidden"))
        add_array(store, "time", times_s, ("time",), attributes={"units": "s after sound onset"})
