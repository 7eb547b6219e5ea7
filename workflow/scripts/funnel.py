"""How many latents are left after each test, those that the paper calls shared and all others."""

from brainlm.files import read_tsv
from brainlm.report.evidence_figures import funnel_figure
from brainlm.report.style import publish_figure
from brainlm.report.write import spelt_out
from job import logged
from results import latents_by_seed

with logged(snakemake):
    (summary,) = read_tsv(snakemake.input.summary).to_dict("records")
    latents = latents_by_seed(snakemake.input.evidence, snakemake.input.found_in_seeds)
    figure, numbers = funnel_figure(latents, summary, reported=summary["seed"])
    publish_figure(snakemake.output[0], figure, spelt_out(numbers), simulated=snakemake.params.simulated)
