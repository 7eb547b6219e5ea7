"""Train a crosscoder with Adam on Gram steps (paper, section 4.1)."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from torch import Tensor

from brainlm import __version__
from brainlm.crosscoder.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from brainlm.crosscoder.log import add_up, log_line, require_finite, total_variance
from brainlm.crosscoder.model import Crosscoder
from brainlm.crosscoder.objective import gram_step, squared_norms
from brainlm.crosscoder.settings import TrainingSettings, require_consistent
from brainlm.crosscoder.state import fingerprint, generators, initial_state, layout, optimizer, place
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import Rows


def choose_dead(fired: Tensor, k_aux: int, generator: torch.Generator) -> Tensor:
    """At most k_aux latents, at random from those in no row's top k in the previous epoch (appendix B).

    Parameters
    ----------
    fired: (latent,) bool of the previous epoch; all true in the first.

    Returns
    -------
    (latent,) bool. Nothing depends on how many are dead but the values, so that a GPU need not be waited for.
    """
    lots = torch.rand(fired.shape, generator=generator, device=fired.device)
    drawn = torch.where(fired, 2.0, lots).topk(min(k_aux, fired.numel()), largest=False).indices
    return torch.zeros_like(fired).scatter_(0, drawn, True) & ~fired


class Interrupted(Exception):
    """Training was asked to stop, and has saved where it was if the disk let it."""


@dataclass(frozen=True)
class Checkpointing:
    """Where and how often a run saves its state, and when it must stop."""

    path: Path
    every_s: float = 300.0
    """Time between two saves, s."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked after every step; once true, the state is saved and `Interrupted` raised."""
    report: Callable[[str], None] = lambda sentence: None
    """Told when a run is taken up, why a checkpoint is not used, or that one could not be written."""


Log = Sequence[Mapping[str, float]]
"""The lines of a run's log so far."""


def train(
    training: Rows,
    validation: Rows,
    normalization: Mapping[str, Normalization],
    settings: TrainingSettings,
    *,
    seed: int,
    device: str = "cpu",
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Log], None] = lambda log: None,
    checkpointing: Checkpointing | None = None,
) -> tuple[Crosscoder, pd.DataFrame]:
    """Train one crosscoder; the same seed gives the same bytes, interrupted or not, with as many threads on the same
    machine.

    On a processor in float32 the rows are used where they lie. Peak memory is that of both splits' rows, one batch,
    five times the weights and half a gigabyte.

    Parameters
    ----------
    training, validation: normalized rows of the two splits.
    normalization: stored with the weights.
    seed: of the initial weights, the order of rows and the draw of dead latents.
    device: "cpu", "cuda" or "cuda:<number>"; rows, weights and moments are kept there.
    on_epoch: called after each epoch with the log so far, for progress bars and tables.
    checkpointing: where to save and take up an unfinished run.

    Returns
    -------
    The model after the last epoch, and the log: one line an epoch with the training loss (mean over the
    epoch's batches as they were trained), squared error and fraction of variance explained by source for
    training and validation, dead latents, the share of kept values that are negative, and a BatchTopK's threshold.

    Raises
    ------
    InputError: settings that do not fit, or a loss that is no longer finite.
    Interrupted: `checkpointing` said so.
    """
    require_consistent(settings, training.slices)
    variance = {"training": total_variance(training), "validation": total_variance(validation)}
    run = fingerprint(training, validation, settings, seed, device) if checkpointing else ""
    state = _take_up(checkpointing, run, device) or initial_state(training, settings, seed, device)
    adam, parameters, gradient = optimizer(state, settings.learning_rate)
    random = generators(state, device)
    placed, objective = layout(training.slices, settings), settings.objective()
    x, x_validation = (
        place(torch.from_numpy(rows.values), rows.slices, placed, settings.row_dtype, device)
        for rows in (training, validation)
    )
    energy = squared_norms(x, placed)
    # Taken from the system once: for large matrices that costs as much as filling them.
    memory = x.new_empty(min(settings.batch_size, len(x)), x.shape[1])
    saved_at = time.monotonic()

    while state.epoch <= settings.epochs:
        # Asked once, before the first step: between steps nothing waits for a GPU.
        some_are_dead = settings.k_aux > 0 and not state.tensors["fired_before"].all()
        while state.position < len(x):
            chosen = state.tensors["order"][state.position : state.position + settings.batch_size]
            rows = torch.index_select(x, 0, chosen, out=memory[: len(chosen)])
            dead = None
            if some_are_dead:
                dead = choose_dead(state.tensors["fired_before"], settings.k_aux, random["dead"])
            step = gram_step(parameters, rows, placed, objective, dead, energy=energy[chosen], out=gradient)
            adam.step()
            add_up(state, step, settings)
            del step
            state.adam_steps += 1
            state.position += len(rows)
            if checkpointing:
                stop = checkpointing.should_stop()
                if stop or time.monotonic() - saved_at > checkpointing.every_s:
                    require_finite(state)
                    state.tensors |= {f"random.{name}": g.get_state() for name, g in random.items()}
                    saved = _try_to_save(state, run, checkpointing)
                    saved_at = time.monotonic()
                if stop:
                    where = f"stopped in epoch {state.epoch} of {settings.epochs}"
                    raise Interrupted(where if saved else f"{where}, without having saved where it was")
        require_finite(state)
        state.log.append(log_line(state, parameters, x_validation, placed, variance, settings))
        on_epoch(state.log)
        state.tensors["fired_before"] = state.tensors["fired_now"]
        state.tensors["fired_now"] = torch.zeros_like(state.tensors["fired_before"])
        state.tensors["order"] = torch.randperm(len(x), generator=random["order"]).to(device)
        state.tensors["sums"].zero_()
        state.epoch, state.position = state.epoch + 1, 0

    # Adam's memory makes room for the model's.
    del adam, gradient
    state.tensors = {name: tensor for name, tensor in state.tensors.items() if ".exp_avg" not in name}
    log = pd.DataFrame(state.log)
    provenance = {
        "settings": asdict(settings),
        "seed": seed,
        "best_validation_epoch": int(log.loc[log["validation_squared_error"].idxmin(), "epoch"]),
        "software": {"brainlm": __version__, "torch": torch.__version__},
        **(provenance or {}),
    }
    return _model(state, training.slices, placed, normalization, settings, provenance), log


