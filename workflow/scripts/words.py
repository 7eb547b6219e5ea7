"""Words of some stories and when they are spoken, from their transcripts."""

from brainlm.data.transcripts import read_transcript
from brainlm.data.words import save_words
from job import dataset_file, log, logged, warn
from job_inputs import by_story

with logged(snakemake):
    params, paths = snakemake.params, by_story(snakemake.output.words)
    for path, transcript in zip(paths.values(), snakemake.input.transcripts, strict=True):
        words = read_transcript(
            dataset_file(transcript),
            non_words=params.non_words,
            words_tier=params.words_tier,
            words_without_times=params.words_without_times,
        )
        for note in words.attrs["notes"]:
            log.info("%s", note)
        log.info("%s: %d words; dropped labels: %s", path.stem, len(words), words.attrs["dropped"])
        if words.attrs["in_brackets"]:
            log.info("dropped because they stand in brackets: %s", ", ".join(words.attrs["in_brackets"]))
        for warning in words.attrs["warnings"]:
            warn(warning)
        save_words(words, path)
