import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from brainlm.crosscoder.checkpoint import load_checkpoint, save_checkpoint
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.state import fingerprint, initial_state
from brainlm.crosscoder.training import Checkpointing, Interrupted, train
from brainlm.errors import InputError

# Most latents are dead after the first epoch, so that the auxiliary loss and its random draws take part.
SETTINGS = TrainingSettings(n_latents=40, k=2, k_aux=5, epochs=6, batch_size=32, learning_rate=3e-3)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def splits(rows_of):
    random = np.random.default_rng(0)
    # Few kinds of rows leave most latents with nothing to do.
    values = random.standard_normal((5, 30))[random.integers(5, size=260)]
    values += 0.1 * random.standard_normal(values.shape)
    return rows_of(brain=values[:200, :20], lm=values[:200, 20:]), rows_of(
        brain=values[200:, :20], lm=values[200:, 20:]
    )


@pytest.fixture(scope="module")
def run(splits, as_is, tmp_path_factory):
    """Train with some checkpointing; returns the bytes of the model's file and the log."""
    normalization = {"brain": as_is(20), "lm": as_is(10)}

    def call(settings=SETTINGS, **checkpointing):
        chosen = Checkpointing(**checkpointing) if checkpointing else None
        model, log = train(*splits, normalization, settings, seed=3, checkpointing=chosen)
        path = tmp_path_factory.mktemp("model") / "model.safetensors"
        model.save(path)
        return path.read_bytes(), log

    return call


@pytest.fixture(scope="module")
def uninterrupted(run):
    return run()


def stop_after(n_steps: int):
    asked = iter(range(1, 10**6))
    return lambda: next(asked) >= n_steps


def test_latents_die_in_these_runs(uninterrupted):
    assert uninterrupted[1]["dead_latents"].max() > SETTINGS.k_aux


@pytest.mark.parametrize("n_steps", [1, 3, 7, 8, 20, 41, 42])
def test_a_run_stopped_after_any_step_ends_with_the_same_bytes(run, uninterrupted, tmp_path, n_steps):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        run(path=path, should_stop=stop_after(n_steps))
    told = []
    model, log = run(path=path, report=told.append)
    assert model == uninterrupted[0] and log.equals(uninterrupted[1])
    assert "taking up" in told[0] and f"{n_steps} steps" in told[0]


def test_a_run_stopped_at_every_step_ends_with_the_same_bytes(run, uninterrupted, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    for _ in range(SETTINGS.epochs * 7):
        with pytest.raises(Interrupted):
            run(path=path, should_stop=lambda: True)
    assert run(path=path)[0] == uninterrupted[0]


def test_saving_often_changes_nothing(run, uninterrupted, tmp_path):
    assert run(path=tmp_path / "checkpoint.safetensors", every_s=0.0)[0] == uninterrupted[0]
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize(
    "variant",
    [{"tied": False}, {"top_k_over": "batch", "select_by": "contribution"}, {"precision": "bfloat16"}],
)
def test_variants_of_the_model_are_taken_up_as_well(run, tmp_path, variant):
    settings, path = replace(SETTINGS, **variant), tmp_path / "checkpoint.safetensors"
    for n_steps in (3, 20):
        with pytest.raises(Interrupted):
            run(settings, path=path, should_stop=stop_after(n_steps))
    assert run(settings, path=path)[0] == run(settings)[0]


def broken(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "foreign":
        path.write_bytes(b"something else altogether")
    elif how == "damaged":
        path.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("truncated", "truncated"),
        ("empty", "truncated"),
        ("foreign", "no checkpoint"),
        ("damaged", "damaged"),
    ],
)
def test_a_broken_checkpoint_is_refused_and_training_starts_over(run, uninterrupted, tmp_path, how, sentence):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        run(path=path, should_stop=stop_after(9))
    broken(path, how)
    told = []
    assert run(path=path, report=told.append)[0] == uninterrupted[0]
    assert sentence in told[0] and "starts over" in told[0]


@pytest.mark.parametrize("changed", [{"learning_rate": 1e-3}, {"k": 3}, {"epochs": 7}, {"alpha": 0.1}])
def test_changed_settings_never_take_up_the_old_run(run, tmp_path, changed):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        run(path=path, should_stop=stop_after(9))
    told = []
    assert (
        run(replace(SETTINGS, **changed), path=path, report=told.append)[0]
        == run(replace(SETTINGS, **changed))[0]
    )
    assert "other settings" in told[0]


