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
    assert list(failures(error + "Finished jobid: 5 (Rule: train)\n")) == []
    assert len(list(failures(error + error + "Finished jobid: 55 (Rule: train)\n"))) == 1


def test_a_job_without_a_word_was_killed(tmp_path):
    log = tmp_path / "train.log"
    log.touch()
    assert "was killed, or its node was lost" in summary(ERROR.format(rule="train", job=5, log=log))
    assert "left no log" in summary(ERROR.format(rule="train", job=5, log=tmp_path / "none.log"))


def test_of_several_logs_the_jobs_own_is_read(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("no memory\n")
    both = f"{log}, {tmp_path}/slurm.log"
    assert [failure.log for failure in failures(ERROR.format(rule="train", job=5, log=both))] == [log]
