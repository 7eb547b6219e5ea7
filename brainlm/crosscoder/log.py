"""What a training run tells of itself, one line an epoch."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from brainlm.crosscoder.checkpoint import TrainingState
from brainlm.crosscoder.objective import Objective, Parameters, Step, encode_batch
from brainlm.crosscoder.selection import ranks
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.errors import InputError
from brainlm.rows.pairs import Rows

HELD_OUT_ROWS = 2048
FEWEST_ROWS_A_LATENT = 14
"""Three quarters of the paper's 19. On 12 minutes of data the LM predicted the brain half as well at 7 as at 47."""


def few_rows_warning(n_rows: int, n_latents: int) -> str:
    """A sentence if the training rows are few for the dictionary; "" if they are not."""
    if n_rows >= FEWEST_ROWS_A_LATENT * n_latents:
        return ""
    return (
        f"{n_rows:,} training rows are {n_rows / n_latents:.2g} for each of {n_latents:,} latents, which can learn "
        "them by heart: lower n_latents to at most a twentieth of the rows, or add stories, and "
        "look at the variance explained in validation in the table shares."
    )


def total_variance(rows: Rows, block_rows: int = 256) -> dict[str, float]:
    """Σ‖x - mean‖² over rows, source by source: the denominator of the fraction of variance explained."""
    mean = rows.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    totals = dict.fromkeys(rows.slices, 0.0)
    for start in range(0, len(rows.values), block_rows):
        squares = np.square(rows.values[start : start + block_rows] - mean)
        for source, columns in rows.slices.items():
            totals[source] += float(squares[:, columns].sum(dtype=np.float64))
    return totals


def held_out_errors(
    parameters: Parameters, rows: Tensor, slices: Mapping[str, slice], objective: Objective
) -> dict[str, float]:
    """Source -> Σ‖x̂_s - x_s‖² over rows of any number."""
    errors = torch.zeros(len(slices), dtype=torch.float64, device=rows.device)
    rounded = parameters.map(lambda part: part.to(rows.dtype))
    for batch in rows.split(HELD_OUT_ROWS):
        code = encode_batch(rounded, batch, slices, objective)
        errors += torch.stack(list(code.squared_error.values()))
    return dict(zip(slices, errors.tolist(), strict=True))


def sum_names(sources: Iterable[str], settings: TrainingSettings) -> list[str]:
    """What an epoch's steps are summed up to, in the order of the state's tensor `sums`."""
    names = ["loss", "auxiliary", "negative", *(f"error.{source}" for source in sources)]
    return [*names, "threshold"] if settings.top_k_over == "batch" else names


def add_up(state: TrainingState, step: Step, settings: TrainingSettings) -> None:
    """Add a step to the sums of its epoch, in place, and without waiting for a GPU to have done it."""
    loss, _, code = step
    n_rows = len(code.z)
    parts = [
        loss.total * n_rows,
        loss.auxiliary,
        (code.z < 0).sum() / settings.k,
        *loss.squared_error.values(),
    ]
    if settings.top_k_over == "batch":
        # The least with which a latent was active in the batch; with a ReLU perhaps none was.
        ranked = ranks(code.preactivations, settings.objective().selection, code.decoder_norms)
        least = torch.where(code.active, ranked, torch.inf).amin()
        parts.append(torch.where(least.isinf(), 0, least) * n_rows)
    state.tensors["sums"] += torch.stack(parts)
    state.tensors["fired_now"] |= code.active.any(dim=0)


def require_finite(state: TrainingState) -> None:
    """Check that the epoch's loss, and the weights after its last step, are numbers.

    Raises
    ------
    InputError: they are not.
    """
    # A sum is a number only if all its parts are.
    sums = [state.tensors[name].sum() for name in ("decoder", "bias", "encoder") if name in state.tensors]
    if torch.isfinite(torch.stack([state.tensors["sums"][0].to(sums[0].dtype), *sums])).all():
        return
    before = f" (it was {state.log[-1]['loss']:.4g} before)" if state.log else ""
    raise InputError(
        f"The loss is no longer finite in epoch {state.epoch}{before}; "
        "lower the learning_rate or look at the data's scaling."
    )


def log_line(
    state: TrainingState,
    parameters: Parameters,
    validation: Tensor,
    placed: Mapping[str, slice],
    variance: Mapping[str, Mapping[str, float]],
    settings: TrainingSettings,
) -> dict[str, float]:
    """The log's line for the epoch whose rows have all been seen.

    Parameters
    ----------
    validation, placed: held-out rows (row, column), and each source's columns in them.
    variance: split -> source -> `total_variance`.

    Returns
    -------
    Column -> value, as `train` describes them.
    """
    n_rows = {"training": len(state.tensors["order"]), "validation": len(validation)}
    names = sum_names(placed, settings)
    means = {
        name: total / n_rows["training"]
        for name, total in zip(names, state.tensors["sums"].tolist(), strict=True)
    }
    row = {
        "epoch": state.epoch,
        "loss": means["loss"],
        "auxiliary": means["auxiliary"],
        "dead_latents": int((~state.tensors["fired_now"]).sum()),
        "negative_share": means["negative"],
    }
    if "threshold" in means:
        row["threshold"] = means["threshold"]
    held_out = held_out_errors(parameters, validation, placed, settings.objective(means.get("threshold")))
    errors = {
        "training": {source: means[f"error.{source}"] for source in placed},
        "validation": {source: error / n_rows["validation"] for source, error in held_out.items()},
    }
    for split, error_of in errors.items():
        row[f"{split}_squared_error"] = sum(error_of.values())
        for source, error in error_of.items():
            of_data = variance[split][source]
            row[f"{split}_explained_{source}"] = 1 - error * n_rows[split] / of_data if of_data else np.nan
    return row
