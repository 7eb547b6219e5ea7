"""TextGrids, recording lengths and annotations of the simulated dataset."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.files import write_tsv
from brainlm.simulation.stories import read_annotated, speak
from brainlm.textgrid.tiers import write_textgrid
from job import log, logged
from job_inputs import by_story

SILENCE_S = 8.0  # the scanner runs on after the last word

with logged(snakemake):
    params = snakemake.params
    texts, textgrids = by_story(snakemake.input.texts), by_story(snakemake.output.textgrids)
    respdict, annotations = {}, []
    for story, path in texts.items():
        # Each story has its own stream, so that adding one leaves the others as they are.
        random = np.random.default_rng([params.seed, *story.encode()])
        told = speak(read_annotated(path, params.non_words), random, words_per_minute=params.words_per_minute)
        sound_s = told["offset_s"].iloc[-1] + 0.5
        spoken = told.rename(columns={"word": "label"})[["label", "onset_s", "offset_s"]]
        # Phones are not simulated: "spn", spoken noise, stands for those of a word.
        write_textgrid(textgrids[story], {"phone": spoken.assign(label="spn"), "word": spoken}, sound_s)
        respdict[story] = math.ceil((params.sound_onset_s + sound_s + SILENCE_S) / params.tr_s)
        annotations.append(told.assign(story=story)[["story", "word", "theme"]])
    log.info("%d words in %d stories", sum(map(len, annotations)), len(texts))
    Path(snakemake.output.respdict).write_text(json.dumps(respdict, indent=1), encoding="utf-8")
    write_tsv(pd.concat(annotations), snakemake.output.annotations)
