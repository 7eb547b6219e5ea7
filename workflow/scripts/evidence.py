"""What each latent of a model must show besides norms that are alike, and the verdict."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from brainlm.cortex.neighbours import neighbour_pairs, slice_numbers
from brainlm.cortex.voxels import read_voxel_table
from brainlm.crosscoder.model import Crosscoder
from brainlm.files import NOT_KNOWN, read_tsv, write_tsv
from brainlm.rows.codes import load_codes
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.halves import both_halves
from brainlm.scores.evidence.projections import project_hearings, project_split
from brainlm.scores.evidence.table import Asking, evidence_table
from brainlm.scores.evidence.texture import Texture, texture
from brainlm.store import open_store
from job import describe, log, logged
from job_inputs import by_story, listed_sources, nuisances_of

with logged(snakemake):
    params = snakemake.params
    model, sources = Crosscoder.load(snakemake.input.crosscoder), listed_sources(snakemake.input.sources)
    held_out = [*params.stories["test"], *params.stories["validation"]]
    voxels = by_story(snakemake.input.voxels)

    def hearings_of(source: str) -> Iterator[tuple[str, np.ndarray]]:
        """Story, and (repeat, time, latent) projections of its hearings, which no pairing moves in time."""
        # White noise has heard nothing.
        for story in held_out if params.pairing["brain_time"] != "noise" else []:
            store = open_store(sources[source].stores[story])
            # One hearing tells nothing of others.
            if "repeats" in store and store["repeats"].shape[0] > 1:
                yield story, project_hearings(model, source, store["repeats"])

    def texture_of(source: str) -> Texture:
        """Of the live latents' decoder maps; a joint model's brains are called as their subjects."""
        kept = model.normalization[source].kept
        subject = snakemake.wildcards.subject if source == "brain" else source
        table = read_voxel_table(voxels[subject], kept.size)
        return texture(
            model.weights[source].numpy()[:, model.alive],
            neighbour_pairs(table, kept),
            slice_numbers(table.loc[kept], params.slice_axis),
        )

    splits = {
        split: project_split(model, sources, params.stories[split], pairing=params.pairing)
        for split in ("test", "validation")
        if params.stories[split]
    }
    names, nuisances = nuisances_of(
        sources["lm"], [story for split in splits.values() for story in split.stories]
    )
    codes = load_codes(snakemake.input.codes, "test")
    activation = np.concatenate([codes[story].activation for story in params.stories["test"]])
    asking = Asking(
        math.ceil(params.scores["minimum_shift_s"] / params.tr_s),
        params.scores["false_discovery_rate"],
        VerdictBounds(**params.evidence),
    )
    latents = read_tsv(snakemake.input.latents)
    tables, summaries = [], []
    for source, of_source in latents.groupby("source", sort=False):
        halves = both_halves(
            model,
            splits,
            source=source,
            activation=activation,
            nuisances=nuisances,
            nuisance_names=names,
            recordings=params.recordings,
            hearings=dict(hearings_of(source)),
        )
        table, summary = evidence_table(of_source, halves, texture_of(source), asking)
        tables.append(table)
        summaries.append({**dict(snakemake.wildcards), "source": source, **summary})
        log.info(describe(summaries[-1]))
    write_tsv(pd.concat(tables), snakemake.output.evidence, digits=None, missing=NOT_KNOWN)
    write_tsv(pd.DataFrame(summaries), snakemake.output.summary, digits=None, missing=NOT_KNOWN)
