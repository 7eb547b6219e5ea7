"""The list of a dataset's files: how large each is, its checksum, and its version where it can be downloaded."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from brainlm.errors import InputError

_COLUMNS = ("path", "bytes", "md5", "s3_version")


@dataclass(frozen=True)
class RemoteFile:
    """One file of the dataset, as the manifest lists it."""

    path: str
    """within the dataset, with slashes"""
    bytes: int
    md5: str
    """32 lower-case hexadecimal digits"""
    version: str
    """the bucket's version id; empty for whichever version is the newest"""


def read_manifest(path: Path | str) -> dict[str, RemoteFile]:
    """Read the list of files, by their paths within the dataset.

    It is a table with tabs between the columns ``path``, ``bytes``, ``md5`` and ``s3_version`` (may be empty).

    Raises
    ------
    InputError : if the table cannot be read or lacks a column, or if a row is malformed or lists a file again.
    """
    files: dict[str, RemoteFile] = {}
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [column for column in _COLUMNS if column not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path} has no column {', '.join(missing)}: is it a manifest of the dataset?"
                )
            for row in rows:
                file = _remote_file(row, f"{path}, line {rows.line_num}")
                if file.path in files:
                    raise InputError(f"{path}, line {rows.line_num}: {file.path} is listed twice.")
                files[file.path] = file
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a manifest ({error}): check the file's name.") from error
    return files


def _remote_file(row: dict[str | None, str | None], place: str) -> RemoteFile:
    cells = [row[column] for column in _COLUMNS]
    path, size, md5, version = (cell or "" for cell in cells)
    if (
        None in row
        or None in cells
        or not {"", ".", ".."}.isdisjoint(path.split("/"))
        or not re.fullmatch("[0-9]+", size)
        or not re.fullmatch("[0-9a-fA-F]{32}", md5)
    ):
        raise InputError(
            f"{place}: a path within the dataset, a whole number of bytes, an md5 of 32 hexadecimal digits "
            f"and a version are needed, but the row has {', '.join(map(repr, cells))}."
        )
    return RemoteFile(path, int(size), md5.lower(), version)
