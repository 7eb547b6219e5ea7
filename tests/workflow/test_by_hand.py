"""One job by hand: the script in one's own process, with what the workflow gives it."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tiny_dataset import REPOSITORY, SUBJECT, Workspace, run_snakemake

TABLE = f"results/tiny/tables/{SUBJECT}/table1.tsv"
SCORES = f"results/tiny/{SUBJECT}/matched/seed0/latents.tsv"
# What a script finds: everything that it may take from the workflow, and what changes how libraries compute.
FOUND = """
import json, os, sys, brainlm
names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MPLBACKEND", "TMPDIR", "BRAINLM_RESULTS", "BRAINLM_DATASET")
given = {name: list(getattr(snakemake, name).items()) for name in ("params", "wildcards", "resources")}
given |= {name: list(getattr(snakemake, name)) for name in ("input", "output")}
given |= {name: getattr(snakemake, name) for name in ("threads", "config", "rule", "scriptdir")}
given |= {name: os.environ[name] for name in names}
given |= {"library": brainlm.__file__, "file": __file__, "folder": os.getcwd(), "main": __name__}
given["script"] = os.path.realpath(given.pop("scriptdir"))
sys.__stdout__.write("FOUND " + json.dumps(given, sort_keys=True) + "\\n")
"""


def by_hand(
    workspace: Workspace, output: str, *options: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the job of an output by hand, from elsewhere than its folder; `typed` is what a person types."""
    own = {
        "OMP_NUM_THREADS": "1",
        "TMPDIR": f"{workspace.folder}/temporary",
        "HOME": f"{workspace.folder}/home",
    }
    return subprocess.run(
        [sys.executable, "-m", "pipeline.by_hand", output, *options]
        + ["--directory", workspace.folder, "--configfile", workspace.config_file()],
        cwd=workspace.repository,
        env=os.environ | own | {"PYTHONPATH": f"{workspace.repository}/workflow"},
        input=typed,
        capture_output=True,
        text=True,
    )


def state(workspace: Workspace) -> dict[str, tuple[bytes, int]]:
    """Results and records -> content and time of writing; of logs, none."""
    files = [path for path in workspace.results.rglob("*") if path.is_file() and "logs" not in path.parts]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def sentence(run: subprocess.CompletedProcess[str]) -> str:
    """The one line that a run says before it gives up."""
    assert run.returncode == 1
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    return line


@pytest.fixture(scope="module")
def copied(tiny, tmp_path_factory) -> Workspace:
    """A finished run that is run by a copy of the workflow; tests leave both finished and as they were."""
    workspace = tiny.copy(tmp_path_factory.mktemp("copied"))
    return workspace.with_own_repository(tmp_path_factory.mktemp("repository"))


def test_an_output_made_by_hand_has_the_bytes_and_the_record_of_the_workflow(copied):
    table = copied.folder / TABLE
    before = state(copied)
    table.unlink()
    for record in (copied.results / "provenance").rglob("table1.*"):
        record.unlink()
    run = by_hand(copied, TABLE)
    assert run.returncode == 0, run.stderr
    assert TABLE in run.stderr
    after = state(copied)
    assert after.keys() == before.keys()
    # What a record keeps of times is not the same.
    assert [path for path in after if after[path][0] != before[path][0] and not path.endswith(".stat")] == []
    assert after[str(table)][1] > before[str(table)][1]
    assert copied.pending() == []


def test_a_path_in_a_folder_that_one_of_several_like_rules_makes(copied):
    store = copied.results / "activations" / "tiny-llama" / "nightbus.zarr"
    before = state(copied)
    run = by_hand(copied, str(store / "hidden" / "zarr.json"))
    assert run.returncode == 0, run.stderr
    assert run.stderr.startswith("activations_0: ")
    # The log is on the terminal.
    assert "nightbus: " in run.stderr and "tokens/s" in run.stderr
    after = state(copied)
    of_store = [path for path in before if path.startswith(str(store))]
    assert len(of_store) > 3
    for path in of_store:
        assert path.endswith(".snakemake_timestamp") or after[path][0] == before[path][0]
    assert copied.snakemake("--touch").returncode == 0


