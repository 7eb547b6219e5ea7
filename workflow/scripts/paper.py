"""The paper's numbers beside this run's."""

from brainlm.report.paper import PAPER_NUMBERS, Comparison, grouped_deviations, paper_comparison
from brainlm.report.write import publish_table
from job import logged
from results import summaries

with logged(snakemake):
    mean = summaries(snakemake.input.summaries).groupby("experiment").mean(numeric_only=True)
    shuffled = mean.loc["shuffled"]
    rows = [
        *(
            Comparison(
                number.name,
                number.paper,
                number.of(mean.loc[["shuffled" if number.shuffled else "matched"]]).item(),
                note="of live latents" * number.is_share,
            )
            for number in PAPER_NUMBERS
        ),
        Comparison(
            "latents with |r| > 0.5, shuffled",
            "bimodal",
            100 * (shuffled["share_brain-dominant"] + shuffled["share_lm-dominant"]),
            "%",
            "the paper shows two peaks in its figure 2b and gives no number",
        ),
    ]
    simulated = snakemake.params.simulated
    publish_table(
        snakemake.output[0],
        paper_comparison(rows),
        title="The paper's numbers and this run's",
        notes=[
            *(["On simulated data the two columns are not expected to be equal."] * simulated),
            "This run: mean over seeds. Correlations: Pearson over all test TRs concatenated, mean over columns.",
            "The paper's and this run's correlations are of a reconstruction that sees what it reconstructs: fits, "
            "no predictions, and not to be compared with the noise ceiling. The table predictions has what may be.",
            *filter(None, [snakemake.params.no_flatmaps]),
            *snakemake.params.missing_stories,
            *grouped_deviations(snakemake.params.deviations),
        ],
        simulated=simulated,
    )
