"""The workflow run from other places than its repository: in a project's folder, and as a module of another."""

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
