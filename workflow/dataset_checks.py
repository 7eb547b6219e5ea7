"""Which stories a config asks for, which of them each subject has, and whether the dataset can give them."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

DS003020_MANIFEST = Path(__file__).parents[1] / "config" / "ds003020" / "manifest.tsv"
SPLITS = ("train", "validation", "test")


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
    if dataset["source"] == "openneuro":
        _check_manifest(config, listed)
    if dataset["source"] == "local":
        _check_local_tree(config, listed)


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
        root = Path(dataset["root"])
        files = {str(path.relative_to(root)) for path in root.glob("derivative/preprocessed_data/*/*.hf5")}
    of_subjects = {
        subject: {
            split: [s for s in names if f"derivative/preprocessed_data/{subject}/{s}.hf5" in files]
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
    ConfigError: it does not.
    """
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


def _check_local_tree(config: Mapping[str, Any], listed: set[str]) -> None:
    if config["dataset"]["root"] is None:
        raise ConfigError(
            "Config: dataset.source local needs dataset.root, the folder that holds derivative/."
        )
    derivative = Path(config["dataset"]["root"]) / "derivative"
    if not derivative.is_dir():
        raise ConfigError(f"Config: dataset.root has no folder {derivative}.")
    for subject in config["subjects"]:
        if not (derivative / "preprocessed_data" / subject).is_dir():
            known = sorted(path.name for path in (derivative / "preprocessed_data").glob("*"))
            raise ConfigError(
                f"Config: unknown subject '{subject}'; {derivative} has {', '.join(known) or 'none'}."
            )
    textgrids = {story: derivative / "TextGrids" / f"{story}.TextGrid" for story in sorted(listed)}
    hdf5_files = [
        derivative / "preprocessed_data" / subject / f"{story}.hf5"
        for subject in config["subjects"]
        for story in textgrids
    ]
    respdict = derivative / "respdict.json"
    for file in (respdict, *textgrids.values(), *hdf5_files):
        if file.is_symlink() and not file.exists():
            raise ConfigError(f"{file} has not been downloaded: run `datalad get` or `git annex get` on it.")
    if not respdict.exists():
        raise ConfigError(
            f"Config: dataset.root has no file {respdict}, the number of volumes of each story."
        )
    for story, textgrid in textgrids.items():
        if not textgrid.exists():
            raise ConfigError(
                f"{config['dataset']['stories']} names the unknown story '{story}': no TextGrid in {derivative}."
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
