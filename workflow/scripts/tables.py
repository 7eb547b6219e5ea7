"""The tables that only set side by side what the run's models have written, each by the function of its name."""

from brainlm.files import read_tsv
from brainlm.report.evidence import (
    evidence_table,
    funnel_table,
    never_given,
    shown_evidence,
    verdicts_table,
)
from brainlm.report.evidence_notes import evidence_notes, funnel_notes, verdicts_notes
from brainlm.report.paper import PAPER_NUMBERS, Comparison, grouped_deviations, paper_comparison
from brainlm.report.tables import (
    VERIFIED_NOTE,
    interpretation_notes,
    scalings_without_partner,
    sensitivity_table,
    shares_table,
    shown_shares,
    theme_warnings,
    with_unknown_spelt_out,
)
from brainlm.report.write import formatted, percent, publish_table, spelt_out
from brainlm.scores.evidence.bounds import VerdictBounds
from job import logged
from results import by_experiment, latents_by_seed, read_all, summaries, with_verdicts

params = snakemake.params
simulated = params.simulated


def shares(path: str) -> None:
    """Class shares, agreement and fit of every experiment."""
    models = summaries(snakemake.input.summaries, snakemake.input.training)
    numbers = shares_table(with_verdicts(models, snakemake.input.evidence))
    publish_table(
        path,
        with_unknown_spelt_out(shown_shares(numbers)),
        title="Whose are the latents, by experiment",
        notes=[
            "Shares are percentages of live latents, mean over seeds; they hold for the scaling named. In "
            "parentheses how much of a class is verified.",
            VERIFIED_NOTE,
            "Agreeing: latents whose brain and LM parts correlate over test TRs beyond circular shifts (FDR).",
            "Correlations: Pearson over all TRs of a split concatenated, one a voxel or dimension, mean over "
            "the finite ones. Training TRs are those the model was fitted to. All are fits: the model sees what "
            "it reconstructs, and predicts nothing (see the table predictions).",
            "Variance explained in validation: after the last epoch, all voxels or dimensions together. Below 0 the "
            "reconstruction is worse than the mean: the dictionary is too large for the rows, or trained too long.",
            *(
                ["The repeated test story is a mean of hearings, which raises the brain's test correlation."]
                * simulated
            ),
        ],
        simulated=simulated,
        data=with_unknown_spelt_out(numbers),
    )


def evidence(path: str) -> None:
    """What the latents of each experiment show besides norms that are alike."""
    asked, latents = summaries(snakemake.input.evidence_summaries), by_experiment(snakemake.input.evidence)
    numbers = evidence_table(asked, latents)
    publish_table(
        path,
        shown_evidence(numbers),
        title="What the latents show, by experiment",
        notes=evidence_notes(
            asked, latents, never_given(numbers), VerdictBounds(**params.bounds), rate=params.rate
        ),
        simulated=simulated,
        data=spelt_out(numbers),
    )


def verdicts(path: str) -> None:
    """The paper's classes beside the verdicts, matched."""
    counts = verdicts_table(
        {
            name: latents
            for name, latents in by_experiment(snakemake.input.evidence).items()
            if name.partition(": ")[0] == "matched"
        }
    )
    never = never_given(counts)
    asked = summaries(snakemake.input.evidence_summaries)
    publish_table(
        path,
        counts.drop(columns=never),
        title="The paper's classes and the verdicts",
        notes=verdicts_notes(
            asked[asked["experiment"].isin(counts["experiment"])],
            never,
            VerdictBounds(**params.bounds),
            rate=params.rate,
        ),
        simulated=simulated,
        data=counts,
    )


def funnel(path: str) -> None:
    """What is left of the latents that the paper calls shared after each further test, matched."""
    asked = summaries(snakemake.input.evidence_summaries)
    publish_table(
        path,
        spelt_out(
            funnel_table(
                latents_by_seed(snakemake.input.evidence, snakemake.input.found_in_seeds),
                reported=params.seed,
            )
        ),
        title="Latents left after each test",
        notes=funnel_notes(
            asked[asked["experiment"] == "matched"],
            by_experiment(snakemake.input.evidence),
            reported=params.seed,
            rate=params.rate,
        ),
        simulated=simulated,
    )


