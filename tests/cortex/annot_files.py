"""Annotation files as FreeSurfer writes them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from nibabel.freesurfer import write_annot


def write_labels(path: Path, labels: np.ndarray, names: Sequence[str]) -> Path:
    """Each area with a colour of its own.

    Parameters
    ----------
    labels: (vertex,) int, places in `names`; -1 for a vertex without any label.
    """
    number = np.arange(len(names))
    colours = np.column_stack([20 + number, 200 - number, 60 + 0 * number, 0 * number, 0 * number])
    write_annot(path, labels.astype(int), colours.astype(np.int32), list(names), fill_ctab=True)
    return path
