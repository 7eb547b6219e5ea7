"""Load the first blocks of a causal language model, from no more files than hold them.

A large model's weights are split over several files, and `model.safetensors.index.json` tells which array is in
which. Only the files that hold the embedding and the wanted blocks are opened, and downloaded; in a file that also
holds other blocks, only the wanted arrays are read. The output layer is not needed, nor is the final norm, because a
block's output is taken before it. Of Llama 3.1 8B up to block 16 this is two files of four, 10 GB of 16.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModel, AutoTokenizer, GgufConfig
from transformers import PreTrainedConfig as Config
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.utils import logging as transformers_logging

from brainlm.errors import InputError

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
# What some models have in place of safetensors files, as a pattern.
PYTORCH_FILES = "*.bin"
# What a model needs besides weights, as patterns: its configuration, the index and the tokenizer.
SETTINGS_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
# What the families of models call the norm after the last block.
FINAL_NORMS = ("norm", "norm_f", "ln_f", "final_norm", "final_layernorm", "final_layer_norm")


def load_first_blocks(
    found: Path | str, n_blocks: int, dtype: torch.dtype, revision: str | None = None
) -> tuple[Model, Tokenizer]:
    """Load a model without its output layer and without the blocks above number `n_blocks`, on the CPU.

    `found` is a model folder, a `.gguf` file or the name of a hub model; `revision` is a branch, tag or commit
    of a hub model, which is taken from the Hugging Face cache as far as it is there. Weights go from their
    files into `dtype` without a detour; those that are stored in it stay in the files, mapped into memory.
    A final norm that is not in the files that are needed is filled with NaN, so that nothing can depend on
    it unnoticed.
    Raises InputError if the model cannot be found, reached or read, lacks weights of a block that is needed,
    has fewer blocks, or has a tokenizer that does not tell where in the text its tokens are.
    """
    here = _obtain(found, revision, SETTINGS_FILES)
    config = _first_blocks_config(here, n_blocks)
    tokenizer = _load_tokenizer(here)
    with _explained(here), torch.device("meta"):
        skeleton = AutoModel.from_config(config, dtype=dtype)
    if is_gguf(here):
        weights = _named(here) | {"quantization_config": GgufConfig(dequantize=True)}
    elif files := _weight_files(found, here, skeleton):
        weights = {
            "pretrained_model_name_or_path": None,
            "state_dict": _open_weights(files, skeleton),
        }
    else:
        weights = _named(here)
    with _explained(here):
        model, report = type(skeleton).from_pretrained(
            **weights, config=config, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    _refuse_missing_weights(model, report, here)
    return model.eval(), tokenizer


def block_list(model: Model) -> str:
    """Name of the list of transformer blocks inside a model, whatever the model's family calls it.

    Raises InputError if there is none.
    """
    n_blocks = model.config.num_hidden_layers
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_blocks
    ]
    if not lists:
        raise InputError(f"Cannot find the transformer blocks in a {model.config.model_type} model.")
    # Lists inside a block, of experts for example, lie deeper.
    return min(lists, key=lambda name: name.count("."))


def is_gguf(found: Path | str) -> bool:
    """Whether a model is a `.gguf` file."""
    return isinstance(found, Path) and found.is_file() and found.suffix == ".gguf"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the expected notes about weights of blocks that are left out, and the progress bars."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _obtain(found: Path | str, revision: str | None, patterns: Sequence[str]) -> Path:
    """A local model as it is; of a hub model, its folder in the cache, after downloading what fits `patterns`.

    Where the hub cannot be reached, the folder is what the cache has, and may lack files.
    """
    if isinstance(found, Path):
        return found
    try:
        return Path(
            huggingface_hub.snapshot_download(
                found, revision=revision, allow_patterns=list(patterns), ignore_patterns=["*/*"]
            )
        )
    except LocalEntryNotFoundError as error:
        config = huggingface_hub.try_to_load_from_cache(found, "config.json", revision=revision)
        # A file that the hub lists and the cache lacks need not be one that is needed.
        if isinstance(config, str):
            return Path(config).parent
        reason = _why_out_of_reach(found, revision, error)
    except Exception as error:  # of the hub's library, or of the HTTP library that it happens to use
        reason = _why_out_of_reach(found, revision, error)
    raise InputError(reason)


def _obtain_weights(found: Path | str, folder: Path, files: Sequence[str]) -> None:
    """Make sure that a model's folder holds `files`; those of a hub model are downloaded into it."""
    absent = [file for file in files if not (folder / file).exists()]
    if not absent:
        return
    if isinstance(found, Path):
        raise InputError(
            f"The model folder {folder} lacks {absent[0]}, which holds weights that are needed: add it."
        )
    try:
        for file in absent:
            # The folder is named by its commit; a branch may have moved on meanwhile.
            huggingface_hub.hf_hub_download(found, file, revision=folder.name)
        return
    except Exception as error:  # as above
        reason = _why_out_of_reach(found, folder.name, error, absent)
    raise InputError(reason)


