"""Areas of an atlas: an image whose numbers a table gives names, as BIDS's `dseg.nii.gz` and `dseg.tsv`."""

from pathlib import Path

import nibabel
import numpy as np
from nilearn.image import resample_to_img

from brainlm.cortex.annotations import is_area
from brainlm.cortex.subject import read_mask
from brainlm.errors import InputError
from brainlm.files import check_downloaded, read_tsv
from brainlm.images import load_nifti


def atlas_areas(image_file: Path, table_file: Path, mask_file: Path) -> dict[str, np.ndarray]:
    """The voxels of each area of an atlas in the same space as the data, whatever its grid.

    Parameters
    ----------
    image_file: NIfTI, whole numbers, 0 outside of all areas; a voxel has the number at its centre.
    table_file: its columns, separated by tabs, are index and name; several numbers may have one name.
    mask_file: the mask of the data.

    Returns
    -------
    Area -> (member,) int64, indices of its voxels in ascending order, in the order of the table; without areas of no
    voxel, and without what is no area, such as unknown.

    Raises
    ------
    InputError: a file cannot be read, or is not what it should be; no voxel of the mask is in an area.
    """
    numbers = _numbers(image_file, mask_file)
    names = _names(table_file)
    if unnamed := sorted(set(np.unique(numbers[numbers != 0]).tolist()) - names.keys()):
        raise InputError(
            f"{image_file} has voxels of the number {unnamed[0]}, to which {table_file} gives no name: add it to the "
            "table, or check that the two belong together."
        )
    if not numbers.any():
        raise InputError(
            f"{image_file} has no area where {mask_file} has voxels: they are in different spaces, or it is empty."
        )
    areas: dict[str, list[int]] = {}
    for number, name in names.items():
        if number and is_area(name):
            areas.setdefault(name, []).append(number)
    members = {name: np.flatnonzero(np.isin(numbers, of_area)) for name, of_area in areas.items()}
    return {name: voxels for name, voxels in members.items() if voxels.size}


def _numbers(image_file: Path, mask_file: Path) -> np.ndarray:
    """(voxel,) int: the atlas's number at each voxel of the mask."""
    check_downloaded(image_file)
    mask, _ = read_mask(mask_file)
    try:
        image = load_nifti(image_file)
        data = np.asarray(image.dataobj)
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{image_file} is damaged, or no NIfTI image ({error}): copy it again.") from error
    if data.ndim != 3 or not np.array_equal(data, np.rint(data)):
        raise InputError(
            f"{image_file} is no atlas of areas: it is to have three axes and whole numbers, one an area; it has "
            f"{data.ndim} axes{'' if data.ndim != 3 else ' and broken numbers'}."
        )
    on_grid = resample_to_img(
        nibabel.Nifti1Image(data.astype(np.int32), image.affine),
        load_nifti(mask_file),
        interpolation="nearest",
        copy_header=True,
        force_resample=True,
    )
    return np.asarray(on_grid.dataobj).T[mask].astype(int)


def _names(table_file: Path) -> dict[int, str]:
    """Number -> name."""
    check_downloaded(table_file)
    try:
        table = read_tsv(table_file)
        return dict(zip(table["index"].astype(int).tolist(), table["name"].tolist(), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{table_file} is no table of an atlas ({error}): it is to be text with tabs between the columns index, "
            "whole numbers, and name."
        ) from error
