"""What regions' voxels do: reconstruction, explainable variance, and decoder weights of every latent."""

from pathlib import Path

import numpy as np

from brainlm.cortex.voxels import latent_roi_weights, read_voxel_table, roi_summary
from brainlm.crosscoder.model import Crosscoder
from brainlm.files import write_tsv
from brainlm.report.write import publish_table
from brainlm.store import open_store
from job import logged

with logged(snakemake):
    model = Crosscoder.load(snakemake.input.crosscoder)
    kept = model.normalization["brain"].kept
    table = read_voxel_table(Path(snakemake.input.voxels), kept.size)
    ceiling = open_store(snakemake.input.ceiling)
    values = {"correlation": open_store(snakemake.input.correlations)["brain_test"][:]}
    values |= {
        name: ceiling[array][:]
        for name, array in {"explainable variance": "explainable_variance", "ceiling": "ceiling_mean"}.items()
        if array in ceiling
    }
    write_tsv(
        table.assign(**{name.replace(" ", "_"): of_voxel for name, of_voxel in values.items()}),
        snakemake.output.voxels,
    )

    decoder = np.full((model.n_latents, kept.size), np.nan, np.float32)
    decoder[:, kept] = model.weights["brain"].numpy().T
    write_tsv(
        latent_roi_weights(table, decoder, np.flatnonzero(model.alive)),
        snakemake.output.latents,
    )
    simulated = snakemake.params.simulated
    summary = roi_summary(table, values)
    publish_table(
        snakemake.output[0],
        summary.rename(columns=lambda name: name.replace("_", " ")),
        title="Regions",
        notes=[
            *(["The anatomy is that of pycortex's subject S1."] * simulated),
            "A voxel belongs to a region that holds more than half of its grey matter, or as the dataset's own table "
            "of voxels says.",
            "Correlation: of a voxel's response with its reconstruction over test TRs, which sees what it "
            "reconstructs: a fit, no prediction, and not to be compared with the ceiling. What may be stands in the "
            "table predictions.",
            "Explainable variance: of one hearing of the repeated stories. Ceiling: what a perfect prediction would "
            "correlate with the mean of their hearings. Of several stories, means weighted by TRs.",
        ],
        simulated=simulated,
    )
