"""respdict.json, the volumes of every story's recording; other small JSON files that people write are read alike."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainlm.errors import InputError


def read_json_object(path: Path) -> dict[str, Any] | None:
    """A JSON object in UTF-8, UTF-16 or UTF-32, with or without byte order mark; None if the file holds none."""
    try:
        # Of bytes, unlike of text, json finds out the encoding itself.
        content = json.loads(path.read_bytes())
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def read_respdict(path: Path) -> dict[str, Any]:
    """Story -> volumes of its recording, before any were cut off; `volumes_of` checks those of a story.

    Raises
    ------
    InputError: the file holds no JSON object.
    """
    volumes = read_json_object(path)
    if volumes is None:
        raise InputError(
            f"{path} must be a JSON object, story: number of volumes of its recording; `datalad get` it if it is "
            "only a pointer, or write it."
        )
    return volumes


def volumes_of(story: str, volumes: Mapping[str, Any], path: Path) -> int:
    """A story's volumes.

    Parameters
    ----------
    volumes: from `read_respdict` of `path`.

    Raises
    ------
    InputError: none for the story, or no whole number.
    """
    if story not in volumes:
        raise InputError(
            f"{path} does not list the story '{story}': add the number of volumes of its recording, or mark the "
            "story as unused in the table of stories."
        )
    if type(volumes[story]) is not int:
        raise InputError(
            f"{path} gives the story '{story}' {volumes[story]!r}, but a whole number of volumes is needed."
        )
    return volumes[story]
