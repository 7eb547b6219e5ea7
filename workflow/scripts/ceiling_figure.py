"""How much of each voxel's response to repeated stories is the same at every hearing, on the cortex."""

from pathlib import Path

import numpy as np

from brain_figures import draw_voxels
from brainlm.files import read_tsv
from brainlm.report.ceiling import hearings
from brainlm.report.style import save_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    simulated = snakemake.params.simulated
    store = open_store(snakemake.input.ceiling)
    known = "explainable_variance" in store
    n_voxels = len(read_tsv(snakemake.input.voxels))
    based_on = "no test story was heard several times"
    if known:
        based_on = hearings(read_tsv(snakemake.input.table))
    values = store["explainable_variance"][:] if known else np.full(n_voxels, np.nan)
    figure, numbers = draw_voxels(
        snakemake,
        values,
        quantity="explainable variance",
        based_on=based_on,
        simulated=simulated,
        n_undefined=int(np.isnan(values).sum()),
    )
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
