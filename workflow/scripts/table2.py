"""Table 2: passages in which the latents of table 1 are most active."""

from brainlm.files import read_tsv
from brainlm.report.tables import CHOICE_NOTE, interpretation_notes, table2
from brainlm.report.write import publish_table
from brainlm.scores.choice import ROLES
from job import logged

with logged(snakemake):
    chosen = read_tsv(snakemake.input.chosen)
    publish_table(
        snakemake.output[0],
        table2(
            chosen[chosen["role"].isin(ROLES[1:])],
            read_tsv(snakemake.input.evidence),
            read_tsv(snakemake.input.passages),
        ),
        title="Table 2. Passages in which the latents of table 1 are most active",
        notes=[
            *interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
            CHOICE_NOTE,
        ],
        simulated=snakemake.params.simulated,
    )
