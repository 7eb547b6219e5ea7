"""The card of a shared crosscoder: what the hub reads of it, and what a reader must find."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard

from brainlm.report.card import CardEvidence, model_card, verdict_counts
from brainlm.scores.evidence.bounds import VerdictBounds

CONFIG = {
    "sources": ["brain", "lm"],
    "widths": {"brain": 95_556, "lm": 4096},
    "kept": {"brain": 95_000, "lm": 4096},
    "n_latents": 8,
    "k": 3,
    "tied": True,
    "activation": {"kind": "top k", "threshold": None, "select_by": "value", "relu": False},
    "normalization": {
        "brain": {"standardize": "zscore", "mean_norm": 300.5},
        "lm": {"standardize": "none", "mean_norm": 12.0},
    },
    "live_latents": 7,
    "trained_on": {
        "subject": "S_1",
        "experiment": "matched",
        "seed": 4,
        "dataset": {"name": "demo", "source": "simulated", "tr_s": 2.0},
        "language_model": {"name": "a-llama", "path_or_hub_id": "org/a_llama", "revision": None},
        "features": {
            "block": 16,
            "unit": "token",
            "token_time": "spread",
            "lanczos": {"window": 3, "normalize": False},
            "delays_s": [2, 4.5],
        },
        "stories": {"train": ["a", "b"], "validation": ["c"], "test": ["d", "e"]},
        "trs": {"training": 19_599, "test": 5_376},
        "settings": {"epochs": 300, "batch_size": 2048, "learning_rate": 1e-4, "alpha": 1 / 32},
        "software": {"brainlm": "0.1.0", "torch": "2.13.0"},
    },
}


def latents(*called: str, source: str = "brain") -> pd.DataFrame:
    verdict, _, qualifier = zip(*(label.partition(", ") for label in called), strict=True)
    whole = [label.startswith("brain, ") for label in called]
    return pd.DataFrame(
        {
            "latent": np.arange(len(called)),
            "source": source,
            "alive": np.array(called) != "dead",
            "verdict": [label if w else v for label, w, v in zip(called, whole, verdict, strict=True)],
            "qualifier": ["" if w else q for w, q in zip(whole, qualifier, strict=True)],
        }
    )


def summary(source: str = "brain", **columns) -> dict:
    return {
        "source": source,
        "experiment": "matched",
        "live_latents": 7,
        "n_rows": 5376,
        "n_stories": 17,
        "p_floor": 1 / 1000,
        "n_at_floor": 1,
        "whole_model_agreement": 0.123,
        "whole_model_p": 0.001,
    } | columns


CALLED = ["shared", "brain, spontaneous", "shared, mostly LM", "dead", "shared", "unclear", "LM", "shared"]
FUNNEL = pd.DataFrame(
    {
        "step": ["live", "agree plainly", "found again in most seeds"],
        "|r| < 0.2": [5.0, 3.0, np.nan],
        "others": [2.0, 1.0, np.nan],
    }
)


@pytest.fixture
def evidence() -> CardEvidence:
    return CardEvidence(
        latents=latents(*CALLED),
        summaries=pd.DataFrame([summary()]),
        r0={"brain": -0.38},
        fit={"brain": 0.44, "lm": 0.52},
        bounds=VerdictBounds(nuisance_loss=0.41),
        rate=0.05,
        funnel=FUNNEL,
        checks=pd.DataFrame(
            {"check": ["right verdict (%)"], "result": [92.0], "bar": ["≥ 90"], "met": ["yes"]}
        ),
    )


def config(source: str = "simulated", **changed) -> dict:
    changed = copy.deepcopy({**CONFIG, **changed})
    changed["trained_on"]["dataset"]["source"] = source
    return changed


def section(card: str, heading: str) -> str:
    return re.search(rf"\n## {heading}\n(.*?)(\n## |\Z)", card, re.DOTALL)[1]


@pytest.mark.parametrize(
    ("source", "licence", "language", "simulated"),
    [("simulated", "mit", "en", True), ("openneuro", "mit", "en", False), ("local", None, None, False)],
)
def test_the_hub_reads_its_metadata(evidence, source, licence, language, simulated):
    card = ModelCard(model_card(config(source), evidence))
    assert card.data.library_name == "brainlm" and "crosscoder" in card.data.tags
    assert ("simulated" in card.data.tags) == simulated
    # Of data of one's own nothing is known.
    assert (card.data.license, card.data.language) == (licence, language)
    assert card.text.strip().startswith("# Brain-LM crosscoder of S\\_1, demo")
    assert ("demo (simulated data)" in card.text) == ("Nothing about brains" in card.text) == simulated


def test_counts_of_verdicts_are_of_live_latents():
    counts = verdict_counts(latents(*CALLED), "brain").set_index("verdict")
    assert counts["live latents"].to_dict() == {
        "shared": 3,
        "shared, mostly LM": 1,
        "brain, spontaneous": 1,
        "LM": 1,
        "unclear": 1,
    }
    assert counts["numbers"]["shared"] == "0, 4, 7"
    assert counts["share (%)"].sum() == pytest.approx(100) and counts["share (%)"]["shared"] == 300 / 7
    assert verdict_counts(latents("dead", "dead"), "brain").empty


def test_the_reader_finds_verdicts_funnel_bounds_and_bars(evidence):
    found = section(model_card(config(), evidence), "What its latents show")
    assert "| shared | 3 | 42.9 | 0, 4, 7 |" in found and "dead" not in found
    assert "| agree plainly | 3 | 1 |" in found
    assert "| found again in most seeds | not known | not known |" in found
    assert "nuisances take more than 0.41" in found and "false discovery rate 0.05" in found
    assert (
        "0.123 (p 0.001, over 5,376 test TRs of 17 stories)" in found
        and "r0, the r of white noise: −0.38" in found
    )
    assert "brain 0.44, lm 0.52. A fit" in found
    assert "| right verdict (%) | 92.0 | ≥ 90 | yes |" in found


def test_what_it_was_trained_on(evidence):
    found = section(model_card(config(), evidence), "Trained on")
    for row in (
        "| dataset | demo (simulated), repetition time 2 s |",
        "| subject | S\\_1 |",
        "| experiment, seed | matched, 4 |",
        "| stories | 2 training, 1 validation, 2 test |",
        "| TRs | 19,599 training, 5,376 test |",
        "| language model | a-llama (org/a\\_llama), block 16 |",
        "| scaling | brain zscore, lm none, then divided by the mean norm of a row |",
        "| latents | 8, 3 active in a row; live at the end: 7 |",
        "| training | 300 epochs, batches of 2,048 TRs, learning rate 0.0001, α 0.03125 |",
    ):
        assert row in found
    assert "delays of 2, 4.5 s" in found


def test_how_to_use_it_names_the_sources_and_their_widths(evidence):
    found = section(model_card(config(), evidence), "Use it")
    assert 'model.encode({"brain": brain, "lm": lm})' in found
    assert "brain (time, 95556), lm (time, 4096)" in found
    assert "x_s @ weights.s + bias" in found and "the 3 latents of a row with the largest p" in found


def test_the_formulas_are_those_of_the_model(evidence):
    activation = {"kind": "above threshold", "threshold": 0.75, "select_by": "contribution", "relu": True}
    found = section(model_card(config(tied=False, activation=activation), evidence), "Use it")
    assert "x_s @ encoder.s + bias" in found
    assert "p times the norm of the latent's weights of all sources above 0.75" in found
    assert "negative ones are 0 as well" in found


def test_what_not_to_conclude(evidence):
    found = section(model_card(config(), evidence), "What not to conclude")
    for caution in (
        "its zero moves (r0 is −0.38 here)",
        "another seed numbers other latents",
        "voxels of S\\_1",
        "prediction",
    ):
        assert caution in found


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("simulated", "simulated by the workflow"),
        ("openneuro", "https://openneuro.org/datasets/ds003020"),
        ("local", "whose licence this card does not know"),
    ],
)
def test_licences(evidence, source, said):
    found = section(model_card(config(source), evidence), "Licence and citation")
    assert said in found and "MIT licence" in found and "org/a\\_llama" in found
    assert ("The weights are under the same licence" in found) == (source != "local")


def test_how_to_upload(evidence):
    assert "hf upload YOUR-NAME/REPOSITORY . ." in section(model_card(config(), evidence), "Upload it")


def test_a_joint_model_tells_of_each_brain(evidence):
    sources = {"A": 500, "B": 600, "lm": 40}
    scaling = {name: {"standardize": "zscore", "mean_norm": 1.0} for name in sources}
    joint = config(sources=list(sources), widths=sources, normalization=scaling)
    both = CardEvidence(
        latents=pd.concat([latents("shared", "LM", source="A"), latents("LM", "LM", source="B")]),
        summaries=pd.DataFrame([summary("A"), summary("B")]),
        r0={"A": 0.1, "B": np.nan},
        fit={"A": 0.4, "B": 0.3, "lm": 0.5},
        bounds=VerdictBounds(),
        rate=0.05,
    )
    card = model_card(joint, both)
    assert "500 voxels of A and 600 voxels of B" in card
    found = section(card, "What its latents show")
    of_a, of_b = found.split("Brain B:")
    assert "| shared | 1 | 50.0 | 0 |" in of_a and "| shared |" not in of_b
    assert "white noise: 0.10" in of_a and "white noise: not known" in of_b
    assert "What is left of the latents" not in found and "whose answer is known" not in found
