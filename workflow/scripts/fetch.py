"""Say where a file of the dataset belongs."""

from job import logged

from brainlm.errors import InputError

with logged(snakemake):
    raise InputError(
        f"{snakemake.output.file} is not there: put derivative/{snakemake.wildcards.file} of OpenNeuro ds003020 "
        f"(version 3.1.0) into {snakemake.params.root}, or set dataset.root to a copy of the dataset."
    )
