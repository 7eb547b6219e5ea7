"""What the names of files in BIDS datasets and in fMRIPrep's derivatives say, of all its versions.

nilearn's `parse_bids_filename` takes the last part of a name for its suffix, which in fMRIPrep's names of surfaces
until version 20 is an entity: sub-001_task-tunnel_space-fsaverage6_hemi-L.func.gii.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from brainlm.data.respdict import read_json_object
from brainlm.errors import InputError

_SUBJECT_FOLDERS = ("func", "anat")


@dataclass(frozen=True)
class BidsFile:
    """A file and what its name says."""

    path: Path
    entities: Mapping[str, str]
    """Such as task: tunnel, in the order of the name."""
    suffix: str
    """What stands last, such as bold; "" where the last part is an entity."""
    extension: str
    """From the first dot on, without it, such as nii.gz."""

    def get(self, entity: str) -> str:
        """The value of an entity; "" if the name does not have it."""
        return self.entities.get(entity, "")


def parse_name(path: Path) -> BidsFile | None:
    """What a file's name says; None if it is no name of BIDS, in which parts `entity-value` stand between "_".

    No name raises an exception: folders hold files of all sorts.
    """
    stem, _, extension = path.name.partition(".")
    parts = stem.split("_")
    suffix = "" if "-" in parts[-1] else parts.pop()
    pairs = [part.partition("-")[::2] for part in parts]
    entities = dict(pairs)
    if not pairs or len(entities) < len(pairs) or not all(name and value for name, value in pairs):
        return None
    return BidsFile(path, MappingProxyType(entities), suffix, extension)


def label_of(subject: str) -> str:
    """A subject's label, for which both 001 and sub-001 may stand."""
    return subject.removeprefix("sub-")


def derivatives_folder(root: Path) -> Path:
    """The folder that holds the subjects' folders: `root`, or the folder fmriprep in it.

    Raises
    ------
    InputError: neither does, or the dataset is a raw one.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the folder of fMRIPrep's derivatives.")
    for folder in (root, root / "fmriprep"):
        if not any(path.is_dir() for path in folder.glob("sub-*")):
            continue
        description = folder / "dataset_description.json"
        kind = (read_json_object(description) or {}).get("DatasetType") if description.is_file() else None
        if kind == "raw":
            raise InputError(
                f"{description} says that {folder} is a raw dataset: give the folder of fMRIPrep's derivatives."
            )
        return folder
    raise InputError(f"{root} has no folders sub-*, nor has its folder fmriprep: is it fMRIPrep's output?")


def subject_files(folder: Path, subject: str) -> list[BidsFile]:
    """The subject's functional and anatomical files, of all sessions, in order of their paths.

    Parameters
    ----------
    folder: that holds the subjects' folders, from `derivatives_folder`.
    subject: its label, with or without sub-.

    Raises
    ------
    InputError: no such subject; names those that are there.
    """
    own = folder / f"sub-{label_of(subject)}"
    if not own.is_dir():
        known = sorted(path.name for path in folder.glob("sub-*") if path.is_dir())
        raise InputError(f"{folder} has no subject {own.name}; it has {listed(known)}.")
    sessions = [own, *sorted(path for path in own.glob("ses-*") if path.is_dir())]
    folders = [session / kind for session in sessions for kind in _SUBJECT_FOLDERS]
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [file for file in map(parse_name, paths) if file is not None]


def same_label(one: str, other: str) -> bool:
    """Whether two labels are the same, with or without zeros in front of a number: run-1 and run-01."""
    return _without_zeros(one) == _without_zeros(other)


def in_order(label: str) -> tuple[int, str]:
    """A key by which run-2 comes before run-10."""
    number = re.match(r"\d+", label)
    return int(number[0]) if number else -1, label


def listed(names: Sequence[str], at_most: int = 8) -> str:
    """The names in a sentence, the first few of many."""
    others = f" and {len(names) - at_most} others" if len(names) > at_most else ""
    return (", ".join(names[:at_most]) or "none") + others


def _without_zeros(label: str) -> str:
    return label.lstrip("0") or "0" if label.isdigit() else label
