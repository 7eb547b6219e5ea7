"""The encoding-model baseline: ridge regression from the LM's features to the voxels."""

from pathlib import Path

import numpy as np
import torch

from brainlm.rows.pairs import side_by_side, story_lengths
from brainlm.scores.ridge import ridge_correlations
from brainlm.store import add_array, new_store
from job import log, logged, progress_bar
from job_inputs import listed_sources

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    stories = params.stories
    of_variant = {
        variant: listed_sources(path)
        for variant, path in zip(params.variants, snakemake.input.sources, strict=True)
    }
    brain = of_variant[params.variants[0]]["brain"]
    features = {variant: sources["lm"] for variant, sources in of_variant.items()}
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
