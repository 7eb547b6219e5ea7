"""The file of a crosscoder: a safetensors file whose metadata hold what is no array."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from brainlm.errors import InputError
from brainlm.files import whole_file

FORMAT = "brainlm crosscoder 2"


def write_model_file(path: Path, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write arrays and a header of JSON, in one piece or not at all; equal ones give equal bytes.

    Parent folders are made.
    """
    # safetensors writes several keys in an order that changes from call to call; one key keeps the bytes.
    metadata = {"crosscoder": json.dumps({"format": FORMAT, **header}, sort_keys=True)}
    # As bytes, because safetensors' own file is readable by its owner alone.
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_bytes(save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def read_model_file(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `write_model_file` wrote: the header, and the arrays by their names.

    Raises
    ------
    InputError: no such file, or not a crosscoder written by this library.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist, or is no file.")
    try:
        with safe_open(path, framework="pt") as file:
            header = _header(file.metadata() or {})
            if header.get("format") != FORMAT:
                raise InputError(f"{path} is a safetensors file, but not a crosscoder written by brainlm.")
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} cannot be read as a crosscoder; was it copied whole? ({error})") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}).") from None


def _header(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata["crosscoder"])
    except (KeyError, json.JSONDecodeError):
        return {}
    return header if isinstance(header, dict) else {}