def _why_out_of_reach(name: str, revision: str | None, error: Exception, files: Sequence[str] = ()) -> str:
    """Why a hub model, or some of its files, could not be had, and what to do."""
    # To the library, a file that the hub refuses is one that the cache lacks.
    if isinstance(error.__cause__, HfHubHTTPError):
        error = error.__cause__
    page = f"https://huggingface.co/{name}"
    log_in = "log in (`hf auth login`, or set HF_TOKEN)"
    what = f"{files[0]} of the language model {name}" if files else f"The language model {name!r}"
    if isinstance(error, GatedRepoError):
        return f"The language model {name} is gated: accept its licence on {page} and {log_in}."
    if isinstance(error, RepositoryNotFoundError):
        return f"{what} is no folder here and not on the Hugging Face hub: see {page}; if it is private, {log_in}."
    if isinstance(error, RevisionNotFoundError):
        return f"{what} has no revision {revision!r}: see {page}/commits."
    if isinstance(error, LocalEntryNotFoundError):
        fetched = " ".join(files) or '--exclude "*/*"'
        return (
            f"{what} is neither in the Hugging Face cache ({huggingface_hub.constants.HF_HUB_CACHE}) nor can the "
            f"hub be reached: run `hf download {name} {fetched} --revision {revision or 'main'}` where there is a "
            "network and let HF_HOME name the cache that it fills, or give a local folder."
        )
    return f"{what} could not be downloaded from the Hugging Face hub: {_one_line(error)}"


def _first_blocks_config(here: Path, n_blocks: int) -> Config:
    """The configuration of a model that ends with block number `n_blocks`."""
    if not here.is_dir() and not is_gguf(here):
        raise InputError(f"{here} is neither a model folder nor a .gguf file.")
    if here.is_dir() and not (here / "config.json").exists():
        raise InputError(f"The model folder {here} has no config.json.")
    with _explained(here):
        config = AutoConfig.from_pretrained(**_named(here))
    available = getattr(config, "num_hidden_layers", None)
    if available is None or config.is_encoder_decoder:
        raise InputError(f"{here} ({config.model_type}) is not a causal language model.")
    if not 1 <= n_blocks <= available:
        raise InputError(f"Block {n_blocks} is wanted, but {here} has blocks 1 to {available}.")
    config.num_hidden_layers = n_blocks
    # Models that mix kinds of attention list the kind of each block, and the lengths have to agree.
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = config.layer_types[:n_blocks]
    return config


def _load_tokenizer(here: Path) -> Tokenizer:
    with _explained(here):
        tokenizer = AutoTokenizer.from_pretrained(**_named(here))
    if not tokenizer.is_fast:
        raise InputError(
            f"The tokenizer of {here} does not tell where in the text its tokens are; "
            "use a model with a fast tokenizer (a tokenizer.json)."
        )
    return tokenizer


