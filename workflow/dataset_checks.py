"""Which stories a config asks for, which of them each subject has, and whether the dataset can give them."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from brainlm.annex import check_downloaded
from brainlm.errors import InputError

DS003020_MANIFEST = Path(__file__).parents[1] / "config" / "ds003020" / "manifest.tsv"
RESPDICT = "derivative/respdict.json"
TRANSFORMS = "derivative/subject_xfms.json"
RESPONSES = "derivative/preprocessed_data/{subject}/{story}.hf5"
SPLITS = ("train", "validation", "test")
_CORTEX_FILE = re.compile(
    r"matrices\.xfm|(reference|mask_thick)\.nii\.gz|overlays\.svg|(flat|pia|wm)_[lr]h\..+"
)
_STORIES_NAMED = 10


class ConfigError(ValueError):
    """What is wrong with the config, in one sentence."""


def hint(name: str, known: Sequence[str], otherwise: str) -> str:
    """What a misspelt name may have meant."""
    close = get_close_matches(name, known)
    return f"did you mean {' or '.join(repr(match) for match in close)}?" if close else otherwise


def read_stories(path: Path) -> dict[str, list[str]]:
    """Split -> its stories, from the table of stories."""
    if not path.exists():
        raise ConfigError(f"Config: dataset.stories names {path}, which does not exist.")
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
    table = table[["story", "split"]].fillna("").apply(lambda column: column.str.strip())
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
    stories = {split: used.loc[used["split"] == split, "story"].tolist() for split in SPLITS}
    empty = [split for split in SPLITS if not stories[split]]
    if empty:
        raise ConfigError(f"{path} has no story in the split '{empty[0]}'.")
    return stories


def check_dataset(config: Mapping[str, Any], stories: Mapping[str, list[str]]) -> None:
    """Raise ConfigError, in one sentence, if the dataset cannot be what the config says it is."""
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
            if dataset["root"] is not None:
                _check_copy(config, listed)
        if dataset["source"] == "local":
            _check_local_tree(config, listed)
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: its permissions, or those of its folder, do not allow it. Change "
            "them (`chmod u+r`, of folders `u+rx`) or ask their owner."
        ) from None


def manifest_of(dataset: Mapping[str, Any]) -> Path:
    """The manifest that the config's section `dataset` asks for."""
    return Path(dataset["manifest"] or DS003020_MANIFEST)


def read_manifest(path: Path) -> dict[str, int]:
    """Path of each file of the dataset, below its root -> bytes.

    Raises
    ------
    ConfigError: no such table, or without columns path and bytes.
    """
    if not path.is_file():
        raise ConfigError(f"Config: dataset.manifest names {path}, which is no file.")
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if not {"path", "bytes", "md5", "s3_version"} <= set(table.columns):
        raise ConfigError(
            f"{path} must be a tab-separated table with columns path, bytes, md5 and s3_version."
        )
    return dict(zip(table["path"], table["bytes"].astype(int), strict=True))


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
        files = {name for name in _responses(config, listed) if os.path.lexists(Path(dataset["root"], name))}
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
    subjects = sorted(
        {file.parts[2] for file in files if file.parts[1] == "preprocessed_data" and len(file.parts) == 4}
    )
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


