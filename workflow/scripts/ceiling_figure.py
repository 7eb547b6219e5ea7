"""How much of each voxel's response to repeated stories is the same at every hearing."""

import numpy as np

from brainlm.files import read_tsv
from brainlm.report.brain import draw_voxels, read_anatomy
from brainlm.report.ceiling import hearings
from brainlm.report.style import publish_figure
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    store = open_store(snakemake.input.ceiling)
    if "explainable_variance" in store:
        values, based_on = store["explainable_variance"][:], hearings(read_tsv(snakemake.input.table))
    else:
        values = np.full(len(read_tsv(snakemake.input.voxels)), np.nan)
        based_on = "no test story was heard several times"
    drawn = draw_voxels(
        read_anatomy(snakemake.input.cortex, snakemake.input.voxels, values.size),
        values,
        quantity="explainable variance",
        based_on=based_on,
        colormap=snakemake.params.colormap,
    )
    publish_figure(snakemake.output[0], *drawn, simulated=snakemake.params.simulated)
