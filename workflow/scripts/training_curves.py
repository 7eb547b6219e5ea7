"""Training curves of the matched models."""

from pathlib import Path

from brainlm.files import read_tsv
from brainlm.report.style import publish_figure
from brainlm.report.training_curves import training_curves
from job import logged

with logged(snakemake):
    paths = [Path(path) for path in snakemake.input.training]
    logs = {int(path.parent.name.removeprefix("seed")): read_tsv(path) for path in paths}
    publish_figure(snakemake.output[0], *training_curves(logs), simulated=snakemake.params.simulated)
