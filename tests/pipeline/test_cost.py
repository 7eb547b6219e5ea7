"""What a job's log tells of its cost: of a process whose cost is known."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cost import cost_in

WORKFLOW = Path(__file__).parents[2] / "workflow"
PROGRAM = """
import time
from pipeline.cost import cost_so_far
block = bytearray({n_bytes})
for i in range(0, len(block), 4096):
    block[i] = 1
del block
began = time.process_time()
while time.process_time() - began < 0.5:
    pass
time.sleep(0.5)
print(cost_so_far())
"""


def log_of(folder: Path, n_bytes: int) -> Path:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(n_bytes=n_bytes)],
        env={"PYTHONPATH": str(WORKFLOW)},
        capture_output=True,
        text=True,
        check=True,
    )
    log = folder / f"{n_bytes}.log"
    log.write_text(f"2026-01-01 00:00:00,000 {run.stdout}", encoding="utf-8")
    return log


def test_a_log_tells_time_and_the_most_memory_that_was_held(tmp_path):
    n_bytes = 300_000_000
    small, large = (cost_in(log_of(tmp_path, n)) for n in (1, n_bytes))
    # Memory that was given back counts: the peak is told, not what is held at the end.
    assert large.peak_bytes - small.peak_bytes == pytest.approx(n_bytes, rel=0.05)
    assert small.wall_s >= 1.0 and small.cpu_s >= 0.5
    # What is slept is no time of the processor.
    assert small.wall_s - small.cpu_s > 0.3


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not tell what ended processes have taken")
def test_what_a_process_of_the_jobs_own_took_counts(tmp_path):
    busy = "import time; began = time.process_time()\nwhile time.process_time() - began < 1: pass"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)\n"
    program += "from pipeline.cost import cost_so_far; print(cost_so_far())"
    run = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(WORKFLOW)}, stdout=subprocess.PIPE, text=True
    )
    log = tmp_path / "cortex.log"
    log.write_text(run.stdout, encoding="utf-8")
    assert cost_in(log).cpu_s >= 1


def test_a_log_of_a_job_that_did_not_end_has_no_cost(tmp_path):
    log = tmp_path / "words.log"
    log.write_text("2026-01-01 00:00:00,000 reading\n", encoding="utf-8")
    assert cost_in(log) is None
