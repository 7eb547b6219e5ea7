import numpy as np
import torch

from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.state import (
    fingerprint,
    generators,
    initial_state,
    initial_weights,
    layout,
    optimizer,
    padded_slices,
    place,
)

SLICES = {"brain": slice(0, 50), "lm": slice(50, 57)}
SETTINGS = TrainingSettings(n_latents=20, k=3)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_initial_parts_of_a_latent_have_equal_norms():
    weights = initial_weights(SLICES, 20, 0.1, generator(0))
    assert weights.shape == (20, 57) and weights.dtype == torch.float32
    for columns in SLICES.values():
        np.testing.assert_allclose(weights[:, columns].norm(dim=1), 0.1, rtol=1e-5)
    assert torch.equal(weights, initial_weights(SLICES, 20, 0.1, generator(0)))
    assert not torch.equal(weights, initial_weights(SLICES, 20, 0.1, generator(1)))


def test_initial_directions_are_gaussian():
    weights = initial_weights({"brain": slice(0, 200)}, 100, 1.0, generator(0)) * np.sqrt(200)
    assert abs(weights.mean()) < 0.02 and abs((weights**4).mean() - 3) < 0.15


def test_sources_are_widened_to_a_multiple():
    assert padded_slices(SLICES, 8) == {"brain": slice(0, 56), "lm": slice(56, 64)}
    assert padded_slices(SLICES, 1) == SLICES
    assert layout(SLICES, SETTINGS) == SLICES
    assert layout(SLICES, TrainingSettings(precision="bfloat16")) == padded_slices(SLICES, 8)


def test_values_keep_their_source_and_gain_zeros():
    values = torch.randn(2500, 57, generator=generator(0))
    placed = place(values, SLICES, padded_slices(SLICES, 8), torch.bfloat16, "cpu")
    assert placed.shape == (2500, 64) and placed.dtype == torch.bfloat16
    assert torch.equal(placed[:, :50], values[:, :50].bfloat16())
    assert torch.equal(placed[:, 56:63], values[:, 50:].bfloat16())
    assert not placed[:, 50:56].any() and not placed[:, 63:].any()


def test_values_that_are_in_place_are_not_copied():
    values = torch.randn(5, 57)
    assert place(values, SLICES, layout(SLICES, SETTINGS), torch.float32, "cpu") is values


def test_the_optimizer_moves_the_states_own_tensors(rows_of):
    random = np.random.default_rng(0)
    rows = rows_of(brain=random.standard_normal((9, 50)), lm=random.standard_normal((9, 7)))
    state = initial_state(rows, TrainingSettings(n_latents=20, k=3, tied=False), seed=0)
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    adam, parameters, gradients = optimizer(state, learning_rate=0.1)
    assert parameters.weights.shape == gradients.encoder.shape == (57, 20)
    for gradient in gradients:
        gradient.fill_(2.0)
    adam.step()
    # Adam's first step is the learning rate, whatever the gradient's size.
    for name in ("decoder", "encoder", "bias"):
        torch.testing.assert_close(state.tensors[name], before[name] - 0.1, rtol=1e-5, atol=1e-6)
        assert state.tensors[f"{name}.exp_avg"].min() > 0
    assert torch.equal(parameters.weights, state.tensors["decoder"].T)


def test_generators_go_on_where_they_were(rows_of):
    rows = rows_of(brain=np.ones((9, 50)), lm=np.ones((9, 7)))
    state = initial_state(rows, SETTINGS, seed=0)
    first, again = generators(state, "cpu"), generators(state, "cpu")
    for name in ("order", "dead"):
        assert torch.equal(torch.rand(4, generator=first[name]), torch.rand(4, generator=again[name]))
    assert torch.equal(initial_state(rows, SETTINGS, seed=0).tensors["order"], state.tensors["order"])


def test_a_run_on_another_device_is_another_run(rows_of):
    rows = rows_of(brain=np.ones((9, 50)), lm=np.ones((9, 7)))
    assert fingerprint(rows, rows, SETTINGS, 0, "cpu") != fingerprint(rows, rows, SETTINGS, 0, "cuda")
    assert fingerprint(rows, rows, SETTINGS, 0, "cuda") == fingerprint(rows, rows, SETTINGS, 0, "cuda:1")
