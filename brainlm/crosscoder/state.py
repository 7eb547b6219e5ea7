"""Where a training run is: all that its next step depends on, and how it begins."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from brainlm.crosscoder.checkpoint import TrainingState
from brainlm.crosscoder.log import sum_names
from brainlm.crosscoder.objective import Parameters
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.rows.pairs import Rows

# A GPU multiplies bfloat16 matrices at full speed if their rows begin at multiples of 16 bytes.
BFLOAT16_MULTIPLE = 8


def initial_weights(
    slices: Mapping[str, slice], n_latents: int, init_norm: float, generator: torch.Generator
) -> Tensor:
    """Gaussian directions; each source's part of each latent has norm `init_norm`.

    Equal parts mean that r starts at 0 for every latent: an undertrained model looks shared.

    Returns
    -------
    (latent, column) float32: decoder vectors as rows.
    """
    weights = torch.empty(n_latents, max(columns.stop for columns in slices.values()))
    for columns in slices.values():
        part = weights[:, columns].normal_(generator=generator)
        part *= init_norm / part.norm(dim=1, keepdim=True)
    return weights


def padded_slices(slices: Mapping[str, slice], multiple: int) -> dict[str, slice]:
    """The same sources, each widened to a multiple of so many columns."""
    padded, start = {}, 0
    for source, columns in slices.items():
        width = -(-(columns.stop - columns.start) // multiple) * multiple
        padded[source] = slice(start, start + width)
        start += width
    return padded


def layout(slices: Mapping[str, slice], settings: TrainingSettings) -> dict[str, slice]:
    """Source -> its columns while a model is trained. Added columns are 0, and stay 0."""
    return padded_slices(slices, BFLOAT16_MULTIPLE if settings.precision == "bfloat16" else 1)


def place(
    values: Tensor, slices: Mapping[str, slice], placed: Mapping[str, slice], dtype: torch.dtype, device: str
) -> Tensor:
    """Copy (row, column) values to a device and into a layout, or return them where both are so already."""
    if dict(slices) == dict(placed) and values.dtype == dtype and values.device == torch.device(device):
        return values
    n_columns = max(columns.stop for columns in placed.values())
    result = torch.zeros(len(values), n_columns, dtype=dtype, device=device)
    for source, columns in slices.items():
        start = placed[source].start
        # A few rows at a time: rounding all of them at once would need as much memory again.
        for rows in range(0, len(values), 1024):
            part = values[rows : rows + 1024, columns]
            result[rows : rows + 1024, start : start + part.shape[1]] = part.to(dtype).to(device)
    return result


def fingerprint(
    training: Rows, validation: Rows, settings: TrainingSettings, seed: int, device: str = "cpu"
) -> str:
    """A digest of all that a run's result depends on: settings, seed, device, PyTorch, and the rows by their sums."""
    described = {
        "settings": asdict(settings),
        "seed": seed,
        "device": torch.device(device).type,
        "torch": torch.__version__,
        "columns": {source: [columns.start, columns.stop] for source, columns in training.slices.items()},
    }
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode())
    for rows in (training, validation):
        for axis in (0, 1):
            digest.update(rows.values.sum(axis=axis, dtype=np.float64).tobytes())
    return digest.hexdigest()


def initial_state(
    training: Rows, settings: TrainingSettings, seed: int, device: str = "cpu"
) -> TrainingState:
    """The state before the first step."""
    # One stream for each use, so that drawing more of one thing leaves the others as they were.
    seeds = dict(zip(("init", "order", "dead"), np.random.SeedSequence(seed).generate_state(3), strict=True))
    random = {
        name: torch.Generator(device if name == "dead" else "cpu").manual_seed(int(value))
        for name, value in seeds.items()
    }
    decoder = initial_weights(training.slices, settings.n_latents, settings.init_norm, random["init"])
    dtype = settings.parameter_dtype
    decoder = place(decoder, training.slices, layout(training.slices, settings), dtype, device)
    parameters = {"decoder": decoder, "bias": torch.zeros(settings.n_latents, dtype=dtype, device=device)}
    if not settings.tied:
        parameters["encoder"] = decoder.clone()
    moments = {
        f"{name}.{moment}": torch.zeros_like(value)
        for name, value in parameters.items()
        for moment in ("exp_avg", "exp_avg_sq")
    }
    never = torch.zeros(settings.n_latents, dtype=torch.bool, device=device)
    tensors = {
        **parameters,
        **moments,
        # Nobody counts as dead in the first epoch.
        "fired_before": ~never,
        "fired_now": never,
        "order": torch.randperm(len(training.values), generator=random["order"]).to(device),
        "sums": torch.zeros(len(sum_names(training.slices, settings)), dtype=torch.float64, device=device),
        "random.order": random["order"].get_state(),
        "random.dead": random["dead"].get_state(),
    }
    return TrainingState(tensors, epoch=1, position=0, adam_steps=0, log=[])


def optimizer(state: TrainingState, learning_rate: float) -> tuple[torch.optim.Adam, Parameters, Parameters]:
    """Adam whose moments are the state's own tensors, the parameters it moves, and where it looks for gradients."""
    names = [name for name in ("decoder", "bias", "encoder") if name in state.tensors]
    leaves: dict[str, Tensor] = {name: state.tensors[name] for name in names}
    adam = torch.optim.Adam(leaves.values(), lr=learning_rate, fused=True)
    gradients = {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    for name, leaf in leaves.items():
        leaf.grad = gradients[name]
        adam.state[leaf] = {
            "step": torch.tensor(float(state.adam_steps), device=leaf.device),
            "exp_avg": state.tensors[f"{name}.exp_avg"],
            "exp_avg_sq": state.tensors[f"{name}.exp_avg_sq"],
        }
    return adam, _as_in_equations(leaves), _as_in_equations(gradients)


def _as_in_equations(parts: Mapping[str, Tensor]) -> Parameters:
    """Decoder vectors are rows in memory and columns in the equations."""
    return Parameters(parts["decoder"].T, parts["bias"], parts["encoder"].T if "encoder" in parts else None)


def generators(state: TrainingState, device: str) -> dict[str, torch.Generator]:
    """The random generators as they were saved: of the order of rows, and of the draw of dead latents."""
    random = {"order": torch.Generator(), "dead": torch.Generator(device)}
    for name, generator in random.items():
        generator.set_state(state.tensors[f"random.{name}"])
    return random
