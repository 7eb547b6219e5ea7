"""Paths in a config: what they count from, and where the files lie that come with the workflow."""

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
