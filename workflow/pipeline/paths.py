"""Paths in a config: what they count from, where the workflow's own files lie, and what their disks have free."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
SHIPPED = "config"
"""The repository's folder of configs, and of the tables and stories that they name."""


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


def existing_part(path: Path) -> Path:
    """The path, or of what is still to be made the folder that will hold it."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def free_bytes(path: Path) -> int:
    """What is free on the disk that a path lies, or will lie, on."""
    return shutil.disk_usage(existing_part(path)).free
