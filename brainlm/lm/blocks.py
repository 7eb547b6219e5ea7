"""What a model's blocks write while it reads, and whether they read as a person does, from the first word on."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel as Model

from brainlm.errors import InputError

TRIAL_TOKENS = 12
# Of the change at the word that differs. The texts of a trial are read side by side by the same instructions, so
# that the states of causal models (Llama, GPT-2, Mamba, mixtures of experts) are equal to the last bit, in float32
# and in bfloat16; those of random encoders, which mix little, change by 5e-4 or more.
SAME = 1e-5
# Where the same text read twice differs, as with sums in random order, a router may choose another expert.
MARGIN_OVER_NOISE = 100


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


@torch.inference_mode()
def block_outputs(model: Model, texts: Sequence[Sequence[int]], blocks: Sequence[int]) -> Tensor:
    """One pass over texts of the same length; what the blocks write, before the final norm.

    Parameters
    ----------
    texts: token numbers.
    blocks: 1-based numbers.

    Returns
    -------
    (block, text, position, hidden) float32, on the CPU.

    Raises
    ------
    InputError: a block that is not run, or that does not write one vector for each token.
    """
    kept: dict[int, Tensor] = {}

    def keep(block: int, module: torch.nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        # A copy, because later blocks may add to the same memory.
        kept[block] = hidden.to("cpu", torch.float32, copy=True)

    modules = model.get_submodule(block_list(model))
    # Hooks, because the last of the model's own hidden_states has already been through the final norm.
    handles = [modules[n - 1].register_forward_hook(partial(keep, n)) for n in blocks]
    ids = torch.tensor(texts, device=model.device)
    try:
        model(ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    for block in blocks:
        if block not in kept:
            raise InputError(f"Block {block} is not run on text alone: choose another block.")
        if kept[block].ndim != 3 or kept[block].shape[:2] != ids.shape:
            raise InputError(
                f"Block {block} of a {model.config.model_type} model does not write one vector for each token."
            )
    return torch.stack([kept[block] for block in blocks])


def require_causal(model: Model, blocks: Sequence[int], n_tokens: int, source: str) -> None:
    """Make sure that states at earlier words do not change with a later one; neither class nor config tells.

    Parameters
    ----------
    blocks: 1-based numbers.
    n_tokens: that tokenizer and model know.
    source: what messages call the model.

    Raises
    ------
    InputError: they change; or the last word does not change its own states; or the model cannot read.
    """
    length = min(TRIAL_TOKENS, getattr(model.config, "max_position_embeddings", None) or TRIAL_TOKENS)
    before = [n_tokens * (i + 1) // (length + 1) for i in range(length - 1)]
    text, other = ([*before, last] for last in (n_tokens // 3, 2 * n_tokens // 3))
    states = block_outputs(model, [text, other, text], blocks)
    changed = (states[:, 1] - states[:, 0]).norm(dim=-1)
    noise = (states[:, 2] - states[:, 0]).norm(dim=-1)
    at_last, earlier = changed[:, -1], changed[:, :-1]
    for block, scale, change, unsteady in zip(blocks, at_last, earlier, noise[:, :-1], strict=True):
        if scale == 0:
            raise InputError(
                f"Block {block} of {source} writes the same whatever the word: check the model's weights."
            )
        if (change > SAME * scale + MARGIN_OVER_NOISE * unsteady.max()).any():
            raise InputError(
                f"{source} is not a causal language model: in block {block}, its states at earlier words change "
                "with a later one; take a model that reads from left to right, as Llama and GPT-2 do."
            )
