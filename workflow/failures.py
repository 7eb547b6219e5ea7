"""What failed in a run, why, and where its log is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ERROR = re.compile(r"^Error in rule (?P<rule>\w+):\n(?P<fields>(?:    .*\n)*)", re.MULTILINE)
FINISHED = re.compile(r"^Finished jobid: (\d+) ", re.MULTILINE)
# What the log of a job begins its lines with.
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


@dataclass(frozen=True)
class Failure:
    """A job that failed at its last try."""

    rule: str
    log: Path | None


def failures(run_log: str) -> Iterator[Failure]:
    """The jobs of a run's log that failed and were not finished by a later try, each once."""
    finished = set(FINISHED.findall(run_log))
    seen = set()
    for error in ERROR.finditer(run_log):
        fields = dict(re.findall(r"^    (\w+): (.*)$", error["fields"], re.MULTILINE))
        job = fields.get("jobid")
        if job in finished or job in seen:
            continue
        seen.add(job)
        # A job's own log stands first; what a cluster wrote, behind it.
        log = re.split(r", | \(check log", fields["log"])[0] if "log" in fields else None
        yield Failure(error["rule"], Path(log) if log else None)


def summary(run_log: str) -> str:
    """A line for each job that failed: the last thing that its log says, and where the log is."""
    lines = []
    for failure in failures(run_log):
        said = _last_line(failure.log)
        where = f" (log: {failure.log})" if failure.log else ""
        lines.append(f"  {failure.rule}: {said}{where}")
    counted = "1 job failed" if len(lines) == 1 else f"{len(lines)} jobs failed"
    return "\n".join([f"{counted}; all that does not depend on it was done.", *lines]) if lines else ""


def _last_line(log: Path | None) -> str:
    """Empty logs are those of jobs that were killed: by the memory's end, the time limit, or a node's loss."""
    if log is None or not log.is_file():
        return "left no log"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return TIME.sub("", lines[-1]) if lines else "stopped without a word; it was killed, or its node was lost"