def _model(
    state: TrainingState,
    slices: Mapping[str, slice],
    placed: Mapping[str, slice],
    normalization: Mapping[str, Normalization],
    settings: TrainingSettings,
    provenance: Mapping[str, Any],
) -> Crosscoder:
    def by_source(name: str) -> dict[str, Tensor]:
        parts = {}
        for source, columns in slices.items():
            start = placed[source].start
            part = state.tensors[name][:, start : start + columns.stop - columns.start]
            parts[source] = part.T.to("cpu", torch.float32, copy=True, memory_format=torch.contiguous_format)
        return parts

    return Crosscoder(
        weights=by_source("decoder"),
        bias=state.tensors["bias"].to("cpu", torch.float32),
        k=settings.k,
        normalization=dict(normalization),
        relu=settings.relu,
        encoder=None if settings.tied else by_source("encoder"),
        select_by=settings.select_by,
        threshold=state.log[-1].get("threshold"),
        alive=state.tensors["fired_before"].cpu().numpy(),
        provenance=provenance,
    )


def _take_up(checkpointing: Checkpointing | None, run: str, device: str) -> TrainingState | None:
    if checkpointing is None or not checkpointing.path.exists():
        return None
    try:
        state = load_checkpoint(checkpointing.path, run, device)
    except InputError as error:
        checkpointing.report(f"{error} Training starts over.")
        return None
    checkpointing.report(
        f"taking up {checkpointing.path} in epoch {state.epoch}, after {state.adam_steps} steps"
    )
    return state


def _try_to_save(state: TrainingState, run: str, checkpointing: Checkpointing) -> bool:
    # A full disk is no reason to lose what has been trained.
    try:
        save_checkpoint(state, run, checkpointing.path)
    except (OSError, SafetensorError) as error:
        checkpointing.report(f"{checkpointing.path} could not be written ({error}); training goes on.")
        return False
    return True
