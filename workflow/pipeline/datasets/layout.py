"""The layout of ds003020, which every dataset has below its root, and whether its files can be read."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from brainlm.data.respdict import read_json_object, read_respdict, volumes_of
from brainlm.errors import InputError
from brainlm.files import check_downloaded
from pipeline.errors import ConfigError
from pipeline.names import name_fault

RESPDICT = "derivative/respdict.json"
TRANSFORMS = "derivative/subject_xfms.json"
RESPONSES = "derivative/preprocessed_data/{subject}/{story}.hf5"
SURFACES = tuple(f"surfaces/{kind}_{side}" for kind in ("flat", "pia", "wm") for side in ("lh", "rh"))
"""Without their extension: pycortex keeps surfaces as .gii or .npz."""
TRANSFORM_FILES = ("matrices.xfm", "reference.nii.gz")


def transcripts(derivative: Path, story: str) -> tuple[Path, Path]:
    """Where the transcript of a story may be: a table, or a TextGrid."""
    return derivative / "transcripts" / f"{story}.tsv", derivative / "TextGrids" / f"{story}.TextGrid"


def nuisance_table(derivative: Path, story: str) -> Path:
    """Where the columns are that a dataset brings beside a story's responses, if it does."""
    return derivative / "nuisances" / f"{story}.tsv"


def response_files(config: Mapping[str, Any], listed: set[str]) -> list[str]:
    """The files of all subjects and stories, below the dataset's root, some of which may not exist."""
    return [
        RESPONSES.format(subject=subject, story=story)
        for subject in config["subjects"]
        for story in sorted(listed)
    ]


def read_transforms(path: Path) -> dict[str, str]:
    """Subject -> its pycortex transform, from ds003020's subject_xfms.json; empty if there is no such file.

    Raises
    ------
    ConfigError: the file holds something else.
    """
    if not path.exists():
        return {}
    transforms = read_json_object(path)
    if transforms is None or not all(isinstance(name, str) for name in transforms.values()):
        raise ConfigError(
            f"{path} must be a JSON object, subject: transform; `datalad get` it if it is only a pointer."
        )
    for subject, transform in transforms.items():
        if fault := name_fault(transform):
            raise ConfigError(f"{path}: the transform of '{subject}' {fault}.")
    return transforms


def volumes_of_stories(dataset: Mapping[str, Any], stories: Collection[str]) -> dict[str, int]:
    """Story -> volumes of its recording, from a local dataset's respdict.json that has been checked."""
    if not stories:
        return {}
    path = Path(dataset["root"], RESPDICT)
    volumes = read_respdict(path)
    return {story: volumes_of(story, volumes, path) for story in stories}


def unreadable(files: Iterable[Path]) -> list[str]:
    """A sentence for each of the files that is there and cannot be read: its content is not here, or not open to this
    user, which is said once for the files of a folder."""
    faults, closed = [], {}
    for file in files:
        try:
            file.lstat()
            check_downloaded(file)
            file.open("rb").close()
        except FileNotFoundError:
            continue
        except PermissionError:
            closed.setdefault(file.parent, []).append(file)
        except InputError as error:
            faults.append(str(error))
    for first, *others in closed.values():
        more = f" (nor can {len(others)} others in its folder)" if others else ""
        faults.append(
            f"{first} cannot be read: its permissions, or those of its folder, do not allow it{more}. Change them "
            "(`chmod u+r`, of folders `u+rx`) or ask their owner."
        )
    return faults


def respdict_faults(path: Path, dataset: Mapping[str, Any], listed: set[str]) -> list[str]:
    """What keeps respdict.json from giving each story volumes of which something is left after trimming."""
    if faults := unreadable([path]):
        return faults
    try:
        volumes = read_respdict(path)
    except InputError as error:
        return [str(error)]
    n_trimmed, faults = dataset["trim"]["first"] + dataset["trim"]["last"], []
    if absent := sorted(listed - volumes.keys()):
        others = f" It lacks {len(absent) - 1} others too: {', '.join(absent[1:])}." if absent[1:] else ""
        try:
            volumes_of(absent[0], volumes, path)
        except InputError as error:
            faults.append(f"{error}{others}")
    for story in sorted(listed & volumes.keys()):
        try:
            n_volumes = volumes_of(story, volumes, path)
        except InputError as error:
            faults.append(str(error))
            continue
        if n_volumes < n_trimmed + 2:
            faults.append(
                f"{path} gives the story '{story}' {n_volumes} volumes, of which dataset.trim cuts off "
                f"{n_trimmed}, but two or more must be left: check both."
            )
    return faults