def require_space(files: Iterable[str], manifest: Mapping[str, int], root: Path) -> None:
    """Check that what is still to be downloaded fits on the disk.

    Parameters
    ----------
    files: paths below `root`, as in the manifest.

    Raises
    ------
    ConfigError: it does not, or a file is neither there nor in the manifest.
    """
    unlisted = [file for file in sorted(files) if file not in manifest and not (root / file).exists()]
    if unlisted:
        raise ConfigError(
            f"{unlisted[0]} is needed, but neither in {root} nor listed by dataset.manifest: leave its subject out, "
            "or give dataset.root a copy of the dataset that has it."
        )
    missing = {file: manifest[file] for file in set(files) if not (root / file).exists()}
    partly = sum(
        (root / f"{file}.partial").stat().st_size for file in missing if (root / f"{file}.partial").exists()
    )
    needed = sum(missing.values()) - partly
    existing = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise ConfigError(
            f"{len(missing)} files of {needed / 1e9:.1f} GB are to be downloaded into {root}, but its disk has "
            f"{free / 1e9:.1f} GB free: give dataset.root another place, or use fewer subjects or stories."
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


def transcript_path(source: str, derivative: str, wildcards: Any) -> str:
    """Where the transcript of a rule's story is: a TextGrid, or of a local dataset the table in its place."""
    table, textgrid = _transcripts(Path(derivative), wildcards.story)
    return str(table if source == "local" and os.path.lexists(table) else textgrid)


def _transcripts(derivative: Path, story: str) -> tuple[Path, Path]:
    return derivative / "transcripts" / f"{story}.tsv", derivative / "TextGrids" / f"{story}.TextGrid"


def _check_local_tree(config: Mapping[str, Any], listed: set[str]) -> None:
    dataset = config["dataset"]
    if dataset["root"] is None:
        raise ConfigError(
            "Config: dataset.source local needs dataset.root, the folder that holds derivative/."
        )
    derivative = Path(dataset["root"]) / "derivative"
    if not derivative.is_dir():
        raise ConfigError(f"Config: dataset.root has no folder {derivative}.")
    for subject in config["subjects"]:
        if not (derivative / "preprocessed_data" / subject).is_dir():
            known = sorted(path.name for path in (derivative / "preprocessed_data").glob("*"))
            raise ConfigError(
                f"Config: unknown subject '{subject}'; {derivative} has {', '.join(known) or 'none'}."
            )
    root = Path(dataset["root"])
    if not os.path.lexists(root / RESPDICT):
        raise ConfigError(
            f"Config: dataset.root has no file {root / RESPDICT}, the number of volumes of each story."
        )
    _check_respdict(root / RESPDICT, dataset, listed)
    for story in sorted(listed):
        transcripts = _transcripts(derivative, story)
        _check_readable(transcripts)
        found = [file for file in transcripts if file.exists()]
        if not found:
            raise ConfigError(
                f"{dataset['stories']} names the unknown story '{story}': neither TextGrids/{story}.TextGrid nor "
                f"transcripts/{story}.tsv is in {derivative}."
            )
        if len(found) > 1:
            raise ConfigError(
                f"The story '{story}' has two transcripts, {found[0]} and {found[1]}: remove one of them."
            )
    _check_readable(root / name for name in [*_responses(config, listed), TRANSFORMS])
    transforms = read_transforms(root / TRANSFORMS)
    for subject in config["subjects"]:
        transform = transforms.get(subject, f"{subject}_auto")
        mask = derivative / "pycortex-db" / subject / "transforms" / transform / "mask_thick.nii.gz"
        _check_readable([mask, derivative / "voxels" / f"{subject}.tsv"])


def _check_copy(config: Mapping[str, Any], listed: set[str]) -> None:
    """Check what there is of ds003020 and will be used; what there is not will be downloaded."""
    dataset = config["dataset"]
    root, responses = Path(dataset["root"]), set(_responses(config, listed))
    transcripts = {f"derivative/TextGrids/{story}.TextGrid" for story in listed}
    cortices = tuple(f"derivative/pycortex-db/{subject}/" for subject in config["subjects"])
    _check_readable(
        root / name
        for name in read_manifest(manifest_of(dataset))
        if name in {RESPDICT, TRANSFORMS} | transcripts | responses
        or (name.startswith(cortices) and _CORTEX_FILE.fullmatch(Path(name).name))
    )
    if (root / RESPDICT).exists():
        _check_respdict(root / RESPDICT, dataset, listed)


def _responses(config: Mapping[str, Any], listed: set[str]) -> list[str]:
    """The files of all subjects and stories, below the dataset's root, some of which may not exist."""
    return [
        RESPONSES.format(subject=subject, story=story)
        for subject in config["subjects"]
        for story in sorted(listed)
    ]


def _check_readable(files: Iterable[Path]) -> None:
    """Check that those of the files that are there can be read: their content is here and open to this user.

    Raises
    ------
    ConfigError: the content has not been downloaded.
    PermissionError: a file or its folder is not open to this user.
    """
    for file in files:
        try:
            file.lstat()
            check_downloaded(file)
            file.open("rb").close()
        except FileNotFoundError:
            continue
        except InputError as error:
            raise ConfigError(str(error)) from None


def _check_respdict(path: Path, dataset: Mapping[str, Any], listed: set[str]) -> None:
    """Check that respdict.json gives each story volumes of which something is left after trimming."""
    _check_readable([path])
    volumes = None
    with suppress(ValueError):
        volumes = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(volumes, dict):
        raise ConfigError(
            f"{path} must be a JSON object, story: number of volumes of its recording; `datalad get` it if it is "
            "only a pointer, or write it."
        )
    n_trimmed = dataset["trim"]["first"] + dataset["trim"]["last"]
    for story in sorted(listed):
        if story not in volumes:
            raise ConfigError(
                f"{path} does not list the story '{story}': add the number of volumes of its recording, or mark "
                f"the story as unused in {dataset['stories']}."
            )
        n_volumes = volumes[story]
        if type(n_volumes) is not int:
            raise ConfigError(
                f"{path} gives the story '{story}' {n_volumes!r}, but a whole number of volumes is needed."
            )
        if n_volumes < n_trimmed + 2:
            raise ConfigError(
                f"{path} gives the story '{story}' {n_volumes} volumes, of which dataset.trim cuts off "
                f"{n_trimmed}, but two or more must be left: check both."
            )


def read_transforms(path: Path) -> dict[str, str]:
    """Subject -> its pycortex transform, from ds003020's subject_xfms.json; empty if there is no such file.

    Raises
    ------
    ConfigError: the file holds something else.
    """
    if not path.exists():
        return {}
    transforms = None
    with suppress(ValueError):
        transforms = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(transforms, dict) or not all(isinstance(name, str) for name in transforms.values()):
        raise ConfigError(
            f"{path} must be a JSON object, subject: transform; `datalad get` it if it is only a pointer."
        )
    return transforms
