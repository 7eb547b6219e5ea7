"""What would a run take? Prints how many jobs are pending, their memory, disk and time; nothing is run or written.

python -m pipeline.forecast [options and targets of snakemake], in the folder workflow/ or with it on the PYTHONPATH
"""

import logging
import os
import statistics
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from snakemake.api import SnakemakeApi
from snakemake.jobs import Job
from snakemake.settings.types import OutputSettings

from brainlm.control_groups import memory_limit
from pipeline.cost import cost_in, rule_of_log
from pipeline.forecast_table import Machine, PendingJob, described, forecast
from pipeline.paths import existing_part, free_bytes
from pipeline.planning import parsed, plan, read_workflow
from pipeline.provenance import files_below

USAGE = "python -m pipeline.forecast [options and targets of snakemake, such as --configfile FILE]"
MEGABYTE = 10**6
LOGS = "logs"
"""Below the results, as the Snakefile says."""


def main() -> None:
    """Plan the run that the command line asks for, and print what it would take."""
    arguments = parsed(sys.argv[1:], USAGE)
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, enable_file_logging=False)) as api:
        try:
            workflow = read_workflow(api, arguments)
            plan(workflow, *arguments.targets)
            dag, results = workflow.dag, Path(os.environ["BRAINLM_RESULTS"])
            declared = [rule.name for rule in workflow.rules]
            ordered = [
                job
                # What comes after the rules of --until is still in the graph.
                for level in dag.toposorted(set(dag.bfs(dag.dependencies, *dag.targetjobs)))
                for job in sorted(level, key=lambda of: declared.index(of.rule.name))
                # Of rules that only ask for their inputs nothing is run.
                if not job.is_norun
            ]
            pending = [job for job in ordered if dag.needrun(job)]
            print(_described(pending, ordered, results, n_cores=workflow.cores))
        except Exception as error:
            api.print_exception(error)
            sys.exit(1)


def _described(pending: list[Job], jobs: list[Job], results: Path, *, n_cores: int) -> str:
    rules = {_rule(job, results) for job in pending}
    before = _bytes_a_job([job for job in jobs if _rule(job, results) in rules], results)
    # All that lies on the disk of the results is told of it.
    disks = {_device(results): results}
    planned = [_pending_job(job, results, before, disks) for job in pending]
    # A cluster or a container may grant less than the machine has.
    memory = min(filter(None, (psutil.virtual_memory().total, memory_limit())))
    machine = Machine(n_cores, memory, {folder: free_bytes(folder) for folder in disks.values()})
    return described(forecast(planned, _seconds_a_job(results), machine), machine)


def _pending_job(job: Job, results: Path, before: Mapping[str, int], disks: dict[int, Path]) -> PendingJob:
    """What a job asks for.

    Parameters
    ----------
    before: rule -> bytes that a job of it has written.
    disks: device -> the first folder of jobs on it; is filled.
    """
    rule = _rule(job, results)
    # Only a rule that fetches names another folder: its outputs are records of what it writes there.
    root = job.params.get("root")
    folder = Path(root) if isinstance(root, str) else results
    return PendingJob(
        rule,
        job.threads,
        _asked(job, "mem_mb", MEGABYTE),
        _asked(job, "runtime", 60),
        job.resources.get("written_bytes", before.get(rule)),
        _size(job),
        disks.setdefault(_device(folder), folder),
    )


def _asked(job: Job, resource: str, unit: int) -> int | None:
    """What a job asks for; None where its rule, which may be of another workflow that uses this one, does not say."""
    amount = job.resources.get(resource)
    return amount * unit if isinstance(amount, int) else None


def _device(folder: Path) -> int:
    return existing_part(folder).stat().st_dev


def _rule(job: Job, results: Path) -> str:
    """What a job's log is filed under: the rule, without subject and number where batches of stories have rules.

    Of a rule of another workflow, which uses this one: its name.
    """
    log = next((Path(path) for path in job.log if Path(path).is_relative_to(results / LOGS)), None)
    return job.rule.name if log is None else rule_of_log(log, results / LOGS)


def _seconds_a_job(results: Path) -> dict[str, float]:
    """Rule -> wall time of a job of it, mean over the logs that jobs of this run have ended with.

    The mean, because it is to be multiplied: of two files to fetch, one may be a thousand times the other.
    """
    seconds: dict[str, list[float]] = {}
    for log in (results / LOGS).rglob("*.log"):
        if cost := cost_in(log):
            seconds.setdefault(rule_of_log(log, results / LOGS), []).append(cost.wall_s)
    return {rule: statistics.fmean(times) for rule, times in seconds.items()}


def _bytes_a_job(jobs: Iterable[Job], results: Path) -> dict[str, int]:
    """Rule -> what the results of a job of it take, mean over jobs whose results are there."""
    sizes: dict[str, list[int]] = {}
    for job in jobs:
        if all(Path(path).exists() for path in job.output):
            sizes.setdefault(_rule(job, results), []).append(_size(job))
    return {rule: round(statistics.fmean(of_jobs)) for rule, of_jobs in sizes.items()}


def _size(job: Job) -> int:
    """Bytes of a job's results that are there."""
    files = [file for path in map(Path, job.output) for file in (path, *files_below(path).values())]
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
