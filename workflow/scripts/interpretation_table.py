"""The latents of each class that separate each theme best."""

from brainlm.files import read_tsv
from brainlm.report.tables import interpretation_notes, theme_warnings
from brainlm.report.write import publish_table
from job import logged

with logged(snakemake):
    ranked = read_tsv(snakemake.input.interpretations)
    untested = ranked[(ranked["latent"] < 0) & (ranked["n_candidates"] > 0)]
    warnings = theme_warnings(ranked.groupby("theme")["n_heard"].first(), untested["theme"].unique())
    ranked["latent"] = ranked["latent"].astype("Int64").mask(ranked["latent"] < 0)
    publish_table(
        snakemake.output[0],
        ranked,
        title="Latents that separate a theme best, by class",
        notes=[
            *interpretation_notes(snakemake.params.span_s, simulated=snakemake.params.simulated),
            "Here null_95 covers the choice among the class's latents, but not among themes.",
            "n_heard: words of the theme in all test stories together.",
            *warnings,
        ],
        simulated=snakemake.params.simulated,
    )
