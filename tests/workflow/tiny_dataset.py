"""A simulated dataset that is small enough to run the whole workflow in a test."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import tokenizers
import torch
import transformers
import yaml

REPOSITORY = Path(__file__).parents[2]
SUBJECT = "SIM01"
SPLITS = {
    "train": ["nightbus", "archivist", "beekeeper"],
    "validation": ["firstsnow"],
    "test": ["gardenwall", "oldcamera"],
}
STORIES = [story for split in SPLITS.values() for story in split]
EXPERIMENTS = ["matched", "shuffled", "shifted", "noise", "first-block"]
REPEATED_STORY = "oldcamera"


def configuration(folder: Path) -> dict:
    """The config for stories and a language model that lie in `folder`."""
    return {
        "results": "results",
        "dataset": {
            "name": "tiny",
            "source": "simulated",
            "stories": f"{folder}/stories/stories.tsv",
            "simulation": {
                "texts": f"{folder}/stories",
                # Slow speech, so that few words last for many TRs.
                "words_per_minute": 90,
                "voxel_size_mm": 12,
                "n_lm_features": 2,
                "n_lm_only": 1,
                "n_story_driven": 1,
                "n_spontaneous": 1,
                "repeated_story": REPEATED_STORY,
                "n_repeats": 3,
            },
        },
        "subjects": [SUBJECT],
        "language_model": {"name": "tiny-llama", "path_or_hub_id": f"{folder}/tiny-llama", "blocks": [1, 2]},
        "features": {"block": 2},
        # This scaling gives shared and brain-dominant latents within three epochs.
        "normalization": {"brain": {"standardize": "zscore"}, "lm": {"standardize": "none"}},
        "crosscoder": {
            "n_latents": 12,
            "k": 3,
            "k_aux": 4,
            "epochs": 3,
            "batch_size": 32,
            "learning_rate": 0.005,
        },
        "experiments": {
            "first-block": {"features": {"block": 1}, "normalization": {"lm": {"standardize": "center"}}}
        },
        "scores": {"minimum_shift_s": 10},
        "ridge": {"n_folds": 3},
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
    """A folder in which the workflow runs, with folders of its own for the home and for temporary files."""

    folder: Path
    config: dict
    repository: Path = REPOSITORY
    """Where the workflow and the library lie."""

    @property
    def results(self) -> Path:
        return self.folder / self.config["results"] / self.config["dataset"]["name"]

    @property
    def derivative(self) -> Path:
        return self.results / "ds003020" / "derivative"

    def model(self, experiment: str = "matched") -> Path:
        """The folder of an experiment's trained model."""
        return self.results / SUBJECT / experiment / "seed0"

    def changed(self, **changes) -> "Workspace":
        """The same folder with another config; `crosscoder__k=4` changes one value, `None` removes it."""
        config = deepcopy(self.config)
        for path, value in changes.items():
            *sections, key = path.split("__")
            section = config
            for name in sections:
                section = section.setdefault(name, {})
            if value is None:
                del section[key]
            else:
                section[key] = value
        return replace(self, config=config)

    def copy(self, folder: Path) -> "Workspace":
        """The same state in another folder; its stories and its language model stay where they are."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True, symlinks=True)
        return replace(self, folder=folder)

    def with_own_repository(self, folder: Path) -> "Workspace":
        """The same folder run by a copy of the workflow and the library, which a test may edit."""
        for part in ("workflow", "brainlm", "envs", "config"):
            shutil.copytree(
                self.repository / part,
                folder / part,
                ignore=shutil.ignore_patterns("__pycache__"),
                # Not copy2: a fresh clone's files are new.
                copy_function=shutil.copyfile,
            )
        return replace(self, repository=folder)

    def config_file(self, folder: Path | None = None) -> Path:
        """The config, written into the folder: over that of the last run, which may have been another."""
        path = (folder or self.folder) / "config.yaml"
        path.write_text(yaml.safe_dump(self.config))
        return path

    def snakemake(self, *arguments: str | Path, scratch: Path | None = None) -> subprocess.CompletedProcess:
        """Run the workflow in the folder; `stdout` is what the terminal shows.

        Parameters
        ----------
        scratch: where the config, the home and temporary files lie, if not in the folder.
        """
        scratch = scratch or self.folder
        for name in ("home", "temporary"):
            (scratch / name).mkdir(exist_ok=True)
        return run_snakemake(
            *("--snakefile", self.repository / "workflow" / "Snakefile", "--directory", self.folder),
            *("--configfile", self.config_file(scratch), "--cores", "2", *arguments),
            environment={"HOME": f"{scratch}/home", "TMPDIR": f"{scratch}/temporary"},
        )

    def pending(self, *arguments: str) -> list[Job]:
        """What a run would do."""
        # Of a folder that several of pytest's processes read, none of them may change anything.
        with TemporaryDirectory() as scratch:
            dry_run = self.snakemake("--dry-run", *arguments, scratch=Path(scratch))
        assert dry_run.returncode == 0, dry_run.stdout[-3000:]
        return jobs(dry_run.stdout)


def run_snakemake(
    *arguments: str | Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess:
    # Variables of the person who tests must decide neither where caches go nor how Snakemake runs.
    personal = ("XDG_", "MPL", "HF_", "SNAKEMAKE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(personal)}
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *map(str, arguments)],
        cwd=REPOSITORY,
        env=inherited | {"OMP_NUM_THREADS": "1"} | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def jobs(dry_run: str) -> list[Job]:
    """The jobs that a dry run lists, without the rule `all`."""
    return [job for job in _jobs(dry_run) if job.rule != "all"]


def _jobs(dry_run: str) -> Iterator[Job]:
    for block in re.split(r"\n(?=(?:local)?rule )", dry_run):
        name = re.match(r"(?:local)?rule (\w+):", block)
        if name:
            wildcards = re.search(r"^ +wildcards: (.*)$", block, re.MULTILINE)
            pairs = wildcards[1].split(", ") if wildcards else []
            yield Job(name[1], dict(pair.split("=", 1) for pair in pairs))


def annotated_text(story: str) -> str:
    """The first two plain paragraphs of one of the demo's stories and the first one of each theme."""
    text = (REPOSITORY / "config" / "stories" / f"{story}.txt").read_text()
    wanted = {"place": 1, "negative": 1, "colloquial": 1, "": 2}
    kept = []
    for paragraph in text.split("\n\n"):
        theme = re.match(r"(?:<(\w+)>)?", paragraph)[1] or ""
        if wanted[theme]:
            wanted[theme] -= 1
            kept.append(paragraph.strip())
    return "\n\n".join(kept) + "\n"


def spoken_words(text: str) -> list[str]:
    """What is heard of a text: words in lower case, with their apostrophes and nothing else."""
    pieces = (re.sub("[^a-z']", "", piece.lower()).strip("'") for piece in text.split())
    return [piece for piece in pieces if piece]


def write_stories(folder: Path) -> None:
    folder.mkdir(parents=True)
    lines = [f"{story}\t{split}\n" for split, stories in SPLITS.items() for story in stories]
    (folder / "stories.tsv").write_text("story\tsplit\n" + "".join(lines))
    for story in STORIES:
        (folder / f"{story}.txt").write_text(annotated_text(story))


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    fast.save_pretrained(folder)
