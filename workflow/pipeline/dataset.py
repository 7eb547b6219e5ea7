"""The files of a dataset: which there should be, whether they are here, and whether their content can be used."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from brainlm.data.respdict import read_json_object, read_respdict, volumes_of
from brainlm.errors import InputError
from brainlm.files import check_downloaded
from pipeline.names import folded, name_fault

REPOSITORY = Path(__file__).parents[2]
SHIPPED = "config"
"""The repository's folder of configs, and of the tables and stories that they name."""
DS003020_MANIFEST = REPOSITORY / SHIPPED / "ds003020" / "manifest.tsv"
RESPDICT = "derivative/respdict.json"
TRANSFORMS = "derivative/subject_xfms.json"
RESPONSES = "derivative/preprocessed_data/{subject}/{story}.hf5"
_CORTEX_FILE = re.compile(
    r"matrices\.xfm|(reference|mask_thick)\.nii\.gz|overlays\.svg|(flat|pia|wm)_[lr]h\..+"
)


class ConfigError(ValueError):
    """What is wrong with the config, in one sentence, or with a dataset's files, in a line for each fault."""


def with_shipped_files(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The config's section `dataset` with the tables and stories that come with the workflow found where they lie.

    A relative path counts from the working directory; one below config/ at which nothing is there is the
    repository's.
    """

    def found(path: str) -> str:
        shipped = REPOSITORY / path
        is_shipped = Path(path).parts[:1] == (SHIPPED,) and not Path(path).exists() and shipped.exists()
        return str(shipped) if is_shipped else path

    given = {key: found(dataset[key]) for key in ("stories", "manifest") if dataset.get(key)}
    if "simulation" in dataset:
        given["simulation"] = dataset["simulation"] | {"texts": found(dataset["simulation"]["texts"])}
    return {**dataset, **given}


def counted_from(path: Path | str) -> str:
    """What a sentence about a path that is not there adds, if the path is a relative one."""
    is_relative = not str(path).startswith(("/", "~"))
    return f" in the working directory, {Path.cwd()}" * is_relative


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
        raise ConfigError(f"Config: dataset.manifest names {path}, which is no file{counted_from(path)}.")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        return dict(
            zip(table["path"], table[["bytes", "md5", "s3_version"]]["bytes"].astype(int), strict=True)
        )
    except (ValueError, KeyError):
        raise ConfigError(
            f"{path} must be a tab-separated table with columns path, bytes (whole numbers), md5 and s3_version."
        ) from None


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


def transcript_path(source: str, derivative: str, wildcards: Any) -> str:
    """Where the transcript of a rule's story is: a TextGrid, or of a local dataset the table in its place."""
    table, textgrid = _transcripts(Path(derivative), wildcards.story)
    return str(table if source == "local" and os.path.lexists(table) else textgrid)


def _transcripts(derivative: Path, story: str) -> tuple[Path, Path]:
    return derivative / "transcripts" / f"{story}.tsv", derivative / "TextGrids" / f"{story}.TextGrid"


def local_faults(
    config: Mapping[str, Any], listed: set[str], recordings: Mapping[str, str | None]
) -> list[str]:
    """What of the files that the config's subjects and the listed stories need is missing or cannot be read.

    Parameters
    ----------
    recordings: story -> the recording whose transcript it shares, if it is a segment of one.

    Raises
    ------
    ConfigError: there is no folder of the dataset or of a subject, or no respdict.json.
    """
    dataset = config["dataset"]
    if dataset["root"] is None:
        raise ConfigError(
            "Config: dataset.source local needs dataset.root, the folder that holds derivative/."
        )
    derivative = Path(dataset["root"]) / "derivative"
    if not derivative.is_dir():
        raise ConfigError(f"Config: dataset.root has no folder {derivative}{counted_from(derivative)}.")
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
    texts = {story: recordings.get(story) or story for story in sorted(listed)}
    misspelt = _misspelt(root, config["subjects"], listed | set(texts.values()))
    faults = _respdict_faults(root / RESPDICT, dataset, listed) + [sentence for _, sentence in misspelt]
    faults += _unreadable(
        file for text in dict.fromkeys(texts.values()) for file in _transcripts(derivative, text)
    )
    named = {name for name, _ in misspelt}
    first_of = {text: story for story, text in reversed(texts.items())}
    for text, story in first_of.items():
        if not {story, text} & named:
            faults += _transcript_faults(derivative, story, text, dataset)
    for story, text in texts.items():
        own = [] if story in first_of else [*filter(Path.exists, _transcripts(derivative, story))]
        if own:
            faults.append(
                f"{dataset['stories']} calls the story '{story}' a segment of the recording '{text}', whose "
                f"transcript it shares, but it has one of its own, {own[0]}: remove it, or leave the story's "
                "recording empty."
            )
    faults += _unreadable(root / name for name in response_files(config, listed))
    if unreadable := _unreadable([root / TRANSFORMS]):
        return faults + unreadable
    transforms = read_transforms(root / TRANSFORMS)
    for subject in config["subjects"]:
        transform = transforms.get(subject, f"{subject}_auto")
        mask = derivative / "pycortex-db" / subject / "transforms" / transform / "mask_thick.nii.gz"
        faults += _unreadable([mask, derivative / "voxels" / f"{subject}.tsv"])
    return faults


def _transcript_faults(derivative: Path, story: str, text: str, dataset: Mapping[str, Any]) -> list[str]:
    """What is wrong with the transcript of a story, or of the recording `text` that it is a segment of."""
    transcripts = _transcripts(derivative, text)
    if _unreadable(transcripts):
        return []
    found = [file for file in transcripts if file.exists()]
    if not found and text != story:
        return [
            f"{dataset['stories']} calls the story '{story}' a segment of the recording '{text}', of which neither "
            f"TextGrids/{text}.TextGrid nor transcripts/{text}.tsv is in {derivative}: add its transcript, in s "
            "after the recording's sound onset, or leave the story's recording empty."
        ]
    if not found:
        return [
            f"{dataset['stories']} names the unknown story '{story}': neither TextGrids/{story}.TextGrid nor "
            f"transcripts/{story}.tsv is in {derivative}."
        ]
    if len(found) > 1:
        what = "story" if text == story else "recording"
        return [f"The {what} '{text}' has two transcripts, {found[0]} and {found[1]}: remove one of them."]
    return []


def _misspelt(root: Path, subjects: Iterable[str], listed: set[str]) -> list[tuple[str, str]]:
    """Stories of which a file would be missed because its name is written a little otherwise, and a sentence each."""
    derivative, story_of = root / "derivative", {folded(story): story for story in listed}
    patterns = [
        "TextGrids/*.TextGrid",
        "transcripts/*.tsv",
        *(f"preprocessed_data/{s}/*.hf5" for s in subjects),
    ]
    found = []
    for file in (file for pattern in patterns for file in sorted(derivative.glob(pattern))):
        story = story_of.get(folded(file.stem), file.stem)
        # A disk that does not tell capitals apart finds the file all the same.
        if story != file.stem and not os.path.lexists(file.with_name(story + file.suffix)):
            sentence = (
                f"{file} is not taken for the story '{story}': its name differs in capitals, or in accents that are "
                "not composed with their letters (Unicode NFC); rename it."
            )
            found.append((story, sentence))
    return found


def copy_faults(config: Mapping[str, Any], listed: set[str]) -> list[str]:
    """What cannot be read of the files of ds003020 that are there and will be used; others will be downloaded."""
    dataset = config["dataset"]
    root, responses = Path(dataset["root"]), set(response_files(config, listed))
    transcripts = {f"derivative/TextGrids/{story}.TextGrid" for story in listed}
    cortices = tuple(f"derivative/pycortex-db/{subject}/" for subject in config["subjects"])
    faults = _unreadable(
        root / name
        for name in read_manifest(manifest_of(dataset))
        if name in {TRANSFORMS} | transcripts | responses
        or (name.startswith(cortices) and _CORTEX_FILE.fullmatch(Path(name).name))
    )
    return faults + (
        _respdict_faults(root / RESPDICT, dataset, listed) if os.path.lexists(root / RESPDICT) else []
    )


def response_files(config: Mapping[str, Any], listed: set[str]) -> list[str]:
    """The files of all subjects and stories, below the dataset's root, some of which may not exist."""
    return [
        RESPONSES.format(subject=subject, story=story)
        for subject in config["subjects"]
        for story in sorted(listed)
    ]


def _unreadable(files: Iterable[Path]) -> list[str]:
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


def volumes_of_stories(dataset: Mapping[str, Any], stories: Collection[str]) -> dict[str, int]:
    """Story -> volumes of its recording, from a local dataset's respdict.json that has been checked."""
    if not stories:
        return {}
    path = Path(dataset["root"], RESPDICT)
    volumes = read_respdict(path)
    return {story: volumes_of(story, volumes, path) for story in stories}


def _respdict_faults(path: Path, dataset: Mapping[str, Any], listed: set[str]) -> list[str]:
    """What keeps respdict.json from giving each story volumes of which something is left after trimming."""
    if faults := _unreadable([path]):
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
