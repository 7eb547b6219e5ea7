"""A subject's cortex, ready for drawing."""

import shutil
from pathlib import Path

import numpy as np

from brainlm.cortex.subject import Cortex, read_cortex, save_cortex
from job import log, logged


def cortex_of_pycortex(output: Path) -> Cortex:
    """By pycortex, in a folder of its own beside the output."""
    work_dir = output.with_name(f"{output.stem}.unfinished")
    # A job that was killed has left its copy of the subject.
    shutil.rmtree(work_dir, ignore_errors=True)
    params = snakemake.params
    cortex = read_cortex(
        Path(params.pycortex_db),
        snakemake.wildcards.subject,
        params.transform,
        work_dir,
        height=params.height,
    )
    work_dir.rmdir()
    return cortex


def cortex_of_files(files: list[Path], atlas: list[Path]) -> Cortex:
    """On fsaverage's surface, with areas of annotation files or of an atlas."""
    # Slow to import, and pycortex' subjects do without.
    from brainlm.cortex.atlas import atlas_areas
    from brainlm.cortex.fsaverage import fsaverage_cortex
    from brainlm.cortex.mni import mni_cortex

    kind, height = snakemake.params.kind, snakemake.params.height
    if kind != "mni":
        return fsaverage_cortex(kind, {path.name[:2]: path for path in files}, height)
    (mask,) = files
    return mni_cortex(mask, atlas_areas(*atlas, mask) if atlas else {}, height)


with logged(snakemake):
    output = Path(snakemake.output.cortex)
    if snakemake.params.kind == "pycortex":
        cortex = cortex_of_pycortex(output)
    else:
        cortex = cortex_of_files(
            *([Path(path) for path in paths] for paths in (snakemake.input.files, snakemake.input.atlas))
        )
    log.info("%d voxels, areas: %s", cortex.n_voxels, ", ".join(cortex.voxel_rois) or "none")
    n_known = np.count_nonzero(np.diff(cortex.pixel_of_voxel.indptr))
    log.info("voxels lie in %.0f %% of the flatmap's pixels", 100 * n_known / cortex.on_cortex.sum())
    save_cortex(cortex, output)
