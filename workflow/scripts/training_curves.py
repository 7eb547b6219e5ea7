"""Training curves of the matched models."""

from brainlm.report.style import publish_figure
from brainlm.report.training_curves import training_curves
from job import logged
from results import by_seed

with logged(snakemake):
    drawn = training_curves(by_seed(snakemake.input.training))
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
