"""What the scaling inside the sources does to the class shares."""

from brainlm.report.tables import scalings_without_partner, sensitivity_table
from brainlm.report.write import publish_table
from job import logged
from results import summaries

with logged(snakemake):
    models = summaries(snakemake.input.summaries)
    alone = scalings_without_partner(models)
    without = (
        f"Run only matched or only shuffled, so that nothing stands beside it: {', '.join(alone)}. An experiment of "
        "the same normalization with the other pairing.brain_time (matched, shuffled) fills the gap."
    )
    publish_table(
        snakemake.output[0],
        sensitivity_table(models),
        title="Class shares under each scaling",
        notes=[
            f"One subject, seed {snakemake.params.seed}; percentages of live latents.",
            *([without] * bool(alone)),
        ],
        simulated=snakemake.params.simulated,
    )
