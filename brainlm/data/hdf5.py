"""HDF5 files as users have them, and which of the many things that HDF5 calls an error stands in the way of one."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from brainlm.errors import InputError
from brainlm.files import check_downloaded

# What stands at the beginning of other files that bear an HDF5 file's name.
_OTHER_FORMATS = {
    b"MATLAB 5.0": "a MATLAB file of an older version: save it with -v7.3",
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"PK\x03\x04": "a zip archive: unpack it",
    b"<": "a web page, perhaps a server's answer in place of the file: download it again",
}


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open the file at `path` for reading.

    Raises
    ------
    InputError : if there is no such file, or it cannot be opened; says why, and what to do.
    """
    try:
        check_downloaded(path)
        file = h5py.File(path, "r")
    except OSError as error:
        raise explained(path, error) from error
    with file:
        yield file


def find_dataset(file: h5py.File, path: Path, name: str) -> h5py.Dataset | None:
    """The dataset `name` of an open file, with all that is needed to read it; None if there is no such dataset.

    Raises
    ------
    InputError : if it is a link to what is not there, is put together from other files of which one is missing, or
        is compressed by a filter that HDF5 lacks here.
    """
    dataset = file.get(name)
    if dataset is None and (link := file.get(name, getlink=True)) is not None:
        target = " in ".join(part for part in (link.path, getattr(link, "filename", "")) if part)
        raise InputError(
            f"{path}: `{name}` is a link to {target}, which is missing or cannot be read: put it there, or copy "
            f"`{name}` itself into the file."
        )
    if not isinstance(dataset, h5py.Dataset):
        return None
    for number in range((plan := dataset.id.get_create_plist()).get_nfilters()):
        code, _, _, label = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            raise InputError(
                f"{path}: `{name}` is compressed by a filter that is not installed here "
                f"({label.decode(errors='replace') or 'unnamed'}, number {code}): where it is, write the file again "
                "with gzip (h5repack -f GZIP=4 OLD NEW)."
            )
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            _require_source(path, name, source.file_name, source.dset_name)
    return dataset


def _require_source(path: Path, name: str, file_name: str, dataset_name: str) -> None:
    # HDF5 reads what is missing as zeros, without an error. "." is the file itself, and a "%b" stands for many files.
    if file_name == "." or "%b" in file_name + dataset_name:
        return
    for candidate in (path.parent / file_name, Path(file_name)):
        if candidate.is_file():
            with open_hdf5(candidate) as source:
                if dataset_name in source:
                    return
    raise InputError(
        f"{path}: `{name}` is put together from other files, of which {file_name} is missing or has no "
        f"{dataset_name}: put it there."
    )


def read(dataset: h5py.Dataset, rows: slice | int | tuple[int, slice | int], path: Path) -> np.ndarray:
    """Rows of `dataset` as float32; HDF5 converts them while reading, so there is no copy in float64.

    Raises
    ------
    InputError : if they cannot be read; says why, and what to do.
    """
    try:
        return dataset.astype(np.float32)[rows]
    except OSError as error:
        raise explained(path, error) from error


def explained(path: Path, error: OSError) -> InputError:
    """What `error`, of HDF5 or of the operating system, means for whoever has the file at `path`."""
    text = str(error)
    in_text = re.search(r"errno = (\d+)", text)
    number = error.errno or (int(in_text[1]) if in_text else 0)
    if "unable to lock file" in text:
        return InputError(
            f"{path} is open elsewhere, or on a file system without locks ({os.strerror(number)}): close the program "
            "that has it open, or, if nothing writes to it, set HDF5_USE_FILE_LOCKING=FALSE in the environment."
        )
    if "already open for" in text:
        return InputError(
            f"{path} is open for writing, or whatever wrote it ended before it closed it: close that program, or run "
            "`h5clear --status` on the file."
        )
    if "external raw data file" in text or number == errno.ENOENT:
        return InputError(f"{path} keeps data in another file that is missing ({text}): put it there.")
    if number in (errno.EACCES, errno.EPERM):
        return InputError(f"{path} cannot be read: you have no permission to.")
    if number:
        return InputError(
            f"{path} cannot be read ({os.strerror(number)}): the disk, the network or this machine's limits are at "
            "fault, not the file; try again."
        )
    return _no_hdf5(path) or InputError(f"{path} is truncated or damaged ({text}): download it again.")


def _no_hdf5(path: Path) -> InputError | None:
    if h5py.is_hdf5(path):
        return None
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return InputError(f"{path} is empty: download it again.")
    for mark, what in _OTHER_FORMATS.items():
        if start.lstrip().startswith(mark):
            return InputError(f"{path} is no HDF5 file but {what}.")
    return InputError(f"{path} is no HDF5 file (it begins with {start[:8]!r}): is it the right one?")
