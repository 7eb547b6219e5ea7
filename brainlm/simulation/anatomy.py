"""A stand-in for a subject's anatomy: pycortex's example subject S1, scanned with very large voxels."""

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from scipy.spatial import KDTree

from brainlm.cortex.geometry import pycortex_share
from brainlm.cortex.subject import HEMISPHERES
from brainlm.errors import InputError
from brainlm.images import Nifti, load_gifti, load_nifti

THICK_MM = 8.0
"""Voxels nearer than this to the middle of the grey matter are in pycortex's `thick` mask."""
_SCAN = "fullhead"


def write_simulated_anatomy(pycortex_db: Path, subject: str, voxel_size_mm: float) -> int:
    """Write the anatomy of S1 into a pycortex database, as ds003020 has it for its subjects.

    The transform is called ``<subject>_auto`` and has its `thick` mask; its volume covers the one of S1's
    own whole-head scan with cubic voxels. Only what flatmaps need is written, always the same bytes.

    Parameters
    ----------
    pycortex_db: the database's folder, made if there is none; ``<pycortex_db>/<subject>`` appears complete.

    Returns
    -------
    Number of voxels in the mask, which is the number of columns that data of this subject has.

    Raises
    ------
    InputError: the subject is already there.
    """
    folder = pycortex_db / subject
    if folder.exists():
        raise InputError(f"{folder} already exists: remove it if a simulated subject is to take its place.")
    original = pycortex_share() / "db" / "S1"
    partial = pycortex_db / f"{subject}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    surfaces = partial / "surfaces"
    surfaces.mkdir(parents=True)
    for name in (f"{kind}_{hemisphere}.gii" for kind in ("flat", "pia", "wm") for hemisphere in HEMISPHERES):
        shutil.copyfile(original / "surfaces" / name, surfaces / name)
    drawing = (original / "overlays.svg").read_text(encoding="utf-8")
    # Pictures of the anatomy, to draw areas on, are nine tenths of the file.
    (partial / "overlays.svg").write_text(re.sub(r"<image\b[^>]*/>", "", drawing), encoding="utf-8")

    transform = partial / "transforms" / f"{subject}_auto"
    transform.mkdir(parents=True)
    scan = load_nifti(original / "transforms" / _SCAN / "reference.nii.gz")
    shape, affine = _coarse_grid(scan, voxel_size_mm)
    nibabel.save(resample_from_to(scan, (shape, affine), order=1), transform / "reference.nii.gz")
    scanner_from_surface = np.array(
        json.loads((original / "transforms" / _SCAN / "matrices.xfm").read_text(encoding="utf-8"))["magnet"]
    )
    voxel_from_surface = np.linalg.inv(affine) @ scanner_from_surface
    matrices = {"coord": voxel_from_surface.tolist(), "magnet": scanner_from_surface.tolist()}
    (transform / "matrices.xfm").write_text(json.dumps(matrices, indent=4), encoding="utf-8")
    mask = _thick_mask(surfaces, shape, voxel_from_surface)
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), affine), transform / "mask_thick.nii.gz")
    partial.rename(folder)
    return int(mask.sum())


def _coarse_grid(scan: Nifti, voxel_size_mm: float) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape (x, y, z) and affine of a volume with cubic voxels around the same centre."""
    spacing_mm = np.array(scan.header.get_zooms()[:3], np.float64)
    # One voxel more than covers the scan: pycortex draws nothing where the surface is less than half a
    # voxel from the volume's lower edges, and S1's temporal lobes reach the scan's lowest slice.
    shape = np.ceil(np.array(scan.shape[:3]) * spacing_mm / voxel_size_mm).astype(int) + 1
    affine = scan.affine.copy()
    affine[:3, :3] *= voxel_size_mm / spacing_mm
    centre = scan.affine[:3, :3] @ ((np.array(scan.shape[:3]) - 1) / 2) + scan.affine[:3, 3]
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return tuple(shape.tolist()), affine


def _thick_mask(
    surfaces: Path, shape: tuple[int, int, int], voxel_from_surface: np.ndarray
) -> NDArray[np.bool_]:
    """(x, y, z) bool, pycortex's definition of the mask."""
    white, pial = (
        np.vstack([load_gifti(surfaces / f"{kind}_{h}.gii").darrays[0].data for h in HEMISPHERES])
        for kind in ("wm", "pia")
    )
    voxels = np.indices(shape).reshape(3, -1).T
    positions_mm = apply_affine(np.linalg.inv(voxel_from_surface), voxels)
    distance_mm, _ = KDTree((white + pial) / 2).query(positions_mm, distance_upper_bound=THICK_MM)
    return (distance_mm < THICK_MM).reshape(shape)
