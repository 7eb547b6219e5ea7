"""Which latent found which planted feature."""

import math
from pathlib import Path

import numpy as np

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv, write_tsv
from brainlm.rows.codes import load_codes
from brainlm.rows.pairs import assemble
from brainlm.simulation.features import load_planted
from brainlm.simulation.recovery import match_planted
from brainlm.store import open_store
from job import logged
from job_inputs import listed_sources

with logged(snakemake):
    params = snakemake.params
    planted, n_rows = load_planted(Path(snakemake.input.planted))
    first = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))

    def courses_and_activation(split: str) -> tuple[np.ndarray, np.ndarray]:
        codes = load_codes(snakemake.input.codes, split)
        rows = np.concatenate([first[story] + np.arange(n_rows[story]) for story in codes])
        return planted.time_courses[rows], np.concatenate([code.activation for code in codes.values()])

    model = Crosscoder.load(snakemake.input.crosscoder)
    test = assemble(
        listed_sources(snakemake.input.sources), model.normalization, params.stories["test"], **params.pairing
    )
    table = match_planted(
        planted,
        open_store(snakemake.input.planted)["maps"][:][:, model.normalization["brain"].kept],
        training=courses_and_activation("train"),
        test=courses_and_activation("test"),
        test_brain=model.project("brain", test.source("brain")).numpy(),
        decoder_maps=model.weights["brain"].numpy(),
        latents=read_tsv(snakemake.input.latents),
        minimum_shift=math.ceil(params.minimum_shift_s / params.tr_s),
    )
    table.insert(0, "seed", int(snakemake.wildcards.seed))
    table.insert(0, "experiment", snakemake.wildcards.experiment)
    write_tsv(table, snakemake.output.planted, digits=None)
