"""What a run will take, in a table and some sentences, from its pending jobs and what jobs like them have taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from humanfriendly import format_size
from tabulate import tabulate

NOT_KNOWN = "not known"
_NAMED = 6
"""Rules in a sentence, at most."""


@dataclass(frozen=True)
class PendingJob:
    """A job that is to be run."""

    rule: str
    """Without the numbers of batches, which are rules of their own to Snakemake."""
    n_cores: int
    """That it may use."""
    memory_bytes: int | None
    """That it asks for; None: not known."""
    limit_s: float | None
    """After which a cluster would stop it; None: not known."""
    written_bytes: int | None
    """What its results will take on the disk; None: not known."""
    replaced_bytes: int
    """What the results that are there, and that it writes again, take."""
    folder: Path
    """Below which it writes."""


@dataclass(frozen=True)
class Machine:
    """What there is for a run."""

    n_cores: int
    memory_bytes: int
    free_bytes: Mapping[Path, int]
    """Folder of jobs -> what is free on its disk."""


@dataclass(frozen=True)
class RuleForecast:
    """The pending jobs of a rule, taken together."""

    rule: str
    n_jobs: int
    memory_bytes: int | None
    """Of the job that asks for the most; None: not known of any."""
    limit_s: float | None
    """Of the job that may take the longest; None: not known of any."""
    added_bytes: int | None
    """What all their results take on the disk beside what they replace; None: not known."""
    folder: Path
    """Below which they write."""
    job_s: float | None
    """What such a job took, in the mean; None: not known."""
    core_s: float | None
    """What all of them take of the machine's cores together."""


def forecast(jobs: Sequence[PendingJob], took_s: Mapping[str, float], machine: Machine) -> list[RuleForecast]:
    """Rule by rule, in the order in which rules first occur.

    Parameters
    ----------
    took_s: rule -> what a job of it has taken, in the mean; rules of which no job has ended are left out.
    """
    rows = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        of_rule = [job for job in jobs if job.rule == rule]
        written, replaced = (
            [getattr(job, name) for job in of_rule] for name in ("written_bytes", "replaced_bytes")
        )
        job_s = took_s.get(rule)
        n_cores = sum(min(job.n_cores, machine.n_cores) for job in of_rule)
        rows.append(
            RuleForecast(
                rule,
                len(of_rule),
                max((job.memory_bytes for job in of_rule if job.memory_bytes is not None), default=None),
                max((job.limit_s for job in of_rule if job.limit_s is not None), default=None),
                None if None in written else max(0, sum(written) - sum(replaced)),
                of_rule[0].folder,
                job_s,
                None if job_s is None else job_s * n_cores,
            )
        )
    return rows


def described(rows: Sequence[RuleForecast], machine: Machine) -> str:
    """The table, what it adds up to, and warnings of what does not fit; for a terminal."""
    if not rows:
        return "Nothing is to be done."
    sentences = [_time(rows, machine), *_disks(rows, machine), _memory(rows, machine)]
    return "\n\n".join([_table(rows, machine), "\n".join(sentences)])


def _table(rows: Sequence[RuleForecast], machine: Machine) -> str:
    cells = [
        (
            row.rule,
            f"{row.n_jobs:,}",
            NOT_KNOWN if row.memory_bytes is None else format_size(row.memory_bytes),
            NOT_KNOWN if row.added_bytes is None else format_size(row.added_bytes),
            NOT_KNOWN if row.job_s is None else duration(row.job_s),
            NOT_KNOWN if row.core_s is None else duration(_side_by_side_s([row], machine)),
            NOT_KNOWN if row.limit_s is None else duration(row.limit_s),
        )
        for row in rows
    ]
    headers = ("rule", "jobs", "memory", "more disk", "one job took", "all will take", "limit of one")
    columns = {
        header: column
        for header, column in zip(headers, zip(*cells, strict=True), strict=True)
        if set(column) != {NOT_KNOWN}
    }
    right = ("right",) * (len(columns) - 1)
    return tabulate(
        columns, headers="keys", tablefmt="simple", colalign=("left", *right), disable_numparse=True
    )


def _time(rows: Sequence[RuleForecast], machine: Machine) -> str:
    n_jobs, cores = sum(row.n_jobs for row in rows), _number(machine.n_cores, "core")
    known = [row for row in rows if row.core_s is not None]
    if not known:
        sentence = (
            f"Time of {_number(n_jobs, 'job')} on {cores}: {NOT_KNOWN}, for no job of this run has ended yet"
        )
        limits = {row.rule: row.limit_s for row in rows if row.limit_s is not None}
        if not limits:
            return f"{sentence}."
        longest = max(limits, key=limits.__getitem__)
        return f"{sentence}; the longest limit is that of {longest}, {duration(limits[longest])}."
    total_s = _side_by_side_s(known, machine)
    others = [row.rule for row in rows if row.core_s is None]
    without = f", without what is {NOT_KNOWN}: {_named(others)}" if others else ""
    return f"Time of {_number(n_jobs, 'job')} on {cores}: about {duration(total_s)}{without}."


def _side_by_side_s(rows: Sequence[RuleForecast], machine: Machine) -> float:
    """Of rules whose times are known: as if no job waited for another, but none is faster than it is alone."""
    return max(sum(row.core_s for row in rows) / machine.n_cores, *(row.job_s for row in rows))


def _disks(rows: Sequence[RuleForecast], machine: Machine) -> list[str]:
    unknown = [row.rule for row in rows if row.added_bytes is None]
    sentences = []
    for folder, free in machine.free_bytes.items():
        added = [row.added_bytes for row in rows if row.folder == folder and row.rule not in unknown]
        needed = sum(added)
        about = f"about {format_size(needed)} more" if added else NOT_KNOWN
        sentences.append(f"Disk of {folder}: {about}; {format_size(free)} are free.")
        if needed > free:
            sentences.append(
                f"Warning: {folder} lacks {format_size(needed - free)}: make room on its disk, or give it another "
                "place in the config."
            )
    if unknown:
        sentences.append(f"Not counted on any disk, because it is {NOT_KNOWN}: {_named(unknown)}.")
    return sentences


def _memory(rows: Sequence[RuleForecast], machine: Machine) -> str:
    there_is = f"this machine has {format_size(machine.memory_bytes)}"
    asked = {row.rule: row.memory_bytes for row in rows if row.memory_bytes is not None}
    if not asked:
        return f"Memory: {NOT_KNOWN}; {there_is}."
    most = max(asked, key=asked.__getitem__)
    sentence = f"Memory: a job of {most} asks for the most, {format_size(asked[most])}; {there_is}."
    large = [rule for rule, n_bytes in asked.items() if n_bytes > machine.memory_bytes]
    if not large:
        return sentence
    return (
        f"{sentence}\nWarning: {_named(large)}: a job asks for more memory than there is, and may be killed; run it "
        "on a larger machine or a cluster, or choose a smaller language model, fewer stories or fewer latents."
    )


def duration(seconds: float) -> str:
    """A time to plan with, in one unit."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _named(rules: Sequence[str]) -> str:
    others = len(rules) - _NAMED
    return ", ".join(rules[:_NAMED]) + (f" and {_number(others, 'other')}" if others > 0 else "")


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"
