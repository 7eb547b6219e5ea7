"""How the table of stories tells which files of fMRIPrep's derivatives a story's recordings are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from brainlm.data.bids.runs import Wanted
from pipeline.errors import ConfigError
from pipeline.recordings import seconds_of

COLUMNS = ("task", "ses", "run", "onset_s")
_NOTHING = ("", "n/a")
_ONSET = "give the sound's onset in s after the run's first volume, for example 12, or leave it empty"
_MEANT = {
    **{"tasks": "task", "session": "ses", "sessions": "ses", "runs": "run", "onset": "onset_s"},
    "sound_onset_s": "onset_s",
}


@dataclass(frozen=True)
class Listed:
    """What a line of the table says of a story."""

    wanted: Wanted
    onset_s: float | None
    """Of the sound, s after the run's first volume; None: events.tsv tells it."""


def read_listed(path: Path, used: pd.DataFrame) -> dict[str, Listed]:
    """Story -> what its files are called; the task is the story's name if it is not given.

    Parameters
    ----------
    path: of the table, for sentences.
    used: the table's lines that are not unused, as text.

    Raises
    ------
    ConfigError: a column that is called otherwise, a label that is none of BIDS, an onset that is no number, or two
        stories that are the same runs.
    """
    for column in used:
        if column in _MEANT and _MEANT[column] not in used:
            raise ConfigError(
                f"{path} has a column '{column}', which is not read with dataset.source bids: call it "
                f"{_MEANT[column]}."
            )
    listed, story_of = {}, {}
    for line in used.to_dict("records"):
        story = line["story"]
        cells = {column: "" if line.get(column, "") in _NOTHING else line[column] for column in COLUMNS}
        labels = {entity: cells[entity].removeprefix(f"{entity}-") for entity in ("task", "ses", "run")}
        for entity, label in labels.items():
            if label and not (label.isascii() and label.replace("+", "").isalnum()):
                raise ConfigError(
                    f"{path} gives the story '{story}' the {entity} '{label}', but labels of BIDS are letters and "
                    "digits."
                )
        if not labels["task"] and not (story.isascii() and story.isalnum()):
            raise ConfigError(
                f"{path}: the name of the story '{story}' cannot be a task of BIDS (letters and digits): give its "
                "task in a column task."
            )
        wanted = Wanted(labels["task"] or story, labels["ses"], labels["run"])
        if story_of.setdefault(wanted, story) != story:
            raise ConfigError(
                f"{path}: the stories '{story_of[wanted]}' and '{story}' are both {wanted}: give each its run or "
                "session in the columns run and ses."
            )
        cell = cells["onset_s"]
        listed[story] = Listed(wanted, seconds_of(path, story, "onset_s", cell, _ONSET) if cell else None)
    return listed


def shared_runs(runs: Mapping[str, Mapping[str, list[str]]]) -> tuple[str, str, str] | None:
    """The first run that two stories have, and both stories, if there is one.

    Parameters
    ----------
    runs: subject -> story -> its runs.
    """
    for stories in runs.values():
        story_of: dict[str, str] = {}
        for story, names in stories.items():
            for name in names:
                if story_of.setdefault(name, story) != story:
                    return name, story_of[name], story
    return None
