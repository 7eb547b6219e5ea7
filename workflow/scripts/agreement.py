"""r of every latent against its agreement on held-out stories."""

from brainlm.report.latents import agreement_scatter
from brainlm.report.style import publish_figure
from job import logged
from results import by_experiment, titles

with logged(snakemake):
    latents = by_experiment(snakemake.input.latents)
    drawn = agreement_scatter(latents, titles=titles(latents))
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
