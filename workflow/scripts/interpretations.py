"""Which theme each latent separates best, and the latents that the figures and tables show."""

import math

import numpy as np

from brainlm.data.words import load_words
from brainlm.files import read_tsv, write_tsv
from brainlm.report.tables import theme_warnings
from brainlm.rows.codes import load_codes
from brainlm.scores.choice import choose_latents
from brainlm.scores.evidence.verdict import labels
from brainlm.scores.interpretation import (
    heard_in_rows,
    interpret,
    separation,
    theme_rows,
    theme_share,
    unheard,
    words_of_theme,
)
from brainlm.scores.latents import CLASSES
from brainlm.scores.lexica import PREFIX, with_lexica
from job import log, logged, warn
from job_inputs import by_story

with logged(snakemake):
    params = snakemake.params
    codes = load_codes(snakemake.input.codes, "test")
    latents = read_tsv(snakemake.input.evidence)
    words = {story: load_words(path) for story, path in by_story(snakemake.input.words).items()}
    heard = {story: heard_in_rows(words[story], code.time_s, params.span_s) for story, code in codes.items()}
    if snakemake.input.annotations:
        annotations = read_tsv(snakemake.input.annotations[0])
        theme_of_word = {story: table["theme"].to_numpy() for story, table in annotations.groupby("story")}
        themes = sorted(set(annotations["theme"]) - {""})
        in_theme = {(theme, story): theme_of_word[story] == theme for theme in themes for story in codes}
    else:
        themes = list(params.themes)
        lists = {theme: with_lexica(theme, listed) for theme, listed in params.themes.items()}
        in_theme = {
            (theme, story): words_of_theme(words[story]["word"], lists[theme])
            for theme in themes
            for story in codes
        }
        for theme, listed in params.themes.items():
            # Of a lexicon most words are heard nowhere.
            own = [entry for entry in listed if not entry.startswith(PREFIX)]
            missed = unheard([words[story]["word"][heard[story]] for story in codes], own)
            if missed:
                log.info("theme %s: heard in no test story: %s", theme, ", ".join(missed))
    n_heard = {
        theme: sum(int((in_theme[theme, story] & heard[story]).sum()) for story in codes) for theme in themes
    }
    activation = np.concatenate([code.activation for code in codes.values()])
    separations = {}
    for theme in themes:
        shares = [
            theme_share(in_theme[theme, story], words[story], code.time_s, params.span_s)
            for story, code in codes.items()
        ]
        separations[theme] = separation(
            activation,
            theme_rows(np.concatenate(shares), annotated=bool(snakemake.input.annotations)),
            minimum_shift=math.ceil(params.minimum_shift_s / params.tr_s),
        )
    untested = [theme for theme, found in separations.items() if np.isnan(found.auc).all()]
    for sentence in theme_warnings(n_heard, untested):
        warn(f"{snakemake.wildcards.subject}: {sentence}")
    live = latents[latents["alive"]]
    candidates = {name: live.loc[live["class"] == name, "latent"].to_numpy() for name in CLASSES[:3]}
    wanted = [(name, theme) for name in candidates for theme in themes]
    ranked = interpret(separations, candidates, wanted, n_best=3)
    verdict_of = latents.set_index("latent").pipe(labels)
    ranked = ranked.assign(verdict=ranked["latent"].map(verdict_of), n_heard=ranked["theme"].map(n_heard))
    write_tsv(ranked, snakemake.output.interpretations, digits=None)
    chosen = choose_latents(separations, latents, params.pinned)
    write_tsv(chosen, snakemake.output.chosen, digits=None)
