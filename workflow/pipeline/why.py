"""Why would Snakemake run these jobs? Says of those that do not merely follow from others what has changed.

python -m pipeline.why [options and targets of snakemake], in the folder workflow/ or with it on the PYTHONPATH
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.code_changes import CODE_PREFIX, changed_definitions
from pipeline.experiments import leaves

PARAMS = re.compile(r"Params have changed since last execution: .*? before: (.*)$")
# What a reason begins with; they are joined by semicolons, which a param may hold as well.
REASONS = (
    "Missing output files|Incomplete output files|Updated input files|Input files updated|Output file is|"
    "Job provides|Set of input files|Code has changed|Params have changed|Software environment"
)
NOTHING = "<nothing exclusive>"
HERE = Path(__file__).parents[1]
FOLLOWS = "Input files updated by another job"
_VALUES_NAMED = 6


@dataclass(frozen=True)
class PendingJob:
    """A job of a dry run."""

    rule: str
    wildcards: str
    """As Snakemake prints them, e.g. "subject=SIM01, seed=0"."""
    reasons: list[str]


def pending_jobs(dry_run: str) -> Iterator[PendingJob]:
    """The jobs that a dry run's output lists."""
    for block in re.split(r"\n(?=(?:local)?rule )", dry_run):
        name = re.match(r"(?:local)?rule (\w+):", block)
        if name:
            fields = dict(re.findall(r"^ {4}(wildcards|reason): (.*)$", block, re.MULTILINE))
            reasons = re.split(f"; (?={REASONS})", fields.get("reason", ""))
            yield PendingJob(name[1], fields.get("wildcards", ""), reasons)


def in_words(reason: str) -> str | None:
    """A reason as a scientist would say it; None if the job only follows from another."""
    if not reason or reason.startswith(FOLLOWS):
        return None
    params = PARAMS.search(reason)
    if not params:
        return reason[0].lower() + reason[1:]
    return "; ".join(_differences(*_before_and_now(params[1]))) or "params have changed"


def explain(dry_run: str) -> list[str]:
    """A line for each thing that has happened, with the jobs that it concerns, and one on those that follow."""
    of_cause: dict[str, list[PendingJob]] = {}
    following = Counter()
    for job in pending_jobs(dry_run):
        words = [found for reason in job.reasons if (found := in_words(reason))]
        if words:
            of_cause.setdefault("; ".join(words), []).append(job)
        elif job.reasons != [""]:
            following[job.rule] += 1
    lines = [f"{_named(jobs)}: {cause}" for cause, jobs in of_cause.items()]
    if following:
        counts = ", ".join(f"{rule} ({count})" for rule, count in following.items())
        lines.append(f"and what follows from these: {counts}")
    return lines or ["Nothing is to be done."]


def _named(jobs: Sequence[PendingJob]) -> str:
    """The jobs, rule by rule; of several of a rule, their number and the values of their wildcards."""
    named = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        of_rule = [job.wildcards for job in jobs if job.rule == rule]
        if len(of_rule) == 1:
            named.append(f"{rule} ({of_rule[0]})" if of_rule[0] else rule)
            continue
        values: dict[str, set[str]] = {}
        for wildcards in filter(None, of_rule):
            for name, _, value in (pair.partition("=") for pair in wildcards.split(", ")):
                values.setdefault(name, set()).add(value)
        several = "; ".join(f"{name} {_listed(found)}" for name, found in values.items())
        named.append(f"{rule} ({len(of_rule)} jobs{': ' * bool(several)}{several})")
    return ", ".join(named)


def _listed(values: Iterable[str]) -> str:
    # Numbers by their size.
    ordered = sorted(values, key=lambda value: (int(value) if value.isdecimal() else 0, value))
    others = len(ordered) - _VALUES_NAMED
    return ", ".join(ordered[:_VALUES_NAMED]) + (f" and {others} others" if others > 0 else "")


def _before_and_now(text: str) -> tuple[list[Any], list[Any]]:
    """The values that stand before and after "now:", which one of them might hold as well."""
    pieces = text.split(" now: ")
    splits = [
        tuple(_values(" now: ".join(part)) for part in (pieces[:at], pieces[at:]))
        for at in range(1, len(pieces))
    ]
    return next((split for split in splits if None not in split), ([], []))


def _values(text: str) -> list[Any] | None:
    """The Python values that a text lists with commas between them; None if it is no such list."""
    if text.strip() == NOTHING:
        return []
    try:
        return list(ast.literal_eval(f"({text.strip()},)"))
    except (SyntaxError, ValueError):
        return None


def _differences(before: list[Any], now: list[Any]) -> Iterator[str]:
    codes = [next(filter(_is_code, values), None) for values in (before, now)]
    if codes[0] != codes[1]:
        yield _code_in_words(*codes)
    old, new = (_settings([value for value in values if not _is_code(value)]) for values in (before, now))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            change = f"{_shown(old, key)} → {_shown(new, key)}"
            yield f"{key} {change}" if key else change


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(CODE_PREFIX)


def _settings(values: list[Any]) -> dict[str, Any]:
    """Dotted key -> value, of all values together; those that are no mapping have no key and stand side by side."""
    found: dict[str, Any] = {}
    # Snakemake lists them in an order that changes from job to job.
    for value in sorted(values, key=str):
        if isinstance(value, Mapping):
            found |= leaves(value)
        else:
            found[""] = f"{found['']}, {value}" if "" in found else value
    return found


def _shown(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "nothing"


def _code_in_words(before: str | None, now: str | None) -> str:
    names = []
    if before and now:
        names = changed_definitions(*(code.removeprefix(CODE_PREFIX) for code in (before, now)))
    return f"code: {', '.join(names)}" if names else "the code of its script, or what that uses, has changed"


def main() -> None:
    """Run a dry run with the given arguments and explain it."""
    snakefile = ["--snakefile", str(HERE / "Snakefile")]
    snakemake = [sys.executable, "-m", "snakemake", *snakefile, "--dry-run", "--cores", "1", *sys.argv[1:]]
    run = subprocess.run(snakemake, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout)
    print("\n".join(explain(run.stdout)))


if __name__ == "__main__":
    main()
