"""A run ends with what failed, why, and where its log is."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from pipeline import failures
from pipeline.failures import Failures, summary, watch_failures

SNAKEFILE = """
import sys

sys.path.insert(0, {workflow!r})
from pipeline.failures import summary, watch_failures

FAILURES = watch_failures()


onerror:
    print(summary(FAILURES))


rule all:
    input: "good.txt", "bad.txt", "late.txt"


rule good:
    output: "good.txt"
    shell: "touch {{output}}"


rule bad:
    output: "bad.txt"
    log: "bad.log"
    shell: "echo a.TextGrid is damaged. > {{log}}; false"


rule late:
    output: "late.txt"
    log: "late.log"
    retries: 1
    resources: try_=lambda wildcards, attempt: attempt
    shell: "echo too early > {{log}}; test {{resources.try_}} -gt 1; touch {{output}}"
"""


@pytest.fixture
def watched(caplog):
    """What is noted of Snakemake's events, which the test logs as Snakemake does."""
    caplog.set_level(logging.INFO, logger=logger.name)
    noted = watch_failures()
    yield noted
    logger.removeHandler(noted)


def info(rule="train", job=5, output=("nowhere/a.zarr",), log=(), message=None, *, indent=False) -> dict:
    """What Snakemake 9.27 logs with a job's failure (`Job.get_log_error_info`)."""
    return {
        "rule_name": rule,
        "rule_msg": message,
        "jobid": job,
        "input": [],
        "output": list(output),
        "log": list(map(str, log)),
        "conda_env": None,
        "container_img": None,
        "aux": {},
        "indent": indent,
        "shellcmd": None,
        "event": LogEvent.JOB_ERROR,
    }


def job_fails(*arguments, **keywords) -> None:
    logger.error("Error in rule", extra=info(*arguments, **keywords))


def group_fails(*members: dict, logs=()) -> None:
    """As `GroupJob.log_error`: the group with its members, and then each member."""
    event = {"event": LogEvent.GROUP_ERROR, "groupid": "words", "aux_logs": list(map(str, logs))}
    logger.error("Error in group words", extra=event | {"job_error_info": list(members)})
    for member in members:
        logger.error("Error in rule", extra=member | {"indent": True})


