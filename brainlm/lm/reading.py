"""Read a story with a causal language model and keep what its blocks write, token by token."""

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from brainlm.errors import InputError
from brainlm.hub import locate
from brainlm.lm.blocks import block_outputs, require_causal
from brainlm.lm.files import explained, is_gguf, load_first_blocks, quiet_transformers
from brainlm.lm.weights import KIND
from brainlm.machine import choose_device

PACKAGE_PREFIX = "package:"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class LanguageModel:
    """The first blocks of a causal language model, ready to read stories.

    `model` holds max(`blocks`) transformer blocks and no output layer; `blocks` are the 1-based numbers of
    the blocks whose output is wanted; `source` is where the model came from, for messages.
    """

    model: Model
    tokenizer: Tokenizer
    blocks: tuple[int, ...]
    device: torch.device
    source: str


@dataclass(frozen=True)
class StoryActivations:
    """What a model's blocks wrote while it read one story.

    hidden: (block, token, hidden) float32, the output of each wanted block, before the model's final norm.
    blocks: the 1-based block numbers, in the order of the first axis.
    tokens: (token,) the text of each token, with its leading space where the tokenizer decodes one.
    word_index: (token,) int32, the index of the word that each token belongs to.
    """

    hidden: np.ndarray
    blocks: tuple[int, ...]
    tokens: tuple[str, ...]
    word_index: np.ndarray


def resolve(source: str | Path) -> Path | str:
    """Find a model: a path to a local folder or `.gguf` file, or the name of a model on the hub.

    `source` is a local folder, a `.gguf` file, a hub name ("organisation/model"), or
    "package:<python package>/<file>" for a file or folder inside an installed Python package.
    Raises InputError for a package that is not installed or a path that does not exist. A name with at
    most one slash may be a hub name, so whether it exists is known only once it is loaded.
    """
    name = str(source)
    if name.startswith(PACKAGE_PREFIX):
        return _resolve_in_package(name)
    return locate(source, KIND)


def convert_language_model(source: str | Path, destination: str | Path, n_blocks: int) -> Path:
    """Write the first `n_blocks` blocks of a GGUF model as a folder for `load_language_model`; return the folder.

    The weights are unpacked to float32: a GGUF weight is a scale times a small integer, plus an offset,
    which float16 and bfloat16 would round. The folder appears only when it is complete.
    Raises InputError if `source` is not a readable GGUF file, if the model has fewer blocks, or if
    `destination` already holds files.
    """
    found = resolve(source)
    if not is_gguf(found):
        raise InputError(f"Only a .gguf file can be converted, and {source} is not one.")
    destination = Path(destination)
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise InputError(f"{destination} already exists: delete it, or convert to another folder.")
    model, tokenizer = load_first_blocks(found, n_blocks, torch.float32)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with (
        quiet_transformers(),
        tempfile.TemporaryDirectory(dir=destination.parent, prefix=f".{destination.name}.") as scratch,
    ):
        # A folder inside the scratch folder, because tempfile makes the latter unreadable for other users.
        unfinished = Path(scratch) / destination.name
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
        unfinished.rename(destination)
    return destination


def load_language_model(
    source: str | Path,
    blocks: Sequence[int],
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
) -> LanguageModel:
    """Load a causal language model up to the last of the wanted blocks (1-based numbers).

    `source` is anything that `resolve` takes; `revision` is a branch, tag or commit of a hub model.
    `dtype` is "float32", "bfloat16", "float16" or "auto" (float32 on a CPU, bfloat16 on a GPU); `device` is
    "auto" (a GPU if there is one) or a name that PyTorch knows ("cpu", "cuda", "cuda:1").
    Raises InputError if the model cannot be found, reached or read, is quantized or an adapter, lacks
    weights of a block that is needed, has fewer blocks than wanted, has a tokenizer that does not tell where
    in the text its tokens are, or is not causal: its states at earlier words change with a later one.
    """
    if len(blocks) == 0 or len(set(blocks)) < len(blocks) or min(blocks) < 1:
        raise InputError(f"Blocks must be different numbers, counted from 1, not {list(blocks)}.")
    torch_device = choose_device(device)
    torch_dtype = _choose_dtype(dtype, torch_device)
    model, tokenizer = load_first_blocks(resolve(source), max(blocks), torch_dtype, revision)
    model = model.to(torch_device)
    with explained(str(source)):
        require_causal(model, blocks, min(len(tokenizer), model.config.vocab_size), str(source))
    return LanguageModel(model, tokenizer, tuple(blocks), torch_device, str(source))


