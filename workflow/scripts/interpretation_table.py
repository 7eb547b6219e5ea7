"""The latents of each class that separate each theme best."""

from pathlib import Path

import pandas as pd

from brainlm.table_files import write_table
from brainlm.tables import interpretation_notes
from job import logged

with logged(snakemake):
    ranked = pd.read_csv(snakemake.input.interpretations, sep="\t")
    ranked["latent"] = ranked["latent"].astype("Int64").mask(ranked["latent"] < 0)
    write_table(
        ranked,
        Path(snakemake.output[0]).with_suffix(""),
        title="Latents that separate a theme best, by class",
        notes=[
            *interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
            "Here null_95 covers the choice among the class's latents, but not among themes.",
        ],
    )
