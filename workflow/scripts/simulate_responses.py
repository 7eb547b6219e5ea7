"""A simulated subject's BOLD responses, in ds003020's files, and what is planted in them."""

from pathlib import Path

import numpy as np

from brainlm.cortex.subject import read_mask
from brainlm.simulation.features import load_planted, save_planted
from brainlm.simulation.listener import listen, write_hdf5
from job import describe, log, logged
from job_inputs import by_story

with logged(snakemake):
    params = snakemake.params
    driven, n_rows = load_planted(Path(snakemake.input.planted))
    mask, voxel_size_mm = read_mask(Path(params.mask))
    listener = listen(
        driven,
        n_rows,
        mask,
        voxel_size_mm,
        n_spontaneous=params.n_spontaneous,
        snr=params.snr,
        tr_s=params.tr_s,
        random=np.random.default_rng([params.seed, *snakemake.wildcards.subject.encode()]),
        repeated_story=params.repeated_story,
        n_repeats=params.n_repeats,
    )
    for story, path in by_story(snakemake.output.hdf5).items():
        write_hdf5(path, listener.runs[story])
    signal = (listener.planted.time_courses @ listener.maps).var(axis=0)
    log.info(describe({"voxels": signal.size, "TRs": sum(n_rows.values()), "SNR": float(signal.mean())}))
    save_planted(listener.planted, n_rows, Path(snakemake.output.listener), listener.maps)