@pytest.mark.parametrize("quiet", [[], ["--quiet", "host", "rules", "reason"], ["--quiet", "all"]])
def test_a_run_ends_with_what_failed_whatever_it_shows(tmp_path, quiet):
    """With a failed job, one that its second try finishes, and one without a fault."""
    workflow = Path(failures.__file__).parents[1]
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(workflow=str(workflow)))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going", *quiet]
    run = subprocess.run(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert run.returncode == 1 and (tmp_path / "late.txt").exists()
    at_the_end = run.stdout[run.stdout.index("1 job failed") :].splitlines()
    assert at_the_end[:2] == [
        "1 job failed; all that does not depend on it was done.",
        "  bad: a.TextGrid is damaged. (log: bad.log)",
    ]


def test_a_failed_job_is_named_with_the_last_line_of_its_log(watched, tmp_path):
    log = tmp_path / "words.log"
    log.write_text("2026-11-22 20:14:16,123 reading\n2026-11-22 20:14:17,123 a.TextGrid is damaged.\n")
    job_fails("words", log=[log])
    assert summary(watched).splitlines() == [
        "1 job failed; all that does not depend on it was done.",
        f"  words: a.TextGrid is damaged. (log: {log})",
    ]


def test_a_job_that_a_retry_finished_has_not_failed(watched, tmp_path):
    output = tmp_path / "model"
    for _ in range(2):
        job_fails(output=[str(output)])
    job_fails(job=55, output=[str(tmp_path / "other"), str(output)])
    assert [len(failure.outputs) for failure in watched.failed()] == [1, 2]
    output.touch()
    assert [len(failure.outputs) for failure in watched.failed()] == [2]


def test_a_job_without_a_word_was_killed(watched, tmp_path):
    log = tmp_path / "train.log"
    log.touch()
    job_fails(log=[log])
    assert "was killed, or lost its node" in summary(watched)
    job_fails(log=[tmp_path / "none.log"])
    assert "it was not started" in summary(watched)


def test_of_several_logs_the_jobs_own_is_read(watched, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("no memory\n")
    job_fails(log=[log, tmp_path / "slurm.log"])
    assert [failure.log for failure in watched.failed()] == [log]


def test_a_run_without_a_failed_job_says_so():
    assert "none of its jobs" in summary(Failures())


# As Snakemake's plugin for Slurm 2.8 words it.
REFUSED = """SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gpus'.
    sbatch call:
        sbatch --parsable -p gpus --wrap="python -m snakemake"
For further error details see the cluster/cloud log and the log files of the involved rule(s)."""


def test_a_job_that_slurm_refuses_is_named_with_what_slurm_says(watched, tmp_path):
    job_fails(job=5, log=[tmp_path / "5.log"], message=REFUSED)
    assert summary(watched).splitlines()[1:] == [
        "  train: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gpus'. "
        f"(log: {tmp_path}/5.log)"
    ]
    job_fails(job=6, log=[tmp_path / "6.log"], message=REFUSED)
    assert summary(watched).startswith("2 jobs failed; all that does not depend on them was done.")


def test_what_slurm_did_to_a_job_is_told_and_where_the_job_was(watched, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("2026-11-22 20:14:16,123 epoch 40 of 300\n")
    said = "SLURM-job '7' failed, SLURM status is: '{}'. Reason: Unknown. For further error details see it."
    job_fails(log=[log, "slurm/7.log"], message=said.format("TIMEOUT"))
    (line,) = summary(watched).splitlines()[1:]
    assert line == (
        "  train: SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown. "
        f"Its log ends with: epoch 40 of 300 (log: {log})"
    )
    job_fails(log=[log, "slurm/7.log"], message=said.format("FAILED"))
    (line,) = summary(watched).splitlines()[1:]
    assert line == f"  train: epoch 40 of 300 (log: {log})"


# What the Snakemake that ran the group on its node has written into Slurm's log.
OF_THE_NODE = """host: node2
Error in rule words:
    message: None
    jobid: 0
    output: {folder}/b.tsv
    log: {folder}/b.log (check log file(s) for error details)
Finished jobid: 0 (Rule: words)
"""


@pytest.fixture
def members(tmp_path):
    return [
        info("words", job, [f"{tmp_path}/{name}.tsv"], [tmp_path / f"{name}.log"])
        for job, name in ((2, "b"), (3, "c"))
    ]


def test_of_a_group_only_who_failed_is_named(watched, members, tmp_path):
    (tmp_path / "b.log").write_text("b.TextGrid is damaged.\n")
    (tmp_path / "slurm.log").write_text(OF_THE_NODE.format(folder=tmp_path))
    group_fails(*members, logs=[tmp_path / "slurm.log"])
    group_fails(*members, logs=[tmp_path / "log of the second try.log"])
    assert summary(watched).splitlines() == [
        "1 job failed; all that does not depend on it was done.",
        f"  words: b.TextGrid is damaged. (log: {tmp_path}/b.log)",
        "1 job of the same Slurm jobs must be done again: they are kept or lost together.",
    ]
    for name in "bc":
        (tmp_path / f"{name}.tsv").touch()
    assert watched.failed() == watched.companions() == []


def test_of_a_group_that_is_killed_all_are_named(watched, members, tmp_path):
    group_fails(*members, logs=[tmp_path / "none.log"])
    named = summary(watched).splitlines()
    assert named[0].startswith("2 jobs failed") and [line.split()[-1] for line in named[1:]] == [
        f"{tmp_path}/b.log)",
        f"{tmp_path}/c.log)",
    ]
