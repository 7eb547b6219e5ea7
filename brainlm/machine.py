"""What the machine has: where PyTorch computes, and memory."""

import resource
import sys

import psutil
import torch

from brainlm.control_groups import free_memory
from brainlm.errors import InputError

GIGABYTE = 1e9


def choose_device(device: str) -> torch.device:
    """The device of a name: "cpu", "cuda", "cuda:1", "mps", or "auto", a GPU if there is one.

    Raises
    ------
    InputError: a GPU that PyTorch does not find.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        found = f"{torch.cuda.device_count()} GPUs" if torch.cuda.device_count() else "no GPU"
        raise InputError(f"The device {device} was asked for, but PyTorch finds {found}; use cpu or auto.")
    return chosen


def available_memory(device: str = "cpu") -> dict[str, int]:
    """Bytes that are free now, by device: of the machine, or of what a cluster or container grants this process."""
    free = psutil.virtual_memory().available
    of_group = free_memory()
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
