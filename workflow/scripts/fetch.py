"""Download a file of the dataset, unless it is there."""

from pathlib import Path

from brainlm.errors import InputError
from brainlm.openneuro import download, read_manifest
from job import log, logged, progress_bar

with logged(snakemake):
    name = f"derivative/{snakemake.wildcards.file}"
    files = read_manifest(Path(snakemake.resources.manifest))
    if name not in files:
        raise InputError(
            f"{snakemake.resources.manifest} does not list {name}; is it a file of this dataset?"
        )
    target = Path(snakemake.output.file)
    partial = target.with_name(target.name + ".partial")
    here = partial.stat().st_size if partial.exists() else 0
    with progress_bar(files[name].bytes, "B", unit_scale=True, desc=target.name, initial=here) as progress:
        download(files[name], target, base=snakemake.resources.mirror, progress=progress.update)
    log.info("%s is there, %d bytes", target, files[name].bytes)
