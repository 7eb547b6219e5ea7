"""Where each voxel lies, and in which regions."""

from pathlib import Path

import nibabel

from brainlm.cortex.subject import check_width, load_cortex, read_mask
from brainlm.cortex.voxels import read_voxel_table, save_voxel_table, unnamed_voxels, voxel_table
from brainlm.store import open_store
from job import log, logged, warn

with logged(snakemake):
    inputs, subject = snakemake.input, snakemake.wildcards.subject
    n_voxels = open_store(inputs.responses)["bold"].shape[1]
    mask, rois = None, {}
    if inputs.cortex:
        cortex = load_cortex(Path(inputs.cortex[0]))
        mask, rois = cortex.mask, cortex.voxel_rois
    elif inputs.own:
        table = read_voxel_table(Path(inputs.own[0]), n_voxels)
    elif inputs.mask:
        mask = read_mask(Path(inputs.mask[0]))[0]
        if inputs.atlas:
            # Slow to import, and few datasets need it.
            from brainlm.cortex.atlas import atlas_areas

            rois = atlas_areas(*map(Path, inputs.atlas), Path(inputs.mask[0]))
    else:
        table = unnamed_voxels(n_voxels)
    if mask is not None:
        check_width(mask, n_voxels, f"Each response of {subject}")
        table = voxel_table(mask, rois, nibabel.load(inputs.mask[0]).affine if inputs.mask else None)
    # A dataset without any cortex needs no warning.
    if "lacks" in snakemake.params.no_flatmaps:
        warn(f"{subject}: {snakemake.params.no_flatmaps}")
    log.info("%d voxels, %d of them in a region", n_voxels, (table["rois"] != "").sum())
    save_voxel_table(table, Path(snakemake.output.voxels))
