"""How much of each voxel's response to a repeated story is the same at every hearing."""

from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.listener import explainable_variance
from brainlm.repeats import reliability
from brainlm.simulation import load_planted
from brainlm.store import add_array, new_store, open_store
from job import describe, log, logged
from job_inputs import by_story

with logged(snakemake):
    stores = {story: open_store(path) for story, path in by_story(snakemake.input.responses).items()}
    # One hearing, or two TRs, tell no signal from noise.
    repeated = {
        story: store
        for story, store in stores.items()
        if "repeats" in store and store["repeats"].shape[0] > 1 and store["repeats"].shape[1] > 2
    }
    row = {"subject": snakemake.wildcards.subject, "story": None}
    # A dataset without repeats has an empty store, and a table that says so.
    with new_store(snakemake.output.ceiling, {"story": next(iter(repeated), None)}) as group:
        for story, store in list(repeated.items())[:1]:
            found = reliability(store["repeats"])
            for name in ("explainable_variance", "ceiling_single", "ceiling_mean"):
                add_array(group, name, getattr(found, name), ("voxel",))
            row |= {
                "story": story,
                "n_repeats": found.n_repeats,
                "n_trs": found.n_times,
                "explainable_variance": np.nanmean(found.explainable_variance),
                "ceiling_single": np.nanmean(found.ceiling_single),
                "ceiling_mean": np.nanmean(found.ceiling_mean),
                "n_with_signal": int((found.explainable_variance > 0).sum()),
                "n_without_signal": found.n_without_signal,
                "n_with_lost_hearings": found.n_with_lost_hearings,
            }
            if snakemake.input.planted:
                path = Path(snakemake.input.planted[0])
                planted, n_rows = load_planted(path)
                row["planted_explainable_variance"] = explainable_variance(
                    planted, open_store(path)["maps"][:], n_rows, story
                ).mean()
    log.info(describe(row))
    pd.DataFrame([row]).to_csv(snakemake.output.table, sep="\t", index=False)
