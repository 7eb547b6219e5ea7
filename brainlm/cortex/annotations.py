"""Areas of FreeSurfer's annotation files: a label for each vertex of fsaverage."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nibabel.freesurfer.io import read_annot

from brainlm.errors import InputError
from brainlm.files import check_downloaded

_NO_AREA = re.compile(r"\?*|unknown|corpuscallosum|background.*|.*medialwall.*")
"""What is no area of the cortex, in small letters and without anything but letters and "?"."""


def areas_of_vertices(annots: Mapping[str, Path], n_vertices: int) -> dict[str, np.ndarray]:
    """The vertices of each area, of both hemispheres together.

    Parameters
    ----------
    annots: "lh", "rh" -> its file; one may be missing. On the mesh of the data or a finer one of fsaverage, of which
        the first vertices are those of the data.
    n_vertices: of a hemisphere in the data.

    Returns
    -------
    Area -> (member,) int64 in ascending order, vertices of the left hemisphere from 0 on, of the right one from
    `n_vertices` on; an area of one name in both hemispheres is one area. Without what is no cortex: unknown,
    corpuscallosum, the medial wall. Areas in the order of the files.

    Raises
    ------
    InputError: a file is missing, not downloaded or damaged, or of another mesh.
    """
    members: dict[str, list[np.ndarray]] = {}
    for first, hemisphere in ((0, "lh"), (n_vertices, "rh")):
        if hemisphere in annots:
            for name, vertices in _read(annots[hemisphere], n_vertices).items():
                members.setdefault(name, []).append(first + vertices)
    return {name: np.concatenate(parts) for name, parts in members.items()}


def is_area(name: str) -> bool:
    """Whether a label is one of cortex, not what atlases call the rest: unknown, the medial wall, the background."""
    return not _NO_AREA.fullmatch(re.sub(r"[^a-z?]", "", name.lower()))


def _read(path: Path, n_vertices: int) -> dict[str, np.ndarray]:
    """Area -> (member,) vertices of one hemisphere."""
    check_downloaded(path)
    try:
        # Not by places in the table of colours: a vertex whose colour is not in it would get another area's.
        colours, table, names = read_annot(path, orig_ids=True)
        areas = [
            (name.decode("utf-8", "replace"), colour)
            for name, colour in zip(names, table[:, -1], strict=True)
        ]
    # Its reader raises Exception itself, and whatever NumPy has against the numbers of a damaged file.
    except Exception as error:
        raise InputError(
            f"{path} is damaged, or no annotation file of FreeSurfer ({error}): copy it again."
        ) from error
    finer = [10 * 4**level + 2 for level in range(8)]
    if len(colours) < n_vertices or len(colours) not in finer:
        raise InputError(
            f"{path} has labels of {len(colours):,} vertices, but the data have {n_vertices:,} in a hemisphere: use "
            "the annotation of the same mesh, or of fsaverage, not of a subject's own surface."
        )
    return {
        name: np.flatnonzero(colours[:n_vertices] == colour)
        for name, colour in areas
        # A colour of 0 marks a vertex without a label.
        if colour and is_area(name)
    }
