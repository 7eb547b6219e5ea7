"""Training curves of the matched models."""

from pathlib import Path

from brainlm.files import read_tsv
from brainlm.report.style import save_figure
from brainlm.report.training_curves import training_curves
from job import logged

with logged(snakemake):
    paths, simulated = [Path(path) for path in snakemake.input.training], snakemake.params.simulated
    logs = {int(path.parent.name.removeprefix("seed")): read_tsv(path) for path in paths}
    figure, numbers = training_curves(logs, simulated=simulated)
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
