"""A simulated subject's BOLD responses, in ds003020's files."""

from pathlib import Path

import numpy as np
from job import by_story, describe, log, logged

from brainlm.cortex import read_mask
from brainlm.simulation import (
    autocorrelated_noise,
    load_planted,
    plant_maps,
    responses,
    save_maps,
    write_hdf5,
)

with logged(snakemake):
    params = snakemake.params
    planted, lengths = load_planted(Path(snakemake.input.planted))
    mask, voxel_size_mm = read_mask(Path(params.mask))
    subject = snakemake.wildcards.subject
    random = np.random.default_rng([params.seed, *subject.encode()])
    maps = plant_maps(planted, mask, voxel_size_mm, random=random)
    shape = (sum(lengths.values()), maps.shape[1])
    bold, signal = responses(
        planted.time_courses, maps, snr=params.snr, noise=autocorrelated_noise(shape, 0.4, random)
    )
    start = 0
    for story, path in by_story(snakemake.output.hdf5).items():
        rows = slice(start, start + lengths[story])
        start = rows.stop
        runs = [bold[rows]]
        if story == params.repeated_story:
            runs = [
                signal[rows] + autocorrelated_noise(signal[rows].shape, 0.4, random)
                for _ in range(params.n_repeats)
            ]
        write_hdf5(path, runs)
    ceiling = np.sqrt(signal.var(axis=0) / bold.var(axis=0))
    log.info(describe({"voxels": shape[1], "TRs": shape[0], "voxels with signal": int((ceiling > 0).sum())}))
    save_maps(maps, signal.var(axis=0), Path(snakemake.output.maps))
