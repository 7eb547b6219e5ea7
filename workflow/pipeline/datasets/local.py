"""Any dataset in the layout of ds003020, which is only read."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.datasets.base import Dataset
from pipeline.datasets.layout import (
    RESPDICT,
    SURFACES,
    TRANSFORM_FILES,
    TRANSFORMS,
    nuisance_table,
    read_transforms,
    respdict_faults,
    response_files,
    transcripts,
    unreadable,
    volumes_of_stories,
)
from pipeline.errors import ConfigError
from pipeline.names import folded
from pipeline.paths import counted_from
from pipeline.recordings import Segment, check_segments


class Source(Dataset):
    """Some files may lack, without which less is shown or checked."""

    has_segments = True
    run_tables = ("dataset",)

    def _faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]:
        listed = {story for split in stories.values() for story in split}
        faults = local_faults(self.config, listed, {story: of.recording for story, of in segments.items()})
        if not faults:
            check_segments(self.settings, segments, volumes_of_stories(self.settings, segments))
        return faults

    def _response_files(self, listed: set[str]) -> set[str]:
        return {name for name in super()._response_files(listed) if os.path.lexists(Path(self.root, name))}

    def response_bytes(self) -> dict[tuple[str, str], int]:
        """Of the files that are there."""
        folder = Path(self.derivative, "preprocessed_data")
        return {
            (subject, path.stem): path.stat().st_size
            for subject in self.config["subjects"]
            for path in folder.glob(f"{subject}/*.hf5")
        }

    def transcript(self, text: str) -> str:
        """A TextGrid, or the table in its place."""
        table, textgrid = transcripts(Path(self.derivative), text)
        return str(table if os.path.lexists(table) else textgrid)

    def transform_inputs(self) -> list[str]:
        """The file, if there is one."""
        return [path for path in super().transform_inputs() if Path(path).exists()]

    def mask(self, subject: str) -> str:
        """The file, if there is one."""
        path = super().mask(subject)
        return path if Path(path).exists() else ""

    def why_no_flatmaps(self, subject: str) -> str:
        """What the pycortex subject lacks."""
        return why_no_flatmaps(Path(self.pycortex_folder(subject)), self.transform(subject))

    def own_voxels(self, subject: str) -> list[str]:
        """The file, if there is one."""
        path = f"{self.derivative}/voxels/{subject}.tsv"
        return [path] * Path(path).exists()

    def nuisances(self, story: str) -> list[str]:
        """The file, if there is one."""
        path = nuisance_table(Path(self.derivative), story)
        return [str(path)] * path.exists()

    def start_faults(
        self,
        subject_stories: Mapping[str, Mapping[str, Sequence[str]]],
        recordings: Iterable[str],
        rows: Mapping[str, int],
    ) -> list[str]:
        """Responses that cannot be read, or whose shapes do not fit; columns beside them that do not."""
        # Slow to import, and only a run needs them.
        from brainlm.data.nuisances import nuisance_faults
        from brainlm.lm.nuisances import nuisance_names

        faults = self._shape_faults(subject_stories, rows, unreadable=True)
        tables = {
            story: Path(path)
            for stories in subject_stories.values()
            for names in stories.values()
            for story in names
            for path in self.nuisances(story)
        }
        computed = nuisance_names(self.config["features"]["delays_s"])
        return faults + nuisance_faults(tables, rows, taken=computed)


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
    faults = respdict_faults(root / RESPDICT, dataset, listed) + [sentence for _, sentence in misspelt]
    faults += unreadable(
        file for text in dict.fromkeys(texts.values()) for file in transcripts(derivative, text)
    )
    named = {name for name, _ in misspelt}
    first_of = {text: story for story, text in reversed(texts.items())}
    for text, story in first_of.items():
        if not {story, text} & named:
            faults += _transcript_faults(derivative, story, text, dataset)
    for story, text in texts.items():
        own = [] if story in first_of else [*filter(Path.exists, transcripts(derivative, story))]
        if own:
            faults.append(
                f"{dataset['stories']} calls the story '{story}' a segment of the recording '{text}', whose "
                f"transcript it shares, but it has one of its own, {own[0]}: remove it, or leave the story's "
                "recording empty."
            )
    faults += unreadable(root / name for name in response_files(config, listed))
    faults += _nuisance_faults(derivative, sorted(listed - named))
    if closed := unreadable([root / TRANSFORMS]):
        return faults + closed
    transforms = read_transforms(root / TRANSFORMS)
    for subject in config["subjects"]:
        transform = transforms.get(subject, f"{subject}_auto")
        mask = derivative / "pycortex-db" / subject / "transforms" / transform / "mask_thick.nii.gz"
        faults += unreadable([mask, derivative / "voxels" / f"{subject}.tsv"])
    return faults


def _transcript_faults(derivative: Path, story: str, text: str, dataset: Mapping[str, Any]) -> list[str]:
    """What is wrong with the transcript of a story, or of the recording `text` that it is a segment of."""
    possible = transcripts(derivative, text)
    if unreadable(possible):
        return []
    found = [file for file in possible if file.exists()]
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


def _nuisance_faults(derivative: Path, stories: Sequence[str]) -> list[str]:
    """What of the columns beside the stories' responses is missing, or cannot be read; no story needs to have any."""
    tables = {story: nuisance_table(derivative, story) for story in stories}
    absent = [story for story, table in tables.items() if not os.path.lexists(table)]
    faults = unreadable(tables.values())
    if absent and len(absent) < len(tables):
        faults.append(
            f"{tables[absent[0]].parent} has tables of {len(tables) - len(absent)} stories, but none of "
            f"{', '.join(absent)}: add {tables[absent[0]].name}, for all stories need the same columns, or move the "
            "folder away."
        )
    return faults


def _misspelt(root: Path, subjects: Iterable[str], listed: set[str]) -> list[tuple[str, str]]:
    """Stories of which a file would be missed because its name is written a little otherwise, and a sentence each."""
    derivative, story_of = root / "derivative", {folded(story): story for story in listed}
    patterns = [
        "TextGrids/*.TextGrid",
        "transcripts/*.tsv",
        "nuisances/*.tsv",
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


def why_no_flatmaps(folder: Path, transform: str) -> str:
    """A sentence on what a local dataset's pycortex subject lacks for flatmaps; "" if nothing.

    Parameters
    ----------
    folder: of the subject, below pycortex-db. Files of a git-annex dataset that are not downloaded are no lack.
    """
    if not folder.is_dir():
        return "Figures 3 and 4 are no flatmaps: the dataset has no pycortex subject."
    missing = [
        f"{stem}.gii"
        for stem in SURFACES
        if not any(os.path.lexists(folder / f"{stem}{suffix}") for suffix in (".gii", ".npz"))
    ]
    missing += [
        f"transforms/{transform}/{name}"
        for name in TRANSFORM_FILES
        if not os.path.lexists(folder / "transforms" / transform / name)
    ]
    if not missing:
        return ""
    advice = "add what is missing"
    if any("flat_" in name for name in missing):
        advice = "cut the cortex open with pycortex, or import its flat surfaces"
    elif any(name.startswith("transforms/") for name in missing):
        advice = "check the transform's name in subject_xfms.json"
    return (
        f"Figures 3 and 4 show regions or sorted voxels in place of flatmaps, because {folder} lacks "
        f"{', '.join(missing)}: for flatmaps, {advice}."
    )
