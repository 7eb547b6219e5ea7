"""What was being said when each latent was most active in the test stories."""

from brainlm.data.words import load_words
from brainlm.files import write_tsv
from brainlm.rows.codes import load_codes
from brainlm.scores.interpretation import maximal_passages
from job import logged
from job_inputs import by_story

with logged(snakemake):
    codes = load_codes(snakemake.input.codes, "test")
    passages = maximal_passages(
        {story: code.activation for story, code in codes.items()},
        {story: code.time_s for story, code in codes.items()},
        {story: load_words(path) for story, path in by_story(snakemake.input.words).items()},
        **snakemake.params.passages,
    )
    write_tsv(passages, snakemake.output.passages, digits=None)
