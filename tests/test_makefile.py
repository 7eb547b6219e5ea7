"""`make help` tells what there is to make, and bare `make` starts nothing."""

import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def make(*targets: str) -> str:
    return subprocess.run(
        ["make", "--no-print-directory", *targets],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_help_tells_what_every_target_does_under_a_heading():
    targets = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
    listed = re.findall(r"^  make (\S+) +(\S.*)$", make("help"), re.MULTILINE)
    assert sorted(name for name, _ in listed) == sorted(targets)
    assert all(len(f"  make {name:15} {text}") <= 110 for name, text in listed)
    heading, *_ = make("help").split("\n  make ", 1)
    assert heading.strip()


def test_every_target_that_is_no_file_is_declared_to_be_none():
    targets = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split()
    assert sorted(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)) == sorted(targets)


def test_make_without_a_target_is_help():
    assert make() == make("help")
