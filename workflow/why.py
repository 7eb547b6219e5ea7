"""Why would Snakemake run these jobs? Says for each job that does not merely follow from another what has changed.

python workflow/why.py [options and targets of snakemake]
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from code_changes import CODE_PREFIX, changed_definitions
from experiments import leaves

PARAMS = re.compile(r"Params have changed since last execution: .*?before: (.*?) now: (.*)$")
NOTHING = "<nothing exclusive>"
HERE = Path(__file__).parent
FOLLOWS = "Input files updated by another job"


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
            reasons = re.split(r"; (?=[A-Z])", fields.get("reason", ""))
            yield PendingJob(name[1], fields.get("wildcards", ""), reasons)


def in_words(reason: str) -> str | None:
    """A reason as a scientist would say it; None if the job only follows from another."""
    if not reason or reason.startswith(FOLLOWS):
        return None
    params = PARAMS.search(reason)
    if not params:
        return reason[0].lower() + reason[1:]
    before, now = (_values(text) for text in params.groups())
    return "; ".join(_differences(before, now)) or "params have changed"


def explain(dry_run: str) -> list[str]:
    """A line for each job that something has happened to, and one on those that follow from them."""
    lines, following = [], Counter()
    for job in pending_jobs(dry_run):
        words = [found for reason in job.reasons if (found := in_words(reason))]
        if words:
            lines.append(f"{job.rule} ({job.wildcards}): " + "; ".join(words))
        elif job.reasons != [""]:
            following[job.rule] += 1
    if following:
        counts = ", ".join(f"{rule} ({count})" for rule, count in following.items())
        lines.append(f"and what follows from these: {counts}")
    return lines or ["Nothing is to be done."]


def _values(text: str) -> list[Any]:
    """The Python values that stand in a text one after the other, separated by spaces."""
    if text.strip() == NOTHING:
        return []
    values, pieces = [], text.strip().split(" ")
    while pieces:
        for end in range(1, len(pieces) + 1):
            try:
                values.append(ast.literal_eval(" ".join(pieces[:end])))
            except (SyntaxError, ValueError):
                continue
            break
        else:
            return [*values, " ".join(pieces)]
        pieces = pieces[end:]
    return values


def _differences(before: list[Any], now: list[Any]) -> Iterator[str]:
    codes = [next(filter(_is_code, values), None) for values in (before, now)]
    if codes[0] != codes[1]:
        yield _code_in_words(*codes)
    old, new = (_settings([value for value in values if not _is_code(value)]) for values in (before, now))
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            change = f"{_shown(old, key)} → {_shown(new, key)}"
            yield f"{key} {change}" if key else change


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(CODE_PREFIX)


def _settings(values: list[Any]) -> dict[str, Any]:
    """Dotted key -> value, of all values together; those that are no mapping have no key."""
    found: dict[str, Any] = {}
    for value in values:
        found |= leaves(value) if isinstance(value, Mapping) else {"": value}
    return found


def _shown(values: Mapping[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "nothing"


def _code_in_words(before: str | None, now: str | None) -> str:
    names = []
    if before and now:
        digests = (code.removeprefix(CODE_PREFIX) for code in (before, now))
        names = changed_definitions(*digests, HERE / "scripts", {"brainlm": HERE.parent / "brainlm"})
    return f"code: {', '.join(names)}" if names else "the code of its script, or what that uses, has changed"


def main() -> None:
    """Run a dry run with the given arguments and explain it."""
    snakemake = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *sys.argv[1:]]
    run = subprocess.run(snakemake, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout)
    print("\n".join(explain(run.stdout)))


if __name__ == "__main__":
    main()
