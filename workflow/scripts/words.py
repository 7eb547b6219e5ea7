"""Words of a story and when they are spoken, from its transcript."""

from pathlib import Path

from brainlm.transcripts import read_transcript
from brainlm.words import save_words
from job import dataset_file, log, logged

with logged(snakemake):
    words = read_transcript(dataset_file(snakemake.input.transcript))
    log.info("%d words; dropped labels: %s", len(words), words.attrs["dropped"])
    save_words(words, Path(snakemake.output.words))
