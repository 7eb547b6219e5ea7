"""Which share of each class's latents is found again with another seed, and in another subject."""

from brainlm.report.stability import stability_figure
from brainlm.report.style import publish_figure
from job import logged
from results import read_all

with logged(snakemake):
    drawn = stability_figure(read_all(snakemake.input.comparisons))
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
