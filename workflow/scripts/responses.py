"""A story's responses of one subject, from HDF5 to Zarr."""

from dataclasses import asdict
from pathlib import Path

from brainlm.cortex.subject import check_width, read_mask
from brainlm.data.responses import convert_responses, scale_warning
from job import dataset_file, describe, log, logged, warn
from job_inputs import tr_times

with logged(snakemake):
    times_s = tr_times(snakemake.wildcards.story, snakemake.input.respdict, snakemake.params)
    hdf5 = dataset_file(snakemake.input.hdf5)
    summary = convert_responses(
        hdf5,
        Path(snakemake.output.responses),
        expected_rows=len(times_s),
        tr_times_s=times_s,
    )
    log.info(describe(asdict(summary)))
    if sentence := scale_warning(summary):
        warn(f"{hdf5}: {sentence}")
    if snakemake.params.mask:
        mask, _ = read_mask(Path(snakemake.params.mask))
        check_width(mask, summary.n_voxels, str(hdf5))
