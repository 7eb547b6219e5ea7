"""The voxels that are read of a subject's volumes."""

from pathlib import Path

import numpy as np

from brainlm.data.bids.images import brain_mask, save_mask
from brainlm.data.bids.names import subject_files
from brainlm.data.bids.runs import Wanted, choose_runs
from job import log, logged

with logged(snakemake):
    params = snakemake.params
    files = subject_files(Path(snakemake.resources.folder), snakemake.wildcards.subject)
    runs = [
        run
        for wanted in params.wanted.values()
        for run in choose_runs(files, Wanted(**wanted), space=params.space, res=params.res)
    ]
    grey_matter = [Path(path) for path in snakemake.input.grey_matter]
    mask = brain_mask(runs, grey_matter[0] if grey_matter else None, params.grey_matter or 0)
    log.info("%d voxels of %d runs", np.count_nonzero(mask.dataobj), len(runs))
    save_mask(mask, Path(snakemake.output.mask))
