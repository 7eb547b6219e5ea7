"""Where PyTorch computes."""

import torch

from brainlm.errors import InputError


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
