"""Train a crosscoder with Adam on Gram steps (paper, section 4.1)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from brainlm.crosscoder import Crosscoder
from brainlm.errors import InputError
from brainlm.normalization import Normalization
from brainlm.objective import gram_step, written_out_loss
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


def initial_weights(
    slices: Mapping[str, slice], n_latents: int, init_norm: float, generator: torch.Generator
) -> Tensor:
    """Gaussian directions; each source's part of each latent has norm `init_norm`.

    Equal parts mean that r starts at 0 for every latent: an undertrained model looks shared.

    Returns
    -------
    (column, latent) float32.
    """
    parts = [
        torch.randn(columns.stop - columns.start, n_latents, generator=generator)
        for columns in slices.values()
    ]
    return torch.cat([init_norm * part / part.norm(dim=0) for part in parts])


def choose_dead(fired: Tensor | None, k_aux: int, generator: torch.Generator) -> Tensor:
    """At most k_aux latents, at random from those in no row's top k in the previous epoch (appendix B).

    Parameters
    ----------
    fired: (latent,) bool of the previous epoch; None in the first.

    Returns
    -------
    (dead,) int64, possibly empty.
    """
    if fired is None:
        return torch.empty(0, dtype=torch.long)
    dead = (~fired).nonzero().flatten()
    return dead[torch.randperm(dead.numel(), generator=generator)[:k_aux]]


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
    """Source -> Σ‖x̂_s - x_s‖² over the rows, batch by batch."""
    errors = dict.fromkeys(rows.slices, 0.0)
    nobody = torch.empty(0, dtype=torch.long)
    for batch in torch.from_numpy(rows.values).split(settings.batch_size):
        loss = written_out_loss(
            weights, bias, batch, rows.slices, k=settings.k, alpha=0.0, dead=nobody, relu=settings.relu
        )
        for source, error in loss.squared_error.items():
            errors[source] += error.item()
    return errors


def train(
    training: Rows,
    validation: Rows,
    normalization: Mapping[str, Normalization],
    settings: TrainingSettings,
    *,
    seed: int,
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[Crosscoder, pd.DataFrame]:
    """Train one crosscoder; the same seed gives the same bytes on the same machine.

    Parameters
    ----------
    training, validation: normalized rows of the two splits.
    normalization: stored with the weights.
    seed: of the initial weights, the order of rows and the draw of dead latents.
    on_epoch: called with each line of the log, for progress bars.

    Returns
    -------
    The model after the last epoch, and the log: one line an epoch with the training loss (mean over the
    epoch's batches as they were trained), squared error and fraction of variance explained by source for
    training and validation, dead latents, and the share of kept values that are negative.

    Raises
    ------
    InputError: k or batch size that do not fit, or a loss that is no longer finite.
    """
    if settings.k > settings.n_latents:
        raise InputError(f"k ({settings.k}) is larger than n_latents ({settings.n_latents}).")
    if settings.k < 1 or settings.batch_size < 1:
        raise InputError(f"k ({settings.k}) and batch_size ({settings.batch_size}) must be at least 1.")
    # One stream for each use, so that drawing more of one thing leaves the others as they were.
    init_seed, order_seed, dead_seed = np.random.SeedSequence(seed).generate_state(3)
    init_random, order_random, dead_random = (
        torch.Generator().manual_seed(int(s)) for s in (init_seed, order_seed, dead_seed)
    )
    slices = training.slices
    weights = initial_weights(slices, settings.n_latents, settings.init_norm, init_random)
    bias = torch.zeros(settings.n_latents)
    adam = torch.optim.Adam([weights, bias], lr=settings.learning_rate, fused=True)
    x = torch.from_numpy(training.values)
    variance = {"training": total_variance(training), "validation": total_variance(validation)}
    n_rows = {"training": len(training.values), "validation": len(validation.values)}

    fired: Tensor | None = None
    log = []
    for epoch in range(1, settings.epochs + 1):
        fired_now = torch.zeros(settings.n_latents, dtype=torch.bool)
        sums = dict.fromkeys(["loss", "aux", "negative", *slices], 0.0)
        for batch in torch.randperm(len(x), generator=order_random).split(settings.batch_size):
            dead = choose_dead(fired, settings.k_aux, dead_random)
            step = gram_step(
                weights,
                bias,
                x[batch],
                slices,
                k=settings.k,
                alpha=settings.alpha,
                dead=dead,
                relu=settings.relu,
            )
            weights.grad, bias.grad = step.weight_gradient, step.bias_gradient
            adam.step()
            fired_now |= step.active.any(dim=0)
            sums["loss"] += step.loss.total.item() * len(batch)
            sums["aux"] += step.loss.auxiliary.item()
            sums["negative"] += step.negative_share.item() * len(batch)
            for source, error in step.loss.squared_error.items():
                sums[source] += error.item()
        fired = fired_now
        if not np.isfinite(sums["loss"]):
            raise InputError(
                f"The loss is no longer finite in epoch {epoch} (it was {log[-1]['loss']:.4g} before); "
                "lower crosscoder.learning_rate or look at the data's scaling."
                if log
                else "The loss is not finite in the first epoch; "
                "lower crosscoder.learning_rate or look at the data's scaling."
            )
        errors = {
            "training": {source: sums[source] for source in slices},
            "validation": held_out_errors(weights, bias, validation, settings),
        }
        row = {
            "epoch": epoch,
            "loss": sums["loss"] / n_rows["training"],
            "auxiliary": sums["aux"] / n_rows["training"],
            "dead_latents": int((~fired).sum()),
            "negative_share": sums["negative"] / n_rows["training"],
        }
        for split, error_of in errors.items():
            row[f"{split}_squared_error"] = sum(error_of.values()) / n_rows[split]
            for source, error in error_of.items():
                row[f"{split}_explained_{source}"] = 1 - error / variance[split][source]
        log.append(row)
        on_epoch(row)

    model = Crosscoder(
        weights={source: weights[columns].clone() for source, columns in slices.items()},
        bias=bias,
        k=settings.k,
        normalization=dict(normalization),
        relu=settings.relu,
        alive=fired.numpy(),
        provenance={"settings": asdict(settings), "seed": seed, **(provenance or {})},
    )
    return model, pd.DataFrame(log)
