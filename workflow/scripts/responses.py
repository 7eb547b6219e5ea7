"""Some stories' responses of one subject, from HDF5 to Zarr."""

from dataclasses import asdict
from pathlib import Path

from brainlm.cortex.subject import check_width, read_mask
from brainlm.data.responses import convert_responses, scale_warning
from job import dataset_file, describe, log, logged, progress_bar, warn
from job_inputs import by_story, tr_times

with logged(snakemake):
    params = snakemake.params
    mask = read_mask(Path(params.mask))[0] if params.mask else None
    stores = by_story(snakemake.output.responses)
    progress = progress_bar(len(stores), "story")
    for (story, store), path in zip(stores.items(), snakemake.input.hdf5, strict=True):
        times_s, hdf5 = tr_times(story, snakemake.input.respdict, params), dataset_file(path)
        summary = convert_responses(hdf5, store, expected_rows=len(times_s), tr_times_s=times_s)
        log.info("%s: %s", story, describe(asdict(summary)))
        if sentence := scale_warning(summary):
            warn(f"{hdf5}: {sentence}")
        if mask is not None:
            check_width(mask, summary.n_voxels, str(hdf5))
        progress.update()
