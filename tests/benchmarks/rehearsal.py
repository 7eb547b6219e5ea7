"""The paper's workflow at its full size, on generated data: how long each stage takes, and how much memory.

Writes a subject of ds003020's size and layout and a random language model of Llama 3.1's width, runs the workflow on
them for one epoch, and prints a table, which is also kept as rehearsal.md and rehearsal.tsv. Ridge regression would
take hours: the workflow does it with two folds and a single penalty, and the paper's folds and penalties are measured
on some voxels. At a smaller scale everything runs the same way. A run that was stopped goes on when started again
with the same folder; to measure again what is done in a folder that was kept, remove its scale-*/results.

Times are those that the jobs' logs tell; what else the machine does moves a job's CPU time little. Peaks are the
kernel's high-water marks of a job's processes, looked at twice a second (elsewhere than on Linux, what they hold at
these moments): of a job of less than a second they may be too low. Files that are mapped into memory count, as models
are when they are loaded.
"""

import argparse
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import yaml
import zarr
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow"))

import rehearsal_data as data
from brainlm.rows.sources import StackedRows
from brainlm.scores.ridge import ridge_correlations
from brainlm.store import open_store
from pipeline.cost import cost_in, rule_of_log

REPOSITORY = Path(__file__).parents[2]
GIGABYTE = 1e9
BAR_GB = 13
PAPER_EPOCHS = 300
RIDGE_BATCHES = 3
REMARKS = {
    "activations": "activations (a stand-in: not the real model's time and memory)",
    "ridge": "ridge (two folds, one penalty)",
}
ALL_JOBS, RIDGE_SAMPLE = "all jobs at once", "ridge of some voxels"


def require_space(work: Path, size: data.Size) -> None:
    """Leave with one sentence if what is still to be written does not fit on the disk."""
    existing = next(folder for folder in (work, *work.parents) if folder.exists())
    free, there = shutil.disk_usage(existing).free, size_on_disk(work)
    needed = data.bytes_needed(size) - there
    if needed > free:
        sys.exit(
            f"The rehearsal needs {needed / GIGABYTE:.1f} GB more in {work}, but its disk has "
            f"{free / GIGABYTE:.1f} GB free: give --folder another place, or --scale less than {size.scale:g}."
        )


def size_on_disk(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def stage_of(command: list[str]) -> str | None:
    """What a process is working on: the rule whose script it runs, or ridge regression of some voxels."""
    if "--ridge" in command:
        return RIDGE_SAMPLE
    scripts = [re.search(r"\.snakemake/scripts/tmp\w+\.(\w+)\.py$", part) for part in command]
    return next((script[1] for script in scripts if script), None)


def peak_memory(process: psutil.Process) -> int:
    """The most that a process has held so far, in bytes."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return process.memory_info().rss
    return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)[1])


@contextmanager
def watched_memory(peaks: dict[str, int]) -> Iterator[None]:
    """Note in `peaks` how much memory, in bytes, each stage's largest job takes that runs below this process."""
    done = threading.Event()

    def look() -> None:
        at_once = 0
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError, TypeError):  # it has just ended
                stage = stage_of(process.cmdline())
                if stage is None:
                    continue
                whole = [process, *process.children(recursive=True)]
                held = sum(peak_memory(part) for part in whole)
                peaks[stage] = max(peaks.get(stage, 0), held)
                at_once += held
        peaks[ALL_JOBS] = max(peaks.get(ALL_JOBS, 0), at_once)

    def keep_looking() -> None:
        while not done.wait(0.5):
            look()

    watcher = threading.Thread(target=keep_looking, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def run(work: Path, results: Path) -> bool:
    """Run the workflow, then the paper's ridge regression for some voxels; did both end well?"""
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "workflow" / "Snakefile"]
    workflow = [*snakemake, "--directory", work, "--configfile", work / "config.yaml"]
    commands = [[*workflow, "--quiet", "host", "rules", "reason"]]
    if not (results / "ridge.json").exists():
        commands.append([sys.executable, __file__, "--ridge", work])
    # As the workflow sets it for its jobs.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    peaks: dict[str, int] = {}
    try:
        with watched_memory(peaks):
            ended = (
                subprocess.run([*map(str, command)], cwd=REPOSITORY, env=environment) for command in commands
            )
            return all(process.returncode == 0 for process in ended)
    finally:
        # What an earlier run has done, and this one has not done again, keeps its peak.
        before = read_peaks(results)
        peaks[ALL_JOBS] = max(peaks.get(ALL_JOBS, 0), before.get(ALL_JOBS, 0))
        results.mkdir(parents=True, exist_ok=True)
        (results / "peaks.json").write_text(json.dumps(before | peaks, indent=1))


