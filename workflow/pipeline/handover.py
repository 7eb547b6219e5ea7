"""Snakemake's half of `pipeline.by_hand`: plan one job, hand it over, and keep the books as of any other job.

What the script is given goes to the standard output; that it has ended well comes from the standard input.
"""

import json
import logging
import os
import pickle
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.common import get_snakemake_searchpaths
from snakemake.iocontainers import Log, Snakemake
from snakemake.jobs import Job
from snakemake.script import get_source
from snakemake.settings.types import OutputSettings
from snakemake.shell import shell
from snakemake.workflow import Workflow

from pipeline.by_hand import DONE, USAGE
from pipeline.planning import SNAKEFILE, parsed, plan, read_workflow
from pipeline.provenance import record_path

_INPUTS_NAMED = 3


def main() -> None:
    """Hand over the job that makes an output: the first argument; others are options of snakemake."""
    output, *options = sys.argv[1:]
    arguments = parsed([output, *options], USAGE)
    channel = os.fdopen(os.dup(1), "wb")
    # What a Snakefile prints is no part of what is handed over.
    os.dup2(2, 1)
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, enable_file_logging=False)) as api:
        try:
            workflow = read_workflow(api, arguments)
            job = _planned_job(workflow, output)
            _refuse_missing_inputs(job, options)
            with _as_snakemake_runs_it(workflow, job):
                pickle.dump(_given(workflow, job), channel)
                channel.flush()
                if sys.stdin.buffer.read() != DONE:
                    sys.exit(1)
        except Exception as error:
            api.print_exception(error)
            sys.exit(1)


def _planned_job(workflow: Workflow, output: str) -> Job:
    target = _target(workflow, output)
    if target is None:
        sys.exit(f"No rule makes {output}{_similar(workflow, output) or '.'}")
    try:
        plan(workflow, target, force=True)
    except Exception:
        similar = _similar(workflow, output)
        if not similar:
            raise
        sys.exit(f"No job of this config makes {output}{similar}")
    (job,) = workflow.dag.targetjobs
    if not job.is_script:
        sys.exit(f"{output} is a rule without a script: it only asks for its inputs; name one of those.")
    return job


def _target(workflow: Workflow, output: str) -> str | None:
    """The name of a rule, or the path of a rule's output that a path is or lies in; None if there is none."""
    if workflow.is_rule(output):
        return output
    relative = Path(os.path.relpath(output))
    paths = [relative, Path.cwd() / relative]
    around = [str(outer) for path in paths for outer in (path, *path.parents)]
    return next((path for path in around if any(rule.is_producer(path) for rule in workflow.rules)), None)


def _similar(workflow: Workflow, output: str) -> str:
    """The end of a sentence that asks whether similar outputs of a run were meant; empty if there are none."""
    try:
        plan(workflow)
    except Exception:
        # What is wrong with all of the workflow is no matter of the output's name.
        return ""
    similar = get_close_matches(
        output, [path for job in workflow.dag.jobs for path in job.output], cutoff=0.8
    )
    return f"; did you mean {' or '.join(similar)}?" if similar else ""


def _refuse_missing_inputs(job: Job, options: Sequence[str]) -> None:
    missing = [path for path in job.input if not Path(path).exists()]
    if not missing:
        return
    makers = {maker.rule.name for maker, paths in job.dag.dependencies[job].items() if paths & set(missing)}
    target = next(iter(job.output), job.rule.name)
    command = ["snakemake", target, "--force", "--until", *sorted(makers), *options]
    if Path("workflow", "Snakefile").resolve() != SNAKEFILE:
        command += ["--snakefile", str(SNAKEFILE)]
    others = f" and {len(missing) - _INPUTS_NAMED} others" if len(missing) > _INPUTS_NAMED else ""
    sys.exit(
        f"Inputs of {job.rule.name} are missing: {', '.join(missing[:_INPUTS_NAMED])}{others}; "
        f"make them by `{shlex.join(command)}`."
    )


def _given(workflow: Workflow, job: Job) -> dict[str, Any]:
    """What the job's script and its process are given, and what is said before it runs."""
    source, *_ = get_source(
        job.rule.script, workflow.sourcecache, job.rule.basedir, job.wildcards, job.params
    )
    script = Path(source.get_path_or_uri(secret_free=True)).resolve()
    snakemake = Snakemake(
        job.input,
        job.output,
        job.params,
        job.wildcards,
        job.threads,
        job.resources,
        # What the script says is for the terminal.
        Log(),
        workflow.config,
        job.rule.name,
        bench_iteration=None,
        scriptdir=str(script.parent),
    )
    makers = {maker.rule.name for maker in job.dag.dependencies[job] if job.dag.needrun(maker)}
    warning = f"\nWarning: inputs made by {', '.join(sorted(makers))} are out of date." if makers else ""
    # The numbers of threads, and where temporary files go.
    dump = f"{shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    return {
        "snakemake": snakemake,
        "script": str(script),
        "search_paths": [*get_snakemake_searchpaths(), str(script.parent)],
        "folder": str(Path.cwd()),
        "environment": json.loads(shell(dump, read=True, threads=job.threads, resources=job.resources)),
        "announcement": f"{job.rule.name}: {script}{warning}",
    }


@contextmanager
def _as_snakemake_runs_it(workflow: Workflow, job: Job) -> Iterator[None]:
    """Do what Snakemake does before and after a job; where the block fails, what was there before comes back."""
    outputs = [Path(path) for path in job.output]
    records = [record_path(path, Path(os.environ["BRAINLM_RESULTS"])) for path in outputs]
    before = {path: Path(f"{path}.before") for path in [*outputs, *records] if path.exists()}
    with workflow.persistence.lock():
        # From now on the disk counts.
        workflow.iocache.deactivate()
        workflow.persistence.deactivate_cache()
        for path, kept in before.items():
            _remove(kept)
            path.rename(kept)
        try:
            workflow.async_run(job.prepare())
            job.register()
            yield
            workflow.async_run(job.postprocess(handle_log=False))
        except BaseException:
            # What is on record of an output stays true of one that comes back.
            workflow.execution_settings.keep_metadata = False
            workflow.async_run(job.postprocess(error=True, handle_log=False))
            for path, kept in before.items():
                kept.rename(path)
            raise
        for kept in before.values():
            _remove(kept)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
