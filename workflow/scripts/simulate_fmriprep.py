"""The first simulated subject as other labs' data come: fMRIPrep's derivatives, transcripts, a table of stories."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.files import whole_folder, write_tsv
from brainlm.simulation.derivatives import silent_around, write_derivatives
from brainlm.simulation.features import load_planted, save_planted
from brainlm.simulation.listener import listen
from brainlm.simulation.surface import at_vertices, fsaverage5_in_voxels
from job import describe, log, logged
from job_inputs import by_story

VOXEL_SIZE_MM = 4.0

with logged(snakemake):
    params = snakemake.params
    first, last = params.trim["first"], params.trim["last"]
    driven, n_rows = load_planted(Path(snakemake.input.planted))
    n_volumes = {story: first + n + last for story, n in n_rows.items()}
    surface = fsaverage5_in_voxels(VOXEL_SIZE_MM)
    random = np.random.default_rng([params.seed, *b"fmriprep", *params.subject.encode()])
    listener = listen(
        silent_around(driven, n_rows, first, last),
        n_volumes,
        surface.mask,
        VOXEL_SIZE_MM,
        n_spontaneous=params.n_spontaneous,
        snr=params.snr,
        tr_s=params.tr_s,
        random=random,
        repeated_story=params.repeated_story,
        n_repeats=params.n_repeats,
    )
    stories = pd.DataFrame(
        {
            "story": list(n_rows),
            "split": [params.splits[story] for story in n_rows],
            "task": list(n_rows),
            "onset_s": [params.sound_onsets_s[story] for story in n_rows],
        }
    )
    with whole_folder(Path(snakemake.output.dataset)) as folder:
        derivatives = folder / "derivatives" / "fmriprep"
        write_derivatives(derivatives, params.subject, listener, surface, tr_s=params.tr_s, random=random)
        write_tsv(stories, folder / "stories.tsv")
        (folder / "transcripts").mkdir()
        for path in by_story(snakemake.input.textgrids).values():
            shutil.copy(path, folder / "transcripts")
        maps = at_vertices(listener.maps, surface)
        save_planted(listener.planted, n_volumes, folder / "planted.zarr", maps)
    log.info(
        describe(
            {"vertices": maps.shape[1], "voxels": int(surface.mask.sum()), "TRs": sum(n_volumes.values())}
        )
    )
