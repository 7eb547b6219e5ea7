"""Read the weights that a model needs from no more files than hold them, and refuse those that are no plain numbers.

A large model's weights are split over several files, and `model.safetensors.index.json` tells which array is in
which. Only the files that hold the embedding and the wanted blocks are opened, and downloaded; in a file that also
holds other blocks, only the wanted arrays are read. The output layer is not needed, nor is the final norm, because a
block's output is taken before it. Of Llama 3.1 8B up to block 16 this is two files of four, 10 GB of 16.
"""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel as Model

from brainlm.errors import InputError, one_line
from brainlm.hub import obtain, obtain_files
from brainlm.lm.blocks import block_list

KIND = "language model"
"""What sentences about it call the model."""
SAFETENSORS_FILE = "model.safetensors"
PYTORCH_FILE = "pytorch_model.bin"
# What the families of models call the norm after the last block.
FINAL_NORMS = ("norm", "norm_f", "ln_f", "final_norm", "final_layernorm", "final_layer_norm")
# What encoders have after it, and models that were made from them lack.
POOLER = "pooler."
# What they call the output layer, which is the embedding where the two are tied.
OUTPUT_LAYERS = ("lm_head.weight", "embed_out.weight")
# Arrays that old files keep and that a model computes itself; the bias is the mask of attention, with four axes.
COMPUTED = re.compile(r"(^|\.)(inv_freq|position_ids|masked_bias|causal_mask)$")
MASK = re.compile(r"(^|\.)(attn|attention)\.bias$")
PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Wanted:
    """What is to be filled with weights, and how its files name them."""

    skeleton: Model
    """Without weights, with the wanted blocks alone."""
    is_part: bool
    """The files hold a larger model, which also sees or hears, and name its arrays after their place there."""
    is_tied: bool
    """Embedding and output layer are the same matrix, which the files may hold under either name."""


def read_weights(found: Path | str, folder: Path, wanted: Wanted) -> dict[str, Tensor]:
    """The arrays of a model by name, without those of higher blocks; mapped into memory, not read yet.

    Parameters
    ----------
    found: a model folder or the name of a hub model, of which the needed files are downloaded.
    folder: where its files are, or will be.

    Raises
    ------
    InputError: there are no weights, a file is missing or damaged, or weights are packed (quantized).
    """
    blocks, n_blocks = block_list(wanted.skeleton), wanted.skeleton.config.num_hidden_layers
    stored: dict[str, Tensor] = {}
    for file in _weight_files(found, folder, wanted):
        stored |= _open(file)
    names = _own_names(stored, wanted)
    arrays = {
        own: stored[name]
        for name, own in names.items()
        if (block_number(own, blocks) or 0) <= n_blocks and not _is_computed(own, stored[name])
    }
    _refuse_packed(arrays, wanted.skeleton, folder)
    return arrays


def check_loaded(model: Model, report: Mapping[str, Any], here: Path) -> None:
    """Make sure that all weights came from the files, and that all of the wanted blocks' arrays were used.

    Transformers fills what it does not find with random numbers, and drops what it does not know: both would give
    plausible nonsense. What comes after the last block and is not there is filled with NaN.
    """
    blocks, n_blocks = block_list(model), model.config.num_hidden_layers
    unused = sorted(
        name for name in report["unexpected_keys"] if 1 <= (block_number(name, blocks) or 0) <= n_blocks
    )
    if unused:
        raise InputError(
            f"{here} has {len(unused)} arrays in the wanted blocks that a {model.config.model_type} model does not "
            f"use, the first is {unused[0]}: it is quantized, or has an adapter or changes of its own; take the "
            "plain model in float32, float16 or bfloat16."
        )
    unread = _after_blocks(model) & report["missing_keys"]
    absent = sorted(report["missing_keys"] - unread) + sorted(name for name, *_ in report["mismatched_keys"])
    if absent:
        raise InputError(
            f"The weights of {here} are incomplete: {len(absent)} arrays are missing or of another shape, "
            f"the first is {absent[0]}."
        )
    for name in unread:
        torch.nn.init.constant_(model.get_parameter(name), torch.nan)


def block_number(array: str, blocks: str) -> int | None:
    """The block that an array belongs to, counted from 1; `blocks` is the list's name in the base model."""
    found = re.search(rf"(?:^|\.){re.escape(blocks)}\.(\d+)\.", array)
    return int(found[1]) + 1 if found else None


def _weight_files(found: Path | str, folder: Path, wanted: Wanted) -> list[Path]:
    """The files that hold what is wanted, all there."""
    for single in (SAFETENSORS_FILE, PYTORCH_FILE):
        index = folder / f"{single}.index.json"
        if not (folder / single).exists() and index.exists():
            files = _needed_files(_file_of_each_array(index), wanted)
            obtain_files(found, folder, files, KIND)
            return [folder / file for file in files]
        if (obtain(found, folder.name, [single], KIND) / single).exists():
            return [folder / single]
    raise InputError(f"The model folder {folder} has no weights ({SAFETENSORS_FILE} or {PYTORCH_FILE}).")


