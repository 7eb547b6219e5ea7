"""A subject's cortex, ready for drawing."""

import shutil
from pathlib import Path

from brainlm.cortex.subject import read_cortex, save_cortex
from job import log, logged

with logged(snakemake):
    output = Path(snakemake.output.cortex)
    work_dir = output.with_name(f"{output.stem}.unfinished")
    # A job that was killed has left its copy of the subject.
    shutil.rmtree(work_dir, ignore_errors=True)
    cortex = read_cortex(
        Path(snakemake.params.pycortex_db),
        snakemake.wildcards.subject,
        snakemake.params.transform,
        work_dir,
        height=snakemake.params.height,
    )
    log.info("%d voxels, areas: %s", cortex.n_voxels, ", ".join(cortex.voxel_rois))
    save_cortex(cortex, output)
    work_dir.rmdir()
