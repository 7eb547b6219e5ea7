"""Which latent found which planted feature."""

from brainlm.files import write_tsv
from job import logged
from job_inputs import listed_sources
from recovered import recovered

with logged(snakemake):
    params, inputs = snakemake.params, snakemake.input
    table = recovered(
        inputs.planted,
        listed_sources(inputs.sources),
        inputs.crosscoder,
        inputs.codes,
        inputs.latents,
        test_stories=params.stories["test"],
        pairing=params.pairing,
        minimum_shift_s=params.minimum_shift_s,
        tr_s=params.tr_s,
    )
    table.insert(0, "seed", int(snakemake.wildcards.seed))
    table.insert(0, "experiment", snakemake.wildcards.experiment)
    write_tsv(table, snakemake.output.planted, digits=None)
