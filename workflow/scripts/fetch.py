"""Say where a file of the dataset belongs, unless it is there."""

from pathlib import Path

from brainlm.errors import InputError
from job import log, logged

with logged(snakemake):
    # Snakemake runs this for files that are there only if it is told to run everything (--forceall).
    if not Path(snakemake.output.file).exists():
        raise InputError(
            f"{snakemake.output.file} is not there: put derivative/{snakemake.wildcards.file} of OpenNeuro "
            f"ds003020 (version 3.1.0) into {snakemake.params.root}, or set dataset.root to a copy of the dataset."
        )
    log.info("%s is there", snakemake.output.file)
