"""Agreement of the live latents against what the story drives in the brain, and their verdicts."""

from brainlm.files import read_tsv
from brainlm.report.evidence_figures import evidence_scatter
from brainlm.report.style import publish_figure
from brainlm.report.write import spelt_out
from job import logged

with logged(snakemake):
    (summary,) = read_tsv(snakemake.input.summary).to_dict("records")
    figure, numbers = evidence_scatter(read_tsv(snakemake.input.evidence), summary)
    publish_figure(snakemake.output[0], figure, spelt_out(numbers), simulated=snakemake.params.simulated)
