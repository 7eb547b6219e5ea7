"""Figure 2: histograms of r."""

from brainlm.report.latents import relative_difference_histograms
from brainlm.report.style import publish_figure
from job import logged
from results import by_experiment, titles

with logged(snakemake):
    # Evidence of an experiment's latents says all that their table does, and their verdicts.
    latents = by_experiment(snakemake.input.latents) | by_experiment(snakemake.input.evidence)
    drawn = relative_difference_histograms(latents, titles=titles(latents))
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
