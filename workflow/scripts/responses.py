"""Some stories' responses of one subject, from HDF5 to Zarr."""

from dataclasses import asdict
from pathlib import Path

from brainlm.cortex.subject import check_width, read_mask
from brainlm.data.responses import convert_responses, scale_warning
from job import dataset_file, describe, log, logged, warn
from job_inputs import by_story, make_each, tr_times

with logged(snakemake):
    params, stores = snakemake.params, by_story(snakemake.output.responses)
    files = dict(zip(stores, snakemake.input.hdf5, strict=True))
    mask = read_mask(Path(params.mask))[0] if params.mask else None

    def make_responses(story: str, store: Path) -> None:
        """Convert one file."""
        hdf5, times_s = dataset_file(files[story]), tr_times(story, snakemake.input.respdict, params)
        summary = convert_responses(hdf5, store, expected_rows=len(times_s), tr_times_s=times_s)
        log.info("%s: %s", story, describe(asdict(summary)))
        if sentence := scale_warning(summary):
            warn(f"{hdf5}: {sentence}")
        if mask is not None:
            check_width(mask, summary.n_voxels, str(hdf5))

    make_each(stores, make_responses)
