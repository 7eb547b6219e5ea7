"""What every rule script does around its work: a log file, and errors that a scientist can read."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from tqdm import tqdm

from brainlm.data.fetched import fetched_file
from brainlm.errors import InputError
from pipeline.cost import cost_so_far
from pipeline.provenance import write_record

log = logging.getLogger("brainlm.job")
LOG_LINE = "%(asctime)s %(message)s"


@contextmanager
def logged(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Send what the job prints to its log, and at last its cost; end with one line where the input is at fault.

    Afterwards beside the results stands where they come from; a script adds what it alone knows, such as the device.
    A job without a log is run by hand: it says all on the terminal, where a debugger may ask.
    """
    seed = snakemake.wildcards.get("seed")
    facts: dict[str, Any] = {"device": "cpu", "seed": None if seed is None else int(seed)}
    if not snakemake.log:
        logging.basicConfig(level=logging.INFO, format=LOG_LINE)
        yield facts
        _keep_records(snakemake, facts)
        return
    terminal = sys.stderr
    _close_input()
    with Path(snakemake.log[0]).open("w", encoding="utf-8", buffering=1) as file:
        logging.basicConfig(stream=file, level=logging.INFO, format=LOG_LINE)
        with redirect_stdout(file), redirect_stderr(file):
            try:
                yield facts
                _keep_records(snakemake, facts)
                log.info(cost_so_far())
            except InputError as error:
                for line in str(error).splitlines():
                    log.error("%s", line)
                    print(f"Error in {snakemake.rule}: {line}", file=terminal)
                sys.exit(1)
            except Exception:
                log.exception("the job failed")
                raise


def warn(sentence: str) -> None:
    """Say what is odd, though no error: in the job's log and, since nobody reads every log, on the terminal."""
    log.warning("%s", sentence)
    print(f"Warning: {sentence}", file=sys.__stderr__)


def _close_input() -> None:
    """Whatever asks gets no answer: nobody sees a question in a log, and what is typed is not meant for it."""
    with Path(os.devnull).open(encoding="utf-8") as empty:
        os.dup2(empty.fileno(), 0)


def results_folder() -> Path:
    """The folder of the run's results, as the Snakefile says."""
    return Path(os.environ["BRAINLM_RESULTS"])


def dataset_root() -> Path:
    """The folder that holds the dataset's derivative/, as the Snakefile says."""
    return Path(os.environ["BRAINLM_DATASET"])


def dataset_file(path: str | Path) -> Path:
    """The file of the dataset that an input is, or stands for: the record of a file that was fetched."""
    path = Path(path)
    if not path.is_relative_to(results_folder() / "fetched"):
        return path
    return fetched_file(path, dataset_root())


def _keep_records(snakemake: Any, facts: Mapping[str, Any]) -> None:
    for output in snakemake.output:
        write_record(
            Path(output),
            results_folder(),
            rule=snakemake.rule,
            wildcards=dict(snakemake.wildcards.items()),
            params=dict(snakemake.params.items()),
            inputs=[Path(path) for path in snakemake.input],
            **facts,
        )


def progress_bar(total: int, unit: str, **options: Any) -> tqdm:
    """A bar with the time left, on the terminal if there is one; what a log keeps is written by the script itself."""
    terminal = sys.__stderr__
    return tqdm(total=total, unit=unit, file=terminal, disable=not terminal.isatty(), leave=False, **options)


def describe(values: Mapping[str, Any]) -> str:
    """One line of a log."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
