"""What was planted in the simulated brain, and what found it."""

from pathlib import Path

from brainlm.report.write import write_table
from job import logged
from results import read_all

with logged(snakemake):
    found = read_all(snakemake.input.planted)
    write_table(
        found,
        Path(snakemake.output[0]).with_suffix(""),
        title=f"Planted features and the latents that found them (simulated, SNR {snakemake.params.snr:g})",
        notes=[
            "A feature's latent has the highest correlation with its time course over training stories.",
            "Found: their correlation over test stories exceeds 99 % of those with the time course shifted in "
            "a circle (null_99).",
            "map_correlation: planted map against the latent's decoder weights, over voxels.",
        ],
    )
