"""What several rule scripts make of their inputs."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brainlm.data.respdict import read_respdict, volumes_of
from brainlm.errors import InputError
from brainlm.resample import tr_midpoints
from brainlm.rows.sources import Source, load_sources, missing_stores
from brainlm.store import open_store, read_strings
from job import dataset_file, progress_bar


def by_story(paths: Iterable[str]) -> dict[str, Path]:
    """Story -> path, for files named <story>.<extension>."""
    return {Path(path).stem: Path(path) for path in paths}


def make_each(results: Mapping[str, Path], make: Callable[[str, Path], None]) -> None:
    """Make the result of each story, and find out what is wrong with all of them before the job ends.

    Parameters
    ----------
    results: story -> path.

    Raises
    ------
    InputError: a line for each story whose result cannot be made.
    """
    faults = []
    with progress_bar(len(results), "story") as progress:
        for story, path in results.items():
            try:
                make(story, path)
            except InputError as error:
                faults.append(str(error))
            progress.update()
    if len(faults) > 1:
        # The last line is what the run's end tells.
        faults.append(
            f"{len(faults)} of {len(results)} stories cannot be used, the first because {faults[0]}"
        )
    if faults:
        raise InputError("\n".join(faults))


def listed_sources(path: str | Path) -> dict[str, Source]:
    """The sources that a list names, of which all stores must be there.

    Raises
    ------
    InputError: one is not, with the command that makes it again.
    """
    sources = load_sources(Path(path))
    if missing := missing_stores(sources):
        others = f" (and {len(missing) - 1} others)" if missing[1:] else ""
        # With the list, which the same content leaves as it is, so that nothing else runs again.
        raise InputError(
            f"{missing[0]}{others}, which {path} lists, is missing: run `snakemake {missing[0]} {path}`, and then "
            "this again."
        )
    return sources


def nuisances_of(lm: Source, stories: Iterable[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of the nuisances, and story -> (time, nuisance), as they stand beside the features.

    Raises
    ------
    InputError: stories have other nuisances than the first one.
    """
    names, values = {}, {}
    for story in stories:
        store = open_store(lm.stores[story])
        names[story], values[story] = read_strings(store, "nuisance"), store["nuisances"][:]
    first = next(iter(names))
    for story, others in names.items():
        if others != names[first]:
            raise InputError(
                f"The nuisances of story '{story}' ({', '.join(others)}) are not those of '{first}' "
                f"({', '.join(names[first])}): bring the same columns for all stories."
            )
    return names[first], values


def of_each_source(of_kind: Mapping[str, Any], sources: Iterable[str]) -> dict[str, Any]:
    """Settings given for "brain" and "lm", for every source of a model."""
    return {source: of_kind["lm" if source == "lm" else "brain"] for source in sources}


def tr_times(story: str, respdict: str | Path, params: Any) -> np.ndarray:
    """(time,) s after sound onset of the story's response rows; their number follows from respdict.json."""
    path = dataset_file(respdict)
    n_rows = volumes_of(story, read_respdict(path), path) - params.trim["first"] - params.trim["last"]
    return tr_midpoints(
        n_rows,
        tr_s=params.tr_s,
        sound_onset_s=params.sound_onsets_s[story],
        first_tr=params.trim["first"],
    )
