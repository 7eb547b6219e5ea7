"""Load the first blocks of a causal language model and its tokenizer, and refuse what would be read wrongly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer, GgufConfig
from transformers import PreTrainedConfig as Config
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.utils import logging as transformers_logging

from brainlm.errors import InputError, one_line
from brainlm.hub import obtain
from brainlm.lm.weights import KIND, Wanted, check_loaded, read_weights

# What a model needs besides weights, as patterns: its configuration, the index and the tokenizer.
SETTINGS_FILES = ("*.json", "*.jinja", "*.model", "*.txt")
ADAPTER_FILE = "adapter_config.json"
# What a config calls the way in which its weights are packed.
PACKED = ("quantization_config", "compression_config")


def load_first_blocks(
    found: Path | str, n_blocks: int, dtype: torch.dtype, revision: str | None = None
) -> tuple[Model, Tokenizer]:
    """Load a model without its output layer and without the blocks above number `n_blocks`, on the CPU.

    `found` is a model folder, a `.gguf` file or the name of a hub model; `revision` is a branch, tag or commit
    of a hub model, which is taken from the Hugging Face cache as far as it is there. Of a model that also sees or
    hears, the part that reads is loaded. Weights go from their files into `dtype` without a detour; those that are
    stored in it stay in the files, mapped into memory. A final norm that is not in the files that are needed is
    filled with NaN, so that nothing can depend on it unnoticed. No code of the model's own is run.
    Raises InputError if the model cannot be found, reached or read, is quantized or an adapter, lacks weights of a
    block that is needed, has fewer blocks, or has a tokenizer that does not tell where in the text its tokens are.
    """
    here = obtain(found, revision, SETTINGS_FILES, KIND)
    whole = _config(here)
    config = _first_blocks_config(here, whole, n_blocks)
    tokenizer = _load_tokenizer(here)
    with explained(here), torch.device("meta"):
        skeleton = AutoModel.from_config(config, dtype=dtype, trust_remote_code=False)
    if is_gguf(here):
        weights = _named(here) | {"quantization_config": GgufConfig(dequantize=True)}
    else:
        is_tied = any(getattr(part, "tie_word_embeddings", False) for part in (whole, config))
        wanted = Wanted(skeleton, is_part=config is not whole, is_tied=is_tied)
        weights = {
            "pretrained_model_name_or_path": None,
            "state_dict": read_weights(found, here, wanted),
        }
    with explained(here):
        model, report = type(skeleton).from_pretrained(
            **weights, config=config, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    check_loaded(model, report, here)
    return model.eval(), tokenizer


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


@contextmanager
def explained(here: Path | str) -> Iterator[None]:
    """Keep transformers quiet, and say which model is at fault if it fails."""
    try:
        with quiet_transformers():
            yield
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    # Of any kind: what a family's class does with a config that is none of its own, a package that is not
    # installed, and what the tokenizers' library raises is Exception itself.
    except Exception as error:
        reason = one_line(error)
        if "trust_remote_code" in str(error):
            reason = "it needs Python code of its own, which is not run; take a model that transformers itself knows."
    else:
        return
    raise InputError(f"The language model {here} cannot be loaded: {reason}")


def _config(here: Path) -> Config:
    """The configuration of a whole model whose weights are plain numbers."""
    if not here.is_dir() and not is_gguf(here):
        raise InputError(f"{here} is neither a model folder nor a .gguf file.")
    if here.is_dir():
        _refuse_adapter(here)
    if here.is_dir() and not (here / "config.json").exists():
        raise InputError(f"The model folder {here} has no config.json.")
    with explained(here):
        config = AutoConfig.from_pretrained(**_named(here), trust_remote_code=False)
    for part in (config, getattr(config, "text_config", None)):
        for key in PACKED:
            if not is_gguf(here) and (packed := getattr(part, key, None)):
                raise InputError(
                    f"{here} is quantized ({_method(packed)}), and packed weights are not read: take the model "
                    "in float32, float16 or bfloat16, or a .gguf file of it."
                )
    return config


def _method(packed: Any) -> str:
    settings = packed if isinstance(packed, dict) else vars(packed)
    return str(settings.get("quant_method", "its config.json does not say how"))


def _refuse_adapter(folder: Path) -> None:
    """An adapter (LoRA) changes the weights of another model; transformers applies it or not."""
    if not (folder / ADAPTER_FILE).exists():
        return
    try:
        base = json.loads((folder / ADAPTER_FILE).read_bytes())["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = "a model that it does not name"
    raise InputError(
        f"{folder} holds an adapter (LoRA, {ADAPTER_FILE}) for {base}, and adapters are not applied: merge it into "
        "that model (peft's merge_and_unload), save the whole and give its folder."
    )


def _first_blocks_config(here: Path, whole: Config, n_blocks: int) -> Config:
    """The configuration of a model that ends with block number `n_blocks`; of a larger model, its part that reads."""
    with explained(here):
        config = whole.get_text_config(decoder=True)
    available = getattr(config, "num_hidden_layers", None)
    if available is None or whole.is_encoder_decoder or not hasattr(config, "vocab_size"):
        raise InputError(f"{here} ({whole.model_type}) is not a causal language model.")
    if config is not whole and type(config) not in MODEL_MAPPING:
        raise InputError(
            f"{here} ({whole.model_type}) does more than read, and transformers does not offer its language model "
            "alone: take a model that only reads, such as the one that it was made from."
        )
    if not 1 <= n_blocks <= available:
        raise InputError(f"Block {n_blocks} is wanted, but {here} has blocks 1 to {available}.")
    config.num_hidden_layers = n_blocks
    # Models that mix kinds of attention list the kind of each block, and the lengths have to agree.
    if vars(config).get("layer_types") is not None:
        config.layer_types = config.layer_types[:n_blocks]
    return config


def _load_tokenizer(here: Path) -> Tokenizer:
    with explained(here):
        tokenizer = AutoTokenizer.from_pretrained(**_named(here), trust_remote_code=False)
    if not tokenizer.is_fast:
        raise InputError(
            f"The tokenizer of {here} does not tell where in the text its tokens are; "
            "use a model with a fast tokenizer (a tokenizer.json)."
        )
    return tokenizer


def _named(here: Path) -> dict[str, Any]:
    """A local model as transformers' from_pretrained wants it."""
    if is_gguf(here):
        return {"pretrained_model_name_or_path": str(here.parent), "gguf_file": here.name}
    return {"pretrained_model_name_or_path": str(here)}
