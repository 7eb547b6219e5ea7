"""How much memory, time and disk jobs ask for, from the sizes of the data: what is wanted to be known beforehand.

The numbers are meant to suffice, not to be tight: a scheduler kills what exceeds them, and a retry asks for more.
They come from runs at the paper's size, see docs/performance.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stories import SPLITS

GIGABYTE = 1e9
PROGRAM_GB = 1.0
"""Python with the libraries that a stage loads."""
UNKNOWN_MODEL_GB = 34.0
"""Of a language model whose size nothing tells: 8 thousand million weights of 4 bytes, and room."""
BYTES_OF_WEIGHT = 4
"""On a processor; a GPU's half precision passes through less."""
SIMULATED_STORY_GB = 0.05
FEWEST_ROWS = 100
"""Of a story: bounds the number of voxels where only the size of a file is known."""
MORE_ON_RETRY = 0.5
"""Share of the first try's memory that each retry asks for in addition."""


@dataclass(frozen=True)
class RunSizes:
    """The sizes of what one subject's, or one group's, jobs read, as float32 in GB."""

    splits: Mapping[str, float]
    """Split -> responses and features of its stories together."""
    largest_story: float
    n_columns: int
    """Of all sources together, at most."""


def run_sizes(
    stories: Mapping[str, Sequence[str]], members: Sequence[str], files: Mapping[tuple[str, str], int]
) -> RunSizes:
    """The sizes of what a subject's or a group's jobs read.

    Parameters
    ----------
    stories: split -> its stories.
    members: the subject alone, or the group's subjects.
    files: (subject, story) -> bytes of the HDF5 file, which are float64.
    """
    # The language model's columns come on top of the voxels, some 4 % of them at the paper's size.
    of_story = {
        story: 1.1 * sum(files.get((member, story), 0) for member in members) / 2 / GIGABYTE
        or len(members) * SIMULATED_STORY_GB
        for split in SPLITS
        for story in stories[split]
    }
    return RunSizes(
        splits={split: sum(of_story[story] for story in stories[split]) for split in SPLITS},
        # Among the training stories: the file of a repeated story, a test story, holds its hearings one by one.
        largest_story=1.5 * max(of_story[story] for story in stories["train"]),
        n_columns=int(min(of_story.values()) * GIGABYTE / 4 / FEWEST_ROWS),
    )


def language_model_gb(source: str) -> float:
    """Memory for a language model: from its files, or from a name with its number of weights ("-8B-", "-135M-")."""
    path = Path(source).expanduser()
    if path.is_dir():
        weights = [file for kind in ("*.safetensors", "*.bin") for file in path.glob(kind)]
        return PROGRAM_GB + 2 * sum(file.stat().st_size for file in weights) / GIGABYTE
    named = re.findall(r"(\d+(?:\.\d+)?)([BM])(?![A-Za-z])", source, re.IGNORECASE)
    if not named:
        return UNKNOWN_MODEL_GB
    number, unit = named[-1]
    n_weights = float(number) * (1e9 if unit.upper() == "B" else 1e6)
    return PROGRAM_GB + 1.1 * BYTES_OF_WEIGHT * n_weights / GIGABYTE


def training_gb(sizes: RunSizes, crosscoder: Mapping[str, Any]) -> float:
    """Memory of a training job on a processor: both splits' rows, a batch, and five times the weights."""
    weights = crosscoder["n_latents"] * sizes.n_columns * 4 / GIGABYTE
    batch = crosscoder["batch_size"] * sizes.n_columns * 4 / GIGABYTE
    codes = 12 * crosscoder["batch_size"] * crosscoder["n_latents"] * 4 / GIGABYTE
    return PROGRAM_GB + sizes.splits["train"] + sizes.splits["validation"] + batch + 5 * weights + codes


def scoring_gb(sizes: RunSizes, crosscoder: Mapping[str, Any]) -> float:
    """Memory of a job that encodes one split after the other, and compares a story at a time in float64."""
    weights = crosscoder["n_latents"] * sizes.n_columns * 4 / GIGABYTE
    return PROGRAM_GB + max(sizes.splits.values()) + 12 * sizes.largest_story + 2 * weights


def evidence_gb(sizes: RunSizes, crosscoder: Mapping[str, Any]) -> float:
    """Memory of a job that keeps of held-out rows their projections on the latents, in some forms."""
    n_latents, row = crosscoder["n_latents"], sizes.n_columns * 4 / GIGABYTE
    n_rows = (sizes.splits["test"] + sizes.splits["validation"]) / row
    projections = n_latents * 8 * 15 * n_rows / GIGABYTE
    return PROGRAM_GB + 6 * sizes.largest_story + 2 * n_latents * row + projections


def browser_gb(sizes: RunSizes, crosscoder: Mapping[str, Any], n_partners: int) -> float:
    """Memory of a job that shows decoder maps beside what evidence is made of: each model's weights once more."""
    weights = crosscoder["n_latents"] * sizes.n_columns * 4 / GIGABYTE
    return evidence_gb(sizes, crosscoder) + (2 + n_partners) * weights


def ridge_gb(sizes: RunSizes) -> float:
    """Memory of the baseline: products of all rows with each other, and the test responses twice."""
    return PROGRAM_GB + 3 + 2 * sizes.splits["test"]


def training_minutes(sizes: RunSizes, crosscoder: Mapping[str, Any], gpu: bool) -> int:
    """Time of a training job: 2 cores pass through a GB of rows with 1,024 latents in 4 s, a GPU in far less."""
    pass_s = (0.1 if gpu else 6.0) * sizes.splits["train"] * max(crosscoder["n_latents"] / 1024, 0.25)
    return 20 + round(crosscoder["epochs"] * pass_s / 60)


def stored_bytes(hdf5_bytes: int) -> int:
    """What a store of responses takes on the disk, from the bytes of its HDF5 files, which are float64; compression,
    which gains a tenth, is left out."""
    return hdf5_bytes // 2


def model_bytes(sizes: RunSizes, crosscoder: Mapping[str, Any]) -> int:
    """What a trained model takes on the disk, at most: its decoder and, if that is not tied to it, its encoder."""
    return (1 if crosscoder["tied"] else 2) * crosscoder["n_latents"] * sizes.n_columns * 4


def with_attempt(gigabytes: float, attempt: int) -> int:
    """Megabytes that a job's attempt (1 for the first) asks for."""
    return round(1000 * gigabytes * (1 + MORE_ON_RETRY * (attempt - 1)))
