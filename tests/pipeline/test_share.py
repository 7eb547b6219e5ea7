"""A finished run is shared as folders, one a subject; an unfinished or changed one is not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard

from brainlm import Crosscoder
from brainlm.errors import InputError
from brainlm.files import write_tsv
from brainlm.rows.normalization import Normalization
from pipeline import share
from pipeline.provenance import write_record

SHARE = Path(share.__file__)
N_LATENTS = 6
CONFIG = {
    "dataset": {
        "name": "demo",
        "source": "simulated",
        "tr_s": 2.0,
        "sound_onset_s": 10.0,
        "trim": {"first": 10, "last": 10},
    },
    "subjects": ["S1", "S2"],
    "groups": {"both": ["S1", "S2"]},
    "language_model": {"name": "a-llama", "path_or_hub_id": "org/a-llama", "revision": None},
    "seeds": [3, 0],
}
PROVENANCE = {
    "experiment": "matched",
    "seed": 3,
    "dataset": {"name": "demo", "source": "simulated"},
    "language_model": {"path_or_hub_id": "org/a-llama", "revision": None, "context": {}},
    "features": {
        "block": 2,
        "unit": "token",
        "token_time": "spread",
        "lanczos": {"window": 3, "normalize": False},
        "delays_s": [2, 4],
    },
    "stories": {"train": ["a"], "validation": ["b"], "test": ["c", "d"]},
    "settings": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "alpha": 0.03},
    "software": {"brainlm": "0.1.0", "torch": "2.13.0"},
}


def make_model(subject: str, brains: dict[str, int]) -> Crosscoder:
    random = np.random.default_rng(len(subject))
    widths = {**brains, "lm": 4}

    def normalization(width: int) -> Normalization:
        return Normalization(
            np.ones(width, bool), np.zeros(width, np.float32), np.ones(width, np.float32), 2.0, "zscore"
        )

    return Crosscoder(
        {
            source: torch.from_numpy(random.standard_normal((width, N_LATENTS)).astype(np.float32))
            for source, width in widths.items()
        },
        torch.zeros(N_LATENTS),
        2,
        {source: normalization(width) for source, width in widths.items()},
        alive=np.arange(N_LATENTS) != 1,
        provenance={**PROVENANCE, "subject": subject},
    )


def record(results: Path, name: str, inputs: list[str], **params) -> None:
    write_record(
        results / name,
        results,
        rule="rule",
        wildcards={},
        params=params,
        inputs=[results / path for path in inputs],
        device="cpu",
        seed=None,
    )


def write_model(results: Path, name: str, brains: dict[str, int]) -> str:
    """What a run knows of a subject's or a group's reported model, and its path."""
    of_model, tables, several = f"{name}/matched/seed3", f"tables/{name}", len(brains) > 1
    model = make_model(name, brains)
    model.save(results / of_model / "crosscoder.safetensors")
    evidence = pd.DataFrame(
        {
            "latent": np.tile(np.arange(N_LATENTS), len(brains)),
            "source": np.repeat(list(brains), N_LATENTS),
            "alive": np.tile(model.alive, len(brains)),
            "verdict": np.tile(
                ["shared", "dead", "LM", "shared", "unclear", "brain, spontaneous"], len(brains)
            ),
            "qualifier": np.tile(["", "", "", "mostly LM", "", ""], len(brains)),
        }
    )
    summaries = pd.DataFrame(
        {
            "experiment": "matched",
            "source": list(brains),
            "live_latents": 5,
            "n_rows": 70,
            "n_stories": 2,
            "p_floor": 0.01,
            "n_at_floor": 1,
            "whole_model_agreement": 0.25,
            "whole_model_p": 0.02,
        }
    )
    summary = pd.DataFrame(
        {
            "source": list(brains),
            "training_trs": 500,
            "test_trs": 70,
            **{f"test_correlation_{source}": 0.4 for source in model.weights},
        }
    )
    experiments = [f"matched: {brain}" if several else "matched" for brain in brains]
    r0 = pd.DataFrame({"experiment": ["shuffled", *experiments], "r0": 0.5 - np.arange(len(brains) + 1) / 10})
    written = {
        f"{of_model}/evidence.tsv": evidence,
        f"{of_model}/evidence_summary.tsv": summaries,
        f"{of_model}/summary.tsv": summary,
        f"{tables}/evidence.tsv": r0,
    }
    if not several:
        written[f"{tables}/funnel.tsv"] = pd.DataFrame({"step": ["live"], "|r| < 0.2": [2], "others": [3]})
    crosscoder = f"{of_model}/crosscoder.safetensors"
    record(results, crosscoder, [])
    params = {"evidence": {"nuisance_loss": 0.42}, "scores": {"false_discovery_rate": 0.05}}
    for path, table in written.items():
        write_tsv(table, results / path)
        from_model = path.startswith(of_model)
        record(results, path, [crosscoder] if from_model else [f"{of_model}/evidence.tsv"], **params)
    return crosscoder


@pytest.fixture
def results(tmp_path) -> Path:
    folder = tmp_path / "results" / "demo"
    models = [
        write_model(folder, name, brains)
        for name, brains in {"S1": {"brain": 5}, "S2": {"brain": 3}, "both": {"S1": 5, "S2": 3}}.items()
    ]
    write_tsv(pd.DataFrame({"subject": ["S1"]}), folder / "tables" / "provenance.tsv")
    record(folder, "tables/provenance.tsv", models, config=CONFIG)
    bars = pd.DataFrame(
        {"check": ["a check"], "result": [np.inf], "bar": ["≥ 3"], "met": ["yes"], "note": [""]}
    )
    write_tsv(bars, folder / "tables" / "checks.tsv")
    record(folder, "tables/checks.tsv", [])
    return folder


def run(results: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SHARE, results], capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_each_subject_and_group_has_a_folder(results):
    folders = share.share(results)
    assert folders == [results / "shared" / name for name in ("S1", "S2", "both")]
    for folder, voxels in zip(folders, ({"brain": 5}, {"brain": 3}, {"S1": 5, "S2": 3}), strict=True):
        assert Crosscoder.from_pretrained(folder).widths == {**voxels, "lm": 4}
        own = results / folder.name / "matched" / "seed3" / "crosscoder.safetensors"
        assert (folder / "model.safetensors").read_bytes() == own.read_bytes()


def test_config_says_what_the_model_and_the_run_know(results):
    share.share(results)
    config = json.loads((results / "shared" / "S2" / "config.json").read_text(encoding="utf-8"))
    of = config["trained_on"]
    assert of["subject"] == "S2" and of["seed"] == 3 and of["stories"] == PROVENANCE["stories"]
    assert of["dataset"] == {**CONFIG["dataset"]}
    assert of["language_model"]["name"] == "a-llama" and of["features"]["delays_s"] == [2, 4]
    assert of["trs"] == {"training": 500, "test": 70}
    assert of["software"] == PROVENANCE["software"]


def test_the_card_tells_the_evidence_of_its_own_model(results):
    share.share(results)
    card = ModelCard.load(results / "shared" / "S1" / "README.md")
    assert card.data.license == "mit" and "simulated" in card.data.tags
    assert "| shared | 1 | 20.0 | 0 |" in card.text and "| shared, mostly LM | 1 | 20.0 | 3 |" in card.text
    assert "| live | 2 | 3 |" in card.text and "| a check | ∞ | ≥ 3 | yes |" in card.text
    assert "r0, the r of white noise: 0.40" in card.text and "more than 0.42" in card.text
    joint = ModelCard.load(results / "shared" / "both" / "README.md").text
    assert "Brain S1:" in joint and "white noise: 0.40" in joint and "white noise: 0.30" in joint


def test_sharing_again_gives_the_same_bytes(results):
    share.share(results)
    before = contents(results)
    share.share(results)
    assert contents(results) == before


@pytest.mark.parametrize(
    "name",
    [
        "tables/checks.tsv",
        "tables/S2/funnel.tsv",
        "S2/matched/seed3/evidence.tsv",
        "both/matched/seed3/crosscoder.safetensors",
    ],
)
def test_a_run_that_is_not_finished_is_refused_before_anything_is_written(results, name):
    (results / name).unlink()
    with pytest.raises(InputError, match=r"is missing: run the workflow to its end"):
        share.share(results)
    assert not (results / "shared").exists()


@pytest.mark.parametrize("name", ["S2/matched/seed3/evidence.tsv", "S1/matched/seed3/crosscoder.safetensors"])
def test_a_result_that_was_changed_is_refused(results, name):
    with (results / name).open("ab") as file:
        file.write(b"\n")
    with pytest.raises(InputError, match="has changed since it was written"):
        share.share(results)
    assert not (results / "shared").exists()


def test_evidence_of_a_former_model_is_refused(results):
    # Trained again, for another setting, and the run was stopped before its evidence was.
    name = "S1/matched/seed3/crosscoder.safetensors"
    make_model("another", {"brain": 5}).save(results / name)
    record(results, name, [])
    with pytest.raises(
        InputError, match=r"was made before .*crosscoder\.safetensors: run the workflow to its end"
    ):
        share.share(results)
    assert not (results / "shared").exists()


def test_folders_of_an_earlier_run_stay_if_the_new_one_is_refused(results):
    share.share(results)
    before = contents(results / "shared")
    (results / "tables" / "S2" / "evidence.tsv").unlink()
    with pytest.raises(InputError):
        share.share(results)
    assert contents(results / "shared") == before


def test_what_somebody_has_put_there_is_not_replaced(results):
    (results / "shared" / "S1").mkdir(parents=True)
    (results / "shared" / "S1" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="there is something else"):
        share.share(results)
    assert contents(results / "shared") == {"S1/notes.txt": b"mine"}


def test_what_is_no_run_is_refused(results, tmp_path):
    for folder in (tmp_path / "missing", results.parent, results / "tables"):
        with pytest.raises(InputError, match="holds no finished run"):
            share.share(folder)


def test_on_the_command_line(results):
    shared = run(results)
    assert shared.returncode == 0 and not shared.stderr
    for name in ("S1", "S2", "both"):
        assert str(results / "shared" / name) in shared.stdout
    refused = run(results / "tables")
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "holds no finished run" in refused.stderr
