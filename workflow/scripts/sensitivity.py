"""What the scaling inside the sources does to the class shares."""

from pathlib import Path

from brainlm.report.tables import scalings_without_partner, sensitivity_table
from brainlm.report.write import write_table
from job import logged
from results import summaries

with logged(snakemake):
    models = summaries(snakemake.input.summaries)
    alone = scalings_without_partner(models)
    without = (
        f"Run only matched or only shuffled, so that nothing stands beside it: {', '.join(alone)}. An experiment of "
        "the same normalization with the other pairing.brain_time (matched, shuffled) fills the gap."
    )
    write_table(
        sensitivity_table(models),
        Path(snakemake.output[0]).with_suffix(""),
        title="Class shares under each scaling" + snakemake.params.simulated * " (simulated data)",
        notes=[
            f"One subject, seed {snakemake.params.seed}; percentages of live latents.",
            *([without] * bool(alone)),
        ],
    )