def test_other_rows_of_either_split_or_another_seed_are_another_run(splits):
    runs = {
        fingerprint(training, validation, SETTINGS, seed)
        for training in splits
        for validation in splits
        for seed in (0, 1)
    }
    assert len(runs) == 8


def test_a_checkpoint_returns_the_state_bit_for_bit(splits, tmp_path):
    state = initial_state(splits[0], SETTINGS, 0)
    state.tensors["sums"][0], state.log = 0.1 + 0.2, [{"epoch": 1, "loss": 1 / 3}]
    save_checkpoint(state, "run", tmp_path / "checkpoint")
    again = load_checkpoint(tmp_path / "checkpoint", "run")
    assert (again.log, again.epoch) == (state.log, state.epoch)
    assert again.tensors.keys() == state.tensors.keys()
    assert all(torch.equal(again.tensors[name], value) for name, value in state.tensors.items())
    with pytest.raises(InputError, match="other settings"):
        load_checkpoint(tmp_path / "checkpoint", "another run")


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(run, splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    settings = replace(SETTINGS, learning_rate=1e20, epochs=50)
    with pytest.raises(InputError, match="no longer finite"):
        run(settings, path=path, every_s=0.0)
    state = load_checkpoint(path, fingerprint(*splits, settings, 3))
    assert state.tensors["sums"].isfinite().all() and state.tensors["decoder"].isfinite().all()


def test_what_is_taken_up_lies_in_memory_as_in_a_run_that_was_not_stopped(run, splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        run(path=path, should_stop=stop_after(9))
    state = load_checkpoint(path, fingerprint(*splits, SETTINGS, 3))
    # And not in the file, which is replaced by the next checkpoint.
    assert {tensor.data_ptr() % 64 for tensor in state.tensors.values()} == {0}


def test_a_full_disk_does_not_end_a_run(run, uninterrupted, tmp_path):
    told = []
    nowhere = tmp_path / "absent" / "checkpoint.safetensors"
    assert run(path=nowhere, every_s=0.0, report=told.append)[0] == uninterrupted[0]
    assert "could not be written" in told[0] and "training goes on" in told[0]
    with pytest.raises(Interrupted, match="without having saved"):
        run(path=nowhere, should_stop=stop_after(3))


KILLED = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import Rows
from brainlm.crosscoder.training import Checkpointing, train
from brainlm.crosscoder.settings import TrainingSettings

values = np.random.default_rng(0).standard_normal((1200, 300)).astype(np.float32)
slices = {"brain": slice(0, 200), "lm": slice(200, 300)}
rows = [Rows(part, slices, np.zeros(len(part), int), ("story",)) for part in (values[:1000], values[1000:])]
as_is = {name: Normalization(np.ones(n, bool), np.zeros(n, np.float32), np.ones(n, np.float32), 1.0, "none")
         for name, n in (("brain", 200), ("lm", 100))}
settings = TrainingSettings(n_latents=64, k=2, k_aux=16, epochs=100, batch_size=64, learning_rate=1e-3)
checkpoint, model = map(Path, sys.argv[1:])
trained, _ = train(*rows, as_is, settings, seed=1, checkpointing=Checkpointing(checkpoint, every_s=0.02))
trained.save(model)
"""


def start(checkpoint: Path, model: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, checkpoint, model], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def kill_after_next_checkpoint(checkpoint: Path, model: Path, delay_s: float) -> None:
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = start(checkpoint, model)
    while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_process_killed_five_times_ends_with_the_same_bytes(tmp_path):
    whole = tmp_path / "whole.safetensors"
    assert start(tmp_path / "unused", whole).wait() == 0
    chance, checkpoint, model = random.Random(0), tmp_path / "checkpoint", tmp_path / "model.safetensors"
    steps = []
    for _ in range(5):
        kill_after_next_checkpoint(checkpoint, model, chance.uniform(0, 0.1))
        assert not model.exists()
        with safe_open(checkpoint, framework="pt") as file:
            steps.append(json.loads(file.metadata()["checkpoint"])["adam_steps"])
    # Each start went on from where the one before was killed.
    assert steps == sorted(set(steps)) and steps[-1] < 1600
    assert start(checkpoint, model).wait() == 0
    assert model.read_bytes() == whole.read_bytes()
