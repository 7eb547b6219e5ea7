"""The share of latents with r near 0 against its null over draws of the pairs."""

from brainlm.report.pairings import pairings_table
from brainlm.report.write import publish_table
from job import logged
from results import read_all

with logged(snakemake):
    controls = {control: read_all(snakemake.input[control]) for control in ("shuffled", "shifted")}
    publish_table(
        snakemake.output[0],
        pairings_table(read_all([snakemake.input.matched]), controls),
        title="Latents with r near 0, against other pairs of brain and LM rows",
        notes=[
            f"One seed, {snakemake.params.seed}. Shared: |r| < 0.2, percent of live latents.",
            "p: share of draws that do as well, the matched model counted in: of n draws 1 / (n + 1) at least.",
            "It tells whether r near 0 is more frequent than without correspondence, and of no latent whether it is "
            "shared: that is what the table evidence is for.",
        ],
        simulated=snakemake.params.simulated,
    )
