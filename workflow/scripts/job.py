"""What every rule script does around its work: a log file, and errors that a scientist can read."""

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from tqdm import tqdm

from brainlm.errors import InputError
from brainlm.provenance import write_record
from brainlm.resample import tr_midpoints
from brainlm.sources import Recording

log = logging.getLogger("brainlm.job")


@contextmanager
def logged(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Send what the job prints to its log; end with one line, not a traceback, where the input is at fault.

    Afterwards beside the results stands where they come from; a script adds what it alone knows, such as the device.
    """
    seed = snakemake.wildcards.get("seed")
    facts: dict[str, Any] = {"device": "cpu", "seed": None if seed is None else int(seed)}
    terminal = sys.stderr
    _close_input()
    with Path(snakemake.log[0]).open("w", encoding="utf-8", buffering=1) as file:
        logging.basicConfig(stream=file, level=logging.INFO, format="%(asctime)s %(message)s")
        with redirect_stdout(file), redirect_stderr(file):
            try:
                yield facts
                _keep_records(snakemake, facts)
            except InputError as error:
                log.error("%s", error)
                print(f"Error in {snakemake.rule}: {error}", file=terminal)
                sys.exit(1)
            except Exception:
                log.exception("the job failed")
                raise


def _close_input() -> None:
    """Whatever asks gets no answer: nobody sees a question in a log, and what is typed is not meant for it."""
    with Path(os.devnull).open(encoding="utf-8") as empty:
        os.dup2(empty.fileno(), 0)


def results_folder() -> Path:
    """The folder of the run's results, as the Snakefile says."""
    return Path(os.environ["BRAINLM_RESULTS"])


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


def by_story(paths: Iterable[str]) -> dict[str, Path]:
    """Story -> path, for files named <story>.<extension>."""
    return {Path(path).stem: Path(path) for path in paths}


def recordings(snakemake: Any) -> dict[str, Recording]:
    """The sources of a subject's models, or of a group's, where every member's brain has the member's name."""
    brains: dict[str, list[str]] = {}
    for path in snakemake.input.responses:
        brains.setdefault(Path(path).parent.name, []).append(path)
    return {
        **{
            "brain" if len(brains) == 1 else subject: Recording("bold", by_story(paths))
            for subject, paths in brains.items()
        },
        "lm": Recording("features", by_story(snakemake.input.features)),
    }


def of_each_source(of_kind: Mapping[str, Any], sources: Iterable[str]) -> dict[str, Any]:
    """Settings given for "brain" and "lm", for every source of a model."""
    return {source: of_kind["lm" if source == "lm" else "brain"] for source in sources}


def tr_times(story: str, respdict: str | Path, params: Any) -> np.ndarray:
    """(time,) s after sound onset of the story's response rows; their number follows from respdict.json."""
    try:
        trs = json.loads(Path(respdict).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{respdict} is no JSON file ({error}): download it again.") from error
    if story not in trs:
        raise InputError(f"{respdict} does not list the story '{story}'.")
    n_rows = trs[story] - params.trim["first"] - params.trim["last"]
    return tr_midpoints(
        n_rows, tr_s=params.tr_s, sound_onset_s=params.sound_onset_s, first_tr=params.trim["first"]
    )


def describe(values: Mapping[str, Any]) -> str:
    """One line of a log."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
