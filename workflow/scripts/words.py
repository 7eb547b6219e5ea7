"""Words of a story and when they are spoken, from its transcript."""

from pathlib import Path

from brainlm.data.transcripts import read_transcript
from brainlm.data.words import save_words
from job import dataset_file, log, logged, warn

with logged(snakemake):
    words = read_transcript(
        dataset_file(snakemake.input.transcript),
        non_words=snakemake.params.non_words,
        words_tier=snakemake.params.words_tier,
        words_without_times=snakemake.params.words_without_times,
    )
    for note in words.attrs["notes"]:
        log.info("%s", note)
    log.info("%d words; dropped labels: %s", len(words), words.attrs["dropped"])
    if words.attrs["in_brackets"]:
        log.info("dropped because they stand in brackets: %s", ", ".join(words.attrs["in_brackets"]))
    for warning in words.attrs["warnings"]:
        warn(warning)
    save_words(words, Path(snakemake.output.words))
