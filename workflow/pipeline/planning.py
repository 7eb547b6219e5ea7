"""Snakemake's graph of a run's jobs, planned in this process: nothing is run."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.cli import get_argument_parser, parse_config
from snakemake.settings.types import ConfigSettings, DAGSettings, ExecutionSettings, ResourceSettings
from snakemake.workflow import Workflow

WORKFLOW = Path(__file__).resolve().parents[1]
SNAKEFILE = WORKFLOW / "Snakefile"


def parsed(arguments: Sequence[str], usage: str) -> Namespace:
    """Options and targets of snakemake, with what the default profile says of the others."""
    parser = get_argument_parser([WORKFLOW / "profiles" / "default"])
    parser.usage = usage
    options = parser.parse_args(["--snakefile", str(SNAKEFILE), *arguments])
    if options.profile:
        parser.error("--profile is not read here; give the options that it sets.")
    return options


def read_workflow(api: SnakemakeApi, arguments: Namespace) -> Workflow:
    """The workflow as the arguments configure it."""
    workflow = api.workflow(
        ResourceSettings(
            cores=arguments.cores,
            max_threads=arguments.max_threads,
            overwrite_threads=arguments.set_threads,
            overwrite_resources=arguments.set_resources,
            default_resources=arguments.default_resources,
        ),
        ConfigSettings(
            parse_config(arguments.config),
            arguments.configfile,
            arguments.config,
            arguments.replace_workflow_config,
        ),
        snakefile=arguments.snakefile,
        workdir=arguments.directory,
    )._workflow
    workflow.execution_settings = ExecutionSettings(latency_wait=arguments.latency_wait)
    workflow.dag_settings = DAGSettings(
        batch=arguments.batch,
        forcetargets=arguments.force,
        forceall=arguments.forceall,
        forcerun=arguments.forcerun,
        until=arguments.until,
        omit_from=arguments.omit_from,
        force_incomplete=arguments.rerun_incomplete,
        rerun_triggers=arguments.rerun_triggers,
    )
    return workflow


def plan(workflow: Workflow, *targets: str, force: bool = False) -> None:
    """Build the graph of the jobs that make the targets, or what a run makes where there are none.

    Parameters
    ----------
    force: the targets are made again, whether or not anything has changed.
    """
    settings = workflow.dag_settings
    settings.targets = set(targets)
    settings.forcetargets |= force
    workflow._prepare_dag(forceall=settings.forceall, ignore_incomplete=False, lock_warn_only=False)
    workflow._build_dag()