def sensitivity(path: str) -> None:
    """What the scaling inside the sources does to the class shares."""
    models = summaries(snakemake.input.summaries)
    models = models[models["seed"] == params.seed]
    alone = scalings_without_partner(models)
    without = (
        f"Run only matched or only shuffled, so that nothing stands beside it: {', '.join(alone)}. An experiment of "
        "the same normalization with the other pairing.brain_time (matched, shuffled) fills the gap."
    )
    publish_table(
        path,
        sensitivity_table(models),
        title="Class shares under each scaling",
        notes=[
            f"One subject, seed {params.seed}; percentages of live latents.",
            "How much of a class is verified is told of the standing experiments alone, in the table shares; r0 "
            "moves with the scaling.",
            *([without] * bool(alone)),
        ],
        simulated=simulated,
    )


def interpretations(path: str) -> None:
    """The latents of each class that separate each theme best."""
    ranked = read_tsv(snakemake.input.interpretations)
    untested = ranked[(ranked["latent"] < 0) & (ranked["n_candidates"] > 0)]
    warnings = theme_warnings(ranked.groupby("theme")["n_heard"].first(), untested["theme"].unique())
    ranked["latent"] = ranked["latent"].astype("Int64").mask(ranked["latent"] < 0)
    publish_table(
        path,
        ranked,
        title="Latents that separate a theme best, by class",
        notes=[
            *interpretation_notes(params.span_s, simulated=simulated),
            "Here null_95 covers the choice among the class's latents, but not among themes.",
            "n_heard: words of the theme in all test stories together.",
            *warnings,
        ],
        simulated=simulated,
    )


def paper(path: str) -> None:
    """The paper's numbers beside this run's."""
    models = with_verdicts(summaries(snakemake.input.summaries), snakemake.input.evidence)
    mean = models.groupby("experiment").mean(numeric_only=True)
    shuffled = mean.loc["shuffled"]
    rows = [
        *(
            Comparison(
                number.name,
                number.paper,
                number.of(mean.loc[[experiment]]).item(),
                note=(
                    f"of live latents; verified: {percent(mean.loc[experiment, 'verified_shared'])}; r0 = "
                    f"{formatted(mean.loc[experiment, 'r0'], '.2f')}"
                )
                * number.is_share,
            )
            for number in PAPER_NUMBERS
            for experiment in ["shuffled" if number.shuffled else "matched"]
        ),
        Comparison(
            "latents with |r| > 0.5, shuffled",
            "bimodal",
            100 * (shuffled["share_brain-dominant"] + shuffled["share_lm-dominant"]),
            "%",
            "the paper shows two peaks in its figure 2b and gives no number",
        ),
    ]
    publish_table(
        path,
        paper_comparison(rows),
        title="The paper's numbers and this run's",
        notes=[
            *(["On simulated data the two columns are not expected to be equal."] * simulated),
            "This run: mean over seeds. Correlations: Pearson over all test TRs concatenated, mean over columns.",
            "The paper's and this run's correlations are of a reconstruction that sees what it reconstructs: fits, "
            "no predictions, and not to be compared with the noise ceiling. The table predictions has what may be.",
            VERIFIED_NOTE,
            *filter(None, [params.no_flatmaps]),
            *params.missing_stories,
            *grouped_deviations(params.deviations),
        ],
        simulated=simulated,
    )


def planted(path: str) -> None:
    """What was planted in the simulated brain, and what found it."""
    publish_table(
        path,
        read_all(snakemake.input.planted),
        title=f"Planted features and the latents that found them, SNR {params.snr:g}",
        notes=[
            "A feature's latent has the highest correlation with its time course over training stories.",
            "Found: their correlation over test stories exceeds 99 % of those with the time course shifted in "
            "a circle (null_99). Well found: it is 0.5 or more.",
            "map_correlation: planted map against the latent's decoder weights, over voxels.",
        ],
        simulated=True,
    )


TABLES = {
    table.__name__: table
    for table in (shares, evidence, verdicts, funnel, sensitivity, interpretations, paper, planted)
}

with logged(snakemake):
    for name, files in snakemake.output.items():
        TABLES[name](files[0])
