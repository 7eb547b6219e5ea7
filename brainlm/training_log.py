"""What a training run tells of itself, one line an epoch; and the settings of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from brainlm.checkpoint import TrainingState
from brainlm.errors import InputError
from brainlm.objective import Step, written_out_loss
from brainlm.sources import Rows


@dataclass(frozen=True)
class TrainingSettings:
    """The paper's values are the defaults."""

    n_latents: int = 1024
    """Latents in the dictionary."""
    k: int = 64
    """Latents active in a row."""
    k_aux: int = 512
    """At most so many dead latents are drawn for a batch's auxiliary loss."""
    alpha: float = 1 / 32
    """Weight of the auxiliary loss."""
    epochs: int = 300
    """Passes over the training rows."""
    batch_size: int = 2048
    """Rows a step; the last batch of an epoch may be smaller."""
    learning_rate: float = 1e-4
    """Of Adam."""
    init_norm: float = 0.1
    """Norm of each source's part of a latent at the start."""
    relu: bool = False
    """ReLU after TopK."""


def total_variance(rows: Rows, block_rows: int = 1024) -> dict[str, float]:
    """Σ‖x - mean‖² over rows, source by source: the denominator of the fraction of variance explained."""
    mean = rows.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    totals = dict.fromkeys(rows.slices, 0.0)
    for start in range(0, len(rows.values), block_rows):
        squares = np.square(rows.values[start : start + block_rows] - mean)
        for source, columns in rows.slices.items():
            totals[source] += float(squares[:, columns].sum(dtype=np.float64))
    return totals


def held_out_errors(
    weights: Tensor, bias: Tensor, rows: Rows, settings: TrainingSettings
) -> dict[str, float]:
    """Source -> Σ‖x̂_s - x_s‖² over the rows, a few at a time: errors are as wide as the data."""
    errors = dict.fromkeys(rows.slices, 0.0)
    nobody = torch.empty(0, dtype=torch.long)
    for batch in torch.from_numpy(rows.values).split(256):
        loss = written_out_loss(
            weights, bias, batch, rows.slices, k=settings.k, alpha=0.0, dead=nobody, relu=settings.relu
        )
        for source, error in loss.squared_error.items():
            errors[source] += error.item()
    return errors


def add_up(sums: dict[str, float], step: Step, n_rows: int) -> None:
    """Add a step on `n_rows` rows to the sums of its epoch, in place."""
    parts = {
        "loss": step.loss.total.item() * n_rows,
        "auxiliary": step.loss.auxiliary.item(),
        "negative": step.negative_share.item() * n_rows,
        **{f"error.{source}": error.item() for source, error in step.loss.squared_error.items()},
    }
    for name, value in parts.items():
        sums[name] = sums.get(name, 0.0) + value


def require_finite(state: TrainingState) -> None:
    """Check that the epoch's loss is a number.

    Raises
    ------
    InputError: it is not.
    """
    if np.isfinite(state.sums["loss"]):
        return
    before = f" (it was {state.log[-1]['loss']:.4g} before)" if state.log else ""
    raise InputError(
        f"The loss is no longer finite in epoch {state.epoch}{before}; "
        "lower crosscoder.learning_rate or look at the data's scaling."
    )


def log_line(
    state: TrainingState,
    training: Rows,
    validation: Rows,
    variance: Mapping[str, Mapping[str, float]],
    settings: TrainingSettings,
) -> dict[str, float]:
    """The log's line for the epoch whose rows have all been seen.

    Parameters
    ----------
    variance: split -> source -> `total_variance`.

    Returns
    -------
    Column -> value, as `train` describes them.
    """
    weights, bias = state.tensors["weights"], state.tensors["bias"]
    errors = {
        "training": {source: state.sums[f"error.{source}"] for source in training.slices},
        "validation": held_out_errors(weights, bias, validation, settings),
    }
    n_rows = {"training": len(training.values), "validation": len(validation.values)}
    row = {
        "epoch": state.epoch,
        "loss": state.sums["loss"] / n_rows["training"],
        "auxiliary": state.sums["auxiliary"] / n_rows["training"],
        "dead_latents": int((~state.tensors["fired_now"]).sum()),
        "negative_share": state.sums["negative"] / n_rows["training"],
    }
    for split, error_of in errors.items():
        row[f"{split}_squared_error"] = sum(error_of.values()) / n_rows[split]
        for source, error in error_of.items():
            row[f"{split}_explained_{source}"] = 1 - error / variance[split][source]
    return row
