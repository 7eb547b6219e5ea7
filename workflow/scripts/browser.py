"""The pages of all latents of a reported model: where on the cortex, what was being said, does it hold."""

from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.cortex.voxels import read_voxel_table
from brainlm.crosscoder.model import Crosscoder
from brainlm.data.words import load_words
from brainlm.files import read_tsv
from brainlm.report.brain import read_anatomy
from brainlm.report.browser.downloads import read_volume
from brainlm.report.browser.maps import Brain, Partner
from brainlm.report.browser.page_list import page_list
from brainlm.report.browser.passages import Story, word_uptake
from brainlm.report.browser.run import Recordings, Tables, Titles
from brainlm.report.browser.site import write_contents, write_site
from brainlm.report.evidence import NOISE, neutral_point
from brainlm.report.write import publish_table
from brainlm.rows.codes import load_codes
from brainlm.scores.evidence.found_again import COLUMNS, found_in_seeds
from brainlm.scores.evidence.halves import both_halves
from brainlm.scores.evidence.projections import project_split
from job import log, logged, results_folder
from job_inputs import by_story, listed_sources, nuisances_of
from results import by_experiment, subject_and_seed

with logged(snakemake):
    params, inputs, subject = snakemake.params, snakemake.input, snakemake.wildcards.subject
    model, sources = Crosscoder.load(inputs.crosscoder), listed_sources(inputs.sources)
    voxels, cortex = by_story(inputs.all_voxels), by_story(inputs.all_cortex)
    evidence, summary = read_tsv(inputs.evidence), read_tsv(inputs.summary)
    found_again = read_tsv(inputs.found_again) if inputs.found_again else pd.DataFrame(columns=COLUMNS)
    found_again = found_again[found_again["seed"] == params.seed]
    chosen = read_tsv(inputs.chosen)["latent"] if inputs.chosen else pd.Series(dtype=int)

    def brain_of(of_subject: str, crosscoder: Crosscoder, source: str = "brain") -> Brain:
        """The voxels and decoder weights of a subject in a model."""
        kept = crosscoder.normalization[source].kept
        decoder = np.full((crosscoder.n_latents, kept.size), np.nan, np.float32)
        decoder[:, kept] = crosscoder.weights[source].numpy().T
        stores = [str(cortex[of_subject])] if of_subject in cortex else []
        return Brain(read_anatomy(stores, voxels[of_subject], kept.size), decoder)

    codes = load_codes(inputs.codes, "test")
    activation = np.concatenate([code.activation for code in codes.values()])
    words = {story: load_words(path) for story, path in by_story(inputs.words).items()}
    stories = [
        Story(
            story,
            code.time_s,
            words[story],
            word_uptake(words[story], code.time_s, delays_s=params.delays_s, window=params.window),
        )
        for story, code in codes.items()
    ]
    splits = {
        split: project_split(model, sources, params.stories[split], pairing=params.pairing)
        for split in ("test", "validation")
        if params.stories[split]
    }
    names, nuisances = nuisances_of(
        sources["lm"], [story for split in splits.values() for story in split.stories]
    )

    def write_pages(folder: Path, source: str, of_subject: str) -> pd.DataFrame:
        """The pages of one brain of the model, and the list of them."""
        halves = both_halves(
            model,
            splits,
            source=source,
            activation=activation,
            nuisances=nuisances,
            nuisance_names=names,
            recordings=params.recordings,
            hearings={},
        )
        brain = brain_of(of_subject, model, source)
        noise = NOISE if source == "brain" else f"{NOISE}: {source}"
        tables = Tables(
            evidence=evidence[evidence["source"] == source].reset_index(drop=True),
            summary=summary[summary["source"] == source].iloc[0].to_dict(),
            passages=read_tsv(inputs.passages),
            names=read_tsv(inputs.names),
            found_again=found_again,
            found_in_seeds=found_in_seeds(found_again),
            shown=frozenset(chosen[chosen >= 0]),
            r0=neutral_point(by_experiment(inputs.noise), noise),
        )
        write_site(
            folder,
            Titles(
                dataset=params.dataset if source == "brain" else f"{params.dataset}, joint model {subject}",
                subject=of_subject,
                seed=params.seed,
                simulated=params.simulated,
                language_model=params.language_model,
                model_file=inputs.crosscoder,
                source=source,
                delays_s=tuple(params.delays_s),
                colormap=params.colormap,
            ),
            tables,
            Recordings(
                stories,
                activation,
                *(np.concatenate(half.partialled[: len(stories)]) for half in (halves.brain, halves.lm)),
            ),
            brain,
            read_voxel_table(voxels[of_subject], brain.decoder.shape[1]),
            {"brain": model.weights[source].numpy(), "lm": model.weights["lm"].numpy()},
            partners=[
                Partner(*subject_and_seed(path), brain_of(subject_and_seed(path)[0], Crosscoder.load(path)))
                for path in inputs.partners
            ],
            volume=read_volume(Path(params.mask)) if params.mask else None,
        )
        return page_list(tables, folder.relative_to(results_folder()))

    pages = Path(snakemake.output.pages)
    if params.members:
        lists = {member: write_pages(pages / member, member, member) for member in params.members}
        listed = pd.concat(lists, names=["source"]).reset_index("source").reset_index(drop=True)
        write_contents(pages, subject, params.members)
    else:
        listed = write_pages(pages, "brain", subject)
    publish_table(
        snakemake.output.latents[0],
        listed,
        title="The latents that have a page",
        notes=[
            f"Live latents of the model that is reported, seed {params.seed}. Pages: paths below the folder of the "
            "results.",
            "Name: words that are more frequent before a latent's strongest TRs of training stories than elsewhere, "
            "beyond circular shifts. Agreement: correlation over test TRs of what the brain alone and the LM alone "
            "say about the latent, nuisances taken out. Verdict: see the table evidence.",
        ],
        simulated=params.simulated,
    )
    log.info("pages of %d live latents", model.alive.sum())
