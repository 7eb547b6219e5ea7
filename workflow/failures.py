"""What failed in a run, why, and where its log is."""

import re
from dataclasses import dataclass
from pathlib import Path

GROUP = re.compile(r" {4}message: Error in group ")
# Of a group that failed, Snakemake lists the members first, and then once more as "Error in rule", indented.
ERROR = re.compile(r"(?P<member> {8}rule|Error in rule) (?P<rule>\w+):$")
FIELD = re.compile(r" +(?P<name>message|jobid|output|log): (?P<value>.*)$")
END = re.compile(r" *\[\w{3} \w{3} .*\]$")
FINISHED = re.compile(r"^Finished jobid: (\d+) ", re.MULTILINE)
# What every job's own Snakemake on a cluster numbers its only job; in the run itself it is the rule `all`.
JOB_OF_MEMBER = "0"
# What Slurm says of a job that did not end by itself: its log does not tell why.
STOPPED = re.compile("TIMEOUT|OUT_OF_MEMORY|NODE_FAIL|CANCELLED|PREEMPTED|DEADLINE")
# What the log of a job begins its lines with.
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


@dataclass(frozen=True)
class Failure:
    """A job that failed at its last try."""

    rule: str
    log: Path | None
    message: str | None
    """What is known from elsewhere than the log: that Slurm refused the job, for example."""


def failures(run_log: str) -> tuple[list[Failure], int]:
    """The jobs of a run's log that failed and were not finished by a later try, each once.

    Of a group that failed these are the members that failed themselves, or all, where no member did. The number is
    of the other members, whose outputs Snakemake removes with those of the failed ones.
    """
    errors, groups = _errors(run_log)
    members = [member for group in groups for member in group]
    finished = set(FINISHED.findall(run_log)) - {JOB_OF_MEMBER}
    done = {job.get("output") for job in (*errors, *members) if job.get("jobid") in finished}
    at_fault = {job.get("output") for job in errors}
    alike = [group for group in groups if not at_fault & {member.get("output") for member in group}]
    failed: dict[str | None, dict[str, str]] = {}
    for job in (*errors, *(member for group in alike for member in group)):
        # On a cluster the job's own Snakemake reports after the one that submitted it, and knows less.
        if job.get("message", "None") != "None" or job.get("output") not in failed:
            failed[job.get("output")] = job
    others = {member.get("output") for member in members} - failed.keys() - done
    return [_failure(job) for output, job in failed.items() if output not in done], len(others)


def _failure(job: dict[str, str]) -> Failure:
    # A job's own log stands first; what a cluster wrote, behind it.
    log = re.split(r", | \(check log", job["log"])[0] if "log" in job else None
    message = job.get("message", "None").split(" For further error details")[0]
    return Failure(job["rule"], Path(log) if log else None, None if message == "None" else message)


def _errors(run_log: str) -> tuple[list[dict[str, str]], list[list[dict[str, str]]]]:
    """What is said of each job that failed by itself, and of the members of each group that failed."""
    errors: list[dict[str, str]] = []
    groups: list[list[dict[str, str]]] = []
    current: dict[str, str] = {}
    for line in run_log.splitlines():
        if GROUP.match(line):
            groups.append([])
            current = {}
        elif error := ERROR.match(line):
            current = {"rule": error["rule"]}
            (groups[-1] if error["member"].startswith(" ") and groups else errors).append(current)
        elif END.match(line):
            current = {}
        elif said := FIELD.match(line):
            current.setdefault(said["name"], said["value"])
    return errors, groups


def summary(run_log: str) -> str:
    """A line for each job that failed: the last thing that its log says, and where the log is."""
    failed, n_others = failures(run_log)
    if not failed:
        return ""
    it = "it" if len(failed) == 1 else "them"
    lines = [f"{_counted(len(failed))} failed; all that does not depend on {it} was done."]
    for failure in failed:
        where = f" (log: {failure.log})" if failure.log else ""
        lines.append(f"  {failure.rule}: {_reason(failure)}{where}")
    if n_others:
        lines.append(
            f"{_counted(n_others)} of the same Slurm jobs must be done again: they are kept or lost together."
        )
    return "\n".join(lines)


def _counted(n_jobs: int) -> str:
    return "1 job" if n_jobs == 1 else f"{n_jobs} jobs"


def _reason(failure: Failure) -> str:
    there = failure.log is not None and failure.log.is_file()
    lines = failure.log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if there else []
    last = TIME.sub("", lines[-1]) if lines else None
    if last and not STOPPED.search(failure.message or ""):
        return last
    if failure.message:
        return failure.message + (f" Its log ends with: {last}" if last else "")
    return "not a word in its log; it was not started, was killed, or lost its node"
