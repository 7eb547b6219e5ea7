"""A story's words as a tab-separated table."""

from pathlib import Path

import pandas as pd

from brainlm.errors import InputError
from brainlm.files import read_tsv, write_tsv


def save_words(words: pd.DataFrame, path: Path) -> None:
    """Write columns word, onset_s, offset_s (s after sound onset, to the millisecond)."""
    times = {name: words[name].map("{:.3f}".format) for name in ("onset_s", "offset_s")}
    write_tsv(words.assign(**times), path)


def load_words(path: Path) -> pd.DataFrame:
    """Read a table of words; "nan" and "null" are words like others.

    Raises
    ------
    InputError: the file or one of its columns is missing.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist.")
    words = read_tsv(path)
    missing = [column for column in ("word", "onset_s", "offset_s") if column not in words]
    if missing:
        raise InputError(f"{path} lacks the column '{missing[0]}'.")
    return words
