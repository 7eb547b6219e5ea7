"""The encoding-model baseline: ridge regression from the LM's features to the voxels."""

from pathlib import Path

import numpy as np
import torch

from brainlm.encoding import ridge_correlations
from brainlm.normalization import load_normalization
from brainlm.sources import Recording, Rows, assemble, side_by_side, story_lengths
from brainlm.store import add_array, new_store
from job import by_story, log, logged, progress_bar

with logged(snakemake):
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    brain = {"brain": Recording("bold", by_story(snakemake.input.responses))}
    normalization = {"brain": load_normalization(Path(snakemake.input.normalization))["brain"]}
    features = {
        variant: Recording(
            "features", by_story(p for p in snakemake.input.features if Path(p).parent.name == variant)
        )
        for variant in params.variants
    }

    def rows(split: str) -> tuple[np.ndarray, Rows]:
        stories = params.stories[split]
        story_lengths(brain | features, stories)
        return side_by_side(features, stories), assemble(
            brain, normalization, stories, brain_time="matched", seed=0
        )

    (x, responses), (x_test, responses_test) = rows("train"), rows("test")
    output = Path(snakemake.output.ridge)
    with progress_bar(1, "step") as bar:

        def show(step: int, n_steps: int) -> None:
            bar.total = n_steps
            bar.update(step - bar.n)

        fit = ridge_correlations(
            x,
            responses.values,
            responses.story,
            x_test,
            responses_test.values,
            n_folds=params.encoding["n_folds"],
            batch_voxels=params.encoding["batch_voxels"],
            # At full size a second copy of the responses fits the disk, not the memory.
            scratch=output.parent,
            progress=show,
        )
    log.info("%d features, mean test correlation %.4f", x.shape[1], np.nanmean(fit.correlation))
    kept = normalization["brain"].kept
    with new_store(output, dict(params.encoding)) as store:
        for name in ("correlation", "penalty", "cv_score"):
            of_all_voxels = np.full(kept.size, np.nan, np.float32)
            of_all_voxels[kept] = getattr(fit, name)
            add_array(store, name, of_all_voxels, ("voxel",))
