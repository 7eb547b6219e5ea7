"""Scaling of the sources, from the training stories."""

from dataclasses import asdict
from pathlib import Path

from brainlm.rows.normalization import save_normalization
from brainlm.rows.pairs import fit_sources
from job import describe, log, logged
from job_inputs import listed_sources, of_each_source

with logged(snakemake):
    stories, sources = snakemake.params.stories, listed_sources(snakemake.input.sources)
    settings = of_each_source(snakemake.params.normalization, sources)
    normalization, summaries = fit_sources(
        sources,
        training=stories["train"],
        all_stories=[story for split in stories.values() for story in split],
        standardize={source: chosen["standardize"] for source, chosen in settings.items()},
    )
    for source, summary in summaries.items():
        log.info("%s (%s): %s", source, normalization[source].standardize, describe(asdict(summary)))
    save_normalization(normalization, summaries, Path(snakemake.output.normalization))