def read_peaks(results: Path) -> dict[str, int]:
    """Stage -> the most memory that one of its jobs has held, in bytes, over all runs in a folder."""
    file = results / "peaks.json"
    return json.loads(file.read_text()) if file.exists() else {}


def measure_ridge(work: Path) -> None:
    """Ridge regression of a few batches of voxels, from the workflow's stores; times go to ridge.json."""
    ridge = yaml.safe_load((data.CONFIG / "paper.yaml").read_text(encoding="utf-8"))["ridge"]
    results = work / "results" / data.NAME
    stories = pd.read_csv(work / "stories.tsv", sep="\t").groupby("split")["story"].apply(list)

    def arrays(folder: str, name: str, split: str) -> list[zarr.Array]:
        return [open_store(results / folder / f"{story}.zarr")[name] for story in stories[split]]

    train, test = (arrays(f"responses/{data.SUBJECT}", "bold", split) for split in ("train", "test"))
    features, features_test = (
        np.concatenate([array[:] for array in arrays(f"features/{data.LM}/block1", "features", split)])
        for split in ("train", "test")
    )
    n_all = train[0].shape[1]
    batch = min(ridge["batch_voxels"], n_all // RIDGE_BATCHES)
    times = [time.perf_counter()]
    with tqdm(desc="ridge", unit="step") as bar:

        def note(step: int, n_steps: int) -> None:
            times.append(time.perf_counter())
            bar.total = n_steps
            bar.update()

        ridge_correlations(
            features,
            StackedRows(train, np.arange(RIDGE_BATCHES * batch)),
            np.repeat(np.arange(len(train)), [story.shape[0] for story in train]),
            features_test,
            StackedRows(test, np.arange(RIDGE_BATCHES * batch)),
            n_folds=min(ridge["n_folds"], len(train)),
            batch_voxels=batch,
            scratch=work,
            progress=note,
        )
    whole_s, n_steps = time.perf_counter() - times[0], len(times) - 1
    # Two of three steps do nothing but go on to the next batch; decompositions are in the others.
    step_s = float(np.median(np.diff(times)))
    once_s = whole_s - n_steps * step_s
    steps_of_all = n_steps / RIDGE_BATCHES * math.ceil(n_all / batch)
    measured = {"voxels": RIDGE_BATCHES * batch, "s": whole_s, "step_s": step_s, "once_s": once_s}
    extrapolated = {"all_voxels": n_all, "extrapolated_s": once_s + steps_of_all * step_s}
    (results / "ridge.json").write_text(json.dumps(measured | extrapolated, indent=1))


def stages(results: Path, peaks: dict[str, int]) -> pd.DataFrame:
    """One row a stage, in the order in which they first ended: stage, jobs, total_s, longest_s, cpu_s, peak_gb."""
    folder = results / "logs"
    files = sorted(folder.rglob("*.log"), key=lambda path: path.stat().st_mtime)
    costs = {file: cost for file in files if (cost := cost_in(file))}
    jobs = pd.DataFrame(
        {
            "stage": [rule_of_log(file, folder) for file in costs],
            "s": [cost.wall_s for cost in costs.values()],
            "cpu": [cost.cpu_s for cost in costs.values()],
            "peak": [cost.peak_bytes for cost in costs.values()],
        }
    )
    table = jobs.groupby("stage", sort=False).agg(
        jobs=("s", "size"),
        total_s=("s", "sum"),
        longest_s=("s", "max"),
        cpu_s=("cpu", "sum"),
        told=("peak", "max"),
    )
    watched, told = pd.Series(peaks, dtype=float).reindex(table.index), table.pop("told")
    table["peak_gb"] = np.fmax(watched, told) / GIGABYTE
    return table.rename_axis("stage").reset_index()


def epoch_s(results: Path) -> float:
    """Seconds of an epoch, median of the trained models, as their logs have it."""
    logs = (results / "logs" / "train").rglob("*.log")
    found = [re.search(r"([\d.e+-]+) s an epoch", log.read_text(encoding="utf-8")) for log in logs]
    return float(np.median([float(epoch[1]) for epoch in found if epoch]))


def report(work: Path, results: Path, size: data.Size) -> tuple[pd.DataFrame, str]:
    """The table of stages, and all that is to be said, in Markdown."""
    peaks = read_peaks(results)
    table, ridge = stages(results, peaks), json.loads((results / "ridge.json").read_text())
    lines = [
        f"Generated data: {size.n_voxels:,} voxels, {sum(size.n_rows.values()):,} TRs of {len(size.n_rows)} stories, "
        f"{size.hidden:,} hidden dimensions (scale {size.scale:g})",
        "",
        "| stage | jobs | total s | longest job s | CPU time of all s | peak memory GB |",
        "| :--- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {REMARKS.get(row.stage, row.stage)} | {row.jobs:.0f} | {row.total_s:.0f} | {row.longest_s:.0f} | "
        f"{row.cpu_s:.0f} | {row.peak_gb:.2f} |"
        for row in table.itertuples()
    ]
    above = [row.stage for row in table.itertuples() if not row.peak_gb <= BAR_GB]
    training_s = epoch_s(results)
    lines += [
        "",
        f"- All jobs at once held {peaks[ALL_JOBS] / GIGABYTE:.2f} GB at most.",
        f"- Training: {training_s:.3g} s an epoch (the first one, in which no latent is dead yet); "
        f"{PAPER_EPOCHS} epochs: {PAPER_EPOCHS * training_s / 60:.1f} min a model.",
        f"- Ridge regression of {ridge['voxels']:,} voxels with the paper's folds and penalties: {ridge['s']:.0f} s, "
        f"{peaks[RIDGE_SAMPLE] / GIGABYTE:.2f} GB. Of all {ridge['all_voxels']:,}: "
        f"{ridge['extrapolated_s'] / 60:.1f} min, from {ridge['once_s']:.0f} s that are spent once and "
        f"{ridge['step_s']:.3g} s (median) for a fold, a penalty and {ridge['voxels'] // RIDGE_BATCHES:,} voxels.",
        f"- Disk: {size_on_disk(work) / GIGABYTE:.1f} GB.",
        f"- Machine: {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / GIGABYTE:.0f} GB of memory.",
        f"- No stage above {BAR_GB} GB: " + (f"not met by {', '.join(above)}." if above else "met."),
        "",
    ]
    return table, "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Generate, run, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scale", type=float, default=1, help="of voxels, hidden dimensions, number of stories"
    )
    parser.add_argument("--folder", type=Path, help="where to work; default: a new folder here")
    parser.add_argument("--keep", action="store_true", help="keep data and results, for another run to go on")
    parser.add_argument("--ridge", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.ridge:
        measure_ridge(chosen.ridge)
        return
    if not 0.01 <= chosen.scale <= 1:
        sys.exit("--scale must be from 0.01 to 1.")
    size = data.size_of(chosen.scale)
    folder = (chosen.folder or Path(time.strftime("rehearsal-%Y%m%d-%H%M%S"))).resolve()
    work = folder / f"scale-{chosen.scale:g}"
    results = work / "results" / data.NAME
    require_space(work, size)
    data.generate(work, size)
    if not run(work, results):
        sys.exit(f"The rehearsal has failed. To go on with it: --scale {chosen.scale:g} --folder {folder}")
    table, text = report(work, results, size)
    print("\n" + text)
    (folder / "rehearsal.md").write_text(text)
    table.to_csv(folder / "rehearsal.tsv", sep="\t", index=False)
    if not chosen.keep:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
