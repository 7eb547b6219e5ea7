"""Some stories' responses of one subject, from fMRIPrep's images, cleaned, to ds003020's files."""

from dataclasses import asdict
from pathlib import Path

from brainlm.data.bids.convert import convert_hearings
from brainlm.data.bids.names import subject_files
from brainlm.data.bids.runs import Wanted, choose_runs
from job import describe, log, logged, warn
from job_inputs import by_story, make_each

with logged(snakemake):
    params = snakemake.params
    files = subject_files(Path(snakemake.resources.folder), params.subject)
    masks = [Path(path) for path in snakemake.input.mask]

    def make_responses(story: str, path: Path) -> None:
        """Clean the hearings of one story."""
        wanted = Wanted(**params.wanted[story])
        summaries = convert_hearings(
            choose_runs(files, wanted, space=params.space, res=params.res),
            path,
            space=params.space,
            mask=masks[0] if masks else None,
            confounds=params.confounds,
            tr_s=params.tr_s,
            n_volumes=params.n_volumes[story],
            trim_first=params.trim["first"],
            trim_last=params.trim["last"],
        )
        for summary in summaries:
            log.info("%s: %s", story, describe(asdict(summary)))
            if summary.n_lost:
                warn(
                    f"{path}: {summary.n_lost} voxels of {summary.run} are somewhere not finite, and are left out."
                )

    make_each(by_story(snakemake.output.hdf5), make_responses)
