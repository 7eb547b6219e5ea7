"""What a training run needs in memory, said before any of it is taken."""

import torch

from brainlm.crosscoder.log import HELD_OUT_ROWS
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.errors import InputError
from brainlm.machine import GIGABYTE

# Python, PyTorch and what else does not grow with the data.
PROGRAM = int(0.35 * GIGABYTE)
# Matrices as large as a batch's code, and as large as the products of all latents with each other, at the same time.
CODES, PRODUCTS = 12, 8


def training_memory(
    n_rows: int, n_columns: int, settings: TrainingSettings, device: str = "cpu"
) -> dict[str, dict[str, int]]:
    """Bytes that training needs at its peak, by device and purpose.

    Weights count five times: themselves, their gradient, Adam's two moments, and one more for what initial weights
    are made of before the first step and the model after the last. A GPU's bfloat16 copy is half of one more.

    Parameters
    ----------
    n_rows: training and validation rows together.
    n_columns: of all sources together.
    """
    precision, latents = settings.row_dtype.itemsize, settings.n_latents
    weights = (1 if settings.tied else 2) * latents * n_columns * settings.parameter_dtype.itemsize
    rounded = weights // 2 if settings.precision == "bfloat16" else 0
    coded = min(max(settings.batch_size, HELD_OUT_ROWS), n_rows)
    rows = {"rows": 4 * n_rows * n_columns}
    training = {
        "one batch": settings.batch_size * n_columns * precision,
        "weights and their optimiser": 5 * weights + rounded,
        "codes": (CODES * coded + PRODUCTS * latents) * latents * settings.parameter_dtype.itemsize,
        "the program": PROGRAM,
    }
    in_training = {"rows in training": n_rows * n_columns * precision, **training}
    if torch.device(device).type != "cpu":
        # A checkpoint passes through the processor's memory: weights and moments.
        on_processor = {**rows, "a checkpoint": 3 * weights, "the program": PROGRAM}
        return {"the processor": on_processor, "the GPU": in_training}
    return {"the processor": {**rows, **(training if settings.precision == "float32" else in_training)}}


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
