"""Snakemake looks for jobs to start as often as jobs end, and not ever more often."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.scheduling import without_default_rate_limit

REPOSITORY = Path(__file__).parents[2]
N_JOBS = 16
SNAKEFILE = """
import sys
sys.path.insert(0, {workflow!r})
from pipeline.scheduling import without_default_rate_limit

onstart:
    without_default_rate_limit(workflow.scheduler)

rule all:
    input: expand("{{i}}.txt", i=range({n_jobs}))

rule one:
    output: "{{i}}.txt"
    shell: "sleep 0.5; touch {{output}}"
"""


def looks(folder: Path, *options: str) -> int:
    """How often the waiting jobs were looked at in a run of one job after the other."""
    snakefile = SNAKEFILE.format(workflow=str(REPOSITORY / "workflow"), n_jobs=N_JOBS)
    (folder / "Snakefile").write_text(snakefile)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "1",
        "--verbose",
        "--scheduler",
        "greedy",
        *options,
    ]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(list(folder.glob("*.txt"))) == N_JOBS
    return len(re.findall("^Ready jobs: ", run.stderr, re.MULTILINE))


def test_a_look_is_taken_when_a_job_ends(tmp_path):
    # At the start, and when a job is ready and when it has ended.
    assert looks(tmp_path) <= 2 * N_JOBS + 4


@pytest.mark.parametrize("limiter", [None, SimpleNamespace(limit=100)])
def test_a_scheduler_that_keeps_its_limit_elsewhere_stays_as_it_is(limiter):
    scheduler = SimpleNamespace(job_rate_limiter=limiter)
    without_default_rate_limit(scheduler)
    assert scheduler == SimpleNamespace(job_rate_limiter=limiter)
    without_default_rate_limit(SimpleNamespace())


def test_a_limit_that_somebody_gives_is_kept(tmp_path):
    # In 8 s there are two jobs at a time, then a wait, and looks of which each makes another one a second later.
    assert looks(tmp_path, "--max-jobs-per-timespan", "50/1s") > 2 * N_JOBS + 4
