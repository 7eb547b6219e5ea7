"""How much of each voxel's response to the repeated story is the same at every hearing, on the cortex."""

from pathlib import Path

import numpy as np

from brain_figures import draw_voxels
from brainlm.figure_style import save_figure
from brainlm.store import open_store
from brainlm.table_files import read_tsv
from job import logged

with logged(snakemake):
    row, simulated = read_tsv(snakemake.input.table).iloc[0], snakemake.params.simulated
    store = open_store(snakemake.input.ceiling)
    known = "explainable_variance" in store
    n_voxels = len(read_tsv(snakemake.input.voxels))
    based_on = "no test story was heard several times"
    if known:
        n_lost = int(row["n_with_lost_hearings"])
        based_on = f"{int(row['n_repeats'])} hearings of {int(row['n_trs'])} TRs"
        based_on += f", fewer in {n_lost:,} voxels" * (n_lost > 0)
    values = store["explainable_variance"][:] if known else np.full(n_voxels, np.nan)
    figure, numbers = draw_voxels(
        snakemake,
        values,
        quantity="explainable variance",
        based_on=based_on,
        simulated=simulated,
        n_undefined=int(np.isnan(values).sum()),
    )
    save_figure(figure, Path(snakemake.output[0]).with_suffix(""), numbers, simulated=simulated)
