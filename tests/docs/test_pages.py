"""What pages show can be run: commands are there, configs are configs, files are where pages say."""

import ast
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.cli import get_argument_parser

from pipeline.experiments import merge
from pipeline.reference import json_schema
from tests.docs.pages import DOCS, PAGES, REPOSITORY, Block, blocks, without_blocks

MARKS = re.compile(r"run|run on results|write \S+|config|.*: config")
COMMANDS = ("make", "snakemake", "cd", ".", "datalad", "python", "pip", "git", "PYTHONPATH=workflow")
TARGETS = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
WRITTEN = {block.mark.split()[1] for block in blocks() if block.mark.startswith("write ")}
"""Files that the pages tell a reader to write."""
SHELL = [
    block
    for block in blocks()
    if block.language in ("", "bash", "sh", "console") and block.code.split()[0] in COMMANDS
]
CONFIGS = [block for block in blocks() if block.language == "yaml" or block.code.startswith("dataset:")]


def named(block: Block) -> str:
    return f"{block.page}: {block.code.strip().splitlines()[0]}"


def test_pages_have_blocks_of_every_kind():
    assert len(PAGES) > 20 and len(SHELL) > 5 and len(CONFIGS) > 5 and len(WRITTEN) > 8


def test_every_block_of_python_is_run_by_a_test():
    # A workflow as a module of another, which tests/workflow/test_elsewhere.py runs, is in Snakemake's language.
    python = [of for of in blocks() if of.language == "python" and not of.code.startswith("module ")]
    assert [named(of) for of in python if not MARKS.fullmatch(of.mark)] == []
    for block in python:
        ast.parse(block.code)


@pytest.mark.parametrize("block", SHELL, ids=named)
def test_commands_can_be_parsed(block):
    # What a reader puts in is in capitals or angle brackets.
    code = re.sub(r"<[\w ]+>", "NAME", block.code)
    shell = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True)
    assert shell.returncode == 0, shell.stderr
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word} <= TARGETS
        if words[:1] == ["snakemake"]:
            given = get_argument_parser().parse_args(words[1:])
            # Study folders are a reader's own.
            for file in map(Path, given.configfile or []):
                assert (
                    str(file) == "FILE" or file.parts[0] in ("study", "NAME") or (REPOSITORY / file).exists()
                )


# A list of changes also names what is no longer there.
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],
    ids=lambda page: page.relative_to(REPOSITORY).as_posix(),
)
def test_targets_and_files_that_prose_names_are_there(page):
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", without_blocks(page))
    targets = {span.split()[1] for span in spans if span.startswith("make ")}
    assert sorted(targets - TARGETS) == []
    files = {
        span
        for span in spans
        if re.fullmatch(r"(brainlm|workflow|tests|docs|envs|slurm|\.ci)/[\w./-]+", span)
    }
    built = {file for file in files if file.startswith("docs/_build/")}
    assert [file for file in sorted(files - WRITTEN - built) if not (REPOSITORY / file).exists()] == []


@pytest.mark.parametrize("block", CONFIGS, ids=named)
def test_configs_are_configs(block):
    given = yaml.safe_load(block.code)
    schema = json_schema()
    if not given.keys() <= schema["properties"].keys():
        given = {"dataset": given}
    # A source that the page itself adds.
    added = {f"workflow/pipeline/datasets/{given.get('dataset', {}).get('source')}.py"} & WRITTEN
    if added:
        given["dataset"]["source"] = "local"
    demo = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text(encoding="utf-8"))
    config = given if "language_model" in given else merge(demo, given)
    assert list(Draft202012Validator(schema).iter_errors(config)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_picture_and_linked_file_is_there(page):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", without_blocks(page))
    # What lies outside is the host's, such as its list of issues.
    files = [
        path
        for path in (page.parent / target for target in targets)
        if path.resolve().is_relative_to(REPOSITORY)
    ]
    assert [file for file in files if not file.exists()] == []


def test_every_page_and_picture_of_the_site_is_linked():
    """A page that stands in no list of contents is a warning of Sphinx; of pictures it knows nothing."""
    shown = {
        os.path.normpath(page.parent / target)
        for page in PAGES
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert sorted(str(picture) for picture in (DOCS / "images").iterdir() if str(picture) not in shown) == []


def table(page: Path) -> list[list[str]]:
    """Rows of the first table of checks in a page, without notes."""
    rows = re.search(r"^\| check \|.*?(?=^$)", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    return [[cell.strip() for cell in row.strip("|").split("|")][:4] for row in rows.splitlines()[2:]]


def test_the_readmes_checks_are_some_of_the_demos():
    few, all_of_them = table(REPOSITORY / "README.md"), table(DOCS / "demo.md")
    assert 1 < len(few) < len(all_of_them) == 17
    assert [row for row in few if row not in all_of_them] == []
    assert all(row[3] == "yes" for row in all_of_them)


def test_the_docs_packages_are_pinned_beside_those_of_the_lock():
    def pins(name: str) -> dict[str, str]:
        lines = (REPOSITORY / "envs" / name).read_text(encoding="utf-8").splitlines()
        return dict(line.lower().replace("_", "-").split("==") for line in lines if line and line[0] != "#")

    docs, lock = pins("docs.lock"), pins("requirements.lock")
    assert "sphinx" in docs and docs.keys() & lock.keys() == set()


def test_the_librarys_extras_are_those_of_the_project():
    page = (DOCS / "reference" / "library" / "index.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert told == set(project["optional-dependencies"])


def test_every_package_and_module_of_the_library_has_a_place():
    library = REPOSITORY / "brainlm"
    parts = {
        path.stem for path in library.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    pages = [page.read_text(encoding="utf-8") for page in (DOCS / "reference" / "library").glob("*.md")]
    shown = re.findall(r"^\.\. automodule:: brainlm\.(\w+)$", "\n".join(pages), re.MULTILINE)
    assert sorted(shown) == sorted(parts - {"__init__"})
