"""Jobs on a real Slurm: who gets a GPU, what becomes of jobs that are killed, and whether results are the same."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import slurm_cluster as slurm
from slurm_cluster import Cluster, missing, slurm_cluster
from tiny_dataset import REPOSITORY, SUBJECT, Workspace, run_snakemake

REASON = missing()
needs_slurm = pytest.mark.skipif(REASON is not None, reason=f"no Slurm here: {REASON}")

# Two runs that go on at the same time take their time where others compute too.
WAIT_S = 600
pytestmark = pytest.mark.timeout(2 * WAIT_S)

# There is no accounting database, and a test should not wait for 40 seconds to hear of a job.
FOR_TESTS = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "5"]

# A job that has to be killed would sleep for longer than its test may take.
MISHAPS = (
    f"""
import sys

sys.path.insert(0, "{REPOSITORY / "workflow"}")
from pipeline.failures import summary, watch_failures

FAILURES = watch_failures()


onerror:
    with open("summary.txt", "w") as file:
        file.write(summary(FAILURES))


"""
    + """
rule all:
    input:
        "gpu1.txt", "gpu2.txt", "late.txt", "cancelled.txt", "after.txt", "lost.txt", "faulty.txt",
        "paired1.txt", "paired2.txt", "refused.txt", expand("story{number}.txt", number=[1, 2, 3]),


rule gpu:
    output: "gpu{number}.txt"
    resources: gpu=1
    shell: "echo $SLURM_JOB_ID > gpu{wildcards.number}.began; until test -e seen; do sleep 0.1; done; "
        "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}"


rule paired:
    output: "paired{number}.txt"
    group: "pair"
    resources: gpu=1
    shell: "echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}"


rule late:
    output: "late.txt"
    resources: runtime=lambda wildcards, attempt: attempt, slurm_extra="--exclude=node3"
    shell: "test {resources.runtime} -gt 1 || sleep 1000; touch {output}"


rule cancelled:
    output: "cancelled.txt"
    shell: "echo $SLURM_JOB_ID >> cancelled.began; "
        "test $(wc -l < cancelled.began) -gt 1 || sleep 1000; touch {output}"


rule before:
    output: "before.txt"
    shell: "echo $SLURMD_NODENAME > before.began; until test -e drained; do sleep 0.1; done; touch {output}"


rule after:
    input: "before.txt"
    output: "after.txt"
    resources: gpu=0
    shell: "echo $SLURMD_NODENAME ${{CUDA_VISIBLE_DEVICES-none}} > {output}"


# Only when the others have ended, because jobs on the node that it loses would run a second time.
rule lost:
    input: "gpu1.txt", "gpu2.txt", "paired1.txt", "paired2.txt", "after.txt"
    output: "lost.txt"
    resources: slurm_extra="--nodelist=node3"
    shell: "echo $SLURMD_NODENAME >> lost.began; test $(wc -l < lost.began) -gt 1 || sleep 1000; touch {output}"


rule faulty:
    output: "faulty.txt"
    shell: "false"


rule refused:
    output: "refused.txt"
    resources: slurm_extra="--nodelist=nowhere"
    shell: "touch {output}"


rule story:
    output: "story{number}.txt"
    log: "story{number}.log"
    group: "stories"
    shell: "if test {wildcards.number} = 2; then echo too short; false; else touch {output}; fi > {log}"
"""
)


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    folder: Path
    returncode: int
    drained_node: str
    jobs: list[dict[str, str]]
    sight: str
    """What Slurm said while both GPU jobs were running."""

    def jobs_of(self, rule: str) -> list[dict[str, str]]:
        """The rule's jobs, in the order in which they were tried."""
        return [job for job in self.jobs if job["Comment"].startswith(f"rule_{rule}")]

    def states(self, rule: str) -> list[str]:
        return [job["JobState"] for job in self.jobs_of(rule)]

    def text(self, name: str) -> str:
        return (self.folder / name).read_text().strip()


