"""Which share of each class's latents is found again with another seed, and in another subject."""

from pathlib import Path

from brainlm.report.stability import stability_figure
from brainlm.report.style import save_figure
from job import logged
from results import read_all

with logged(snakemake):
    simulated = snakemake.params.simulated
    figure, numbers = stability_figure(read_all(snakemake.input.comparisons), simulated=simulated)
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
