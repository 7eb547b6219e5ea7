"""Table 1: latents of each class and what they stand for."""

from brainlm.files import read_tsv
from brainlm.report.tables import CHOICE_NOTE, interpretation_notes, table1
from brainlm.report.write import publish_table
from brainlm.scores.choice import ROLES
from job import logged

with logged(snakemake):
    chosen = read_tsv(snakemake.input.chosen)
    publish_table(
        snakemake.output[0],
        table1(
            chosen[chosen["role"].isin(ROLES[1:])],
            read_tsv(snakemake.input.evidence),
            read_tsv(snakemake.input.names),
        ),
        title="Table 1. Latents of each class and their interpretation",
        notes=[
            *interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
            CHOICE_NOTE,
            "Name: words that are more frequent before the latent's strongest TRs of training stories than "
            "elsewhere, beyond circular shifts.",
            "Verdict: what the latent shows besides norms that are alike, see the table evidence. Agreement: "
            "correlation over test TRs of what the brain alone and the LM alone say about the latent, nuisances "
            "taken out.",
        ],
        simulated=snakemake.params.simulated,
    )
