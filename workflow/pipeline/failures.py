"""What failed in a run, why, and where its log is: from the events that Snakemake logs, whatever it shows of them."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

# What a group's own Snakemake, on the node that ran it, writes of a member that failed itself.
MEMBER = re.compile(r"^Error in rule \w+:\n(?: {4}.*\n)*? {4}output: (?P<output>.*)$", re.MULTILINE)
# What Slurm says of a job that did not end by itself: its log does not tell why.
STOPPED = re.compile("TIMEOUT|OUT_OF_MEMORY|NODE_FAIL|CANCELLED|PREEMPTED|DEADLINE")
# What the log of a job begins its lines with.
TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ")


@dataclass(frozen=True)
class Failure:
    """A job that failed."""

    rule: str
    outputs: tuple[str, ...]
    log: Path | None
    message: str | None
    """What is known from elsewhere than the log: that Slurm refused the job, for example."""

    @property
    def is_mended(self) -> bool:
        """Whether a later try has made the outputs, which Snakemake removes with every failure."""
        return bool(self.outputs) and all(Path(output).exists() for output in self.outputs)


class Failures(logging.Handler):
    """The jobs of a run that failed, as Snakemake logs them.

    Of a group that failed these are the members that failed themselves, or all, where no member did; Snakemake
    removes the others' outputs with those of the failed ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self._failed: dict[int, Failure] = {}
        self._companions: dict[int, Failure] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a job's failure; of a group's members, Snakemake says once more that each has failed."""
        event, info = getattr(record, "event", None), vars(record)
        if event == LogEvent.JOB_ERROR and not info["indent"]:
            self._failed[info["jobid"]] = _failure(info)
        elif event == LogEvent.GROUP_ERROR:
            members = {info["jobid"]: _failure(info) for info in info["job_error_info"]}
            named = _failed_outputs(info["aux_logs"])
            at_fault = {job for job, member in members.items() if named & {", ".join(member.outputs)}}
            # Of a later try there may be no log.
            at_fault = at_fault or members.keys() & self._failed.keys()
            for job, member in members.items():
                (self._failed if job in at_fault or not at_fault else self._companions)[job] = member

    def failed(self) -> list[Failure]:
        """Those that no later try has mended."""
        return [failure for failure in self._failed.values() if not failure.is_mended]

    def companions(self) -> list[Failure]:
        """Jobs that were lost with those of their group."""
        lost = (failure for job, failure in self._companions.items() if job not in self._failed)
        return [failure for failure in lost if not failure.is_mended]


def watch_failures() -> Failures:
    """What fails from now on in this process's run."""
    failures = Failures()
    logger.addHandler(failures)
    return failures


def _failure(info: Mapping[str, Any]) -> Failure:
    # A job's own log stands first; what a cluster wrote, behind it.
    log = next(iter(info["log"]), None)
    message = (info["rule_msg"] or "").split("For further error details")[0]
    # Of a call that a cluster refused, Snakemake adds the whole command.
    message = " ".join(message.split("sbatch call:")[0].split())
    return Failure(info["rule_name"], tuple(info["output"]), Path(log) if log else None, message or None)


def _failed_outputs(logs: Sequence[str]) -> set[str]:
    texts = (Path(log).read_text(encoding="utf-8", errors="replace") for log in logs if Path(log).is_file())
    return {found["output"] for text in texts for found in MEMBER.finditer(text)}


def summary(failures: Failures) -> str:
    """A line for each job that failed: the last thing that its log says, and where the log is."""
    failed, n_companions = failures.failed(), len(failures.companions())
    if not failed:
        return "The run has failed, but none of its jobs: what Snakemake says above tells why."
    it = "it" if len(failed) == 1 else "them"
    lines = [f"{_counted(len(failed))} failed; all that does not depend on {it} was done."]
    for failure in failed:
        where = f" (log: {failure.log})" if failure.log else ""
        lines.append(f"  {failure.rule}: {_reason(failure)}{where}")
    if n_companions:
        lines.append(
            f"{_counted(n_companions)} of the same Slurm jobs must be done again: they are kept or lost together."
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
