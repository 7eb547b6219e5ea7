"""What a job costs, as its log tells at its end.

Snakemake's own benchmarks ask the system for each job's memory twice a second, which took a third of its process's
time, and miss the peak that the kernel keeps.
"""

import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cost:
    """What a job has taken."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    """The most memory that its process has held."""


_SENTENCE = re.compile(r"The job took ([\d.]+) s, ([\d.]+) s of CPU time and up to ([\d.]+) MB of memory\.")


def cost_so_far() -> str:
    """A sentence on what this process has taken since it was started, imports and all."""
    process = psutil.Process()
    wall_s, cpu = time.time() - process.create_time(), process.cpu_times()
    # With that of processes which it has started and waited for, such as pycortex's.
    cpu_s = cpu.user + cpu.system + cpu.children_user + cpu.children_system
    peak_mb = _peak_bytes() / 1e6
    return f"The job took {wall_s:.1f} s, {cpu_s:.1f} s of CPU time and up to {peak_mb:.0f} MB of memory."


def cost_in(log: Path) -> Cost | None:
    """What a job's log says at its end; None of a job that has not ended well."""
    found = _SENTENCE.search(log.read_text(encoding="utf-8"))
    return Cost(float(found[1]), float(found[2]), round(1e6 * float(found[3]))) if found else None


def rule_of_log(log: Path, logs: Path) -> str:
    """What a job's log is filed under below the folder of all logs: its rule, or what several rules do in batches."""
    return log.relative_to(logs).with_suffix("").parts[0]


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage gives on Linux counts the process that started this one.
        return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
