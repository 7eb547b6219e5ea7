"""The sparse code of every TR of every story."""

from pathlib import Path

from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.codes import StoryCode, save_codes
from brainlm.rows.pairs import assemble
from brainlm.store import open_store
from job import logged
from job_inputs import recordings

with logged(snakemake):
    model, sources = Crosscoder.load(snakemake.input.crosscoder), recordings(snakemake)
    codes = {}
    for stories in snakemake.params.stories.values():
        rows = assemble(sources, model.normalization, stories, **snakemake.params.pairing)
        values, latents = model.active_rows({source: rows.source(source) for source in model.weights})
        for number, story in enumerate(stories):
            here = rows.story == number
            time_s = open_store(sources["lm"].stores[story])["time"][:]
            codes[story] = StoryCode(values[here], latents[here], time_s, model.n_latents)
    save_codes(codes, snakemake.params.stories, Path(snakemake.output.codes))
