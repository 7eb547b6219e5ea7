"""Figure 2: histograms of r."""

from pathlib import Path

from brainlm.report.latents import relative_difference_histograms
from brainlm.report.style import save_figure
from job import logged
from results import by_experiment, titles

with logged(snakemake):
    latents, simulated = by_experiment(snakemake.input.latents), snakemake.params.simulated
    figure, numbers = relative_difference_histograms(latents, titles=titles(latents), simulated=simulated)
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