def read_story(
    language_model: LanguageModel,
    words: Sequence[str],
    *,
    window_tokens: int | None = None,
    stride_tokens: int | None = None,
) -> StoryActivations:
    """Let the model read a story's words, joined by single spaces, and keep its blocks' outputs.

    Without a context window, every token sees the whole story before it. With one, the model reads windows
    of `window_tokens` tokens that move on by `stride_tokens`, and a token's state comes from the first
    window that contains it, so that after the first window every token sees at least
    `window_tokens - stride_tokens` tokens before it. If the model has a beginning-of-text token, every
    window begins with it; it is not counted as one of the window's tokens and is not in the result.
    Raises InputError if there are no words, if a word gets no token of its own, if the model does not know a
    token, if the window does not fit the model, or if a hidden state is not finite.
    """
    tokenizer = language_model.tokenizer
    token_ids, word_index = _tokenize(tokenizer, words)
    if window_tokens is None and stride_tokens is None:
        window_tokens = stride_tokens = len(token_ids)
    elif window_tokens is None or stride_tokens is None or not 1 <= stride_tokens <= window_tokens:
        raise InputError(
            "A context window needs a length and a stride in tokens, with 1 <= stride <= window; "
            f"got window {window_tokens} and stride {stride_tokens}."
        )
    # The tokenizer's own habit of adding this token differs between models and transformers versions.
    prefix = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    _check_vocabulary(language_model, prefix + token_ids)
    _check_context(language_model, min(window_tokens, len(token_ids)) + len(prefix))

    pieces = []
    n_read = 0
    for start in range(0, len(token_ids), stride_tokens):
        window = token_ids[start : start + window_tokens]
        outputs = block_outputs(language_model.model, [prefix + window], language_model.blocks)
        pieces.append(outputs[:, 0, len(prefix) + n_read - start :].numpy())
        n_read = start + len(window)
        if n_read == len(token_ids):
            break
    hidden = np.concatenate(pieces, axis=1)
    _check_finite(language_model, hidden)
    tokens = tuple(tokenizer.decode([token_id]) for token_id in token_ids)
    return StoryActivations(hidden, language_model.blocks, tokens, word_index)


def _resolve_in_package(source: str) -> Path:
    package, _, inside = source.removeprefix(PACKAGE_PREFIX).partition("/")
    # find_spec of a top-level name does not import it; a package that only carries a model may not import.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"The Python package {package!r} of the language model {source} is not installed.")
    path = Path(spec.submodule_search_locations[0]) / inside
    if not inside or not path.exists():
        raise InputError(f"The Python package {package!r} is installed but holds no file {inside!r}.")
    return path


def _choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    if dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise InputError(f"The number type must be auto, {', '.join(DTYPES)}, not {dtype!r}.")
    return DTYPES[dtype]


def _tokenize(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Tokenize the words as one text; returns the token numbers and (token,) int32 word indices."""
    if len(words) == 0:
        raise InputError("The story has no words.")
    for i, word in enumerate(words):
        if not word or word != word.strip():
            raise InputError(f"Word {i + 1} of the story, {word!r}, is empty or has spaces around it.")
    text = " ".join(words)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    # The space before a word counts as the word's, as it does in most vocabularies.
    lengths = [len(word) + (i > 0) for i, word in enumerate(words)]
    word_of_character = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
    last_characters = [_last_character(text, *span) for span in encoding["offset_mapping"]]
    word_index = word_of_character[last_characters]
    owners = set(word_index.tolist())
    for i, word in enumerate(words):
        if i not in owners:
            raise InputError(f"Word {i + 1} of the story, {word!r}, gets no token of its own.")
    return encoding["input_ids"], word_index


def _last_character(text: str, start: int, stop: int) -> int:
    """Index of the last character of a token's span that is not a space, or of its start if all are."""
    return start + max(len(text[start:stop].rstrip()) - 1, 0)


def _check_vocabulary(language_model: LanguageModel, token_ids: Sequence[int]) -> None:
    known = language_model.model.config.vocab_size
    if max(token_ids) >= known:
        raise InputError(
            f"The tokenizer of {language_model.source} gives token {max(token_ids)}, but its model knows numbers "
            f"below {known}: they do not belong together."
        )


def _check_context(language_model: LanguageModel, n_positions: int) -> None:
    longest = getattr(language_model.model.config, "max_position_embeddings", None)
    if longest is not None and n_positions > longest:
        raise InputError(
            f"{language_model.source} reads at most {longest} tokens at once and would have to read "
            f"{n_positions}: set a context window (window_tokens and stride_tokens) that fits."
        )


def _check_finite(language_model: LanguageModel, hidden: np.ndarray) -> None:
    for block, values in zip(language_model.blocks, hidden, strict=True):
        if not np.isfinite(values).all():
            raise InputError(
                f"Block {block} of {language_model.source} gives values that are not finite in "
                f"{language_model.model.dtype}: try bfloat16 or float32, or check the model's weights."
            )
