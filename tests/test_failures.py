"""A run ends with what failed, why, and where its log is."""

from failures import failures, summary

ERROR = """
[Sun Nov 22 20:14:16 2026]
Error in rule {rule}:
    message: None
    jobid: {job}
    output: a.zarr
    log: {log} (check log file(s) for error details)
    external_jobid: 17
"""


def test_a_failed_job_is_named_with_the_last_line_of_its_log(tmp_path):
    log = tmp_path / "words.log"
    log.write_text("2026-11-22 20:14:16,123 reading\n2026-11-22 20:14:17,123 a.TextGrid is damaged.\n")
    said = summary(ERROR.format(rule="words", job=3, log=log))
    assert said.splitlines() == [
        "1 job failed; all that does not depend on it was done.",
        f"  words: a.TextGrid is damaged. (log: {log})",
    ]


def test_a_job_that_a_retry_finished_has_not_failed(tmp_path):
    log = tmp_path / "train.log"
    log.touch()
    error = ERROR.format(rule="train", job=5, log=log)
    assert failures(error + "Finished jobid: 5 (Rule: train)\n") == ([], 0)
    assert len(failures(error + error + "Finished jobid: 55 (Rule: train)\n")[0]) == 1


def test_a_job_without_a_word_was_killed(tmp_path):
    log = tmp_path / "train.log"
    log.touch()
    assert "was killed, or lost its node" in summary(ERROR.format(rule="train", job=5, log=log))
    assert "it was not started" in summary(ERROR.format(rule="train", job=5, log=tmp_path / "none.log"))


def test_of_several_logs_the_jobs_own_is_read(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("no memory\n")
    both = f"{log}, {tmp_path}/slurm.log"
    assert [failure.log for failure in failures(ERROR.format(rule="train", job=5, log=both))[0]] == [log]


# As Snakemake 9.27 and its plugin for Slurm 2.8 write it.
REFUSED = """
[Sun Nov 22 22:17:22 2026]
Error in rule {rule}:
    message: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gpus'.
    sbatch call:
        sbatch --parsable -p gpus --wrap="python -m snakemake"
For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: {job}
    output: {job}.zarr
    log: {log} (check log file(s) for error details)
Logfile {log} not found.
"""


def test_a_job_that_slurm_refuses_is_named_with_what_slurm_says(tmp_path):
    one, other = (REFUSED.format(rule="train", job=job, log=tmp_path / f"{job}.log") for job in (5, 6))
    assert summary(one).splitlines()[1:] == [
        "  train: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: gpus'. "
        f"(log: {tmp_path}/5.log)"
    ]
    assert summary(one + other).startswith("2 jobs failed; all that does not depend on them was done.")
    assert failures(one + "Finished jobid: 5 (Rule: train)\n") == ([], 0)


# The job's own Snakemake reports as well, in the job's Slurm log, which is shown.
STOPPED = """
[Sun Nov 22 22:17:22 2026]
Error in rule train:
    message: SLURM-job '7' failed, SLURM status is: '{status}'. Reason: Unknown. For further error details see it.
    jobid: 5
    output: 5.zarr
    log: {log}, slurm/7.log (check log file(s) for error details)
Logfile slurm/7.log:
[Sun Nov 22 22:17:21 2026]
Error in rule train:
    message: None
    jobid: 0
    output: 5.zarr
    log: {log} (check log file(s) for error details)
"""


def test_what_slurm_did_to_a_job_is_told_and_where_the_job_was(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("2026-11-22 20:14:16,123 epoch 40 of 300\n")
    (line,) = summary(STOPPED.format(status="TIMEOUT", log=log)).splitlines()[1:]
    assert line == (
        "  train: SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Reason: Unknown. "
        f"Its log ends with: epoch 40 of 300 (log: {log})"
    )
    (line,) = summary(STOPPED.format(status="FAILED", log=log)).splitlines()[1:]
    assert line == f"  train: epoch 40 of 300 (log: {log})"


GROUP = """
[Sun Nov 22 22:20:12 2026]
    message: Error in group words
    log: slurm.log (check log file(s) for error details)
    jobs:
        rule words:
            jobid: 2
            output: b.tsv
            log: {folder}/b.log (check log file(s) for error details)
        rule words:
            jobid: 3
            output: c.tsv
            log: {folder}/c.log (check log file(s) for error details)
{members}    [Sun Nov 22 22:20:12 2026]
    Error in rule words:
        message: None
        jobid: 2
        output: b.tsv
        log: {folder}/b.log (check log file(s) for error details)
    [Sun Nov 22 22:20:12 2026]
    Error in rule words:
        message: None
        jobid: 3
        output: c.tsv
        log: {folder}/c.log (check log file(s) for error details)
"""
# What the job that ran the group has logged.
MEMBER = """Logfile slurm.log:
[Sun Nov 22 22:19:56 2026]
Error in rule words:
    message: None
    jobid: 0
    output: b.tsv
    log: {folder}/b.log (check log file(s) for error details)
Finished jobid: 0 (Rule: words)
"""


def test_of_a_group_only_who_failed_is_named(tmp_path):
    (tmp_path / "b.log").write_text("b.TextGrid is damaged.\n")
    run_log = GROUP.format(folder=tmp_path, members=MEMBER.format(folder=tmp_path))
    assert summary(run_log + run_log).splitlines() == [
        "1 job failed; all that does not depend on it was done.",
        f"  words: b.TextGrid is damaged. (log: {tmp_path}/b.log)",
        "1 job of the same Slurm jobs must be done again: they are kept or lost together.",
    ]
    finished = "Finished jobid: 2 (Rule: words)\nFinished jobid: 3 (Rule: words)\n"
    assert summary(run_log + finished) == ""


def test_of_a_group_that_is_killed_all_are_named(tmp_path):
    named = summary(GROUP.format(folder=tmp_path, members="")).splitlines()
    assert named[0].startswith("2 jobs failed") and [line.split()[-1] for line in named[1:]] == [
        f"{tmp_path}/b.log)",
        f"{tmp_path}/c.log)",
    ]
