"""The workflow run from other places than its repository: in a project's folder, and as a module of another."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from tiny_dataset import REPOSITORY, STORIES, jobs, run_snakemake

SNAKEFILE = REPOSITORY / "workflow" / "Snakefile"
OUTER = """
module brainlm:
    snakefile: "{snakefile}"
    config: {config}

use rule * from brainlm{names}

rule mine:
    default_target: True
    input: rules.{prefix}all.input
"""


@pytest.fixture
def project(tmp_path):
    """A folder of somebody's own, with blanks and accents in its name."""
    folder = tmp_path / "mein Projekt, été"
    folder.mkdir()
    return folder


def dry_run(project, *arguments):
    environment = {"HOME": str(project)}
    run = run_snakemake("--directory", project, "--dry-run", *arguments, environment=environment)
    assert run.returncode == 0, run.stdout[-3000:]
    return jobs(run.stdout)


@pytest.mark.parametrize(
    ("config", "subjects"),
    [("paper.yaml", {"UTS03"}), ("config.yaml", {"SIM01", "SIM02"}), (None, {"SIM01", "SIM02"})],
)
def test_the_shipped_configs_work_in_any_folder(project, config, subjects):
    arguments = ["--configfile", REPOSITORY / "config" / config] if config else []
    pending = dry_run(project, "--snakefile", SNAKEFILE, *arguments)
    assert {job.wildcards["subject"] for job in pending if "subject" in job.wildcards} == subjects
    assert not (project / "config").exists() and not (project / "results").exists()


def test_a_projects_own_config_comes_first(project):
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    (project / "config").mkdir()
    (project / "config" / "config.yaml").write_text(
        yaml.safe_dump(config | {"subjects": ["SIM07"], "experiments": {}})
    )
    pending = dry_run(project, "--snakefile", SNAKEFILE)
    assert {job.wildcards["subject"] for job in pending if "subject" in job.wildcards} == {"SIM07"}


def test_a_table_that_is_not_there_is_sought_in_the_working_directory(project):
    (project / "config.yaml").write_text(
        (REPOSITORY / "config" / "paper.yaml")
        .read_text()
        .replace("config/ds003020/stories.tsv", "config/mine.tsv")
    )
    config = ("--configfile", project / "config.yaml")
    run = run_snakemake("--directory", project, "--dry-run", "--snakefile", SNAKEFILE, *config)
    assert run.returncode != 0
    assert (
        f"dataset.stories names config/mine.tsv, which does not exist in the working directory, {project}"
        in run.stdout
    )


@pytest.mark.parametrize(
    ("names", "prefix", "config"),
    [
        (" as brainlm_*", "brainlm_", 'config["brainlm"]'),
        ("", "", 'config["brainlm"]'),
        (" as x_*", "x_", "config"),
    ],
)
def test_another_workflow_uses_this_one_as_a_module(tiny, project, names, prefix, config):
    outer = project / "workflow" / "Snakefile"
    outer.parent.mkdir()
    outer.write_text(OUTER.format(snakefile=SNAKEFILE, names=names, prefix=prefix, config=config))
    given = {"brainlm": tiny.config} if "brainlm" in config else tiny.config
    (project / "config.yaml").write_text(yaml.safe_dump(given))
    arguments = ("--snakefile", outer, "--configfile", project / "config.yaml", "--cores", "1")
    pending = {job.rule for job in dry_run(project, *arguments)}
    assert {f"{prefix}train", f"{prefix}figure3", "mine"} <= pending
    if prefix == "brainlm_":
        words = f"results/tiny/words/{STORIES[0]}.tsv"
        run = run_snakemake("--directory", project, *arguments, words, environment={"HOME": str(project)})
        assert run.returncode == 0, run.stdout[-3000:]
        here, there = (folder / words for folder in (project, tiny.folder))
        assert here.read_bytes() == there.read_bytes()
        assert (project / "results" / "tiny" / "provenance" / "words" / f"{STORIES[0]}.tsv.json").is_file()


def test_a_module_has_a_report(tiny, project):
    outer = project / "Snakefile"
    outer.write_text(
        OUTER.format(
            snakefile=SNAKEFILE, names=" as brainlm_*", prefix="brainlm_", config='config["brainlm"]'
        )
    )
    (project / "config.yaml").write_text(yaml.safe_dump({"brainlm": tiny.config}))
    shutil.copytree(tiny.results, project / "results" / "tiny")
    arguments = ("--snakefile", outer, "--configfile", project / "config.yaml", "--report", "report.html")
    run = run_snakemake("--directory", project, *arguments, environment={"HOME": str(project)})
    assert run.returncode == 0, run.stdout[-3000:]
    report = (project / "report.html").read_text(encoding="utf-8")
    assert "Brain and language model, one dictionary" in report and "Checks of the method" in report


# A repository that is known by its address, as Snakedeploy writes it

DEPLOYED = """
configfile: "config.yaml"

module brainlm:
    snakefile: github("lab/brainlm", path="workflow/Snakefile", tag="v1")
    config: config

use rule * from brainlm
"""


