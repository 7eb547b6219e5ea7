"""How much of each voxel's response to repeated stories is the same at every hearing, on the cortex."""

import numpy as np

from brain_figures import draw_voxels
from brainlm.files import read_tsv
from brainlm.report.ceiling import hearings
from brainlm.report.style import publish_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    store = open_store(snakemake.input.ceiling)
    known = "explainable_variance" in store
    n_voxels = len(read_tsv(snakemake.input.voxels))
    based_on = "no test story was heard several times"
    if known:
        based_on = hearings(read_tsv(snakemake.input.table))
    values = store["explainable_variance"][:] if known else np.full(n_voxels, np.nan)
    drawn = draw_voxels(
        snakemake,
        values,
        quantity="explainable variance",
        based_on=based_on,
        n_undefined=int(np.isnan(values).sum()),
    )
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
