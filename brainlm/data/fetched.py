"""Records that files of a dataset are where they should be, and are the right ones.

A workflow's files are its own to delete; those of a dataset, which may lie in a folder of the user's, are not. What
the workflow makes of them is therefore a record among its results: whoever needs the file waits for the record.
"""

import json
from dataclasses import asdict
from pathlib import Path

from brainlm.data.manifest import RemoteFile
from brainlm.errors import InputError
from brainlm.files import whole_file


def save_fetched(file: RemoteFile, record: Path) -> None:
    """Write the record of a file that has been checked: its path within the dataset, bytes, md5 and version."""
    with whole_file(record) as partial:
        partial.write_text(json.dumps(asdict(file), indent=1) + "\n", encoding="utf-8")


def fetched_file(record: Path, root: Path) -> Path:
    """The file below the dataset's root that a record is of.

    Raises
    ------
    InputError : if it is not there any more, or of another size.
    """
    file = RemoteFile(**json.loads(record.read_text(encoding="utf-8")))
    path = root / file.path
    if not path.is_file() or path.stat().st_size != file.bytes:
        now = f"has {path.stat().st_size} bytes" if path.is_file() else "is gone"
        raise InputError(
            f"{path} had {file.bytes} bytes when it was checked and {now}: put it back, or delete {record} and run "
            "again, which downloads it if it is missing."
        )
    return path
