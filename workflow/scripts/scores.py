"""Whose each latent is, whether it holds on unseen stories, and how well the sources are reconstructed."""

import math

import numpy as np
import pandas as pd

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import write_tsv
from brainlm.rows.pairs import assemble
from brainlm.scores.reconstruction import reconstruction_fit
from brainlm.scores.summary import latent_table, model_summary
from brainlm.store import add_array, add_strings, new_store
from job import describe, log, logged
from job_inputs import recordings

AVERAGING = "Pearson over all TRs of a split concatenated, one value a column; means are over finite values"

with logged(snakemake):
    params = snakemake.params
    model, sources = Crosscoder.load(snakemake.input.crosscoder), recordings(snakemake)

    rows = assemble(sources, model.normalization, params.stories["test"], **params.pairing)
    latents = latent_table(
        model,
        rows,
        minimum_shift=math.ceil(params.scores["minimum_shift_s"] / params.tr_s),
        false_discovery_rate=params.scores["false_discovery_rate"],
    )
    write_tsv(latents, snakemake.output.latents, digits=None)

    fits, n_trs = {"test": reconstruction_fit(model, rows)}, {"test": len(rows.values)}
    # The test rows go before the training rows come: at full size they do not both fit a laptop.
    del rows
    rows = assemble(sources, model.normalization, params.stories["train"], **params.pairing)
    fits["training"], n_trs["training"] = reconstruction_fit(model, rows), len(rows.values)

    summaries = [
        {
            **dict(snakemake.wildcards),
            "brain_time": params.pairing["brain_time"],
            **{f"{split}_trs": n for split, n in n_trs.items()},
            **model_summary(model, of_source, fits),
        }
        for _, of_source in latents.groupby("source", sort=False)
    ]
    write_tsv(pd.DataFrame(summaries), snakemake.output.summary, digits=None)
    for summary in summaries:
        log.info(describe(summary))

    with new_store(snakemake.output.correlations, {"averaging": AVERAGING}) as store:
        add_strings(store, "test_story", params.stories["test"], "test_story")
        for source in model.weights:
            # In a joint model, brains have voxels of their own.
            column = {"lm": "hidden", "brain": "voxel"}.get(source, f"{source}_voxel")
            kept = model.normalization[source].kept

            def of_all_columns(values: np.ndarray, kept: np.ndarray = kept) -> np.ndarray:
                full = np.full((*values.shape[:-1], kept.size), np.nan, np.float32)
                full[..., kept] = values
                return full

            by_story = of_all_columns(fits["test"][source].story_correlation)
            add_array(store, f"{source}_test_by_story", by_story, ("test_story", column))
            for split, fit_of in fits.items():
                add_array(store, f"{source}_{split}", of_all_columns(fit_of[source].correlation), (column,))
