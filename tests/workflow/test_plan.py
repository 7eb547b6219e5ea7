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


def table(output: str) -> dict[str, list[str]]:
    """Rule -> the other cells of its row: jobs, memory, disk, one job took, all will take, limit of one."""
    lines = output.splitlines()
    (rule,) = [number for number, line in enumerate(lines) if line.startswith("-----")]
    rows = lines[rule + 1 : lines.index("", rule)]
    return {name: cells for name, *cells in (re.split(r"\s{2,}", row.strip()) for row in rows)}


def planned(workspace: Workspace, scratch: Path) -> str:
    run = workspace.snakemake("plan", scratch=scratch)
    assert run.returncode == 0, run.stdout[-3000:]
    return run.stdout


def pending_jobs(workspace: Workspace) -> dict[str, int]:
    """Rule, without subject and number of a batch -> its jobs."""
    return Counter(re.sub(rf"(_{SUBJECT})?_\d+$", "", job.rule) for job in workspace.pending())


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
    assert {rule: int(cells[0]) for rule, cells in rows.items()} == pending_jobs(new)
    assert {cells[3] for cells in rows.values()} == {"not known"}
    assert f"Time of {sum(pending_jobs(new).values())} jobs on 2 cores: not known" in output
    assert "this machine has" in output and "are free" in output
    assert not (new.folder / "results").exists()


def test_after_a_run_logs_tell_times_and_results_tell_sizes(tiny, tmp_path):
    assert "Nothing is to be done." in planned(tiny, tmp_path)
    other = tiny.changed(crosscoder__k=2)
    before = set(tiny.results.rglob("*"))
    output = planned(other, tmp_path)
    rows = table(output)
    assert {rule: int(cells[0]) for rule, cells in rows.items()} == pending_jobs(other)
    assert rows["train"][0] == "5"
    assert [cells for cells in rows.values() if "not known" in cells] == []
    assert re.search(r"Time of \d+ jobs on 2 cores: about \d+ (s|min)\.$", output, re.MULTILINE)
    # What is there is written again.
    assert re.search(r"Disk of results/tiny: about [\d.]+ (bytes|KB|MB) more;", output)
    assert set(tiny.results.rglob("*")) == before


def test_another_experiment_takes_as_long_and_as_much_as_those_before(tiny, tmp_path):
    other = tiny.changed(experiments__wide={"crosscoder": {"n_latents": 24}})
    rows = table(planned(other, tmp_path))
    assert rows["train"][0] == "1"
    jobs, memory, disk, one, *_ = rows["train"]
    assert "not known" not in (memory, disk, one)


def test_a_bad_config_is_refused_in_one_sentence(tiny, tmp_path):
    run = tiny.changed(crosscoder__k=99).snakemake("plan", scratch=tmp_path)
    assert run.returncode == 1
    assert [line for line in run.stdout.splitlines() if line.startswith("Config: ")] == [
        run.stdout.strip().splitlines()[-1]
    ]
    assert "Traceback" not in run.stdout


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
    assert (whole.returncode, whole.stderr, one.returncode) == (0, "", 0)
    rows = table(whole.stdout)
    assert {rule: int(cells[0]) for rule, cells in rows.items()} == pending_jobs(
        tiny.changed(crosscoder__k=2)
    )
    assert table(one.stdout)["train"][0] == "1"


def test_what_the_papers_data_take_is_known_before_they_are_there(tmp_path):
    config = REPOSITORY / "config" / "paper.yaml"
    run = run_snakemake("plan", "--configfile", config, "--directory", tmp_path, "--cores", "2")
    assert run.returncode == 0, run.stdout[-3000:]
    rows = table(run.stdout)
    manifest = read_manifest(REPOSITORY / "config" / "ds003020" / "manifest.tsv")
    responses = sum(
        file.bytes for path, file in manifest.items() if "/UTS03/" in path and path.endswith(".hf5")
    )
    number, unit = rows["fetch"][2].split()
    # The responses to the stories that the paper takes are most of it.
    assert unit == "GB" and 0.8 * responses < float(number) * 1e9 < 1.1 * responses
    assert rows["activations"][2:4] == ["not known", "not known"]
    assert rows["train"][2].endswith("GB") and rows["train"][3] == "not known"
    assert not (tmp_path / "results").exists()
