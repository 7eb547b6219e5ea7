"""A simulated subject's pycortex folder, after pycortex's own subject S1."""

from pathlib import Path

from brainlm.simulation.anatomy import write_simulated_anatomy
from job import log, logged

with logged(snakemake):
    folder = Path(snakemake.output.subject)
    n_voxels = write_simulated_anatomy(folder.parent, folder.name, snakemake.params.voxel_size_mm)
    log.info("%d voxels", n_voxels)
