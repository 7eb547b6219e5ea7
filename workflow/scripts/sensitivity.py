"""What the scaling inside the sources does to the class shares."""

from pathlib import Path

from brainlm.table_files import write_table
from brainlm.tables import sensitivity_table
from job import logged
from results import summaries

with logged(snakemake):
    write_table(
        sensitivity_table(summaries(snakemake.input.summaries)),
        Path(snakemake.output[0]).with_suffix(""),
        title="Class shares under each scaling" + snakemake.params.simulated * " (simulated data)",
        notes=[f"One subject, seed {snakemake.params.seed}; percentages of live latents."],
    )
