"""Where a result comes from: a record beside every output, from which it can be checked later.

A record is a JSON file below ``<results>/provenance``. It holds no time of day, host or user, so that equal runs have
equal records. What tells quickly that an output has not been touched since, sizes and times of modification, is in a
file of its own, ``<record>.stat``.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path, PurePosixPath
from platform import python_version
from typing import Any

from brainlm import __version__
from brainlm.errors import InputError
from brainlm.files import whole_file, write_atomically
from brainlm.store import to_json

FOLDER = "provenance"
PACKAGES = (
    "h5py",
    "himalaya",
    "numpy",
    "pycortex",
    "scipy",
    "snakemake",
    "torch",
    "transformers",
    "zarr",
)
# Snakemake writes it into folders, to know when they were made.
TIMESTAMP = ".snakemake_timestamp"
_BLOCK_BYTES = 1 << 20


def digest(path: Path) -> str:
    """SHA-256 of a file's content, or of all that a folder (a Zarr store) holds, as "sha256:<hex>".

    A folder's is that of the concatenation, over its files in the order of their relative POSIX paths, of

        <relative path> NUL <size in bytes, decimal> NUL <content>

    Snakemake's time stamps are left out; empty folders do not count. Whatever else is put into a folder, a file
    browser's .DS_Store too, changes its digest. A file is read a block of 1 MB at a time.

    Raises
    ------
    InputError : if there is no such file or folder, or something in it cannot be read.
    """
    total = hashlib.sha256()
    try:
        for name, file in _members(path).items():
            with file.open("rb") as content:
                if name:
                    total.update(os.fsencode(name) + b"\0%d\0" % os.fstat(content.fileno()).st_size)
                while block := content.read(_BLOCK_BYTES):
                    total.update(block)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}), so that it has no digest: run the step that writes it."
        ) from error
    return f"sha256:{total.hexdigest()}"


def files_below(folder: Path) -> dict[str, Path]:
    """Relative POSIX path -> file, sorted, for all files below a folder but Snakemake's time stamps."""
    found = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            if name != TIMESTAMP:
                file = Path(parent, name)
                found[file.relative_to(folder).as_posix()] = file
    return dict(sorted(found.items()))


def record_path(output: Path, results: Path) -> Path:
    """Where the record of an output lies: below `results` / "provenance", under the output's path and ".json"."""
    name = _name(output, results).lstrip("/")
    return results / FOLDER / f"{name}.json"


def write_record(
    output: Path,
    results: Path,
    *,
    rule: str,
    wildcards: Mapping[str, str],
    params: Mapping[str, Any],
    inputs: Iterable[Path | str],
    device: str | None,
    seed: int | None,
) -> None:
    """Write the record of an output, a file or a folder that is complete.

    Its keys are the arguments' names and `path` (of the output, relative to `results`; absolute if it lies
    outside), `digest`, `inputs` (path -> digest; paths outside `results` as they are given) and `versions`. An
    input's digest is taken from its own record if it has not been touched since, so that it is read once and not by
    every job.

    Parameters
    ----------
    results : the folder of one dataset, e.g. results/demo.
    params : the settings that the job was given; NumPy values and paths are converted to JSON.

    Raises
    ------
    InputError : if the output or an input cannot be read.
    TypeError : if a setting cannot be written as JSON.
    """
    # Taken before the content is read: an output that is changed meanwhile is not taken for what was read.
    state = _state(output)
    record = {
        "path": _name(output, results),
        "digest": digest(output),
        "rule": rule,
        "wildcards": dict(wildcards),
        "params": dict(params),
        "inputs": {_input_name(Path(path), results): input_digest(Path(path), results) for path in inputs},
        "versions": versions(),
        "device": device,
        "seed": seed,
    }
    text = json.dumps(to_json(record), sort_keys=True, indent=1, ensure_ascii=False)
    path = record_path(output, results)
    write_atomically(path, (text + "\n").encode())
    # After the record, so that a new state never stands beside an old digest.
    _write_state(path, state)


def read_record(output: Path, results: Path) -> dict[str, Any]:
    """Read what `write_record` wrote.

    Raises
    ------
    InputError : if there is no record, or it cannot be read as one.
    """
    return load_record(record_path(output, results))


def load_record(file: Path) -> dict[str, Any]:
    """Like `read_record`, by the record's own path."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no record {file}: run the step that writes this result again.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as a record ({error}): run its step again.") from error
    if not isinstance(record, dict) or not all(
        isinstance(record.get(key), str) for key in ("path", "digest")
    ):
        raise InputError(f"{file} is no record of a result: run its step again.")
    return record


def record_files(results: Path) -> list[Path]:
    """All records of a results folder, sorted by their paths; empty if it has none."""
    return [file for name, file in files_below(results / FOLDER).items() if name.endswith(".json")]


def difference(record: Mapping[str, Any], results: Path) -> str | None:
    """A sentence if an output is missing or is not what its record says; None if it is. All of it is read.

    Raises
    ------
    InputError : if something in the output cannot be read.
    """
    output = results / record["path"]
    if not output.exists():
        return f"{output} is missing: run the workflow again."
    if digest(output) != record["digest"]:
        return f"{output} has changed since it was written: remove it and run the workflow again."
    return None


def versions() -> dict[str, str]:
    """Package -> installed version of what results depend on, and Python's; packages that are absent are left out."""
    found = {"python": python_version(), "brainlm": __version__}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _members(path: Path) -> dict[str, Path]:
    """The files of a folder by their relative paths; a file itself is its only one, without a name."""
    return files_below(path) if path.is_dir() else {"": path}


def _name(path: Path, results: Path) -> str:
    """A path relative to `results`, or its absolute path if it lies outside; links are not followed."""
    absolute, folder = (Path(os.path.normpath(of.absolute())) for of in (path, results))
    inside = absolute.is_relative_to(folder)
    return (absolute.relative_to(folder) if inside else absolute).as_posix()


def _input_name(path: Path, results: Path) -> str:
    name = _name(path, results)
    return path.as_posix() if PurePosixPath(name).is_absolute() else name


def input_digest(path: Path, results: Path) -> str:
    """The digest of an input: from its record if it has not been touched since, otherwise of its content."""
    record = record_path(path, results)
    try:
        recorded = load_record(record)["digest"]
    except InputError:
        return digest(path)
    state = _state(path)
    with suppress(OSError, UnicodeDecodeError):
        if _state_file(record).read_text(encoding="utf-8") == state:
            return recorded
    found = digest(path)
    if found == recorded:
        # Snakemake sets a file's time of modification once more after the job that has written it.
        _write_state(record, state)
    return found


def _state(path: Path) -> str:
    """Sizes and times of modification, a line a file: not of folders, where Snakemake leaves time stamps later."""
    try:
        stats = {name: file.stat() for name, file in _members(path).items()}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): run the step that writes it.") from error
    return "".join(f"{stat.st_size} {stat.st_mtime_ns} {name!a}\n" for name, stat in stats.items())


def _state_file(record: Path) -> Path:
    return record.with_name(record.name + ".stat")


def _write_state(record: Path, state: str) -> None:
    # Jobs that read the same input may write the same state at once, and one rename the other's file away.
    with suppress(FileNotFoundError), whole_file(_state_file(record)) as partial:
        partial.write_text(state, encoding="utf-8")
