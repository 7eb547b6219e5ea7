"""A subject's cortex, ready for drawing."""

from pathlib import Path

from brainlm.cortex import read_cortex, save
from job import log, logged

with logged(snakemake):
    cortex = read_cortex(
        Path(snakemake.params.pycortex_db),
        snakemake.wildcards.subject,
        snakemake.params.transform,
        Path(snakemake.output.cortex).parent,
        height=snakemake.params.height,
    )
    log.info("%d voxels, areas: %s", cortex.n_voxels, ", ".join(cortex.voxel_rois))
    save(cortex, Path(snakemake.output.cortex))
