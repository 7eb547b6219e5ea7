"""How far each way to read what the paper leaves open lies from the paper's numbers."""

import sys
from pathlib import Path

from brainlm.report.paper import ReadingResults, distance_table
from brainlm.report.write import publish_table
from job import logged
from results import summaries

with logged(snakemake):
    of_models = summaries(dict.fromkeys(snakemake.input.summaries))
    readings = [
        ReadingResults(
            reading["choices"],
            of_models[of_models["experiment"] == reading["matched"]],
            of_models[of_models["experiment"].isin(reading["shuffled"])],
        )
        for reading in snakemake.params.readings
    ]
    simulated = snakemake.params.simulated
    runs = f"{len(readings[0].matched)} seeds and {len(readings[0].shuffled)} permutations"
    publish_table(
        snakemake.output[0],
        distance_table(readings),
        title=f"How far from the paper, {snakemake.wildcards.subject}",
        notes=[
            *(["On simulated data no reading is expected to be near the paper."] * simulated),
            f"Means over {runs} a reading; ±: half-width of the 95 % confidence interval of the mean (Student's t).",
            "Shares are of live latents. Correlations: Pearson over all test TRs concatenated, mean over columns.",
            "Distance: root mean square of the four differences in points (hundredths of a correlation, percent).",
            "Scaling: of both sources. Lanczos: weighted sum or weighted mean. Tokens: spread over their word's "
            "interval, at its midpoint, the word's last one, or the mean of a word's. TopK: negative kept values "
            "as they are, or set to 0.",
        ],
        simulated=simulated,
    )
    print(Path(snakemake.output[0]).with_suffix(".md").read_text(encoding="utf-8"), file=sys.__stderr__)
