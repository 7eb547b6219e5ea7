"""Run one job by hand: its rule's script in this process, with what the workflow would give it."""

import argparse
import bdb
import os
import pdb
import pickle
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

USAGE = "python -m pipeline.by_hand OUTPUT [--debug] [options of snakemake, such as --configfile FILE]"
HELP = """
What the script prints is on the terminal, and breakpoints hold. It writes the job's own outputs and their records,
as if the workflow had run it. Where it fails, or is left, what it has written is removed, and what was there before
comes back. Inputs are taken as they are, with a warning of those that are out of date.
"""
DONE = b"done"


def main() -> None:
    """Run the job that the command line asks for."""
    parser = argparse.ArgumentParser(usage=USAGE, description=__doc__, epilog=HELP, allow_abbrev=False)
    parser.add_argument(
        "output", metavar="OUTPUT", help="a file or a folder of the workflow, or what lies in it"
    )
    parser.add_argument("--debug", action="store_true", help="open the debugger where the script fails")
    arguments, options = parser.parse_known_args()
    with _handed_over([arguments.output, *options]) as job:
        print(job["announcement"], file=sys.stderr)
        try:
            _run_script(job)
        except bdb.BdbQuit:
            sys.exit("Left in the debugger.")
        except SystemExit as end:
            if end.code:
                raise
        except Exception as error:
            if not arguments.debug:
                raise
            traceback.print_exc()
            pdb.post_mortem(error.__traceback__)
            sys.exit(1)
    print(f"Written: {', '.join(job['snakemake'].output)}", file=sys.stderr)


@contextmanager
def _handed_over(arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What Snakemake, in a process of its own, gives to the job's script; it is told whether the block ends well.

    In this process no library is imported before the script: the job's number of threads holds for all of them, and a
    profile shows nothing of Snakemake.
    """
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(
            [sys.executable, "-m", "pipeline.handover", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            # Ctrl-C is meant for the script.
            start_new_session=True,
        ) as snakemake:
            try:
                job = pickle.load(snakemake.stdout)
            except EOFError:
                job = None
            if job:
                yield job
                snakemake.stdin.write(DONE)
        if snakemake.returncode:
            said.seek(0)
            sys.exit(said.read().strip())


def _run_script(job: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(job["environment"])
    os.chdir(job["folder"])
    sys.path.extend(job["search_paths"])
    runpy.run_path(job["script"], {"snakemake": job["snakemake"]}, run_name="__main__")


if __name__ == "__main__":
    main()
