"""Files of all kinds: written as a whole or not at all, tables, and files that a dataset only points to."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainlm.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = frozenset(
    {
        *("class", "experiment", "feature", "name", "passage", "roi", "rois", "source", "story", "subject"),
        *("subject_a", "subject_b", "other_subject", "theme", "word", "nuisances"),
        *("verdict", "partner_verdict", "qualifier", "reason"),
    }
)
"""Columns of the workflow's tables whose cells are names or words, whatever else they look like."""
NOT_KNOWN = "not known"
"""What a table of evidence says where a question could not be asked: with one subject, say, or without repeats."""
# A pointer file is one line with a path; no story's transcript or responses are as small.
_POINTER_BYTES = 1024


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the path to write to; what is there takes the place of `path` when the block ends well, and is removed
    when it does not. It is on the disk by then: a machine that goes down afterwards keeps it."""
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:  # an interrupted job (KeyboardInterrupt) leaves nothing behind either
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Like `whole_file`, with a folder: it is empty at first, and takes the place of one that is there.

    Parent folders are made.
    """
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    except BaseException:  # as above
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that appears at `path` only when it is complete; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_tsv(
    frame: "pd.DataFrame", path: Path | str, *, digits: int | None = 7, missing: str = "n/a"
) -> None:
    """Write a table, as a whole or not at all, with missing values as "n/a" (as in BIDS).

    Parameters
    ----------
    frame: the table, without its index.
    digits: significant digits of numbers; None for all, where a later step computes with them.
    missing: what stands for missing values instead, "n/a" or NOT_KNOWN.
    """
    cells = frame if digits is None else frame.astype(object).map(partial(_rounded, digits=digits))
    text = cells.to_csv(sep="\t", index=False, na_rep=missing, lineterminator="\n")
    write_atomically(Path(path), text.encode())


def read_tsv(path: Path | str) -> "pd.DataFrame":
    """Read a table that the workflow has written, with every name as it was.

    Cells of `TEXT_COLUMNS` are text as they stand: a subject may be called NA or 007, and an empty cell is "". In
    other columns empty cells, "n/a" and "not known" are missing, and numbers are numbers.
    """
    # Slow to import, and most jobs read no table.
    import pandas as pd

    columns = pd.read_csv(path, sep="\t", nrows=0, dtype=str).columns
    return pd.read_csv(
        path,
        sep="\t",
        dtype={column: str for column in columns if column in TEXT_COLUMNS},
        keep_default_na=False,
        na_values={column: ["", "n/a", NOT_KNOWN] for column in columns if column not in TEXT_COLUMNS},
    )


def check_downloaded(path: Path) -> None:
    """Make sure that `path` is a file whose content is here.

    Raises
    ------
    InputError : if there is no such file, or if it only stands for its content, which was never downloaded: a
        dangling link into the annex, or a tiny text file that names a path in ``annex/objects``.
    """
    if path.is_symlink() and not path.exists():
        raise _not_downloaded(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the dataset's folder and the name.")
    if not path.is_file():
        raise InputError(f"{path} is a folder, but a file is needed.")
    if path.stat().st_size < _POINTER_BYTES and b"annex/objects" in path.read_bytes():
        raise _not_downloaded(path)


def _not_downloaded(path: Path) -> InputError:
    return InputError(
        f"{path} has not been downloaded: only its place in the dataset is here. Run `datalad get` or "
        "`git annex get` on it."
    )


def _rounded(value: object, digits: int) -> object:
    is_number = isinstance(value, float | np.floating) and not np.isnan(value)
    return f"{value:.{digits}g}" if is_number else value
