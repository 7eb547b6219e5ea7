"""A training run that can stop anywhere and go on as if it had not."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from brainlm.errors import InputError
from brainlm.files import whole_file

FORMAT = "brainlm checkpoint 2"


@dataclass
class TrainingState:
    """Everything that the next step of a training run depends on; changed in place by every step."""

    tensors: dict[str, Tensor]
    """decoder and, if it is not tied, encoder (latent, column), bias (latent,), Adam's moments of them, fired_before
    and fired_now (latent,) bool, order (row,) of this epoch's rows, the states of the random generators, and sums,
    what this epoch's line of the log is made of."""
    epoch: int
    """From 1; the epoch under way."""
    position: int
    """Rows of `order` that this epoch has seen."""
    adam_steps: int
    """Steps taken so far."""
    log: list[dict[str, float]]
    """Lines of the epochs before."""


def save_checkpoint(state: TrainingState, fingerprint: str, path: Path) -> None:
    """Write a state in one piece or not at all, also when the machine goes down.

    Parameters
    ----------
    fingerprint: of the settings and data of the run; only a run with the same one will take the state up.
    """
    tensors = {name: tensor.cpu() for name, tensor in state.tensors.items()}
    header = {
        "fingerprint": fingerprint,
        "checksum": _checksum(tensors),
        "epoch": state.epoch,
        "position": state.position,
        "adam_steps": state.adam_steps,
        "log": state.log,
    }
    with whole_file(path) as partial:
        # Written from where the tensors lie: a copy in memory would be as large as weights and moments together.
        save_file(tensors, partial, {"checkpoint": json.dumps({"format": FORMAT, **header})})


def load_checkpoint(path: Path, fingerprint: str, device: str = "cpu") -> TrainingState:
    """Read a state that the same run has saved.

    Raises
    ------
    InputError: the file is truncated, damaged, no checkpoint, or of a run with other settings or data; its
        sentence says which.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("checkpoint", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is truncated or no checkpoint ({error}).") from None
    if header.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of this version of brainlm.")
    if header["fingerprint"] != fingerprint:
        raise InputError(f"{path} belongs to a run with other settings or data.")
    if header["checksum"] != _checksum(tensors):
        raise InputError(f"{path} is damaged: its content does not fit its checksum.")
    # Copies: what safetensors returns is the file itself, which lies in memory as it lies on the disk, and the last
    # bits of a product may depend on where its factors lie.
    places = {name: "cpu" if name.startswith("random.") else device for name in tensors}
    return TrainingState(
        tensors={name: tensor.to(places[name], copy=True) for name, tensor in tensors.items()},
        epoch=header["epoch"],
        position=header["position"],
        adam_steps=header["adam_steps"],
        log=header["log"],
    )


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    checksum = 0
    for name in sorted(tensors):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(tensors[name].view(torch.uint8).numpy().data, checksum)
    return checksum
