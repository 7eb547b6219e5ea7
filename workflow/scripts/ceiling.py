"""How much of each voxel's response to a repeated story is the same at every hearing."""

from pathlib import Path

import numpy as np

from brainlm.errors import about
from brainlm.files import write_tsv
from brainlm.report.ceiling import ceiling_rows
from brainlm.scores.ceiling import over_stories, reliability
from brainlm.simulation.features import load_planted
from brainlm.simulation.listener import explainable_variance
from brainlm.store import add_array, add_strings, new_store, open_store
from job import describe, log, logged
from job_inputs import by_story

WEIGHTING = "signal and noise powers are means over stories, weighted by their numbers of TRs less 1"

with logged(snakemake):
    stores = {story: open_store(path) for story, path in by_story(snakemake.input.responses).items()}
    repeats = {story: store["repeats"] for story, store in stores.items() if "repeats" in store}
    # One hearing, or two TRs, tell no signal from noise.
    found = {}
    for story, hearings in repeats.items():
        if hearings.shape[0] > 1 and hearings.shape[1] > 2:
            with about(f"story {story}"):
                found[story] = reliability(hearings)
    # A dataset without repeats has an empty store, and a table that says so.
    with new_store(snakemake.output.ceiling, {"stories": list(found), "weighting": WEIGHTING}) as group:
        if found:
            together = over_stories(list(found.values()))
            add_strings(group, "repeated_story", list(found), "repeated_story")
            for name in ("explainable_variance", "ceiling_single", "ceiling_mean"):
                of_each = np.stack([getattr(of_story, name) for of_story in found.values()])
                add_array(group, name, getattr(together, name), ("voxel",))
                add_array(group, f"{name}_by_story", of_each, ("repeated_story", "voxel"))
    table = ceiling_rows(found)
    table.insert(0, "subject", snakemake.wildcards.subject)
    if snakemake.input.planted and found:
        path = Path(snakemake.input.planted[0])
        planted, n_rows = load_planted(path)
        maps = open_store(path)["maps"][:]
        means = [explainable_variance(planted, maps, n_rows, story).mean() for story in found]
        of_all = [np.average(means, weights=[n_rows[story] - 1 for story in found])] if len(means) > 1 else []
        table["planted_explainable_variance"] = [*of_all, *means]
    for row in table.to_dict("records"):
        log.info(describe(row))
    write_tsv(table, snakemake.output.table, digits=None)
