"""Run a program as if some packages were not installed."""

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

_HIDING = """
import sys

MODULES, DISTRIBUTIONS, FINDERS = {modules!r}, {distributions!r}, list(sys.meta_path)


class Without:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in MODULES:
            return None
        return next(filter(None, (finder.find_spec(name, path, target) for finder in FINDERS)), None)

    def find_distributions(context):
        if context.name in DISTRIBUTIONS:
            return []
        finders = [finder for finder in FINDERS if hasattr(finder, "find_distributions")]
        return [found for finder in finders for found in finder.find_distributions(context)]


sys.meta_path[:] = [Without]
"""


def modules_of(distributions: Iterable[str]) -> list[str]:
    """What can be imported of some distributions."""
    wanted = {_normalized(name) for name in distributions}
    return sorted(
        module
        for module, of in packages_distributions().items()
        if wanted & {_normalized(name) for name in of}
    )


def run_without(distributions: Iterable[str], program: str, path: Path) -> str:
    """What a program prints, with the library of the folder `path` and without the packages."""
    hidden = sorted(distributions)
    hiding = _HIDING.format(modules=modules_of(hidden), distributions=hidden)
    run = subprocess.run(
        [sys.executable, "-c", f"{hiding}\nsys.path.insert(0, {str(path)!r})\n{program}"],
        cwd=path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
