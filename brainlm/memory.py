"""What a training run needs in memory, said before any of it is taken."""

import os
from pathlib import Path

import psutil
import torch

from brainlm.errors import InputError
from brainlm.training_settings import TrainingSettings

GIGABYTE = 1e9
# Python, PyTorch and all that is as large as a batch's code.
REST = int(0.5 * GIGABYTE)


def training_memory(
    n_rows: int, n_columns: int, settings: TrainingSettings, device: str = "cpu"
) -> dict[str, dict[str, int]]:
    """Bytes that training needs at its peak, by device and purpose.

    Weights count five times: themselves, their gradient, Adam's two moments, and the model that is handed back or,
    before the first step, what the initial weights are made of.

    Parameters
    ----------
    n_rows: training and validation rows together.
    n_columns: of all sources together.
    """
    n_matrices = 1 if settings.tied else 2
    rows = {"rows": 4 * n_rows * n_columns}
    training = {
        "one batch": settings.batch_size * n_columns * settings.row_dtype.itemsize,
        "weights and their optimiser": 5
        * n_matrices
        * settings.n_latents
        * n_columns
        * settings.parameter_dtype.itemsize,
        "the rest": REST,
    }
    on_device = {"rows in training": n_rows * n_columns * settings.row_dtype.itemsize, **training}
    if torch.device(device).type != "cpu":
        return {"the processor": {**rows, "the rest": REST}, "the GPU": on_device}
    return {
        "the processor": {**rows, **training} if settings.precision == "float32" else {**rows, **on_device}
    }


def available_memory(device: str = "cpu") -> dict[str, int]:
    """Bytes that are free now, by device: of the machine, or of what a cluster or container grants this process."""
    free = psutil.virtual_memory().available
    limit = _cgroup_limit(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    if limit is not None:
        free = min(free, limit - psutil.Process(os.getpid()).memory_info().rss)
    available = {"the processor": free}
    if torch.device(device).type == "cuda":
        available["the GPU"] = torch.cuda.mem_get_info(device)[0]
    return available


def _cgroup_limit(root: Path, membership: Path) -> int | None:
    """The least memory limit of this process's control group and those around it, version 2; None without one."""
    lines = membership.read_text().splitlines() if membership.is_file() else []
    own = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    if not own:
        return None
    group = root / own[0]
    limits = []
    for folder in (group, *group.parents):
        file = folder / "memory.max"
        if file.is_file() and (text := file.read_text().strip()) != "max":
            limits.append(int(text))
        if folder == root:
            break
    return min(limits, default=None)


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
