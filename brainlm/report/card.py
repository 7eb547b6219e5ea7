"""The card of a crosscoder that is shared: what it is, what its latents show, and what not to conclude from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from huggingface_hub import ModelCardData

from brainlm.files import NOT_KNOWN
from brainlm.report.evidence_notes import bounds_note, headline_note, resolution_notes
from brainlm.report.write import (
    SIMULATED,
    escape_markdown,
    formatted,
    markdown_list,
    markdown_table,
    number_of,
    spelt_out,
)
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.tallies import LIVE_LABELS
from brainlm.scores.evidence.verdict import labels

TAGS = ("crosscoder", "sparse-dictionary", "fmri", "neuroscience", "language-model", "interpretability")
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
"""How a split of stories is called."""
_PAPER = "Aoki, Hamada, Orita, Kawahara and Sakai (2026)"
_DATASET = (
    "LeBel et al. (2023), A natural language fMRI dataset for voxelwise encoding models, Sci Data 10:555"
)


@dataclass(frozen=True, eq=False)
class CardEvidence:
    """What a run has found out about a model, from its tables."""

    latents: pd.DataFrame
    """One row a latent (and brain): latent, source, alive, verdict, qualifier."""
    summaries: pd.DataFrame
    """One row a brain, of the model as a whole, see `brainlm.scores.evidence.table.evidence_table`."""
    r0: Mapping[str, float]
    """Brain -> r of white noise; NaN where not known."""
    fit: Mapping[str, float]
    """Source -> mean correlation of its reconstruction over test TRs."""
    bounds: VerdictBounds
    """Of the verdicts."""
    rate: float
    """False discovery rate."""
    funnel: pd.DataFrame | None = None
    """`brainlm.report.evidence.funnel_table`; a joint model has none."""
    checks: pd.DataFrame | None = None
    """`brainlm.report.checks.bars_table` of a run on simulated data."""


def model_card(config: Mapping[str, Any], evidence: CardEvidence) -> str:
    """The README.md of a shared crosscoder, with the metadata that the Hugging Face hub reads.

    Parameters
    ----------
    config: what config.json says, with trained_on: subject, experiment, seed; dataset (name, source, tr_s);
        language_model (name, path_or_hub_id, revision); features; stories by split; trs, their numbers by split;
        settings of the training; software, versions by package.
    """
    trained_on = config["trained_on"]
    simulated = trained_on["dataset"]["source"] == "simulated"
    mark = f" ({SIMULATED})" if simulated else ""
    title = f"Brain-LM crosscoder of {trained_on['subject']}, {trained_on['dataset']['name']}{mark}"
    sections = {
        "Use it": [_use(config)],
        "Trained on": [markdown_table(_settings_table(config)), "The stories by name are in `config.json`."],
        "What its latents show": _findings(evidence),
        "What not to conclude": [markdown_list(_cautions(config, evidence))],
        "Licence and citation": [markdown_list(_licences(trained_on))],
        "Upload it": [_UPLOAD],
    }
    parts = [f"---\n{_metadata(trained_on).to_yaml()}\n---", f"# {escape_markdown(title)}", _what(config)]
    for heading, texts in sections.items():
        parts += [f"## {heading}", *texts]
    return "\n\n".join(parts) + "\n"


def verdict_counts(latents: pd.DataFrame, brain: str) -> pd.DataFrame:
    """How many live latents have each verdict, and which they are.

    Parameters
    ----------
    latents: as in `CardEvidence`.
    brain: whose rows count.

    Returns
    -------
    One row for each verdict that a live latent has, in order: verdict; live latents; share (%) of them; numbers,
    their indices.
    """
    live = latents[latents["alive"] & (latents["source"] == brain)]
    given = labels(live)
    rows = []
    for label in LIVE_LABELS:
        members = live.loc[given == label, "latent"]
        if len(members):
            share, numbers = 100 * len(members) / len(live), ", ".join(map(str, members))
            rows.append((label, len(members), share, numbers))
    return pd.DataFrame(rows, columns=["verdict", "live latents", "share (%)", "numbers"])


def _metadata(trained_on: Mapping[str, Any]) -> ModelCardData:
    source = trained_on["dataset"]["source"]
    # Whose data they are decides on the licence, and only they know the language.
    licence, language = (None, None) if source == "local" else ("mit", "en")
    tags = [*TAGS, "simulated"] if source == "simulated" else list(TAGS)
    return ModelCardData(library_name="brainlm", tags=tags, license=licence, language=language)


def _what(config: Mapping[str, Any]) -> str:
    trained_on, widths = config["trained_on"], config["widths"]
    # A joint model's brains are called as their subjects.
    people = {
        source: trained_on["subject"] if source == "brain" else source
        for source in config["sources"]
        if source != "lm"
    }
    brains = " and ".join(f"{widths[source]:,} voxels of {person}" for source, person in people.items())
    simulated = "simulated " * (trained_on["dataset"]["source"] == "simulated")
    model = escape_markdown(trained_on["language_model"]["name"])
    return (
        f"A sparse dictionary of {config['n_latents']:,} latents, trained at once on {simulated}fMRI responses to "
        f"spoken stories ({escape_markdown(brains)}) and on what a language model writes while it reads their "
        f"transcripts ({model}, block {trained_on['features']['block']}, {widths['lm']:,} hidden dimensions). Each "
        f"latent has a decoder vector in each of them. The method is that of {_PAPER}."
    )


def _use(config: Mapping[str, Any]) -> str:
    features, sources = config["trained_on"]["features"], config["sources"]
    inputs = ", ".join(f'"{source}": {source}' for source in sources)
    shapes = ", ".join(f"{source} (time, {config['widths'][source]})" for source in sources)
    delays = ", ".join(f"{delay:g}" for delay in features["delays_s"])
    return "\n".join(
        [
            "```python",
            "from brainlm import Crosscoder",
            "",
            'model = Crosscoder.from_pretrained(".")  # this folder, or the name of its repository on the hub',
            f"z = model.encode({{{inputs}}})  # raw rows in: {shapes}",
            "```",
            "",
            f"z is (time, {config['n_latents']}): one row a TR. Voxels are those of the dataset's cortical mask, in "
            "its order; columns that the model leaves out may hold anything. Rows of the language model are made as "
            f"for the training: hidden states after block {features['block']}, resampled to the TRs with a Lanczos "
            f"window and averaged over delays of {delays} s. One source alone predicts the other: encode it, then "
            "decode.",
            "",
            "Without brainlm, from the arrays of `model.safetensors` and numbers of `config.json`, s being a source:",
            "",
            "```",
            *_formulas(config),
            "```",
        ]
    )


def _formulas(config: Mapping[str, Any]) -> list[str]:
    activation, encoder = config["activation"], "weights.s" if config["tied"] else "encoder.s"
    by_contribution = activation["select_by"] == "contribution"
    p = "p" + " times the norm of the latent's weights of all sources" * by_contribution
    if activation["kind"] == "top k":
        kept = f"the {config['k']} latents of a row with the largest {p}"
    else:
        kept = f"the latents with {p} above {activation['threshold']!r}"
    return [
        "x_s = (raw_s[:, kept.s] - offset.s) / scale.s / mean_norm_s      # (time, kept column)",
        f"p   = sum over s of x_s @ {encoder} + bias                        # (time, latent)",
        f"z   = p for {kept}, 0 for all others"
        + ("; negative ones are 0 as well" if activation["relu"] else ""),
        "raw_s[:, kept.s] = z @ weights.s.T * mean_norm_s * scale.s + offset.s   # the reconstruction",
    ]


def _settings_table(config: Mapping[str, Any]) -> pd.DataFrame:
    of = config["trained_on"]
    dataset, model, features, settings = (
        of[key] for key in ("dataset", "language_model", "features", "settings")
    )
    found = " ".join(filter(None, [model["path_or_hub_id"], model["revision"]]))
    scaling = {source: fitted["standardize"] for source, fitted in config["normalization"].items()}
    rows = {
        "dataset": f"{dataset['name']} ({dataset['source']}), repetition time {dataset['tr_s']:g} s",
        "subject": of["subject"],
        "experiment, seed": f"{of['experiment']}, {of['seed']}",
        "stories": ", ".join(f"{len(of['stories'][split])} {name}" for split, name in SPLITS.items()),
        "TRs": ", ".join(f"{n:,} {split}" for split, n in of["trs"].items()),
        "language model": f"{model['name']} ({found}), block {features['block']}",
        "features": f"unit {features['unit']}, token time {features['token_time']}, Lanczos window "
        f"{features['lanczos']['window']}{' (mean)' if features['lanczos']['normalize'] else ' (sum)'}, mean over "
        f"delays of {', '.join(f'{delay:g}' for delay in features['delays_s'])} s",
        "scaling": ", ".join(f"{source} {how}" for source, how in scaling.items())
        + ", then divided by the mean norm of a row",
        "latents": f"{config['n_latents']:,}, {config['k']} active in a row; live at the end: "
        f"{config['live_latents']:,}",
        "weights": "tied" if config["tied"] else "an encoder of its own",
        "training": f"{settings['epochs']} epochs, batches of {settings['batch_size']:,} TRs, learning rate "
        f"{settings['learning_rate']:g}, α {settings['alpha']:g}",
        "software": ", ".join(f"{name} {version}" for name, version in of["software"].items()),
    }
    return pd.DataFrame({"what": list(rows), "value": list(rows.values())})


def _findings(evidence: CardEvidence) -> list[str]:
    parts = ["Verdicts on the latents, from held-out stories alone; latents are numbered from 0."]
    for summary in evidence.summaries.to_dict("records"):
        if len(evidence.summaries) > 1:
            parts.append(f"Brain {escape_markdown(summary['source'])}:")
        parts.append(markdown_table(verdict_counts(evidence.latents, summary["source"])))
        parts.append(
            f"Agreement of brain and language model, mean over live latents: "
            f"{formatted(summary['whole_model_agreement'], '.3f')} (p {formatted(summary['whole_model_p'], '.2g')}, "
            f"over {number_of(int(summary['n_rows']), 'test TR')} of {summary['n_stories']} stories). "
            f"r0, the r of white noise: {_known(evidence.r0[summary['source']])}."
        )
    if evidence.funnel is not None:
        parts += [
            "What is left of the latents that the paper calls shared, and of all others, after each test:",
            markdown_table(spelt_out(evidence.funnel.convert_dtypes())),
        ]
    fits = ", ".join(f"{escape_markdown(source)} {formatted(r, '.2f')}" for source, r in evidence.fit.items())
    notes = [
        headline_note(evidence.rate),
        bounds_note(evidence.bounds),
        *resolution_notes(evidence.summaries, evidence.rate),
        f"Reconstruction over test TRs, mean correlation over columns: {fits}. A fit, for the model sees what it "
        "reconstructs.",
    ]
    parts.append(markdown_list(notes))
    if evidence.checks is not None:
        parts += [
            "Of the whole run on simulated data, whose answer is known:",
            markdown_table(evidence.checks),
        ]
    return parts


def _cautions(config: Mapping[str, Any], evidence: CardEvidence) -> list[str]:
    of = config["trained_on"]
    simulated = ["Nothing about brains: the responses are simulated."]
    return [
        *(simulated if of["dataset"]["source"] == "simulated" else []),
        "That a latent is shared because its r is near 0: r compares the norms of its two decoder vectors, which "
        f"says nothing on whether they correspond, and its zero moves (r0 is {_zeros(evidence.r0)} here). "
        "Shares of r are not comparable between subjects, language models of other widths, or scalings.",
        "That brain and language model agree about a latent because both reconstruct it: only the verdicts ask on "
        "held-out stories, against shifts in time and other stories.",
        "That a reconstruction is a prediction: with both sources the model sees what it reconstructs.",
        "Anything from a latent's number: another seed numbers other latents. What is true of one seed alone may be "
        "chance.",
        "That a map shows where something is represented: decoder weights are shares in a joint reconstruction, in "
        "normalized units, of one dictionary among many that fit as well.",
        f"Anything about another person: the columns are the voxels of {of['subject']}, in the order of one mask. "
        "Rows of anybody else are taken if they have as many columns, and mean nothing.",
        "What a person thinks or feels: the model was made to compare representations, and tested for nothing else.",
    ]


def _licences(trained_on: Mapping[str, Any]) -> list[str]:
    dataset, model = trained_on["dataset"], trained_on["language_model"]
    data = {
        "simulated": "Data: simulated by the workflow, from stories that were written for it.",
        "openneuro": f"Data: OpenNeuro ds003020, {_DATASET}. OpenNeuro publishes data under CC0, see "
        "https://openneuro.org/datasets/ds003020; recordings and transcripts are not in this folder.",
        "local": f"Data: {dataset['name']}, whose licence this card does not know. Whoever uploads this folder must "
        "find out whether the data's terms and the participants' consent allow it, and add a licence at the top.",
    }
    return [
        "Software: the Brain-LM crosscoder, MIT licence."
        + ("" if dataset["source"] == "local" else " The weights are under the same licence."),
        data[dataset["source"]],
        f"Language model: {model['name']} ({model['path_or_hub_id']}) has a licence of its own, which may ask for "
        "something of what is made with it: read it before you pass this on.",
        f"Please cite {_PAPER}, whose method this is{', and the dataset' * (dataset['source'] != 'simulated')}.",
    ]


def _zeros(r0: Mapping[str, float]) -> str:
    return " and ".join(dict.fromkeys(_known(value) for value in r0.values()))


def _known(value: float) -> str:
    return NOT_KNOWN if pd.isna(value) else formatted(value, ".2f")


_UPLOAD = """Read this card first, and change what must be changed. Then, in this folder, with an account on the hub:

```
hf auth login
hf upload YOUR-NAME/REPOSITORY . .
```

`--private` keeps the repository to yourself. `Crosscoder.from_pretrained("YOUR-NAME/REPOSITORY")` reads it then."""