def _weight_files(found: Path | str, folder: Path, skeleton: Model) -> list[Path]:
    """The safetensors files that hold what `skeleton` needs, all there; none if the model has no such files."""
    if not (folder / SINGLE_FILE).exists() and (folder / INDEX_FILE).exists():
        files = _needed_files(_file_of_each_array(folder / INDEX_FILE), skeleton)
        _obtain_weights(found, folder, files)
        return [folder / file for file in files]
    if (_obtain(found, folder.name, [SINGLE_FILE]) / SINGLE_FILE).exists():
        return [folder / SINGLE_FILE]
    if not any(_obtain(found, folder.name, [PYTORCH_FILES]).glob(PYTORCH_FILES)):
        raise InputError(f"The model folder {folder} has no weights ({SINGLE_FILE} or {PYTORCH_FILES}).")
    return []


def _file_of_each_array(index: Path) -> dict[str, str]:
    try:
        return dict(json.loads(index.read_bytes())["weight_map"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{index} does not tell which file holds which array ({_one_line(error)})."
        ) from None


def _needed_files(file_of: Mapping[str, str], skeleton: Model) -> list[str]:
    """The files that hold arrays of the blocks of `skeleton`, or what comes before them; names, sorted.

    A family may store a block's arrays in pieces or under other names than they have in memory. So what counts
    inside the blocks is their number, and if names outside do not agree, everything there is needed.
    """
    blocks, n_blocks = block_list(skeleton), skeleton.config.num_hidden_layers
    prefix = f"{skeleton.base_model_prefix}."
    number_of = {array: _block_number(array, blocks) for array in file_of}
    inside = {array for array, number in number_of.items() if number is not None and number <= n_blocks}
    outside = {array for array, number in number_of.items() if number is None}
    needed = {name for name in skeleton.state_dict() if _block_number(name, blocks) is None}
    needed -= _final_norm(skeleton)
    known = {array for array in outside if array.removeprefix(prefix) in needed}
    if {array.removeprefix(prefix) for array in known} == needed:
        outside = known
    return sorted({file_of[array] for array in inside | outside})


def _block_number(array: str, blocks: str) -> int | None:
    """The block that an array belongs to, counted from 1; `blocks` is the list's name in the base model."""
    found = re.search(rf"(?:^|\.){re.escape(blocks)}\.(\d+)\.", array)
    return int(found[1]) + 1 if found else None


def _final_norm(model: Model) -> set[str]:
    """Names of the weights of the norm after the last block; none if the norm's name is not a known one."""
    beside = block_list(model).rpartition(".")[0]
    norms = tuple(f"{beside}.{norm}.".removeprefix(".") for norm in FINAL_NORMS)
    return {name for name in model.state_dict() if name.startswith(norms)}


def _open_weights(files: Sequence[Path], skeleton: Model) -> dict[str, torch.Tensor]:
    """The arrays of some files by name, without those of higher blocks; mapped into memory, not read yet."""
    blocks, n_blocks = block_list(skeleton), skeleton.config.num_hidden_layers
    arrays = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as stored:
                wanted = [
                    array for array in stored.offset_keys() if (_block_number(array, blocks) or 0) <= n_blocks
                ]
                arrays |= {array: stored.get_tensor(array) for array in wanted}
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"The weights {file} cannot be loaded: delete the file and get it again ({_one_line(error)})."
            ) from None
    return arrays


def _refuse_missing_weights(model: Model, report: Mapping[str, Any], here: Path) -> None:
    """Transformers fills what it does not find with random numbers, which would give plausible nonsense."""
    unread = _final_norm(model) & report["missing_keys"]
    absent = sorted(report["missing_keys"] - unread) + sorted(str(key) for key in report["mismatched_keys"])
    if absent:
        raise InputError(
            f"The weights of {here} are incomplete: {len(absent)} arrays are missing or of another shape, "
            f"the first is {absent[0]}."
        )
    for name in unread:
        torch.nn.init.constant_(model.get_parameter(name), torch.nan)


def _named(here: Path) -> dict[str, str]:
    """A local model as transformers' from_pretrained wants it."""
    if is_gguf(here):
        return {"pretrained_model_name_or_path": str(here.parent), "gguf_file": here.name}
    return {"pretrained_model_name_or_path": str(here)}


@contextmanager
def _explained(here: Path) -> Iterator[None]:
    """Keep transformers quiet, and say which model is at fault if it fails."""
    try:
        with quiet_transformers():
            yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise InputError(f"The language model {here} cannot be loaded: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
