"""A story's transcript from the words in events.tsv, which all its hearings must share."""

from pathlib import Path

from brainlm.data.bids.events import common_words, sound_onset, spoken_words
from brainlm.files import write_tsv
from job import log, logged

with logged(snakemake):
    story, words = snakemake.wildcards.story, {}
    for path in map(Path, snakemake.input.events):
        onset_s = snakemake.params.onset_s
        if onset_s is None:
            onset_s = sound_onset(path, story) or 0.0
        words[str(path)] = spoken_words(path)
        words[str(path)][["onset", "offset"]] -= onset_s
    of_all = common_words(words, snakemake.params.tr_s)
    log.info("%d words, from %d files", len(of_all), len(words))
    write_tsv(of_all, snakemake.output.transcript, digits=None)