def _file_of_each_array(index: Path) -> dict[str, str]:
    try:
        return dict(json.loads(index.read_bytes())["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index} does not tell which file holds which array ({one_line(error)}).") from None


def _needed_files(file_of: Mapping[str, str], wanted: Wanted) -> list[str]:
    """The files that hold arrays of the wanted blocks, or what comes before them; names, sorted.

    A family may store a block's arrays in pieces or under other names than they have in memory. So what counts
    inside the blocks is their number, and if names outside do not agree, everything there is needed.
    """
    skeleton = wanted.skeleton
    blocks, n_blocks = block_list(skeleton), skeleton.config.num_hidden_layers
    file_of = {own: file_of[name] for name, own in _own_names(file_of, wanted).items()}
    number_of = {array: block_number(array, blocks) for array in file_of}
    inside = {array for array, number in number_of.items() if number is not None and number <= n_blocks}
    outside = {array for array, number in number_of.items() if number is None}
    needed = {name for name in skeleton.state_dict() if block_number(name, blocks) is None}
    needed -= _after_blocks(skeleton)
    known = {array for array in outside if _bare(array, skeleton) in needed}
    if {_bare(array, skeleton) for array in known} == needed:
        outside = known
    return sorted({file_of[array] for array in inside | outside})


def _own_names(stored: Iterable[str], wanted: Wanted) -> dict[str, str]:
    """Name in the files -> name that transformers knows in the wanted model; arrays of other parts are left out."""
    stored, skeleton = list(stored), wanted.skeleton
    names = {name: name for name in stored}
    if wanted.is_part:
        place = _place(stored, skeleton)
        names = {name: name.removeprefix(place) for name in stored if name.startswith(place)}
    outputs = [name for name in stored if name.endswith(OUTPUT_LAYERS)]
    if wanted.is_tied and outputs:
        embedding = skeleton.get_input_embeddings()
        own = next(f"{name}.weight" for name, part in skeleton.named_modules() if part is embedding)
        if own not in {_bare(name, skeleton) for name in names.values()}:
            names[outputs[0]] = own
    return names


def _place(stored: Sequence[str], skeleton: Model) -> str:
    """What the files put before the names of a model that is part of a larger one.

    A part that sees may have blocks of the same name; those of the text have more arrays in common with the model.
    """
    own, blocks = set(skeleton.state_dict()), block_list(skeleton)
    found = [re.match(rf"(.*?){re.escape(blocks)}\.\d+\.", name) for name in stored]
    places = sorted({match[1] for match in found if match})
    return max(places, key=lambda place: sum(f"{place}{name}" in stored for name in own), default="")


def _bare(array: str, skeleton: Model) -> str:
    """An array's name in the base model."""
    return array.removeprefix(f"{skeleton.base_model_prefix}.")


def _after_blocks(model: Model) -> set[str]:
    """Names of the weights of the norm after the last block and of a pooler, where their names are known ones."""
    beside = block_list(model).rpartition(".")[0]
    later = (*(f"{beside}.{norm}.".removeprefix(".") for norm in FINAL_NORMS), POOLER)
    return {name for name in model.state_dict() if name.startswith(later)}


def _open(file: Path) -> dict[str, Tensor]:
    """All arrays of a file, mapped into memory."""
    try:
        if file.suffix == ".bin":
            return torch.load(file, map_location="cpu", mmap=zipfile.is_zipfile(file), weights_only=True)
        with safe_open(file, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.offset_keys()}
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of either library; a file of Python objects may fail in any way
        raise InputError(
            f"The weights {file} cannot be loaded: delete the file and get it again ({one_line(error)})."
        ) from None


def _is_computed(name: str, array: Tensor) -> bool:
    return COMPUTED.search(name) is not None or (MASK.search(name) is not None and array.ndim == 4)


def _refuse_packed(arrays: Mapping[str, Tensor], skeleton: Model, here: Path) -> None:
    """Whole numbers and 8-bit numbers are weights only together with scales, which would not be applied."""
    blocks, own = block_list(skeleton), skeleton.state_dict()
    for name, array in arrays.items():
        is_needed = block_number(name, blocks) is not None or _bare(name, skeleton) in own
        if is_needed and array.dtype not in PLAIN:
            raise InputError(
                f"{here} is quantized ({name} is stored as {str(array.dtype).removeprefix('torch.')}), and packed "
                "weights are not read: take the model in float32, float16 or bfloat16, or a .gguf file of it."
            )
