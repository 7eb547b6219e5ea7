"""The encoding-model baseline: ridge regression from the LM's features to the voxels."""

from pathlib import Path

import numpy as np
import torch

from brainlm.rows.pairs import Recording, side_by_side, story_lengths
from brainlm.scores.ridge import ridge_correlations
from brainlm.store import add_array, new_store
from job import log, logged, progress_bar
from job_inputs import by_story

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    stories = params.stories
    brain = Recording("bold", by_story(snakemake.input.responses))
    paths = {
        variant: [path for path in snakemake.input.features if Path(path).parent.name == variant]
        for variant in params.variants
    }
    features = {variant: Recording("features", by_story(of)) for variant, of in paths.items()}
    valid = brain.valid_columns([story for split in stories.values() for story in split])
    lengths = story_lengths({"brain": brain} | features, stories["train"])
    x, output = side_by_side(features, stories["train"]), Path(snakemake.output.ridge)
    with progress_bar(1, "step") as bar:

        def show(step: int, n_steps: int) -> None:
            bar.total = n_steps
            bar.update(step - bar.n)

        fit = ridge_correlations(
            x,
            brain.stacked(stories["train"], np.flatnonzero(valid)),
            np.repeat(np.arange(len(lengths)), lengths),
            side_by_side(features, stories["test"]),
            brain.stacked(stories["test"], np.flatnonzero(valid)),
            alphas=np.geomspace(*(params.ridge["penalties"][key] for key in ("lowest", "highest", "n"))),
            n_folds=params.ridge["n_folds"],
            batch_voxels=params.ridge["batch_voxels"],
            # At full size the responses fit the disk, not the memory.
            scratch=output.parent,
            progress=show,
        )
    log.info("%d features, mean test correlation %.4f", x.shape[1], np.nanmean(fit.correlation))
    with new_store(output, dict(params.ridge)) as store:
        for name in ("correlation", "penalty", "cv_score"):
            of_all_voxels = np.full(valid.size, np.nan, np.float32)
            of_all_voxels[valid] = getattr(fit, name)
            add_array(store, name, of_all_voxels, ("voxel",))
