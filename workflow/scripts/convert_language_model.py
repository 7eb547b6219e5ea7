"""A GGUF file to a folder that loads fast, with only the blocks that are needed."""

from pathlib import Path

from job import logged

from brainlm.language_model import convert

with logged(snakemake):
    convert(snakemake.params.source, Path(snakemake.output.model), snakemake.params.n_blocks)
