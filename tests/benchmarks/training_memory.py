"""What training takes in memory, from the stories' stores to the saved model, against what the log says before.

Writes generated stores, one a story and source, then lets a process of its own assemble the rows, train with
checkpoints and save the model, and prints that process's peak.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from brainlm.crosscoder.memory import training_memory
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import Checkpointing, train
from brainlm.machine import GIGABYTE
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import assemble
from brainlm.rows.sources import Source
from brainlm.store import add_array, new_store

WIDTHS = {"brain": 95_556, "lm": 4096}
STORY_ROWS = 340
SPLITS = {"train": 0.88, "validation": 0.12}


def stories_of(n_stories: int) -> dict[str, list[str]]:
    """Split -> stories."""
    names = [f"story{number:03}" for number in range(n_stories)]
    edge = round(SPLITS["train"] * n_stories)
    return {"train": names[:edge], "validation": names[edge:]}


def sources(folder: Path, n_stories: int) -> dict[str, Source]:
    """The stores in a folder."""
    names = [name for split in stories_of(n_stories).values() for name in split]
    return {
        source: Source("values", {name: folder / source / f"{name}.zarr" for name in names})
        for source in WIDTHS
    }


def write_stores(folder: Path, n_stories: int, widths: dict[str, int]) -> None:
    """Generated rows."""
    random = np.random.default_rng(0)
    for source, width in zip(sources(folder, n_stories).values(), widths.values(), strict=True):
        for path in tqdm(source.stores.values(), unit="store", desc="writing"):
            path.parent.mkdir(exist_ok=True)
            with new_store(path, {"source": "generated"}) as store:
                values = random.standard_normal((STORY_ROWS, width), dtype=np.float32)
                add_array(store, "values", values, ("time", "column"))


def measure(folder: Path, n_stories: int, widths: dict[str, int], settings: TrainingSettings) -> None:
    """Train from the stores; print what was needed and this process's peak."""
    normalization = {
        source: Normalization(
            np.ones(width, bool),
            np.zeros(width, np.float32),
            np.full(width, np.sqrt(width), np.float32),
            1.0,
            "none",
        )
        for source, width in widths.items()
    }
    rows = {
        split: assemble(sources(folder, n_stories), normalization, stories, brain_time="matched", seed=0)
        for split, stories in stories_of(n_stories).items()
    }
    checkpointing = Checkpointing(folder / "checkpoint", every_s=5.0)
    model, _ = train(
        rows["train"], rows["validation"], normalization, settings, seed=0, checkpointing=checkpointing
    )
    model.save(folder / "model.safetensors")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    n_rows = n_stories * STORY_ROWS
    needed = training_memory(n_rows, sum(widths.values()), settings)["the processor"]
    parts = ", ".join(f"{purpose} {size / GIGABYTE:.2f}" for purpose, size in needed.items())
    print(
        f"{n_rows:,} rows x {sum(widths.values()):,} columns, n {settings.n_latents:,}, B {settings.batch_size:,}: "
        f"peak {peak / GIGABYTE:.3f} GB; said before: {sum(needed.values()) / GIGABYTE:.3f} GB ({parts})"
    )


def main() -> None:
    """Write stores and measure in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=0.25, help="of the paper's columns; 1 for all")
    parser.add_argument("--stories", type=int, default=66, help="of 340 TRs; the paper has 66 in training")
    parser.add_argument("--stores", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    widths = {source: round(arguments.share * width) for source, width in WIDTHS.items()}
    if arguments.stores:
        measure(arguments.stores, arguments.stories, widths, TrainingSettings(epochs=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_stores(Path(folder), arguments.stories, widths)
        # As the workflow sets it for its jobs.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        subprocess.run([sys.executable, *sys.argv, "--stores", folder], check=True, env=environment)


if __name__ == "__main__":
    main()
