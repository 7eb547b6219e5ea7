"""Class shares and correlations of every experiment, over subjects and seeds."""

from pathlib import Path

from brainlm.report.style import save_figure
from brainlm.report.subjects import across_subjects_figure, across_subjects_table
from brainlm.report.write import write_table
from job import logged
from results import summaries

with logged(snakemake):
    models, simulated = summaries(snakemake.input.summaries), snakemake.params.simulated
    figure, numbers = across_subjects_figure(models, simulated=simulated)
    save_figure(figure, Path(snakemake.output.figure[0]).with_suffix(""), numbers, simulated=simulated)
    write_table(
        across_subjects_table(models),
        Path(snakemake.output.table[0]).with_suffix(""),
        title="Over subjects and seeds" + simulated * " (simulated data)",
        notes=[
            "Mean over an experiment's models, all subjects and seeds alike; ±: standard deviation over them.",
            "Shares are percentages of live latents and hold for the scaling of their experiment. Agreeing: latents "
            "whose brain and LM parts correlate over test TRs beyond circular shifts (FDR).",
        ],
    )
