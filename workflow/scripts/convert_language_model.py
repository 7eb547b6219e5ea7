"""A GGUF file to a folder that loads fast, with only the blocks that are needed."""

from pathlib import Path

from brainlm.lm.reading import convert_language_model
from job import logged

with logged(snakemake):
    convert_language_model(snakemake.params.source, Path(snakemake.output.model), snakemake.params.n_blocks)
