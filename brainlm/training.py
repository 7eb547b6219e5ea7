"""Train a crosscoder with Adam on Gram steps (paper, section 4.1)."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from brainlm import __version__
from brainlm.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from brainlm.crosscoder import Crosscoder
from brainlm.errors import InputError
from brainlm.normalization import Normalization
from brainlm.objective import Step, gram_step, written_out_loss
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


def choose_dead(fired: Tensor, k_aux: int, generator: torch.Generator) -> Tensor:
    """At most k_aux latents, at random from those in no row's top k in the previous epoch (appendix B).

    Parameters
    ----------
    fired: (latent,) bool of the previous epoch; all true in the first.

    Returns
    -------
    (dead,) int64, possibly empty.
    """
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


class Interrupted(Exception):
    """Training was asked to stop, and has saved where it was."""


@dataclass(frozen=True)
class Checkpointing:
    """Where and how often a run saves its state, and when it must stop."""

    path: Path
    every_s: float = 300.0
    """Time between two saves, s."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked after every step; once true, the state is saved and `Interrupted` raised."""
    report: Callable[[str], None] = lambda sentence: None
    """Told when a run is taken up, or why a checkpoint is not used."""


def fingerprint(training: Rows, settings: TrainingSettings, seed: int) -> str:
    """A digest of all that a run's result depends on: settings, seed, and the training rows by their sums."""
    described = {
        "settings": asdict(settings),
        "seed": seed,
        "columns": {source: [columns.start, columns.stop] for source, columns in training.slices.items()},
    }
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode())
    digest.update(training.values.sum(axis=0, dtype=np.float64).tobytes())
    digest.update(training.values.sum(axis=1, dtype=np.float64).tobytes())
    return digest.hexdigest()


def initial_state(training: Rows, settings: TrainingSettings, seed: int) -> TrainingState:
    """The state before the first step."""
    # One stream for each use, so that drawing more of one thing leaves the others as they were.
    seeds = dict(zip(("init", "order", "dead"), np.random.SeedSequence(seed).generate_state(3), strict=True))
    random = {name: torch.Generator().manual_seed(int(value)) for name, value in seeds.items()}
    weights = initial_weights(training.slices, settings.n_latents, settings.init_norm, random["init"])
    bias = torch.zeros(settings.n_latents)
    never = torch.zeros(settings.n_latents, dtype=torch.bool)
    tensors = {
        "weights": weights,
        "bias": bias,
        **{
            f"{parameter}.{moment}": torch.zeros_like(value)
            for parameter, value in (("weights", weights), ("bias", bias))
            for moment in ("exp_avg", "exp_avg_sq")
        },
        # Nobody counts as dead in the first epoch.
        "fired_before": ~never,
        "fired_now": never,
        "order": torch.randperm(len(training.values), generator=random["order"]),
        "random.order": random["order"].get_state(),
        "random.dead": random["dead"].get_state(),
    }
    return TrainingState(tensors, epoch=1, position=0, adam_steps=0, sums={}, log=[])


