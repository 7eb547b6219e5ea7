"""Which stories a config asks for, which of them each subject has, and whether the dataset can give them."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.dataset import (
    RESPONSES,
    ConfigError,
    copy_faults,
    counted_from,
    local_faults,
    manifest_of,
    read_manifest,
    response_files,
    volumes_of_stories,
)
from pipeline.names import look_alikes, name_fault
from pipeline.recordings import COLUMNS, Segment, check_segments, check_spelling, read_columns

SPLITS = ("train", "validation", "test")
_STORIES_NAMED = 10


def hint(name: str, known: Sequence[str], otherwise: str) -> str:
    """What a misspelt name may have meant."""
    close = get_close_matches(name, known)
    return f"did you mean {' or '.join(repr(match) for match in close)}?" if close else otherwise


def read_stories(path: Path) -> dict[str, list[str]]:
    """Split -> its stories, from the table of stories."""
    used = _used_stories(path)
    return {split: used.loc[used["split"] == split, "story"].tolist() for split in SPLITS}


def read_segments(path: Path) -> dict[str, Segment]:
    """Story -> where it lies in its recording's sound, for the stories of which the table of stories says so."""
    return read_columns(path, _used_stories(path))


def _used_stories(path: Path) -> pd.DataFrame:
    """The lines of the table of stories that are not unused, as text, without blanks at their ends."""
    if not path.exists():
        raise ConfigError(f"Config: dataset.stories names {path}, which does not exist{counted_from(path)}.")
    if not path.is_file():
        raise ConfigError(f"Config: dataset.stories names {path}, which is a folder; it must be a table.")
    table = pd.DataFrame()
    # What pandas cannot read is a ValueError: an empty file, text that is no UTF-8, lines of different length.
    with suppress(ValueError):
        table = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    table.columns = table.columns.astype(str).str.strip()
    if not {"story", "split"} <= set(table.columns):
        raise ConfigError(f"{path} must be a tab-separated table with columns story and split.")
    check_spelling(path, table.columns)
    columns = ["story", "split", *(column for column in COLUMNS if column in table)]
    table = table[columns].fillna("").apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
    unknown = sorted(set(table["split"]) - {*SPLITS, "unused"})
    if unknown:
        raise ConfigError(
            f"{path} has the split '{unknown[0]}'; splits are train, validation, test and unused."
        )
    used = table[table["split"] != "unused"]
    for story, rows in used.groupby("story"):
        if len(rows) > 1:
            splits = " and ".join(rows["split"])
            raise ConfigError(
                f"{path} lists the story '{story}' more than once ({splits}); a story belongs to one split."
            )
    for story in used["story"]:
        if fault := name_fault(story, any_alphabet=True):
            raise ConfigError(f"{path}: the name of a story {fault}: rename its files and its line.")
    if alike := look_alikes(used["story"]):
        raise ConfigError(
            f"{path} has the stories '{alike[0]}' and '{alike[1]}', whose files some disks take for the same: rename "
            "one of them."
        )
    empty = [split for split in SPLITS if split not in set(used["split"])]
    if empty:
        raise ConfigError(f"{path} has no story in the split '{empty[0]}'.")
    return used


def dataset_faults(
    config: Mapping[str, Any], stories: Mapping[str, list[str]], segments: Mapping[str, Segment]
) -> list[str]:
    """What of the dataset's files is missing or cannot be read, in a sentence for each fault.

    Raises
    ------
    ConfigError: in one sentence, if the dataset cannot be what the config says it is.
    """
    dataset = config["dataset"]
    simulated = dataset["source"] == "simulated"
    if simulated != ("simulation" in dataset):
        word = "needs" if simulated else "does not take"
        raise ConfigError(f"Config: dataset.source {dataset['source']} {word} a section dataset.simulation.")
    if simulated and dataset["root"] is not None:
        raise ConfigError(
            "Config: dataset.root must be null with dataset.source simulated, which would write over the dataset "
            f"in {dataset['root']}."
        )
    if not simulated and not config["themes"]:
        raise ConfigError(
            "Config: themes needs at least one list of words; only a simulated dataset has annotated spans."
        )
    listed = {story for split in stories.values() for story in split}
    if segments and dataset["source"] != "local":
        raise ConfigError(
            f"{dataset['stories']} gives the story '{next(iter(segments))}' a sound_onset_s, which only stories of "
            "dataset.source local have: leave out the columns sound_onset_s and recording."
        )
    if simulated:
        texts = Path(dataset["simulation"]["texts"])
        absent = sorted(story for story in listed if not (texts / f"{story}.txt").exists())
        if absent:
            raise ConfigError(
                f"{dataset['stories']} names the unknown story '{absent[0]}': no {absent[0]}.txt in {texts}."
            )
        repeated = dataset["simulation"]["repeated_story"]
        if repeated is not None and repeated not in stories["test"]:
            raise ConfigError(f"Config: dataset.simulation.repeated_story '{repeated}' is not a test story.")
    try:
        if dataset["source"] == "openneuro":
            _check_manifest(config, listed)
            # What the workflow itself downloads has the right checksum.
            return copy_faults(config, listed) if dataset["root"] is not None else []
        if dataset["source"] == "local":
            faults = local_faults(config, listed, {story: of.recording for story, of in segments.items()})
            if not faults:
                check_segments(dataset, segments, volumes_of_stories(dataset, segments))
            return faults
        return []
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: its permissions, or those of its folder, do not allow it. Change "
            "them (`chmod u+r`, of folders `u+rx`) or ask their owner."
        ) from None


