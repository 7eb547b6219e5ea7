"""Verdicts over subjects and seeds, and how many latents are shared in most seeds."""

from brainlm.files import read_tsv
from brainlm.report.evidence_notes import headline_note, resolution_notes
from brainlm.report.style import publish_figure
from brainlm.report.verdict_shares import shared_in_most_seeds, verdict_shares_figure, verdict_shares_table
from brainlm.report.write import publish_table, spelt_out
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
    publish_table(
        snakemake.output.table[0],
        spelt_out(verdict_shares_table(models)),
        title="Verdicts over subjects and seeds",
        notes=[
            headline_note(params.rate),
            "In percent of live latents; means over an experiment's models, all subjects and seeds alike, and of "
            "shared the lowest and the highest of them.",
            "± shared over stories: the jackknife's standard error over test stories, mean over models. It speaks "
            "for other stories; lowest and highest for other seeds and subjects.",
            "Agreeing after turns: what is called agreeing after the brain's test rows were turned around in a "
            "circle, where nothing is to be found.",
            "Shared in most seeds: shared, and found again as shared in more than half of the subject's other seeds.",
            *resolution_notes(models, params.rate),
        ],
        simulated=params.simulated,
    )
