"""A name for each live latent: words that are key to it in training stories, scored on test stories."""

import math

from brainlm.data.words import load_words
from brainlm.files import NOT_KNOWN, read_tsv, write_tsv
from brainlm.rows.codes import load_codes
from brainlm.scores.names import name_latents
from job import log, logged
from job_inputs import by_story

with logged(snakemake):
    params = snakemake.params
    latents = read_tsv(snakemake.input.latents)
    words = by_story([*snakemake.input.training_words, *snakemake.input.test_words])
    names = name_latents(
        load_codes(snakemake.input.codes, "train"),
        load_codes(snakemake.input.codes, "test"),
        {story: load_words(path) for story, path in words.items()},
        # A joint model has a row for each of its brains.
        latents.loc[latents["alive"], "latent"].unique(),
        span_s=params.span_s,
        minimum_shift=math.ceil(params.minimum_shift_s / params.tr_s),
    )
    log.info("%d of %d live latents have a name", (names["n_words"] > 0).sum(), len(names))
    # What a latent without a name has none of is known.
    names = names.astype(object).mask(names.isna() & (names[["name"]] == "").to_numpy(), "n/a")
    write_tsv(names, snakemake.output.names, digits=None, missing=NOT_KNOWN)