def stories_of_subjects(
    config: Mapping[str, Any], stories: Mapping[str, list[str]]
) -> dict[str, dict[str, list[str]]]:
    """Subject -> split -> the split's stories to which the dataset has the subject's responses.

    Raises
    ------
    ConfigError: a subject without any story of a split.
    """
    dataset = config["dataset"]
    if dataset["source"] == "simulated":
        return {
            subject: {split: list(names) for split, names in stories.items()}
            for subject in config["subjects"]
        }
    if dataset["source"] == "openneuro":
        files = set(read_manifest(manifest_of(dataset)))
    else:
        listed = {story for names in stories.values() for story in names}
        files = {
            name for name in response_files(config, listed) if os.path.lexists(Path(dataset["root"], name))
        }
    of_subjects = {
        subject: {
            split: [story for story in names if RESPONSES.format(subject=subject, story=story) in files]
            for split, names in stories.items()
        }
        for subject in config["subjects"]
    }
    for subject, splits in of_subjects.items():
        for split, names in splits.items():
            if not names:
                raise ConfigError(
                    f"Subject '{subject}' has responses to none of the {len(stories[split])} stories of the split "
                    f"'{split}': drop the subject, or give {dataset['stories']} another split."
                )
    return of_subjects


def stories_of_groups(
    groups: Mapping[str, Sequence[str]], subject_stories: Mapping[str, Mapping[str, list[str]]]
) -> dict[str, dict[str, list[str]]]:
    """Group -> split -> the stories that all members have, each in its split.

    Raises
    ------
    ConfigError: a group without any story of a split.
    """
    common = {
        group: {
            split: [
                story
                for story in subject_stories[members[0]][split]
                if all(story in subject_stories[member][split] for member in members)
            ]
            for split in SPLITS
        }
        for group, members in groups.items()
    }
    for group, splits in common.items():
        for split, names in splits.items():
            if not names:
                raise ConfigError(
                    f"Config: the members of groups.{group} have no story of the split '{split}' in common."
                )
    return common


def _check_manifest(config: Mapping[str, Any], listed: set[str]) -> None:
    manifest = manifest_of(config["dataset"])
    files = [Path(file) for file in read_manifest(manifest)]
    responses = [file for file in files if file.match(RESPONSES.format(subject="*", story="*"))]
    subjects = sorted({file.parent.name for file in responses})
    for subject in config["subjects"]:
        if subject not in subjects:
            otherwise = f"they are {', '.join(subjects)}."
            raise ConfigError(
                f"Config: '{subject}' is no subject of {manifest}; {hint(subject, subjects, otherwise)}"
            )
    known = sorted(file.stem for file in files if file.suffix == ".TextGrid")
    for story in sorted(listed - set(known)):
        otherwise = f"it lists {len(known)} stories."
        raise ConfigError(
            f"{config['dataset']['stories']} names the story '{story}', which is not in {manifest}; "
            f"{hint(story, known, otherwise)}"
        )


def missing_stories(
    stories: Mapping[str, list[str]], subject_stories: Mapping[str, Mapping[str, list[str]]]
) -> dict[str, dict[str, list[str]]]:
    """Subject -> split -> the split's stories to which the subject has no responses; empty lists where none lacks.

    Parameters
    ----------
    stories: split -> all its stories, from `read_stories`; those of a plan lack what no subject has.
    subject_stories: from `stories_of_subjects`.
    """
    return {
        subject: {
            split: [story for story in names if story not in has[split]] for split, names in stories.items()
        }
        for subject, has in subject_stories.items()
    }


def describe_missing(
    stories: Mapping[str, list[str]], subject_stories: Mapping[str, Mapping[str, list[str]]]
) -> list[str]:
    """A sentence for each subject that lacks stories; parameters as of `missing_stories`."""
    n_stories = sum(map(len, stories.values()))
    sentences = []
    for subject, of_split in missing_stories(stories, subject_stories).items():
        names = sorted(story for absent in of_split.values() for story in absent)
        if not names:
            continue
        counts = ", ".join(f"{len(absent)} {split}" for split, absent in of_split.items() if absent)
        others = f" and {len(names) - _STORIES_NAMED} others" if len(names) > _STORIES_NAMED else ""
        sentences.append(
            f"{subject} has no responses to {len(names)} of {n_stories} stories ({counts}), which are left out of "
            f"its splits: {', '.join(names[:_STORIES_NAMED])}{others}."
        )
    return sentences
