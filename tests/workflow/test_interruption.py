"""A cluster's time limit ends a job with SIGTERM: what it has computed must not be lost."""

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from tiny_dataset import SUBJECT, Workspace

LOG = Path("logs", "train", SUBJECT, "matched", "seed0.log")


@pytest.fixture(scope="module")
def long_run(tiny, tmp_path_factory) -> Workspace:
    """A training run of some seconds that has not begun."""
    workspace = tiny.copy(tmp_path_factory.mktemp("long") / "run").changed(crosscoder__epochs=600)
    for file in workspace.model().glob("*.*"):
        if file.is_file():
            file.unlink()
    return workspace


def training_process(folder: Path) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if any(part.endswith("train.py") for part in command) and Path(process.cwd()) == folder:
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return None


def train(workspace: Workspace) -> str:
    """The log of the training job, run to its end."""
    target = (workspace.model() / "crosscoder.safetensors").relative_to(workspace.folder)
    run = workspace.snakemake(target)
    assert run.returncode == 0, run.stdout[-3000:]
    return (workspace.results / LOG).read_text()


def test_a_job_that_is_told_to_stop_is_taken_up_where_it_was(long_run, tmp_path):
    uninterrupted = long_run.copy(tmp_path / "whole")
    assert "taking up" not in train(uninterrupted)

    model, log = long_run.model() / "crosscoder.safetensors", long_run.results / LOG
    log.unlink(missing_ok=True)
    runs = []
    runner = threading.Thread(
        target=lambda: runs.append(long_run.snakemake(model.relative_to(long_run.folder)))
    )
    runner.start()
    while not (log.exists() and "s left" in log.read_text()):
        assert runner.is_alive(), "the run ended before it could be stopped"
        time.sleep(0.01)
    training_process(long_run.folder).send_signal(signal.SIGTERM)
    runner.join()
    assert runs[0].returncode != 0 and not model.exists()
    assert "run again to go on" in log.read_text()
    assert (long_run.model() / "checkpoint.safetensors").exists()

    again = train(long_run)
    assert "taking up" in again and "epoch 600" in again
    assert model.read_bytes() == (uninterrupted.model() / "crosscoder.safetensors").read_bytes()
    assert not (long_run.model() / "checkpoint.safetensors").exists()
