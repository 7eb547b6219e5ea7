"""Table 2: passages in which the latents of table 1 are most active."""

from pathlib import Path

import pandas as pd

from brainlm.passages import ROLES
from brainlm.table_files import write_table
from brainlm.tables import interpretation_notes, table2
from job import logged

with logged(snakemake):
    chosen = pd.read_csv(snakemake.input.chosen, sep="\t")
    write_table(
        table2(
            chosen[chosen["role"].isin(ROLES[1:])],
            pd.read_csv(snakemake.input.latents, sep="\t"),
            pd.read_csv(snakemake.input.passages, sep="\t", keep_default_na=False),
        ),
        Path(snakemake.output[0]).with_suffix(""),
        title="Table 2. Passages in which the latents of table 1 are most active",
        notes=interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
    )
