"""A simulated dataset that is small enough to run the whole workflow in a test."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers
import torch
import transformers
import yaml

REPOSITORY = Path(__file__).parents[2]
SPLITS = {
    "train": ["nightbus", "archivist", "beekeeper"],
    "validation": ["firstsnow"],
    "test": ["gardenwall", "oldcamera"],
}
CONFIG = {
    "results": "results",
    "dataset": {
        "name": "tiny",
        "source": "simulated",
        "stories": "{folder}/stories/stories.tsv",
        "simulation": {
            "texts": "{folder}/stories",
            # Slow speech, so that few words last for many TRs.
            "words_per_minute": 90,
            "voxel_size_mm": 12,
            "n_lm_features": 2,
            "n_brain_only": 1,
            "repeated_story": "oldcamera",
            "n_repeats": 3,
        },
    },
    "subjects": ["SIM01"],
    "language_model": {"name": "tiny-llama", "path_or_hub_id": "{folder}/tiny-llama", "blocks": [1, 2]},
    "features": {"block": 2},
    "normalization": {"brain": {"standardize": "zscore"}, "lm": {"standardize": "zscore"}},
    "crosscoder": {
        "n_latents": 12,
        "k": 3,
        "k_aux": 4,
        "epochs": 3,
        "batch_size": 32,
        "learning_rate": 0.005,
    },
    "experiments": {"first-block": {"features": {"block": 1}, "normalization": {"lm": {"standardize": "none"}}}},
    "scores": {"minimum_shift_s": 10},
    "passages": {"n_passages": 2},
    "figures": {"flatmap_height": 96},
}


@dataclass(frozen=True)
class Job:
    """A job of a dry run."""

    rule: str
    wildcards: dict[str, str]


@dataclass(frozen=True)
class Workspace:
    """A folder in which the workflow runs, with a home folder of its own."""

    folder: Path
    config: dict

    @property
    def results(self) -> Path:
        return self.folder / self.config["results"] / self.config["dataset"]["name"]

    def changed(self, **changes) -> "Workspace":
        """The same folder with another config; `crosscoder__k=4` changes one value of a section."""
        config = deepcopy(self.config)
        for path, value in changes.items():
            *sections, key = path.split("__")
            section = config
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = value
        return Workspace(self.folder, config)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the workflow in the folder; stdout also holds what went to stderr."""
        config_file = self.folder / "config.yaml"
        config_file.write_text(yaml.safe_dump(self.config))
        return subprocess.run(
            [sys.executable, "-m", "snakemake"]
            + ["--snakefile", REPOSITORY / "workflow" / "Snakefile", "--directory", self.folder]
            + ["--configfile", config_file, "--cores", "2", *arguments],
            env=os.environ | {"HOME": str(self.folder / "home"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pending(self, *targets: str) -> list[Job]:
        """What a run would do."""
        done = self.snakemake("--dry-run", "--nolock", *targets)
        assert done.returncode == 0, done.stdout[-3000:]
        return list(_jobs(done.stdout))


def _jobs(dry_run: str) -> Iterator[Job]:
    for block in re.split(r"\n(?=(?:local)?rule )", dry_run):
        name = re.match(r"(?:local)?rule (\w+):", block)
        if name:
            wildcards = re.search(r"^ +wildcards: (.*)$", block, re.MULTILINE)
            pairs = wildcards[1].split(", ") if wildcards else []
            yield Job(name[1], dict(pair.split("=", 1) for pair in pairs))


def short_story(name: str) -> str:
    """The first two plain paragraphs of one of the demo's stories and the first one of each theme."""
    text = (REPOSITORY / "config" / "stories" / f"{name}.txt").read_text()
    wanted = {"place": 1, "negative": 1, "colloquial": 1, "": 2}
    kept = []
    for paragraph in text.split("\n\n"):
        theme = re.match(r"(?:<(\w+)>)?", paragraph)[1] or ""
        if wanted[theme]:
            wanted[theme] -= 1
            kept.append(paragraph.strip())
    return "\n\n".join(kept) + "\n"


def write_stories(folder: Path) -> None:
    folder.mkdir(parents=True)
    lines = ["story\tsplit"]
    for split, stories in SPLITS.items():
        for story in stories:
            (folder / f"{story}.txt").write_text(short_story(story))
            lines.append(f"{story}\t{split}")
    (folder / "stories.tsv").write_text("\n".join(lines) + "\n")


def write_language_model(folder: Path, texts: list[str]) -> None:
    """A Llama with two blocks and random weights, and a byte-level tokenizer of its own."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", clean_up_tokenization_spaces=False
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        initializer_range=0.3,
        bos_token_id=fast.bos_token_id,
        eos_token_id=None,
    )
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)


def with_folder(value, folder: Path):
    """The config with the folder's own path where it says {folder}."""
    if isinstance(value, dict):
        return {key: with_folder(inner, folder) for key, inner in value.items()}
    return value.replace("{folder}", str(folder)) if isinstance(value, str) else value


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Workspace:
    """The whole workflow, run once on the tiny dataset. Tests read it and leave it as it is."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "home").mkdir()
    write_stories(folder / "stories")
    texts = [short_story(story) for stories in SPLITS.values() for story in stories]
    write_language_model(folder / "tiny-llama", texts)
    workspace = Workspace(folder, with_folder(CONFIG, folder))
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout[-5000:]
    return workspace