@contextmanager
def snakemake(cluster: Cluster, folder: Path, *arguments: str | Path) -> Iterator[subprocess.Popen]:
    """`snakemake --profile slurm` from the repository's root, working in `folder`; it does not outlive the block."""
    personal = ("XDG_", "MPL", "HF_", "SNAKEMAKE_")
    environment = {
        name: value for name, value in cluster.environment.items() if not name.startswith(personal)
    }
    for variable, name in {"HOME": "home", "TMPDIR": "temporary"}.items():
        (folder / name).mkdir()
        environment[variable] = f"{folder}/{name}"
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", *FOR_TESTS, "--directory", folder]
    with (folder / "terminal.txt").open("w") as terminal:
        process = subprocess.Popen(
            [*map(str, command), *map(str, arguments)],
            cwd=REPOSITORY,
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=terminal,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None, "the run ended before it was seen to do what the test waits for"
        assert time.monotonic() < deadline, "the run does not do what the test waits for"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with slurm_cluster(tmp_path_factory.mktemp("slurm"), gpus=(0, 2, 1)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def whole_run(cluster, tiny, tmp_path_factory) -> Iterator[tuple[subprocess.Popen, Workspace]]:
    """The workflow from the texts to a table and a flatmap, under way while other tests run."""
    workspace = Workspace(tmp_path_factory.mktemp("whole"), tiny.config)
    groups = {
        "texts": ["simulate_stories", "words_0"],
        "features": ["features_0"],
        "responses": ["simulate_features", "simulate_responses", f"responses_{SUBJECT}_0"],
        "model": ["sources", "normalization", "train", "scores", "evidence", "interpretations"],
    }
    results = workspace.results.relative_to(workspace.folder)
    with snakemake(
        cluster,
        workspace.folder,
        *(results / "tables" / SUBJECT / "table1.tsv", results / "figures" / SUBJECT / "figure4.pdf"),
        *("--snakefile", REPOSITORY / "workflow" / "Snakefile", "--configfile", workspace.config_file()),
        *("--groups", *(f"{rule}={group}" for group, rules in groups.items() for rule in rules)),
        # What a group may have at a time: a GPU, and the memory of a node.
        *("--resources", "gpu=1", f"mem_mb={slurm.MEMORY_PER_NODE_MB}"),
    ) as process:
        yield process, workspace


@pytest.fixture(scope="module")
def mishaps(cluster, whole_run, tmp_path_factory) -> Ended:
    """A run of small jobs to which everything happens that a cluster has in store."""
    folder = tmp_path_factory.mktemp("mishaps")
    (folder / "Snakefile").write_text(MISHAPS)

    def began(name: str) -> str:
        """What a job has written when it began."""
        path = folder / f"{name}.began"
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), process)
        return path.read_text().split()[0]

    arguments = ["--snakefile", folder / "Snakefile", "--group-components", "pair=2", "stories=3"]
    with snakemake(cluster, folder, *arguments) as process:
        gpu_jobs = [began("gpu1"), began("gpu2")]
        sight = "\n".join([cluster.sinfo(), cluster.job(gpu_jobs[0])])
        (folder / "seen").touch()

        drained_node = began("before")
        cluster.drain(drained_node)
        (folder / "drained").touch()

        cluster.cancel(began("cancelled"))

        wait_until((folder / "after.txt").exists, process)
        cluster.resume(drained_node)

        lost_node = began("lost")
        cluster.fail(lost_node)
        cluster.resume(lost_node)
        returncode = process.wait(WAIT_S)
    return Ended(folder, returncode, drained_node, cluster.jobs(), sight)


# The cluster itself


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes that Slurm's commands would connect to the cluster in `folder`, Slurm's own among them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_CONF") == f"{folder}/slurm.conf":
                found.append(process)
        except psutil.Error:
            continue
    return found


def submit_stubborn_job(cluster: Cluster) -> list[psutil.Process]:
    """Processes of a cluster with a job of which one process has left the job's session and ignores SIGTERM."""
    script = "trap '' TERM; setsid sleep 987 & sleep 987"
    cluster.run("sbatch", "--output", f"{cluster.folder}/job.log", "--wrap", script)
    deadline = time.monotonic() + 60
    while [process.name() for process in cluster.processes()].count("sleep") < 2:
        assert time.monotonic() < deadline, cluster.squeue()
        time.sleep(0.1)
    return cluster.processes()


@needs_slurm
def test_no_process_outlives_the_cluster(tmp_path):
    with pytest.raises(ZeroDivisionError), slurm_cluster(tmp_path) as cluster:
        processes = submit_stubborn_job(cluster)
        assert {"munged", "slurmctld", "slurmd", "slurmstepd", "sleep"} <= {p.name() for p in processes}
        assert processes_of(tmp_path)
        1 / 0  # noqa: B018
    assert not [process for process in processes if process.is_running()]
    assert processes_of(tmp_path) == []


@needs_slurm
def test_no_process_outlives_a_test_that_is_killed(tmp_path):
    script = f"""
import time
from pathlib import Path
from slurm_cluster import slurm_cluster
with slurm_cluster(Path("{tmp_path}")) as cluster:
    cluster.run("sbatch", "--output", "{tmp_path}/job.log", "--wrap", "sleep 987")
    while "sleep" not in [process.name() for process in cluster.processes()]:
        time.sleep(0.1)
    print(cluster.supervisor, *(process.pid for process in cluster.processes()), flush=True)
    time.sleep(1000)
"""
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as test:
        processes = [psutil.Process(int(pid)) for pid in test.stdout.readline().split()]
        test.kill()
    assert len(processes) > len(["supervisor", "munged", "slurmctld", "node1", "node2", "node3", "sleep"])
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == [] and processes_of(tmp_path) == []


@needs_slurm
def test_a_cluster_that_does_not_start_says_why_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(slurm, "MEMORY_PER_NODE_MB", "much")
    with (
        pytest.raises(RuntimeError, match=r"(?s)Slurm did not start.*slurmctld\.log:.*RealMemory=much"),
        slurm_cluster(tmp_path),
    ):
        pass
    assert processes_of(tmp_path) == []