def train(
    training: Rows,
    validation: Rows,
    normalization: Mapping[str, Normalization],
    settings: TrainingSettings,
    *,
    seed: int,
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    checkpointing: Checkpointing | None = None,
) -> tuple[Crosscoder, pd.DataFrame]:
    """Train one crosscoder; the same seed gives the same bytes on the same machine, interrupted or not.

    Parameters
    ----------
    training, validation: normalized rows of the two splits.
    normalization: stored with the weights.
    seed: of the initial weights, the order of rows and the draw of dead latents.
    on_epoch: called with each line of the log, for progress bars.
    checkpointing: where to save and take up an unfinished run; the checkpoint is removed at the end.

    Returns
    -------
    The model after the last epoch, and the log: one line an epoch with the training loss (mean over the
    epoch's batches as they were trained), squared error and fraction of variance explained by source for
    training and validation, dead latents, and the share of kept values that are negative.

    Raises
    ------
    InputError: k or batch size that do not fit, or a loss that is no longer finite.
    Interrupted: `checkpointing` said so.
    """
    if settings.k > settings.n_latents:
        raise InputError(f"k ({settings.k}) is larger than n_latents ({settings.n_latents}).")
    if settings.k < 1 or settings.batch_size < 1:
        raise InputError(f"k ({settings.k}) and batch_size ({settings.batch_size}) must be at least 1.")
    run = fingerprint(training, settings, seed) if checkpointing else ""
    state = _take_up(checkpointing, run) or initial_state(training, settings, seed)
    weights, bias = state.tensors["weights"], state.tensors["bias"]
    adam = _adam(state, settings.learning_rate)
    random = {name: _generator(state.tensors[f"random.{name}"]) for name in ("order", "dead")}
    x = torch.from_numpy(training.values)
    variance = {"training": total_variance(training), "validation": total_variance(validation)}
    saved_at = time.monotonic()

    while state.epoch <= settings.epochs:
        while state.position < len(x):
            batch = state.tensors["order"][state.position : state.position + settings.batch_size]
            dead = choose_dead(state.tensors["fired_before"], settings.k_aux, random["dead"])
            step = gram_step(
                weights,
                bias,
                x[batch],
                training.slices,
                k=settings.k,
                alpha=settings.alpha,
                dead=dead,
                relu=settings.relu,
            )
            weights.grad, bias.grad = step.weight_gradient, step.bias_gradient
            adam.step()
            state.adam_steps += 1
            state.position += len(batch)
            state.tensors["fired_now"] |= step.active.any(dim=0)
            _add_up(state.sums, step, len(batch))
            if checkpointing:
                stop = checkpointing.should_stop()
                if stop or time.monotonic() - saved_at > checkpointing.every_s:
                    _require_finite(state)
                    state.tensors |= {f"random.{name}": g.get_state() for name, g in random.items()}
                    save_checkpoint(state, run, checkpointing.path)
                    saved_at = time.monotonic()
                if stop:
                    raise Interrupted(f"stopped in epoch {state.epoch} of {settings.epochs}")
        _require_finite(state)
        row = _log_line(state, training, validation, variance, settings)
        state.log.append(row)
        on_epoch(row)
        state.tensors["fired_before"] = state.tensors["fired_now"]
        state.tensors["fired_now"] = torch.zeros_like(state.tensors["fired_before"])
        state.tensors["order"] = torch.randperm(len(x), generator=random["order"])
        state.epoch, state.position, state.sums = state.epoch + 1, 0, {}

    log = pd.DataFrame(state.log)
    model = Crosscoder(
        weights={source: weights[columns].clone() for source, columns in training.slices.items()},
        bias=bias,
        k=settings.k,
        normalization=dict(normalization),
        relu=settings.relu,
        alive=state.tensors["fired_before"].numpy(),
        provenance={
            "settings": asdict(settings),
            "seed": seed,
            "best_validation_epoch": int(log.loc[log["validation_squared_error"].idxmin(), "epoch"]),
            "software": {"brainlm": __version__, "torch": torch.__version__},
            **(provenance or {}),
        },
    )
    return model, log


def _take_up(checkpointing: Checkpointing | None, run: str) -> TrainingState | None:
    if checkpointing is None or not checkpointing.path.exists():
        return None
    try:
        state = load_checkpoint(checkpointing.path, run)
    except InputError as error:
        checkpointing.report(f"{error} Training starts over.")
        return None
    checkpointing.report(
        f"taking up {checkpointing.path} in epoch {state.epoch}, after {state.adam_steps} steps"
    )
    return state


def _adam(state: TrainingState, learning_rate: float) -> torch.optim.Adam:
    """Adam whose moments are the state's own tensors."""
    parameters = {name: state.tensors[name] for name in ("weights", "bias")}
    adam = torch.optim.Adam(parameters.values(), lr=learning_rate, fused=True)
    for name, parameter in parameters.items():
        adam.state[parameter] = {
            "step": torch.tensor(float(state.adam_steps)),
            "exp_avg": state.tensors[f"{name}.exp_avg"],
            "exp_avg_sq": state.tensors[f"{name}.exp_avg_sq"],
        }
    return adam


def _generator(state: Tensor) -> torch.Generator:
    generator = torch.Generator()
    generator.set_state(state)
    return generator


def _add_up(sums: dict[str, float], step: Step, n_rows: int) -> None:
    parts = {
        "loss": step.loss.total.item() * n_rows,
        "auxiliary": step.loss.auxiliary.item(),
        "negative": step.negative_share.item() * n_rows,
        **{f"error.{source}": error.item() for source, error in step.loss.squared_error.items()},
    }
    for name, value in parts.items():
        sums[name] = sums.get(name, 0.0) + value


def _require_finite(state: TrainingState) -> None:
    if np.isfinite(state.sums["loss"]):
        return
    before = f" (it was {state.log[-1]['loss']:.4g} before)" if state.log else ""
    raise InputError(
        f"The loss is no longer finite in epoch {state.epoch}{before}; "
        "lower crosscoder.learning_rate or look at the data's scaling."
    )


def _log_line(
    state: TrainingState,
    training: Rows,
    validation: Rows,
    variance: Mapping[str, Mapping[str, float]],
    settings: TrainingSettings,
) -> dict[str, float]:
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
