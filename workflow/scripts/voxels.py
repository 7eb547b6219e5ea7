"""Where each voxel lies, and in which regions."""

from pathlib import Path

from brainlm.cortex.subject import load_cortex
from brainlm.cortex.voxels import read_voxel_table, save_voxel_table, unnamed_voxels, voxel_table
from brainlm.store import open_store
from job import log, logged, warn

with logged(snakemake):
    n_voxels = open_store(snakemake.input.responses)["bold"].shape[1]
    if snakemake.input.cortex:
        cortex = load_cortex(Path(snakemake.input.cortex[0]))
        table = voxel_table(cortex.mask, cortex.voxel_rois)
    elif snakemake.input.own:
        table = read_voxel_table(Path(snakemake.input.own[0]), n_voxels)
    else:
        table = unnamed_voxels(n_voxels)
    # A dataset without any cortex needs no warning.
    if "lacks" in snakemake.params.no_flatmaps:
        warn(f"{snakemake.wildcards.subject}: {snakemake.params.no_flatmaps}")
    log.info("%d voxels, %d of them in a region", n_voxels, (table["rois"] != "").sum())
    save_voxel_table(table, Path(snakemake.output.voxels))
