"""A latent's weights as files that other programs read."""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from brainlm.images import load_nifti

FOLDER = "weights"
_SIDES = {"L": "left", "R": "right"}


@dataclass(frozen=True, eq=False)
class Volume:
    """The volume that voxels lie in."""

    shape: tuple[int, int, int]
    """x, y, z, as nibabel reads it."""
    affine: np.ndarray
    """(4, 4) from indices to mm."""


def read_volume(path: Path) -> Volume:
    """The volume of a mask."""
    image = load_nifti(path)
    x, y, z = image.shape[:3]
    return Volume((x, y, z), image.affine)


def write_weights(
    folder: Path, latent: int, brain: np.ndarray, lm: np.ndarray, voxels: pd.DataFrame, volume: Volume | None
) -> list[tuple[str, str]]:
    """Write a latent's decoder weights below the folder of the pages.

    Parameters
    ----------
    brain: (voxel,) float32, NaN for voxels that were left out of the model. lm: (hidden,) float32.
    voxels: a voxel table of `brainlm.cortex.voxels`.
    volume: that the table's i, j, k are indices of; None if there is none.

    Returns
    -------
    Title and file of each: NumPy's arrays, and where places are known a NIfTI image, or of a surface a GIFTI file for
    each hemisphere, NaN outside of the model.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    arrays = f"{FOLDER}/{latent}.npz"
    np.savez_compressed(folder / arrays, brain=brain, lm=lm)
    written = [("brain and LM, NumPy (.npz)", arrays)]
    if "vertex" in voxels and voxels["vertex"].notna().all():
        for side in sorted(set(voxels["hemisphere"]) & set(_SIDES)):
            written.append(_write_hemisphere(folder, latent, brain, voxels, side))
    if volume is not None and "i" in voxels and voxels[["i", "j", "k"]].notna().all(axis=None):
        image = np.full(volume.shape, np.nan, np.float32)
        image[tuple(voxels[["i", "j", "k"]].to_numpy(int).T)] = brain
        file = f"{FOLDER}/{latent}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(image, volume.affine), folder / file)
        written.append(("brain, NIfTI (.nii.gz)", file))
    return written


def _write_hemisphere(
    folder: Path, latent: int, brain: np.ndarray, voxels: pd.DataFrame, side: str
) -> tuple[str, str]:
    """Title and file of the weights in one hemisphere."""
    vertices = voxels.loc[voxels["hemisphere"] == side, "vertex"]
    weights = np.full(vertices.max() + 1, np.nan, np.float32)
    weights[vertices.to_numpy(int)] = brain[vertices.index]
    about = GiftiMetaData({"AnatomicalStructurePrimary": f"Cortex{_SIDES[side].capitalize()}"})
    array = GiftiDataArray(weights, intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32")
    file = f"{FOLDER}/{latent}_hemi-{side}.func.gii"
    nibabel.save(GiftiImage(meta=about, darrays=[array]), folder / file)
    return f"brain, {_SIDES[side]} hemisphere, GIFTI (.func.gii)", file
