"""What only a GPU can show; skipped, with the reason printed, where there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from brainlm.crosscoder.objective import Objective, Parameters, gram_step
from brainlm.crosscoder.selection import Selection
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import Checkpointing, Interrupted, choose_dead, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

SETTINGS = TrainingSettings(n_latents=64, k=3, k_aux=16, epochs=4, batch_size=100, learning_rate=3e-3)
VARIANTS = [
    {},
    {"precision": "bfloat16"},
    {"precision": "bfloat16", "tied": False, "top_k_over": "batch", "source_weights": {"lm": 2.0}},
]


@pytest.fixture(scope="module")
def splits(rows_of):
    random = np.random.default_rng(0)
    values = random.standard_normal((9, 121))[random.integers(9, size=700)] / 11
    values += 0.02 * random.standard_normal(values.shape)
    return [rows_of(brain=part[:, :90], lm=part[:, 90:]) for part in (values[:550], values[550:])]


@pytest.fixture(scope="module")
def normalization(as_is):
    return {"brain": as_is(90), "lm": as_is(31)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_is_that_of_the_processor(dtype):
    generator = torch.Generator().manual_seed(0)
    weights, rows = (torch.randn(shape, generator=generator) / 16 for shape in ((256, 64), (500, 256)))
    slices = {"brain": slice(0, 200), "lm": slice(200, 256)}
    dead = torch.arange(64) < 9
    steps = [
        gram_step(
            Parameters(weights.to(device), torch.zeros(64, device=device)),
            rows.to(device, dtype),
            slices,
            Objective(Selection(4)),
            dead.to(device),
        )
        for device in ("cpu", "cuda")
    ]
    tolerance = 1e-4 if dtype == torch.float32 else 1e-2
    expected, found = (step.gradient.weights.cpu() for step in steps)
    assert (found - expected).norm() < tolerance * expected.norm()
    assert steps[1].loss.total.item() == pytest.approx(steps[0].loss.total.item(), rel=1e-4)


@pytest.mark.parametrize("over", ["row", "batch"])
def test_a_step_waits_for_nothing(over):
    weights, rows = torch.randn(256, 64, device="cuda"), torch.randn(100, 256, device="cuda").bfloat16()
    parameters = Parameters(weights, torch.zeros(64, device="cuda"))
    random, fired = torch.Generator("cuda"), torch.zeros(64, dtype=torch.bool, device="cuda")
    objective = Objective(Selection(4, over=over))
    torch.cuda.set_sync_debug_mode("error")
    try:
        gram_step(parameters, rows, {"all": slice(0, 256)}, objective, choose_dead(fired, 9, random))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_an_interrupted_run_ends_as_a_whole_one(splits, normalization, tmp_path, variant, device):
    settings, path = replace(SETTINGS, **variant), tmp_path / "checkpoint"

    def run(**checkpointing):
        chosen = Checkpointing(path, **checkpointing)
        return train(*splits, normalization, settings, seed=0, device=device, checkpointing=chosen)[0]

    whole = run()
    steps = iter(range(100))
    with pytest.raises(Interrupted):
        run(should_stop=lambda: next(steps) == 9)
    again = run()
    assert all(torch.equal(again.weights[source], weights) for source, weights in whole.weights.items())


def test_training_learns_what_it_learns_on_the_processor(splits, normalization):
    logs = [train(*splits, normalization, SETTINGS, seed=0, device=device)[1] for device in ("cpu", "cuda")]
    np.testing.assert_allclose(logs[1]["loss"], logs[0]["loss"], rtol=0.05)
