"""Which latent found which planted feature."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from job import logged

from brainlm.crosscoder import Crosscoder
from brainlm.latents import load_codes
from brainlm.recovery import match_planted
from brainlm.simulation import load_planted
from brainlm.store import open_store

with logged(snakemake):
    planted, lengths = load_planted(Path(snakemake.input.planted))
    first = dict(zip(lengths, np.cumsum([0, *lengths.values()]), strict=False))

    def courses_and_activation(split: str) -> tuple[np.ndarray, np.ndarray]:
        codes = load_codes(snakemake.input.latents, split)
        rows = np.concatenate([first[story] + np.arange(lengths[story]) for story in codes])
        return planted.time_courses[rows], np.concatenate([code.activation for code in codes.values()])

    model = Crosscoder.load(snakemake.input.crosscoder)
    kept = model.normalization["brain"].kept
    table = match_planted(
        planted,
        open_store(snakemake.input.maps)["maps"][:][:, kept],
        training=courses_and_activation("train"),
        test=courses_and_activation("test"),
        decoder_maps=model.weights["brain"].numpy(),
        latents=pd.read_csv(snakemake.input.scores, sep="\t"),
        minimum_shift=math.ceil(snakemake.params.minimum_shift_s / snakemake.params.tr_s),
    )
    table.insert(0, "seed", int(snakemake.wildcards.seed))
    table.to_csv(snakemake.output.planted, sep="\t", index=False)