@needs_slurm
def test_two_clusters_do_not_disturb_each_other(cluster, tmp_path):
    with slurm_cluster(tmp_path, gpus=(0,)) as other:
        other.drain("node1")
        assert "node1 drain" in other.sinfo()
        assert "drain" not in cluster.sinfo()


def test_what_is_missing_for_a_slurm_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(slurm, "SEARCH_PATH", str(tmp_path))
    assert "slurmctld" in missing() and "slurm-wlm" in missing()


# The profile


def test_the_profile_is_found_from_the_repositorys_root(tmp_path):
    run = run_snakemake("--profile", "slurm", "--dry-run", "--nolock", "--config", f"results={tmp_path}")
    assert run.returncode == 0, run.stdout[-3000:]
    assert "Using profiles slurm and workflow specific profile" in run.stdout
    assert f"{tmp_path}/demo/" in run.stdout


@needs_slurm
def test_gpu_jobs_have_a_gpu_each_and_share_none(mishaps):
    # Both were running at the same time; the first node has no GPU.
    gpus = [mishaps.text(f"gpu{number}.txt").split() for number in (1, 2)]
    assert all(node in {"node2", "node3"} and device in {"0", "1"} for node, device in gpus)
    assert gpus[0] != gpus[1]
    assert {job["TresPerJob"] for job in mishaps.jobs_of("gpu")} == {"gres:gpu:1"}


@needs_slurm
def test_gpu_jobs_that_are_made_one_ask_for_one_gpu(mishaps):
    (job,) = mishaps.jobs_of("pair")
    assert job["TresPerJob"] == "gres:gpu:1"
    assert mishaps.text("paired1.txt") == mishaps.text("paired2.txt")


@needs_slurm
def test_other_jobs_see_no_gpu(mishaps):
    _, devices = mishaps.text("after.txt").split()
    assert devices == "none"
    assert "TresPerJob" not in mishaps.jobs_of("after")[0]


@needs_slurm
def test_a_job_over_its_time_limit_is_tried_again_with_more(mishaps):
    first, second = mishaps.jobs_of("late")
    assert (first["JobState"], first["TimeLimit"]) == ("TIMEOUT", "00:01:00")
    assert (second["JobState"], second["TimeLimit"]) == ("COMPLETED", "00:02:00")
    assert [job["MinMemoryNode"] for job in (first, second)] == ["4000M", "8000M"]
    assert (mishaps.folder / "late.txt").exists()


@needs_slurm
def test_a_job_that_is_cancelled_is_tried_again(mishaps):
    assert mishaps.states("cancelled") == ["CANCELLED", "COMPLETED"]
    assert (mishaps.folder / "cancelled.txt").exists()


@needs_slurm
def test_a_node_that_is_drained_ends_its_job_and_gets_no_other(mishaps):
    assert mishaps.states("before") == ["COMPLETED"]
    node, _ = mishaps.text("after.txt").split()
    assert node != mishaps.drained_node


@needs_slurm
def test_a_job_that_loses_its_node_runs_again(mishaps):
    # By Slurm itself, under the same number.
    (job,) = mishaps.jobs_of("lost")
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    assert (mishaps.folder / "lost.txt").exists()


@needs_slurm
def test_a_job_that_fails_fails_the_run_and_stops_no_other(mishaps):
    assert mishaps.states("faulty") == ["FAILED"] * 3
    assert mishaps.returncode == 1
    assert "9 of 15 steps" in mishaps.text("terminal.txt")


@needs_slurm
def test_a_runs_end_names_what_failed_and_not_its_companions(mishaps):
    heading, *failed, others = mishaps.text("summary.txt").splitlines()
    assert heading.startswith("3 jobs failed") and others.startswith("2 jobs of the same Slurm jobs")
    said = dict(line.strip().split(": ", 1) for line in failed)
    assert said.keys() == {"faulty", "refused", "story"}
    assert re.search("sbatch: error: .*[Nn]ode", said["refused"])
    assert said["story"] == "too short (log: story2.log)"


@needs_slurm
def test_results_are_those_of_a_run_without_slurm(whole_run, tiny, cluster, mishaps, capsys):
    process, workspace = whole_run
    returncode = process.wait(WAIT_S)
    terminal = (workspace.folder / "terminal.txt").read_text()
    last_lines = [text.splitlines()[-5:] for text in (mishaps.text("terminal.txt"), terminal)]
    with capsys.disabled():
        print("", mishaps.sight, cluster.squeue(), *("\n".join(lines) for lines in last_lines), sep="\n\n")
    assert returncode == 0, terminal[-3000:]
    ours, local = files(workspace.results), files(tiny.results)
    assert {path.suffix for path in ours} >= {".tsv", ".safetensors", ".json", ".hf5"}
    assert ours.keys() <= local.keys()
    assert [path for path, content in ours.items() if content != local[path]] == []


def files(results: Path) -> dict[Path, bytes]:
    """Every file of a run's results but what tells of the run: of Zarr stores the chunks and their descriptions."""
    of_the_run = ("logs", "benchmarks", "provenance")
    paths = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return {path: (results / path).read_bytes() for path in paths if path.parts[0] not in of_the_run}
