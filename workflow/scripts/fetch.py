"""Make sure that a file of the dataset is there and is the right one; download it if it is missing."""

from pathlib import Path

from brainlm.data.download import download, file_here
from brainlm.data.fetched import save_fetched
from brainlm.data.manifest import read_manifest
from brainlm.errors import InputError
from job import log, logged, progress_bar

with logged(snakemake):
    name = snakemake.wildcards.file
    target = Path(snakemake.params.root) / name
    files = read_manifest(Path(snakemake.resources.manifest))
    if name in files:
        file, partial = files[name], target.with_name(target.name + ".partial")
        here = partial.stat().st_size if partial.exists() else 0
        with progress_bar(file.bytes, "B", unit_scale=True, desc=target.name, initial=here) as progress:
            download(file, target, base=snakemake.resources.mirror, progress=progress.update)
    elif target.is_file():
        file = file_here(target, name)
        log.info("%s lists no such file: nothing tells whether it is right", snakemake.resources.manifest)
    else:
        raise InputError(
            f"{snakemake.resources.manifest} does not list {name}; is it a file of this dataset?"
        )
    log.info("%s is there, %d bytes", target, file.bytes)
    save_fetched(file, Path(snakemake.output.record))
