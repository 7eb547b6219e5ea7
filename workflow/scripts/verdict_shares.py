"""Verdicts over subjects and seeds, and how many latents are shared in most seeds."""

from brainlm.files import read_tsv
from brainlm.report.evidence_notes import bounds_note, headline_note, resolution_notes
from brainlm.report.style import publish_figure
from brainlm.report.verdict_shares import (
    shared_in_most_seeds,
    shown_verdict_shares,
    verdict_shares_figure,
    verdict_shares_table,
)
from brainlm.report.write import publish_table, spelt_out
from brainlm.scores.evidence.bounds import VerdictBounds
from job import logged
from results import read_all, subject_and_seed

with logged(snakemake):
    params = snakemake.params
    found = read_all(snakemake.input.found_in_seeds)
    in_most = {}
    for path in snakemake.input.matched:
        subject, seed = subject_and_seed(path)
        of_model = found[(found["subject"] == subject) & (found["seed"] == seed)]
        in_most[subject, seed] = shared_in_most_seeds(read_tsv(path), of_model)
    models = read_all(snakemake.input.summaries)
    # Latents of other experiments are looked for in no other model.
    models["shared_in_most_seeds"] = [
        in_most[row.subject, row.seed] if row.experiment == "matched" else float("nan")
        for row in models.itertuples()
    ]
    figure, numbers = verdict_shares_figure(models)
    publish_figure(snakemake.output.figure[0], figure, spelt_out(numbers), simulated=params.simulated)
    shares = verdict_shares_table(models)
    publish_table(
        snakemake.output.table[0],
        spelt_out(shown_verdict_shares(shares)),
        title="Verdicts over subjects and seeds",
        notes=[
            headline_note(params.rate),
            bounds_note(VerdictBounds(**params.bounds)),
            "In percent of live latents; means over an experiment's models, all subjects and seeds alike; in "
            "parentheses the lowest and the highest of them.",
            "± shared over stories: the jackknife's standard error over test stories, mean over models. It speaks "
            "for other stories; the range over models for other seeds and subjects.",
            "Agreeing after turns: what is called agreeing after the brain's test rows were turned around in a "
            "circle, where nothing is to be found.",
            "Shared in most seeds: shared, and found again as shared in more than half of the subject's other seeds.",
            *resolution_notes(models, params.rate),
        ],
        simulated=params.simulated,
        data=spelt_out(shares),
    )