@pytest.fixture
def hosted(tmp_path) -> dict[str, str]:
    """What makes git take a repository of this disk for github.com/lab/brainlm."""
    repository = tmp_path / "lab" / "brainlm"
    for part in ("workflow", "brainlm", "envs", "config"):
        shutil.copytree(REPOSITORY / part, repository / part, ignore=shutil.ignore_patterns("__pycache__"))
    settings = {"user.name": "A lab", "user.email": "lab@example.org", "init.defaultBranch": "main"}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "A release"], ["tag", "v1"]):
        subprocess.run(["git", *options, *command], cwd=repository, check=True)
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.parents[1].as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }


def test_a_project_uses_this_workflow_by_the_address_of_its_repository(tiny, project, hosted):
    outer = project / "workflow" / "Snakefile"
    outer.parent.mkdir()
    outer.write_text(DEPLOYED)
    (project / "config.yaml").write_text(yaml.safe_dump(tiny.config))
    words = f"results/tiny/words/{STORIES[0]}.tsv"
    arguments = ("--directory", project, "--snakefile", outer, "--cores", "1")
    environment = {"HOME": str(project), **hosted}
    planned = run_snakemake(*arguments, "--dry-run", environment=environment)
    assert {"train", "figure3"} <= {job.rule for job in jobs(planned.stdout)}, planned.stdout[-3000:]
    run = run_snakemake(*arguments, words, environment=environment)
    assert run.returncode == 0, run.stdout[-3000:]
    assert (project / words).read_bytes() == (tiny.folder / words).read_bytes()
    (copy,) = (project / ".snakemake" / "brainlm").iterdir()
    assert (copy / "workflow" / "Snakefile").is_file()


def test_runs_that_begin_at_once_share_the_copy(tiny, project, hosted):
    outer = project / "workflow" / "Snakefile"
    outer.parent.mkdir()
    outer.write_text(DEPLOYED)
    (project / "config.yaml").write_text(yaml.safe_dump(tiny.config))
    arguments = ("--directory", project, "--snakefile", outer, "--dry-run", "--nolock")
    with ThreadPoolExecutor() as threads:
        runs = [
            threads.submit(run_snakemake, *arguments, environment={"HOME": str(project / home), **hosted})
            for home in ("first", "second")
        ]
    for run in runs:
        assert run.result().returncode == 0, run.result().stdout[-3000:]
    (copy,) = (project / ".snakemake" / "brainlm").iterdir()
    assert (copy / "workflow" / "Snakefile").is_file()


def test_an_address_of_single_files_is_refused(tiny, project, hosted, tmp_path):
    (project / "config.yaml").write_text(yaml.safe_dump(tiny.config))
    repository = tmp_path / "lab" / "brainlm"
    addresses = [f'gitfile("{repository}", path="workflow/Snakefile", tag="v1")']
    serve = partial(SimpleHTTPRequestHandler, directory=repository)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever).start()
        addresses.append(f'"http://127.0.0.1:{server.server_port}/workflow/Snakefile"')
        runs = []
        for number, address in enumerate(addresses):
            outer = project / f"Snakefile{number}"
            outer.write_text(
                OUTER.format(snakefile="HERE", names="", prefix="", config="config").replace(
                    '"HERE"', address
                )
            )
            arguments = (
                "--directory",
                project,
                "--snakefile",
                outer,
                "--configfile",
                project / "config.yaml",
            )
            runs.append(run_snakemake(*arguments, "--dry-run", environment={"HOME": str(project)}))
        server.shutdown()
    for run in runs:
        assert run.returncode != 0
        assert "is an address that leads to single files" in run.stdout, run.stdout[-3000:]
        assert "by its path on this machine, or by github(...) or gitlab(...)" in run.stdout
        assert "Error" not in run.stdout


# In a container


def test_an_image_that_is_missing_is_asked_for(tiny, tmp_path):
    config = ("--configfile", tiny.config_file(tmp_path))
    run = run_snakemake("--directory", tmp_path, "--dry-run", "--sdm", "apptainer", *config)
    assert run.returncode != 0
    assert f"brainlm.sif is missing in {tmp_path}: build it as the Dockerfile says" in run.stdout


def test_with_an_image_every_job_runs_in_it(tiny, tmp_path):
    """The program apptainer is replaced by one that notes its call and runs the command here."""
    (tmp_path / "bin").mkdir()
    apptainer = tmp_path / "bin" / "apptainer"
    apptainer.write_text(
        "#!/bin/sh\n"
        '[ "$1" = --version ] && { echo apptainer version 1.3.0; exit; }\n'
        f"echo \"$@\" >> '{tmp_path}/calls'\n"
        'for command; do :; done\nexec bash -c "$command"\n'
    )
    apptainer.chmod(0o755)
    (tmp_path / "brainlm.sif").touch()
    words = Path("results", "tiny", "words", f"{STORIES[0]}.tsv")
    run = run_snakemake(
        *(words, "--directory", tmp_path, "--cores", "1", "--sdm", "apptainer"),
        *("--configfile", tiny.config_file(tmp_path)),
        # The image's Python is the first that a job finds, as this one here.
        environment={
            "PATH": os.pathsep.join(
                [str(apptainer.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
            )
        },
    )
    assert run.returncode == 0, run.stdout[-3000:]
    # Stories are written, then their words read.
    calls = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("exec ")]
    assert len(calls) == 2 and all(" brainlm.sif " in call for call in calls)
    assert (tmp_path / words).read_bytes() == (tiny.folder / words).read_bytes()
