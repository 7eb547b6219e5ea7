"""The table of stories: which splits they are in, which of them each subject and group has, and which are missing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from pipeline.bids_stories import Listed, read_listed
from pipeline.errors import ConfigError
from pipeline.names import look_alikes, name_fault
from pipeline.paths import counted_from
from pipeline.recordings import COLUMNS, Segment, check_spelling, read_columns

SPLITS = ("train", "validation", "test")
_STORIES_NAMED = 10


def read_stories(path: Path) -> dict[str, list[str]]:
    """Split -> its stories, from the table of stories."""
    used = _used_stories(path)
    return {split: used.loc[used["split"] == split, "story"].tolist() for split in SPLITS}


def read_segments(path: Path) -> dict[str, Segment]:
    """Story -> where it lies in its recording's sound, for the stories of which the table of stories says so."""
    return read_columns(path, _used_stories(path))


def read_runs(path: Path) -> dict[str, Listed]:
    """Story -> what its files are called in fMRIPrep's derivatives."""
    return read_listed(path, _used_stories(path, all_columns=True))


def _used_stories(path: Path, *, all_columns: bool = False) -> pd.DataFrame:
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
    table = (
        table[list(table.columns) if all_columns else columns]
        .fillna("")
        .apply(lambda column: column.str.strip())
    )
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
