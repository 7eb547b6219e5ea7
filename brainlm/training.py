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
from brainlm.objective import gram_step
from brainlm.sources import Rows
from brainlm.training_log import TrainingSettings, add_up, log_line, require_finite, total_variance


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
            add_up(state.sums, step, len(batch))
            if checkpointing:
                stop = checkpointing.should_stop()
                if stop or time.monotonic() - saved_at > checkpointing.every_s:
                    require_finite(state)
                    state.tensors |= {f"random.{name}": g.get_state() for name, g in random.items()}
                    save_checkpoint(state, run, checkpointing.path)
                    saved_at = time.monotonic()
                if stop:
                    raise Interrupted(f"stopped in epoch {state.epoch} of {settings.epochs}")
        require_finite(state)
        row = log_line(state, training, validation, variance, settings)
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
