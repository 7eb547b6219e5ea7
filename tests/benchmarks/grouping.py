"""What it is worth that short jobs travel together: words, responses and features of 84 stories on a real Slurm.

Brings up a Slurm on this machine and runs the workflow through the profile `slurm` to the features and the responses
of a small generated subject with all stories of ds003020, once with a Slurm job for each story and rule, and once as
the profile has it. Prints a table. Two Slurm jobs run at a time, whatever the machine has, so that they do not slow
each other; Debian's packages `slurm-wlm` and `munge` are needed.

A job's start-up is the time from its start by Slurm until Snakemake, in the job, begins with its first rule.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

import rehearsal_data as data
import slurm_cluster as slurm
from slurm_cluster import Cluster, missing, slurm_cluster

REPOSITORY = Path(__file__).parents[2]
GROUPED = ("words", "responses-{subject}", "features")
ONE_BY_ONE = ["--group-components", *(f"{group}=1" for group in GROUPED)]
N_VOXELS, HIDDEN = 500, 64


def main() -> None:
    """Generate, run twice, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1, help="of the number of stories")
    scale = parser.parse_args().scale
    if reason := missing():
        sys.exit(f"No Slurm here: {reason}.")
    slurm.CPUS_PER_NODE = 2
    size = data.size_of(scale)
    # The paper leaves one story out.
    split = {story: "train" if of == "unused" else of for story, of in size.split.items()}
    size = replace(size, n_voxels=N_VOXELS, hidden=HIDDEN, split=split)
    stories = list(size.n_rows)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        data.generate(Path(folder, "generated"), size)
        for name, arguments in {"each alone": ONE_BY_ONE, "as in the profile": []}.items():
            found[name] = measure(
                Path(folder, name.replace(" ", "-")), Path(folder, "generated"), stories, arguments
            )
    table = pd.DataFrame(found).T.rename_axis(f"{len(stories)} stories").reset_index()
    print(table.to_markdown(index=False, floatfmt=".0f"))


def measure(work: Path, generated: Path, stories: list[str], arguments: list[str]) -> dict[str, float]:
    """Slurm jobs, their start-up and their time in all, and the wall time of a run."""
    work.mkdir()
    results = Path("results", data.NAME)
    targets = [
        *(results / "responses" / data.SUBJECT / f"{story}.zarr" for story in stories),
        *(results / "features" / data.LM / "block1" / f"{story}.zarr" for story in stories),
    ]
    snakefile, config = REPOSITORY / "workflow" / "Snakefile", generated / "config.yaml"
    command = [
        *(
            sys.executable,
            "-m",
            "snakemake",
            *targets,
            "--profile",
            REPOSITORY / "slurm",
            "--directory",
            work,
        ),
        *("--snakefile", snakefile, "--configfile", config, "--slurm-status-command", "squeue", *arguments),
        *("--slurm-init-seconds-before-status-checks", "5", "--slurm-keep-successful-logs"),
        *("--quiet", "host", "rules", "reason"),
    ]
    with slurm_cluster(work / "slurm", gpus=(1,)) as cluster:
        began = time.monotonic()
        subprocess.run([*map(str, command)], cwd=REPOSITORY, env=cluster.environment, check=True)
        wall_s = time.monotonic() - began
        return of_jobs(cluster) | {"wall s": wall_s}


def of_jobs(cluster: Cluster) -> dict[str, float]:
    """What Slurm and the jobs' logs say."""
    jobs = cluster.jobs()
    start_ups, times = [], []
    for job in jobs:
        start, end = (datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime"))
        log = Path(job["StdOut"]).read_text(encoding="utf-8")
        first = re.search(r"^\[(.*)\]\n(?:local)?(?:rule|group job) ", log, re.MULTILINE)[1]
        start_ups.append((datetime.strptime(first, "%a %b %d %H:%M:%S %Y") - start).total_seconds())
        times.append((end - start).total_seconds())
    return {
        "Slurm jobs": len(jobs),
        "start-up s, median": float(np.median(start_ups)),
        "start-up s, all jobs": sum(start_ups),
        "jobs' time s, all": sum(times),
    }


if __name__ == "__main__":
    main()
