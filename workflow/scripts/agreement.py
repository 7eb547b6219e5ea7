"""r of every latent against its agreement on held-out stories."""

from pathlib import Path

from brainlm.report.latents import agreement_scatter
from brainlm.report.style import save_figure
from job import logged
from results import by_experiment, titles

with logged(snakemake):
    latents, simulated = by_experiment(snakemake.input.latents), snakemake.params.simulated
    figure, numbers = agreement_scatter(latents, titles=titles(latents), simulated=simulated)
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