def test_a_script_finds_what_it_finds_in_the_workflow(copied):
    script = copied.repository / "workflow" / "scripts" / "table1.py"
    original = script.read_text()
    script.write_text(original + FOUND)
    try:
        runs = [copied.snakemake(TABLE, "--force"), by_hand(copied, TABLE)]
    finally:
        script.write_text(original)
    found = []
    for run in runs:
        assert run.returncode == 0, run.stdout
        found.append(json.loads(re.search("^FOUND (.*)$", run.stdout, re.MULTILINE)[1]))
    assert found[1] == found[0]
    assert found[1]["file"] == str(script)
    assert by_hand(copied, TABLE).returncode == 0
    assert copied.pending() == []


def test_where_a_script_fails_the_debugger_opens_and_what_was_there_before_comes_back(copied):
    script = copied.repository / "workflow" / "scripts" / "scores.py"
    original = script.read_text()
    before = state(copied)
    # By then the outputs are written, a folder among them.
    script.write_text(original + "\nraise RuntimeError(f'planted in {snakemake.rule}')\n")
    try:
        run = by_hand(copied, SCORES, "--debug", typed="p snakemake.wildcards.subject\nq\n")
    finally:
        script.write_text(original)
    assert run.returncode == 1
    line = len(script.read_text().splitlines()) + 2
    assert f'File "{script}", line {line}, in <module>' in run.stderr
    assert "RuntimeError: planted in scores" in run.stderr
    assert f"(Pdb) '{SUBJECT}'" in run.stdout
    after = state(copied)
    assert after.keys() == before.keys()
    # What tells that an output is untouched is written anew where it is not the record's.
    assert [path for path in after if after[path] != before[path] and not path.endswith(".stat")] == []
    assert copied.pending() == []


def test_inputs_that_are_missing_are_named_with_the_command_that_makes_them(copied):
    chosen = copied.folder / f"results/tiny/{SUBJECT}/matched/seed0/chosen.tsv"
    content = chosen.read_bytes()
    chosen.unlink()
    said = sentence(by_hand(copied, TABLE))
    assert said.startswith(f"Inputs of table1 are missing: {chosen.relative_to(copied.folder)};")
    name, *arguments = shlex.split(re.search("`(.*)`", said)[1])
    assert name == "snakemake"
    table = (copied.folder / TABLE).stat()
    run = run_snakemake(*arguments, "--cores", "2")
    assert run.returncode == 0, run.stdout[-3000:]
    assert chosen.read_bytes() == content
    assert (copied.folder / TABLE).stat() == table
    assert by_hand(copied, TABLE).returncode == 0


def test_inputs_that_are_out_of_date_are_warned_of_and_used(copied):
    run = by_hand(copied.changed(figures__pinned_latents={"shared": 0}), TABLE)
    assert run.returncode == 0, run.stderr
    assert "Warning: inputs made by interpretations are out of date." in run.stderr.splitlines()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (TABLE.replace("table1", "tabel1"), f"No rule makes {{output}}; did you mean {TABLE}"),
        (TABLE.replace(SUBJECT, "SIM99"), f"No job of this config makes {{output}}; did you mean {TABLE}"),
        ("nonsense", "No rule makes nonsense."),
        ("all", "all is a rule without a script"),
        ("readings", "readings is a rule without a script"),
    ],
)
def test_what_no_script_makes(tiny, output, said):
    assert sentence(by_hand(tiny, output)).startswith(said.format(output=output))


def test_the_makefile_runs_a_job_by_hand():
    command = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", "job", f"OUTPUT={TABLE}", "CONFIG=own.yaml", "DEBUG=1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    ).stdout.splitlines()[-1]
    assert command.endswith(f"-m pipeline.by_hand {TABLE} --configfile own.yaml --debug")
