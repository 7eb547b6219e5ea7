"""The code of every TR; whose each latent is, whether it holds on unseen stories, how good reconstructions are."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import write_tsv
from brainlm.rows.codes import StoryCode, save_codes
from brainlm.rows.pairs import Rows, assemble
from brainlm.scores.reconstruction import reconstruction_fit
from brainlm.scores.summary import latent_table, model_summary
from brainlm.store import add_array, add_strings, new_store
from job import describe, log, logged
from job_inputs import listed_sources

AVERAGING = "Pearson over all TRs of a split concatenated, one value a column; means are over finite values"

with logged(snakemake):
    params = snakemake.params
    model, sources = Crosscoder.load(snakemake.input.crosscoder), listed_sources(snakemake.input.sources)

    codes: dict[str, StoryCode] = {}

    def encoded(split: str) -> Rows:
        """The rows of a split, whose codes are kept."""
        rows = assemble(sources, model.normalization, params.stories[split], **params.pairing)
        values, active = model.active_rows({source: rows.source(source) for source in model.weights})
        for number, story in enumerate(rows.stories):
            here = rows.story == number
            codes[story] = StoryCode(values[here], active[here], sources["lm"].time_s(story), model.n_latents)
        return rows

    rows = encoded("test")
    latents = latent_table(
        model,
        rows,
        minimum_shift=math.ceil(params.scores["minimum_shift_s"] / params.tr_s),
        false_discovery_rate=params.scores["false_discovery_rate"],
    )
    write_tsv(latents, snakemake.output.latents, digits=None)

    fits, n_trs = {"test": reconstruction_fit(model, rows)}, {"test": len(rows.values)}
    # The rows of a split go before the next come: at full size they do not both fit a laptop.
    del rows
    rows = encoded("train")
    fits["training"], n_trs["training"] = reconstruction_fit(model, rows), len(rows.values)
    del rows
    encoded("validation")
    save_codes(codes, params.stories, Path(snakemake.output.codes))

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
