"""What the language model's blocks hold at each token of some stories."""

import time
from pathlib import Path

import torch

from brainlm.data.words import load_words
from brainlm.errors import about
from brainlm.lm.reading import load_language_model, read_story
from brainlm.machine import GIGABYTE, peak_memory
from brainlm.store import add_array, add_strings, new_store
from job import log, logged
from job_inputs import by_story, make_each

with logged(snakemake) as facts:
    params = snakemake.params
    # What the cache lacks of a hub model is downloaded, which takes its time.
    log.info("loading blocks 1 to %d of %s", max(params.blocks), params.source)
    torch.set_num_threads(snakemake.threads)
    model = load_language_model(
        snakemake.input.model[0] if snakemake.input.model else params.source,
        params.blocks,
        revision=params.revision,
        dtype=params.dtype,
        device=snakemake.resources.device,
    )
    log.info("reading on %s in %s", model.device, model.model.dtype)
    words_of = by_story(snakemake.input.words)

    def make_activations(story: str, path: Path) -> None:
        """Read one story."""
        words = load_words(words_of[story])
        began = time.perf_counter()
        with about(f"story {story}"):
            read = read_story(model, words["word"].tolist(), **params.context)
        rate = len(read.tokens) / (time.perf_counter() - began)
        log.info("%s: %d words, %d tokens, %.0f tokens/s", story, len(words), len(read.tokens), rate)
        with new_store(path, {"source": params.source, "context": params.context, "story": story}) as store:
            add_array(store, "hidden", read.hidden, ("block", "token", "hidden"))
            add_array(store, "block", list(read.blocks), ("block",))
            add_array(store, "word_index", read.word_index, ("token",))
            for edge in ("onset_s", "offset_s"):
                of_word = words[edge].to_numpy()[read.word_index]
                add_array(store, f"word_{edge}", of_word, ("token",), attributes={"units": "s"})
            add_strings(store, "token_text", read.tokens, "token")

    make_each(by_story(snakemake.output.activations), make_activations)
    for device, size in peak_memory(model.device).items():
        log.info("peak memory on %s: %.2f GB", device, size / GIGABYTE)
