"""Class shares and correlations of every experiment, over subjects and seeds."""

from brainlm.report.style import publish_figure
from brainlm.report.subjects import across_subjects_figure, across_subjects_table, shown_across_subjects
from brainlm.report.tables import VERIFIED_NOTE, with_unknown_spelt_out
from brainlm.report.write import publish_table
from job import logged
from results import summaries, with_verdicts

with logged(snakemake):
    models = with_verdicts(summaries(snakemake.input.summaries), snakemake.input.evidence)
    simulated = snakemake.params.simulated
    publish_figure(snakemake.output.figure[0], *across_subjects_figure(models), simulated=simulated)
    numbers = across_subjects_table(models)
    publish_table(
        snakemake.output.table[0],
        shown_across_subjects(numbers),
        title="Over subjects and seeds",
        notes=[
            "Mean over an experiment's models, all subjects and seeds alike; ±: standard deviation over them.",
            "Shares are percentages of live latents and hold for the scaling of their experiment. Agreeing: latents "
            "whose brain and LM parts correlate over test TRs beyond circular shifts (FDR).",
            VERIFIED_NOTE,
        ],
        simulated=simulated,
        data=with_unknown_spelt_out(numbers),
    )
