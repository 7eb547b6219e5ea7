"""A subject's cortex, ready for drawing."""

import json
from pathlib import Path

from job import log, logged

from brainlm.cortex import read_cortex, save

with logged(snakemake):
    subject = snakemake.wildcards.subject
    transforms = json.loads(Path(snakemake.input.transforms).read_text(encoding="utf-8"))
    cortex = read_cortex(
        Path(snakemake.params.pycortex_db),
        subject,
        # ds003020's table lacks UTS09, whose transform is named like the others'.
        transforms.get(subject, f"{subject}_auto"),
        Path(snakemake.params.work_dir),
        height=snakemake.params.height,
    )
    log.info("%d voxels, areas: %s", cortex.n_voxels, ", ".join(cortex.voxel_rois))
    save(cortex, Path(snakemake.output.cortex))
