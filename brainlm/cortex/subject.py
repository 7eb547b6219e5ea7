"""A subject's cortex: which voxels lie in it, and how their values become a flatmap with outlined areas.

`read_cortex` needs pycortex and a subject of its database; everything after it needs only the `Cortex`, which
`brainlm.cortex.fsaverage` and `brainlm.cortex.mni` make of other data.
"""

import os
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from brainlm.cortex.geometry import CortexGeometry, compute_geometry
from brainlm.cortex.outlines import inside, label_position, read_outlines
from brainlm.errors import InputError
from brainlm.files import check_downloaded
from brainlm.images import load_nifti
from brainlm.store import add_array, new_store, open_store, read_array, read_attributes

HEMISPHERES = ("lh", "rh")


@dataclass(frozen=True, eq=False)
class Cortex:
    """What the figures of one subject need."""

    mask: NDArray[np.bool_]
    """(z, y, x) bool: the voxels of the data, whose columns follow the mask's C order. On a surface voxels are
    vertices: (hemisphere, vertex) bool, the left hemisphere first."""
    pixel_of_voxel: sparse.csr_matrix
    """(pixel, voxel) float32: share of each voxel in a flatmap pixel; pixels in C order of `image_shape`."""
    on_cortex: NDArray[np.bool_]
    """(height, width) bool: pixels of the flatmap inside the cut-open cortex."""
    curvature: NDArray[np.float32]
    """(height, width) float32, smoothed: above zero on gyri, below in sulci, NaN off cortex."""
    roi_outlines: dict[str, list[np.ndarray]]
    """Area -> its outlines, each (point, xy) float32 in pixels; (0, 0) is the top left pixel's centre."""
    roi_labels: dict[str, list[tuple[float, float]]]
    """Area -> (x, y) in pixels of the widest place inside each of its outlines, for its name."""
    voxel_rois: dict[str, np.ndarray]
    """Area -> (member,) int64, indices of its voxels; empty for an area too small for the voxels."""
    note: str = ""
    """What is to be said below a flatmap; "" if nothing."""

    @property
    def n_voxels(self) -> int:
        """Number of voxels in the mask."""
        return self.pixel_of_voxel.shape[1]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(height, width) of the flatmap in pixels."""
        return self.on_cortex.shape


def read_cortex(pycortex_db: Path, subject: str, transform: str, work_dir: Path, height: int = 512) -> Cortex:
    """Read a subject of a pycortex database, in seconds to a minute.

    A flatmap pixel is what pycortex's `quickshow` shows by default: the mean of the voxels nearest to 32
    points from the white matter to the pial surface. Areas come from the layer "rois" of the subject's
    overlays.svg, read without Inkscape; a voxel belongs to an area that holds more than half of the grey
    matter in it. Curvature is computed, not taken from the database.

    Parameters
    ----------
    pycortex_db: the database (a pycortex "filestore"); only read.
    transform: its folder in <subject>/transforms, for ds003020 given in derivative/subject_xfms.json.
    work_dir: for a copy of the subject and pycortex's settings; both are removed at the end.
    height: of the flatmap in pixels; the width follows from its shape.

    Raises
    ------
    InputError: no such subject or transform, a file of theirs is missing or not downloaded, or pycortex
        cannot use them.
    """
    source = pycortex_db / subject
    needed = _needed_files(source, transform)
    work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_dir) as temporary:
        filestore = Path(temporary, "db")
        for file in needed:
            copy = filestore / subject / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        geometry = compute_geometry(filestore, subject, transform, height)
    outlines = read_outlines(source / "overlays.svg", geometry.on_cortex.shape)
    return Cortex(
        mask=geometry.mask,
        pixel_of_voxel=geometry.pixel_of_voxel,
        on_cortex=geometry.on_cortex,
        curvature=geometry.curvature,
        roi_outlines=outlines,
        roi_labels={
            name: [label_position(contour, geometry.on_cortex) for contour in contours]
            for name, contours in outlines.items()
        },
        voxel_rois=_voxel_rois(geometry, outlines),
    )


def flatmap_image(cortex: Cortex, values: np.ndarray) -> NDArray[np.float32]:
    """Project one value per voxel to the flatmap.

    Parameters
    ----------
    values: (voxel,); a pixel is the mean of those of its voxels that are not NaN.

    Returns
    -------
    (height, width) float32, NaN off cortex and where all of a pixel's voxels are NaN.

    Raises
    ------
    InputError: not one value for each voxel of the mask.
    """
    values = np.asarray(values, np.float32)
    check_width(cortex.mask, values.size, "The map to be drawn")
    known = ~np.isnan(values)
    total = cortex.pixel_of_voxel @ np.where(known, values, 0)
    weight = cortex.pixel_of_voxel @ known.astype(np.float32)
    image = np.full(weight.size, np.nan, np.float32)
    np.divide(total, weight, out=image, where=weight > 0)
    return image.reshape(cortex.image_shape)


def check_width(mask: np.ndarray, n_voxels: int, what: str) -> None:
    """Check that data with `n_voxels` columns belongs to this cortex.

    Parameters
    ----------
    mask: (z, y, x) or (hemisphere, vertex) bool.
    what: the data, as the start of a sentence, e.g. "The response in UTS03/wheretheressmoke.hf5".

    Raises
    ------
    InputError: another number of voxels than the mask has.
    """
    if n_voxels != mask.sum():
        raise InputError(
            f"{what} has {n_voxels:,} voxels, but the subject's cortical mask has {mask.sum():,}: "
            "they belong to different subjects or transforms. Check the names of both, and the subject's transform."
        )


def read_mask(path: Path) -> tuple[np.ndarray, float]:
    """Read a cortical mask as pycortex stores it, `mask_thick.nii.gz`.

    Returns
    -------
    (z, y, x) bool, whose C order is the order of the data's columns; and the voxels' edge in mm.

    Raises
    ------
    InputError: the file is missing, not downloaded or damaged.
    """
    check_downloaded(path)
    try:
        image = load_nifti(path)
        return np.asarray(image.dataobj).T > 0, float(image.header.get_zooms()[0])
    # A truncated .gz ends in an EOFError or a zlib.error.
    except (OSError, EOFError, ValueError, zlib.error, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path} is damaged, or no NIfTI image ({error}): download it again.") from error


def save_cortex(cortex: Cortex, path: Path) -> None:
    """Write a cortex as a Zarr store."""
    outline_rois = [name for name, outlines in cortex.roi_outlines.items() for _ in outlines]
    attributes = {"outline_roi": outline_rois, "voxel_roi": list(cortex.voxel_rois), "note": cortex.note}
    matrix = cortex.pixel_of_voxel
    with new_store(path, attributes) as group:
        add_array(
            group, "mask", cortex.mask, ("z", "y", "x") if cortex.mask.ndim == 3 else ("hemisphere", "vertex")
        )
        add_array(group, "on_cortex", cortex.on_cortex, ("height", "width"))
        add_array(group, "curvature", cortex.curvature, ("height", "width"))
        add_array(group, "pixel_pointer", matrix.indptr, ("pixel_boundary",))
        add_array(group, "voxel_index", matrix.indices, ("contribution",))
        add_array(group, "weight", matrix.data, ("contribution",))
        outlines = [outline for name in cortex.roi_outlines for outline in cortex.roi_outlines[name]]
        labels = [label for name in cortex.roi_outlines for label in cortex.roi_labels[name]]
        add_array(
            group, "outline_points", np.vstack([np.empty((0, 2), np.float32), *outlines]), ("point", "xy")
        )
        add_array(group, "outline_pointer", _boundaries(outlines), ("outline_boundary",))
        add_array(group, "outline_label", np.reshape(labels, (-1, 2)), ("outline", "xy"))
        members = list(cortex.voxel_rois.values())
        add_array(group, "roi_voxels", np.concatenate([np.empty(0, np.int64), *members]), ("member",))
        add_array(group, "roi_pointer", _boundaries(members), ("roi_boundary",))


def load_cortex(path: Path) -> Cortex:
    """Read a cortex written by `save_cortex`.

    Raises
    ------
    InputError: no such store, or it cannot be read.
    """
    group = open_store(path)
    attributes = read_attributes(group)
    mask, on_cortex = read_array(group, "mask"), read_array(group, "on_cortex")
    pixel_of_voxel = sparse.csr_matrix(
        (read_array(group, "weight"), read_array(group, "voxel_index"), read_array(group, "pixel_pointer")),
        shape=(on_cortex.size, int(mask.sum())),
    )
    roi_outlines: dict[str, list[np.ndarray]] = {}
    roi_labels: dict[str, list[tuple[float, float]]] = {}
    # Without any area, splitting still gives one part, empty, which the shorter list of names leaves out.
    outlines = np.split(read_array(group, "outline_points"), read_array(group, "outline_pointer")[1:-1])
    for name, outline, label in zip(
        attributes["outline_roi"], outlines, read_array(group, "outline_label").tolist(), strict=False
    ):
        roi_outlines.setdefault(name, []).append(outline)
        roi_labels.setdefault(name, []).append(tuple(label))
    members = np.split(read_array(group, "roi_voxels"), read_array(group, "roi_pointer")[1:-1])
    voxel_rois = dict(zip(attributes["voxel_roi"], members, strict=False))
    return Cortex(
        mask,
        pixel_of_voxel,
        on_cortex,
        read_array(group, "curvature"),
        roi_outlines,
        roi_labels,
        voxel_rois,
        attributes["note"],
    )


def _needed_files(subject_folder: Path, transform: str) -> list[Path]:
    """The files that pycortex needs, all of them present."""
    if not subject_folder.is_dir():
        raise InputError(
            f"{subject_folder} does not exist: {subject_folder.name} is no subject of this pycortex "
            f"database, which has {_names(subject_folder.parent)}."
        )
    folder = subject_folder / "transforms" / transform
    if not folder.is_dir():
        raise InputError(
            f"{folder} does not exist: {subject_folder.name} has no transform '{transform}', "
            f"but has {_names(folder.parent)}."
        )
    if not os.path.lexists(folder / "reference.nii.gz"):
        raise InputError(
            f"{folder / 'reference.nii.gz'} does not exist: without it neither the flatmap nor a missing "
            "mask_thick.nii.gz can be made."
        )
    surfaces = [
        _surface_file(subject_folder / "surfaces" / f"{kind}_{hemisphere}")
        for kind in ("flat", "pia", "wm")
        for hemisphere in HEMISPHERES
    ]
    needed = [folder / "matrices.xfm", folder / "reference.nii.gz", *surfaces]
    optional = [folder / "mask_thick.nii.gz", subject_folder / "overlays.svg"]
    needed += [file for file in optional if os.path.lexists(file)]
    for file in needed:
        check_downloaded(file)
    return needed


def _surface_file(stem: Path) -> Path:
    """The surface's file; pycortex also keeps surfaces as .npz, as those of ds003020's UTS02."""
    gifti, numpy_file = (stem.with_name(f"{stem.name}{suffix}") for suffix in (".gii", ".npz"))
    return numpy_file if os.path.lexists(numpy_file) and not os.path.lexists(gifti) else gifti


def _names(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return ", ".join(names) or "none"


def _voxel_rois(geometry: CortexGeometry, outlines: dict[str, list[np.ndarray]]) -> dict[str, np.ndarray]:
    """Area -> indices of the voxels more than half of whose grey matter lies in the area."""
    grey_matter = np.asarray(geometry.voxel_of_vertex.sum(axis=1)).ravel()
    rois = {}
    for name, contours in outlines.items():
        vertices = np.any([inside(contour, geometry.vertex_position) for contour in contours], axis=0)
        rois[name] = np.flatnonzero(geometry.voxel_of_vertex @ vertices.astype(float) > grey_matter / 2)
    return rois


def _boundaries(parts: list[np.ndarray]) -> np.ndarray:
    return np.cumsum([0, *(len(part) for part in parts)], dtype=np.int64)
