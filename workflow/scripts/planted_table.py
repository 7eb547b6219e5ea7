"""What was planted in the simulated brain, and what found it."""

from brainlm.report.write import publish_table
from job import logged
from results import read_all

with logged(snakemake):
    found = read_all(snakemake.input.planted)
    publish_table(
        snakemake.output[0],
        found,
        title=f"Planted features and the latents that found them, SNR {snakemake.params.snr:g}",
        notes=[
            "A feature's latent has the highest correlation with its time course over training stories.",
            "Found: their correlation over test stories exceeds 99 % of those with the time course shifted in "
            "a circle (null_99). Well found: it is 0.5 or more.",
            "map_correlation: planted map against the latent's decoder weights, over voxels.",
        ],
        simulated=True,
    )
