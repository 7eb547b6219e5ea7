"""A list of the stores that hold the rows of a subject's models, or of a group's, with digests of what they hold."""

from pathlib import Path

from brainlm.rows.sources import Source, save_sources
from job import logged, results_folder
from job_inputs import by_story
from pipeline.provenance import input_digest

with logged(snakemake):
    brains: dict[str, list[str]] = {}
    for path in snakemake.input.responses:
        brains.setdefault(Path(path).parent.name, []).append(path)
    sources = {
        # In a group, every member's brain has the member's name.
        **{
            "brain" if len(brains) == 1 else subject: Source("bold", by_story(paths))
            for subject, paths in brains.items()
        },
        "lm": Source("features", by_story(snakemake.input.features)),
    }
    stores = [store for source in sources.values() for store in source.stores.values()]
    digests = {store: input_digest(store, results_folder()) for store in stores}
    save_sources(sources, digests, Path(snakemake.output.sources))
