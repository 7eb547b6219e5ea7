"""`snakemake plan` tells what a run would take before anything is run."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from brainlm.data.manifest import read_manifest
from tiny_dataset import REPOSITORY, SUBJECT, Workspace, run_snakemake


def table(output: str) -> dict[str, dict[str, str]]:
    """Rule -> column -> cell; columns are two blanks or more apart."""
    lines = output.splitlines()
    # Snakemake counts its own one job in such a table before.
    rule = [number for number, line in enumerate(lines) if line.startswith("-----")][-1]
    header, *rows = (
        re.split(r"\s{2,}", line.strip())
        for line in [lines[rule - 1], *lines[rule + 1 : lines.index("", rule)]]
    )
    return {name: dict(zip(header[1:], cells, strict=True)) for name, *cells in rows}


def counts(rows: dict[str, dict[str, str]]) -> dict[str, int]:
    return {rule: int(cells["jobs"]) for rule, cells in rows.items()}


def planned(workspace: Workspace, scratch: Path) -> str:
    run = workspace.snakemake("plan", scratch=scratch)
    assert run.returncode == 0, run.stdout[-3000:]
    return run.stdout


def pending_jobs(workspace: Workspace, *options: str) -> dict[str, int]:
    """Rule without subject and number of a batch -> its jobs."""
    return Counter(re.sub(rf"(_{SUBJECT})?_\d+$", "", job.rule) for job in workspace.pending(*options))


@pytest.fixture(scope="module")
def new(tiny, tmp_path_factory) -> Workspace:
    """Stories and a language model, and nothing that was run."""
    workspace = tiny.copy(tmp_path_factory.mktemp("new"))
    for folder in ("results", ".snakemake"):
        shutil.rmtree(workspace.folder / folder)
    return workspace


def test_before_the_first_run_jobs_are_counted_and_times_are_not_known(new, tmp_path):
    output = planned(new, tmp_path)
    rows = table(output)
    assert counts(rows) == pending_jobs(new)
    assert {tuple(cells) for cells in rows.values()} == {("jobs", "memory", "limit of one")}
    assert f"Time of {sum(pending_jobs(new).values())} jobs on 2 cores: not known" in output
    assert "this machine has" in output and "are free" in output
    assert not (new.folder / "results").exists()


def test_after_a_run_logs_tell_times_and_results_tell_sizes(tiny, tmp_path):
    assert "Nothing is to be done." in planned(tiny, tmp_path)
    other = tiny.changed(crosscoder__k=2)
    before = set(tiny.results.rglob("*"))
    output = planned(other, tmp_path)
    rows = table(output)
    assert counts(rows) == pending_jobs(other)
    assert rows["train"]["jobs"] == "5"
    assert [cells for cells in rows.values() if "not known" in cells.values()] == []
    assert re.search(r"Time of \d+ jobs on 2 cores: about \d+ (s|min)\.$", output, re.MULTILINE)
    # What is there is written again.
    assert re.search(r"Disk of results/tiny: about [\d.]+ (bytes|KB|MB) more;", output)
    assert set(tiny.results.rglob("*")) == before


def test_another_experiment_takes_as_long_and_as_much_as_those_before(tiny, tmp_path):
    other = tiny.changed(experiments__wide={"crosscoder": {"n_latents": 24}})
    rows = table(planned(other, tmp_path))
    assert rows["train"]["jobs"] == "1"
    assert "not known" not in rows["train"].values() and rows["train"]["more disk"] != "0 bytes"


def test_a_bad_config_is_refused_in_one_sentence(tiny, tmp_path):
    run = tiny.changed(crosscoder__k=99).snakemake("plan", scratch=tmp_path)
    assert run.returncode == 1
    assert [line for line in run.stdout.splitlines() if line.startswith("Config: ")] == [
        run.stdout.strip().splitlines()[-1]
    ]
    assert "Traceback" not in run.stdout


def test_what_would_be_forced_is_told_of_and_other_choices_of_jobs_are_refused(tiny, tmp_path):
    run = tiny.snakemake("plan", "--forceall", scratch=tmp_path)
    assert run.returncode == 0, run.stdout[-3000:]
    assert counts(table(run.stdout)) == pending_jobs(tiny, "--forceall")
    refused = tiny.snakemake("plan", "--forcerun", "checks", scratch=tmp_path)
    assert refused.returncode == 1
    assert "--forcerun cannot be combined with the target plan" in refused.stdout


OUTER = """
module brainlm:
    snakefile: "{snakefile}"
    config: config

use rule * from brainlm as brainlm_*

rule mine:
    default_target: True
    input: rules.brainlm_all.input
    output: "mine.txt"
    params: root=3
    shell: "cat {{input}} > {{output}}"
"""


def test_in_a_workflow_that_uses_this_one_all_rules_are_told_of(tiny, tmp_path):
    (tmp_path / "Snakefile").write_text(OUTER.format(snakefile=REPOSITORY / "workflow" / "Snakefile"))
    run = run_snakemake(
        *("brainlm_plan", "--snakefile", tmp_path / "Snakefile", "--directory", tmp_path, "--cores", "2"),
        *("--configfile", tiny.config_file(tmp_path)),
        environment={"HOME": str(tmp_path)},
    )
    assert run.returncode == 0, run.stdout[-3000:]
    rows = table(run.stdout)
    assert rows["mine"] == {"jobs": "1", "memory": "not known", "limit of one": "not known"}
    assert rows["train"]["jobs"] == "5" and rows["train"]["memory"] != "not known"


def test_python_says_the_same_of_any_targets(tiny, tmp_path):
    def forecast(*targets: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "pipeline.forecast", *targets, "--directory", tiny.folder]
            + ["--configfile", tiny.changed(crosscoder__k=2).config_file(tmp_path), "--cores", "2"],
            env={"PYTHONPATH": str(REPOSITORY / "workflow"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )

    whole, one = forecast(), forecast(f"results/tiny/tables/{SUBJECT}/table1.tsv")
    until, profile = forecast("--until", "train"), forecast("--profile", "slurm")
    assert (whole.returncode, whole.stderr, one.returncode) == (0, "", 0)
    assert counts(table(whole.stdout)) == pending_jobs(tiny.changed(crosscoder__k=2))
    assert counts(table(one.stdout))["train"] == 1
    assert counts(table(until.stdout)) == {"train": 5}
    assert profile.returncode != 0 and "--profile is not read here" in profile.stderr


def test_what_the_papers_data_take_is_known_before_they_are_there(tmp_path):
    config = REPOSITORY / "config" / "paper.yaml"
    run = run_snakemake("plan", "--configfile", config, "--directory", tmp_path, "--cores", "2")
    assert run.returncode == 0, run.stdout[-3000:]
    rows = table(run.stdout)
    manifest = read_manifest(REPOSITORY / "config" / "ds003020" / "manifest.tsv")
    responses = sum(
        file.bytes for path, file in manifest.items() if "/UTS03/" in path and path.endswith(".hf5")
    )
    number, unit = rows["fetch"]["more disk"].split()
    # The responses to the stories that the paper takes are most of it.
    assert unit == "GB" and 0.8 * responses < float(number) * 1e9 < 1.1 * responses
    assert rows["activations"]["more disk"] == "not known" and "one job took" not in rows["activations"]
    assert rows["train"]["more disk"].endswith(" GB")
    assert not (tmp_path / "results").exists()
