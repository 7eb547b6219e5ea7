"""An approximate cortex for volumes in MNI space: what lies where fsaverage's cortex is, in millimetres.

fsaverage is the mean of many people's surfaces, and a subject's folds do not lie where they do once its volume is
brought to MNI space: such a flatmap shows in which part of the brain a map is, not on which bank of a sulcus.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.affines import apply_affine
from scipy import sparse

from brainlm.cortex.area_drawing import draw_areas, label_areas
from brainlm.cortex.fsaverage import fsaverage_cortex, read_depths
from brainlm.cortex.subject import Cortex, read_mask
from brainlm.errors import InputError
from brainlm.images import load_nifti

DEPTHS = 10
"""Points between the white matter and the pial surface that a flatmap pixel averages: three a millimetre."""
APPROXIMATE = "Approximate flatmap: MNI voxels where fsaverage's cortex lies."
MNI152_OF_MNI305 = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0, 0, 0, 1],
    ]
)
"""fsaverage lies in MNI305; from FreeSurfer's mni152.register.dat, https://surfer.nmr.mgh.harvard.edu/fswiki/CoordinateSystems."""


def mni_cortex(mask_file: Path, voxel_rois: Mapping[str, np.ndarray], height: int = 512) -> Cortex:
    """The cortex of data in MNI space (MNI152), in seconds.

    A pixel is the mean of the voxels nearest to DEPTHS points from the white matter to the pial surface of
    fsaverage5, of those that the mask has; it is unknown if there are none.

    Parameters
    ----------
    mask_file: NIfTI, above zero where the data have a voxel.
    voxel_rois: area -> (member,) int64, indices of its voxels, in the order of the data's columns; may be empty.
    height: of the flatmap in pixels; the width follows from its shape.

    Raises
    ------
    InputError: the mask is missing, not downloaded or damaged, or has no voxel on fsaverage's cortex.
    """
    mask, _ = read_mask(mask_file)
    surface = fsaverage_cortex("fsaverage5", {}, height)
    matrix = _pixels_of_voxels(surface, mask, load_nifti(mask_file).affine)
    if not matrix.nnz:
        raise InputError(
            f"{mask_file} has no voxel where fsaverage's cortex lies: it is empty, or in another space than MNI152."
        )
    outlines = draw_areas(matrix, surface.on_cortex, voxel_rois)
    return replace(
        surface,
        mask=mask,
        pixel_of_voxel=matrix,
        roi_outlines=outlines,
        roi_labels=label_areas(outlines, surface.on_cortex),
        voxel_rois=dict(voxel_rois),
        note=APPROXIMATE,
    )


def _pixels_of_voxels(surface: Cortex, mask: np.ndarray, affine: np.ndarray) -> sparse.csr_matrix:
    """(pixel, voxel) float32: share of each voxel in the points below a pixel; what the mask lacks is left out.

    Parameters
    ----------
    mask: (z, y, x) bool. affine: (4, 4) from the indices x, y, z to mm.
    """
    column = np.full(mask.shape, -1)
    column[mask] = np.arange(mask.sum())
    pixel = np.flatnonzero(surface.on_cortex)
    white, pial = (surface.pixel_of_voxel[pixel] @ vertices for vertices in read_depths())
    voxel_of_point = np.linalg.inv(affine) @ MNI152_OF_MNI305
    rows, columns = [], []
    # In the middle of as many layers of one thickness.
    for depth in (np.arange(DEPTHS) + 0.5) / DEPTHS:
        place = np.rint(apply_affine(voxel_of_point, white + depth * (pial - white))).astype(int)
        inside = np.all((place >= 0) & (place < mask.shape[::-1]), axis=1)
        found = column[tuple(place[inside, ::-1].T)]
        rows.append(pixel[inside][found >= 0])
        columns.append(found[found >= 0])
    places = (np.concatenate(rows), np.concatenate(columns))
    shares = np.full(places[0].size, 1 / DEPTHS, np.float32)
    # Of one voxel met at several depths the shares are added up.
    return sparse.csr_matrix((shares, places), shape=(surface.on_cortex.size, int(mask.sum())))
