"""ds003020, of which what is not there is downloaded."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from brainlm.data.manifest import read_manifest
from brainlm.errors import InputError
from pipeline.datasets.base import MASK, Dataset
from pipeline.datasets.layout import (
    RESPDICT,
    RESPONSES,
    SURFACES,
    TRANSFORM_FILES,
    TRANSFORMS,
    respdict_faults,
    response_files,
    unreadable,
)
from pipeline.errors import ConfigError, hint
from pipeline.paths import REPOSITORY, SHIPPED, counted_from, free_bytes
from pipeline.recordings import Segment

DS003020_MANIFEST = REPOSITORY / SHIPPED / "ds003020" / "manifest.tsv"
_CORTEX_FILE = re.compile(
    r"matrices\.xfm|(reference|mask_thick)\.nii\.gz|overlays\.svg|(flat|pia|wm)_[lr]h\..+"
)


class Source(Dataset):
    """Files may lie in a folder of the user's, where nothing is ever changed."""

    absent = "not downloaded yet"

    @cached_property
    def manifest(self) -> Mapping[str, int]:
        """Path of each file, below the root -> bytes."""
        return MappingProxyType(file_bytes(manifest_of(self.settings)))

    def _faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]:
        listed = {story for split in stories.values() for story in split}
        check_manifest(self.config, listed)
        # What the workflow itself downloads has the right checksum.
        return copy_faults(self.config, listed) if self.settings["root"] is not None else []

    def _response_files(self, listed: set[str]) -> set[str]:
        return set(self.manifest)

    def response_bytes(self) -> dict[tuple[str, str], int]:
        """From the manifest."""
        files = {Path(path): size for path, size in self.manifest.items() if path.endswith(".hf5")}
        return {
            (path.parent.name, path.stem): size
            for path, size in files.items()
            if path.parent.name in self.config["subjects"]
        }

    def input(self, path: str) -> str:
        """A record that the file is there: a file in a folder of the user's must be no output, which Snakemake may
        delete."""
        return f"{self.results}/fetched/{Path(path).relative_to(self.root).as_posix()}.json"

    def bytes_to_fetch(self, file: str) -> int:
        """What is to be downloaded of a file, named as in the manifest; 0 of one that is there or unknown."""
        return 0 if Path(self.root, file).exists() else self.manifest.get(file, 0)

    def cortex_inputs(self, subject: str) -> list[str]:
        """Of single files."""
        return [self.input(path) for path in self._cortex_files(subject)]

    def _cortex_files(self, subject: str) -> list[str]:
        folder = self.pycortex_folder(subject)
        # Those of UTS02 are there as .npz alone.
        below_root = Path(folder).relative_to(self.root).as_posix()
        surfaces = [
            f"{stem}.gii" if f"{below_root}/{stem}.gii" in self.manifest else f"{stem}.npz"
            for stem in SURFACES
        ]
        transform = [f"transforms/{self.transform(subject)}/{name}" for name in (*TRANSFORM_FILES, MASK)]
        return [f"{folder}/{file}" for file in [*surfaces, *transform, "overlays.svg"]]

    def start_faults(
        self,
        subject_stories: Mapping[str, Mapping[str, Sequence[str]]],
        recordings: Iterable[str],
        rows: Mapping[str, int],
    ) -> list[str]:
        """Too little space for what is to be downloaded; what is there already and has another shape."""
        subjects = self.config["subjects"]
        files = [f"{self.root}/{name}" for name in (RESPDICT, TRANSFORMS)]
        files += self._responses_of(subject_stories).values()
        files += [self.transcript(text) for text in recordings]
        files += [path for subject in subjects for path in self._cortex_files(subject)]
        try:
            require_space(
                [Path(file).relative_to(self.root).as_posix() for file in files],
                self.manifest,
                Path(self.root),
            )
        except ConfigError as error:
            return [str(error)]
        # Of files that were downloaded, the checksums tell more.
        return self._shape_faults(subject_stories, rows, unreadable=False)


def manifest_of(dataset: Mapping[str, Any]) -> Path:
    """The manifest that the config's section `dataset` asks for."""
    return Path(dataset["manifest"] or DS003020_MANIFEST)


def file_bytes(manifest: Path) -> dict[str, int]:
    """Path of each file of the dataset, below its root -> bytes.

    Raises
    ------
    ConfigError: no such table, or another one than a manifest.
    """
    if not manifest.is_file():
        raise ConfigError(
            f"Config: dataset.manifest names {manifest}, which is no file{counted_from(manifest)}."
        )
    try:
        return {path: file.bytes for path, file in read_manifest(manifest).items()}
    except InputError as error:
        raise ConfigError(str(error)) from None


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
    free = free_bytes(root)
    if needed > free:
        raise ConfigError(
            f"{len(missing)} files of {needed / 1e9:.1f} GB are to be downloaded into {root}, but its disk has "
            f"{free / 1e9:.1f} GB free: give dataset.root another place, or use fewer subjects or stories."
        )


def check_manifest(config: Mapping[str, Any], listed: set[str]) -> None:
    """Check that the manifest has the config's subjects and the listed stories.

    Raises
    ------
    ConfigError: it lacks one of them.
    """
    manifest = manifest_of(config["dataset"])
    files = [Path(file) for file in file_bytes(manifest)]
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


def copy_faults(config: Mapping[str, Any], listed: set[str]) -> list[str]:
    """What cannot be read of the files of ds003020 that are there and will be used; others will be downloaded."""
    dataset = config["dataset"]
    root, responses = Path(dataset["root"]), set(response_files(config, listed))
    transcripts = {f"derivative/TextGrids/{story}.TextGrid" for story in listed}
    cortices = tuple(f"derivative/pycortex-db/{subject}/" for subject in config["subjects"])
    faults = unreadable(
        root / name
        for name in file_bytes(manifest_of(dataset))
        if name in {TRANSFORMS} | transcripts | responses
        or (name.startswith(cortices) and _CORTEX_FILE.fullmatch(Path(name).name))
    )
    return faults + (
        respdict_faults(root / RESPDICT, dataset, listed) if os.path.lexists(root / RESPDICT) else []
    )
