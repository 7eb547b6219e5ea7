"""Class shares, agreement and fit of every experiment."""

from brainlm.report.tables import shares_table
from brainlm.report.write import publish_table
from job import logged
from results import summaries

with logged(snakemake):
    publish_table(
        snakemake.output[0],
        shares_table(summaries(snakemake.input.summaries, snakemake.input.training)),
        title="Whose are the latents, by experiment",
        notes=[
            "Shares are percentages of live latents, mean over seeds; they hold for the scaling named.",
            "Agreeing: latents whose brain and LM parts correlate over test TRs beyond circular shifts (FDR).",
            "Correlations: Pearson over all TRs of a split concatenated, one a voxel or dimension, mean over "
            "the finite ones. Training TRs are those the model was fitted to. All are fits: the model sees what "
            "it reconstructs, and predicts nothing (see the table predictions).",
            "Variance explained in validation: after the last epoch, all voxels or dimensions together. Below 0 the "
            "reconstruction is worse than the mean: the dictionary is too large for the rows, or trained too long.",
            *(
                ["The repeated test story is a mean of hearings, which raises the brain's test correlation."]
                * snakemake.params.simulated
            ),
        ],
        simulated=snakemake.params.simulated,
    )
