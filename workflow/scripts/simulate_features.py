"""What the stories drive in the simulated brains, and what only the language model has."""

from pathlib import Path

from brainlm.data.words import load_words
from brainlm.files import read_tsv
from brainlm.lm.features import select_units
from brainlm.simulation.features import plant_features, save_planted
from brainlm.store import open_store
from job import logged
from job_inputs import by_story, tr_times

with logged(snakemake):
    params = snakemake.params
    annotations = dict(iter(read_tsv(snakemake.input.annotations).groupby("story")))
    words, states, times_s = {}, {}, {}
    activations = by_story(snakemake.input.activations)
    for story, path in by_story(snakemake.input.words).items():
        words[story] = load_words(path).assign(theme=annotations[story]["theme"].to_numpy())
        store = open_store(activations[story])
        block = store["block"][:].tolist().index(params.block)
        states[story], _ = select_units(store["hidden"][block], store["word_index"][:], unit="word_mean")
        times_s[story] = tr_times(story, snakemake.input.respdict, params)
    planted = plant_features(
        words,
        states,
        times_s,
        n_lm_features=params.n_lm_features,
        n_lm_only=params.n_lm_only,
        n_story_driven=params.n_story_driven,
        seed=params.seed,
    )
    lengths = {story: len(times) for story, times in times_s.items()}
    save_planted(planted, lengths, Path(snakemake.output.planted))
