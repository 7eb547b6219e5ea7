"""What several rule scripts make of their inputs."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brainlm.data.respdict import read_respdict, volumes_of
from brainlm.resample import tr_midpoints
from brainlm.rows.pairs import Recording
from job import dataset_file


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
    path = dataset_file(respdict)
    n_rows = volumes_of(story, read_respdict(path), path) - params.trim["first"] - params.trim["last"]
    return tr_midpoints(
        n_rows, tr_s=params.tr_s, sound_onset_s=params.sound_onset_s, first_tr=params.trim["first"]
    )
