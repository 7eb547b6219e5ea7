"""What a training run needs in memory, said before any of it is taken, and what a process took in the end."""

import resource
import sys
from pathlib import Path

import psutil
import torch

from brainlm.crosscoder.log import HELD_OUT_ROWS
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.errors import InputError

GIGABYTE = 1e9
# Python, PyTorch and what else does not grow with the data.
PROGRAM = int(0.35 * GIGABYTE)
# Matrices as large as a batch's code, and as large as the products of all latents with each other, at the same time.
CODES, PRODUCTS = 12, 8


def training_memory(
    n_rows: int, n_columns: int, settings: TrainingSettings, device: str = "cpu"
) -> dict[str, dict[str, int]]:
    """Bytes that training needs at its peak, by device and purpose.

    Weights count five times: themselves, their gradient, Adam's two moments, and one more for what initial weights
    are made of before the first step and the model after the last. A GPU's bfloat16 copy is half of one more.

    Parameters
    ----------
    n_rows: training and validation rows together.
    n_columns: of all sources together.
    """
    precision, latents = settings.row_dtype.itemsize, settings.n_latents
    weights = (1 if settings.tied else 2) * latents * n_columns * settings.parameter_dtype.itemsize
    rounded = weights // 2 if settings.precision == "bfloat16" else 0
    coded = min(max(settings.batch_size, HELD_OUT_ROWS), n_rows)
    rows = {"rows": 4 * n_rows * n_columns}
    training = {
        "one batch": settings.batch_size * n_columns * precision,
        "weights and their optimiser": 5 * weights + rounded,
        "codes": (CODES * coded + PRODUCTS * latents) * latents * settings.parameter_dtype.itemsize,
        "the program": PROGRAM,
    }
    in_training = {"rows in training": n_rows * n_columns * precision, **training}
    if torch.device(device).type != "cpu":
        # A checkpoint passes through the processor's memory: weights and moments.
        on_processor = {**rows, "a checkpoint": 3 * weights, "the program": PROGRAM}
        return {"the processor": on_processor, "the GPU": in_training}
    return {"the processor": {**rows, **(training if settings.precision == "float32" else in_training)}}


def available_memory(device: str = "cpu") -> dict[str, int]:
    """Bytes that are free now, by device: of the machine, or of what a cluster or container grants this process."""
    free = psutil.virtual_memory().available
    of_group = _free_in_group(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    available = {"the processor": free if of_group is None else min(free, of_group)}
    if torch.device(device).type == "cuda":
        available["the GPU"] = torch.cuda.mem_get_info(device)[0]
    return available


def peak_memory(device: str | torch.device = "cpu") -> dict[str, int]:
    """Bytes that this process has held at most so far, by device: files mapped into memory count as far as they
    were read, and of a GPU what PyTorch gave out, without its reserve and the driver's own."""
    # Linux counts in units of 1024 bytes, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"the processor": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if torch.device(device).type == "cuda":
        peak["the GPU"] = torch.cuda.max_memory_allocated(device)
    return peak


def _free_in_group(root: Path, membership: Path) -> int | None:
    """What the control groups (version 2) around this process still allow, in bytes; None if none sets a limit."""
    lines = membership.read_text().splitlines() if membership.is_file() else []
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    if not own:
        return None
    free = []
    for folder in (root / own[0], *(root / own[0]).parents):
        limit = folder / "memory.max"
        if limit.is_file() and (text := limit.read_text().strip()) != "max":
            used = int((folder / "memory.current").read_text())
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            # Files that were read count as used, but make room when it is needed.
            free.append(int(text) - used + int(counts.get("file", 0)))
        if folder == root:
            break
    return min(free, default=None)


def describe_memory(needed: dict[str, dict[str, int]], available: dict[str, int]) -> str:
    """One sentence a device: what is needed for what, and what is free."""
    sentences = []
    for device, parts in needed.items():
        listed = ", ".join(f"{purpose} {size / GIGABYTE:.2g}" for purpose, size in parts.items())
        sentences.append(
            f"training needs {sum(parts.values()) / GIGABYTE:.1f} GB of memory on {device} ({listed}); "
            f"{available[device] / GIGABYTE:.1f} GB is free"
        )
    return "; ".join(sentences)


def require_memory(needed: dict[str, dict[str, int]], available: dict[str, int]) -> None:
    """Check that a run fits before it takes any memory.

    Raises
    ------
    InputError: it does not.
    """
    for device, parts in needed.items():
        if sum(parts.values()) > available[device]:
            sentence = describe_memory({device: parts}, available)
            raise InputError(
                f"{sentence[0].upper()}{sentence[1:]}. Use fewer training stories, a smaller n_latents or "
                "batch_size, fewer jobs at a time, or a larger machine."
            )
