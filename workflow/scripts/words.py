"""Words of some stories and when they are spoken, from their transcripts."""

from pathlib import Path

from brainlm.data.transcripts import read_transcript
from brainlm.data.words import save_words
from job import dataset_file, log, logged, warn
from job_inputs import by_story, make_each

with logged(snakemake):
    params, paths = snakemake.params, by_story(snakemake.output.words)
    transcripts = dict(zip(paths, snakemake.input.transcripts, strict=True))

    def make_words(story: str, path: Path) -> None:
        """Read one transcript."""
        words = read_transcript(
            dataset_file(transcripts[story]),
            non_words=params.non_words,
            words_tier=params.words_tier,
            words_without_times=params.words_without_times,
        )
        for note in words.attrs["notes"]:
            log.info("%s", note)
        log.info("%s: %d words; dropped labels: %s", story, len(words), words.attrs["dropped"])
        if words.attrs["in_brackets"]:
            log.info("dropped because they stand in brackets: %s", ", ".join(words.attrs["in_brackets"]))
        for warning in words.attrs["warnings"]:
            warn(warning)
        save_words(words, path)

    make_each(paths, make_words)
