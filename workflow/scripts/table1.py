"""Table 1: latents of each class and what they stand for."""

from pathlib import Path

from brainlm.files import read_tsv
from brainlm.report.tables import interpretation_notes, table1
from brainlm.report.write import write_table
from brainlm.scores.interpretation import ROLES
from job import logged

with logged(snakemake):
    chosen = read_tsv(snakemake.input.chosen)
    write_table(
        table1(chosen[chosen["role"].isin(ROLES[1:])], read_tsv(snakemake.input.latents)),
        Path(snakemake.output[0]).with_suffix(""),
        title="Table 1. Latents of each class and their interpretation",
        notes=interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
    )
