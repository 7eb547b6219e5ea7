"""The encoding-model baseline: ridge regression from the LM's features to the voxels."""

from pathlib import Path

import numpy as np
import torch

from brainlm.encoding import ridge_correlations
from brainlm.normalization import load_normalization
from brainlm.sources import assemble
from brainlm.store import add_array, new_store
from job import log, logged, progress_bar, recordings

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    sources, normalization = recordings(snakemake), load_normalization(Path(snakemake.input.normalization))
    train, test = (
        assemble(sources, normalization, params.stories[split], brain_time="matched", seed=0)
        for split in ("train", "test")
    )
    output = Path(snakemake.output.ridge)
    with progress_bar(1, "step") as bar:

        def show(step: int, n_steps: int) -> None:
            bar.total = n_steps
            bar.update(step - bar.n)

        fit = ridge_correlations(
            train.source("lm"),
            train.source("brain"),
            train.story,
            test.source("lm"),
            test.source("brain"),
            n_folds=params.encoding["n_folds"],
            batch_voxels=params.encoding["batch_voxels"],
            # At full size a second copy of the responses fits the disk, not the memory.
            scratch=output.parent,
            progress=show,
        )
    log.info("mean test correlation %.4f", np.nanmean(fit.correlation))
    kept = normalization["brain"].kept
    with new_store(output, dict(params.encoding)) as store:
        for name in ("correlation", "penalty", "cv_score"):
            of_all_voxels = np.full(kept.size, np.nan, np.float32)
            of_all_voxels[kept] = getattr(fit, name)
            add_array(store, name, of_all_voxels, ("voxel",))
