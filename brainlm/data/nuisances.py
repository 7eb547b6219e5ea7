"""Columns that a dataset brings beside its responses, one value a TR: sound energy, pitch, surprisal, ..."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.arrays import named_rows
from brainlm.errors import InputError, one_line
from brainlm.files import check_downloaded


def read_nuisances(
    path: Path, story: str, *, n_rows: int | None, taken: Collection[str] = ()
) -> tuple[list[str], np.ndarray]:
    """Read a story's table: a line of names, then a line for each row of its responses, with tabs between columns.

    Parameters
    ----------
    n_rows: rows (TRs) of the story's responses, after trimming; None if they are not known.
    taken: names of columns that are there already.

    Returns
    -------
    The columns' names, without blanks at their ends, and (time, nuisance) float64, in whatever units they are.

    Raises
    ------
    InputError: no such table; names that are empty, numbers, taken or there twice; other than `n_rows` lines; a cell
        that is no finite number.
    """
    check_downloaded(path)
    where = f"{path}, story '{story}'"
    try:
        # As text, with the names as its first row: of a header pandas renames a name that is there twice, and where
        # lines have a cell more than the header it takes their first ones for names of rows.
        cells = pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{where}: it cannot be read as a table ({one_line(error)}); write a line of names and a line for each "
            "TR, with tabs between columns and as many cells as names, in UTF-8."
        ) from None
    names, table = cells.iloc[0].str.strip().tolist(), cells.iloc[1:]
    if fault := _fault_of_names(names, taken):
        raise InputError(f"{where}: {fault}")
    if n_rows is not None and len(table) != n_rows:
        raise InputError(
            f"{where}: it has {len(table)} lines of values, but the story's responses have {n_rows} rows (TRs) after "
            "trimming; give one for each."
        )
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    for name, column in zip(names, values.T, strict=True):
        lost = np.flatnonzero(~np.isfinite(column))
        if lost.size:
            raise InputError(
                f"{where}: the column '{name}' has no finite number in {lost.size} of {len(column)} rows (TRs): "
                f"{named_rows(lost)}; write one there, with a decimal point, or leave the column out of all stories."
            )
    return names, values


def nuisance_faults(
    files: Mapping[str, Path], n_rows: Mapping[str, int], *, taken: Collection[str] = ()
) -> list[str]:
    """A sentence for each story whose table cannot be used, or has other columns than the first one that can.

    Parameters
    ----------
    files: story -> its table.
    n_rows: story -> rows (TRs) of its responses, after trimming, where they are known.
    taken: names of columns that are there already.
    """
    found: list[str] = []
    first: tuple[Path, list[str]] | None = None
    for story, path in files.items():
        try:
            names, _ = read_nuisances(path, story, n_rows=n_rows.get(story), taken=taken)
        except InputError as error:
            found.append(str(error))
            continue
        first = first or (path, names)
        if names != first[1]:
            found.append(
                f"{path}, story '{story}': its columns are {', '.join(names)}, but those of {first[0]} are "
                f"{', '.join(first[1])}; give all stories the same, in the same order."
            )
    return found


def _fault_of_names(names: Sequence[str], taken: Collection[str]) -> str | None:
    number = next((name for name in names if _is_number(name)), None)
    if number is not None:
        return f"its first line has the number {number}, but must name the columns."
    if "" in names:
        return "a column has no name; name all of them in the first line."
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        return f"it has the column '{twice[0]}' more than once; rename or remove one of them."
    clash = [name for name in names if name in taken]
    if clash:
        return f"its column '{clash[0]}' has the name of one that is computed; rename it in all stories."
    return None


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
