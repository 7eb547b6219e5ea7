"""Words of a story and when they are spoken, from its TextGrid."""

from pathlib import Path

from brainlm.textgrid import read_words
from brainlm.words import save_words
from job import log, logged

with logged(snakemake):
    words = read_words(Path(snakemake.input.textgrid))
    log.info("%d words; dropped labels: %s", len(words), words.attrs["dropped"])
    save_words(words, Path(snakemake.output.words))
