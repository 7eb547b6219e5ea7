"""Whose latents are found again in whose, among the models of one or two subjects."""

import math

from brainlm.files import read_tsv, write_tsv
from brainlm.rows.codes import load_codes
from brainlm.scores.stability import EncodedModel, compare_pairs, pairs_of_seeds, pairs_of_subjects
from job import log, logged
from results import subject_and_seed

with logged(snakemake):
    params = snakemake.params
    models: dict[str, list[EncodedModel]] = {}
    for codes, latents in zip(snakemake.input.codes, snakemake.input.latents, strict=True):
        subject, seed = subject_and_seed(latents)
        models.setdefault(subject, []).append(
            EncodedModel(subject, seed, load_codes(codes, "test"), read_tsv(latents))
        )
    pairs = pairs_of_seeds(*models.values()) if len(models) == 1 else pairs_of_subjects(*models.values())
    log.info("%d pairs of models", len(pairs))
    by_class, by_latent = compare_pairs(pairs, minimum_shift=math.ceil(params.minimum_shift_s / params.tr_s))
    write_tsv(by_class, snakemake.output.comparison, digits=None)
    write_tsv(by_latent, snakemake.output.latents, digits=None)
