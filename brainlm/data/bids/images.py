"""BOLD images as (time, voxel): volumes inside a mask, and surfaces of both hemispheres."""

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.parsers.expat import ExpatError

import nibabel
import numpy as np
from numpy.typing import NDArray

from brainlm.data.bids.names import BidsFile
from brainlm.data.bids.runs import Run
from brainlm.data.bids.sidecars import LONGEST_TR_S, SAME_TR_S
from brainlm.errors import InputError
from brainlm.extras import needs
from brainlm.files import check_downloaded, whole_file
from brainlm.images import Nifti, load_gifti, load_nifti
from brainlm.surfaces import N_VERTICES

_HEAD_BYTES = 16_384
_VOLUMES_AT_ONCE = 50
_SAME_AFFINE_MM = 1e-2
# A truncated .gz ends in an EOFError or a zlib.error, a truncated GIFTI file in an ExpatError.
_DAMAGED = (OSError, EOFError, ValueError, ExpatError, zlib.error, nibabel.filebasedimages.ImageFileError)
_UNITS_S = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def count_volumes(run: Run) -> int:
    """A run's volumes by the headers of its images, in a millisecond: no data are read.

    Raises
    ------
    InputError: an image is missing, not downloaded or damaged, or the hemispheres have different numbers.
    """
    counts = {image: _length(image) for image in run.images}
    (first, n_first), *others = counts.items()
    for image, n_volumes in others:
        if n_volumes != n_first:
            raise InputError(
                f"{first} has {n_first} volumes, but {image.name} has {n_volumes}: run fMRIPrep again, or fetch both "
                "again."
            )
    return n_first


def count_grid(run: Run) -> int:
    """Voxels of the grid of a run's volumes, of which a mask keeps a part.

    Raises
    ------
    InputError: the image is missing, not downloaded or damaged.
    """
    return math.prod(_grid(run.images[0])[1])


def check_tr(run: Run, tr_s: float) -> None:
    """Check that a run's images have the repetition time of its sidecar, within 1 ms.

    A surface that does not say its own is passed over.

    Raises
    ------
    InputError: an image has another one.
    """
    for image in run.images:
        own_s = _surface_tr_s(image) if run.is_surface else _volume_tr_s(image)
        if own_s is not None and abs(own_s - tr_s) > SAME_TR_S:
            raise InputError(
                f"{image} has a repetition time of {own_s:g} s, but its sidecar says {tr_s:g} s: find out which is "
                "right, and mend the other."
            )


def read_bold(run: Run, space: str, mask: Path | None = None) -> NDArray[np.float32]:
    """A run's data, as they were recorded.

    Parameters
    ----------
    mask: of volumes, from `brain_mask`, of their grid.

    Returns
    -------
    (time, voxel) float32: of volumes, the mask's voxels in the order of `brainlm.cortex.subject.read_mask`; of
    surfaces, all vertices, of the left hemisphere and then of the right.

    Raises
    ------
    InputError: an image is missing, not downloaded or damaged, or does not fit the space or the mask.
    """
    if run.is_surface:
        sides = [_read_surface(image, N_VERTICES[space]) for image in run.images]
        if len(sides[0]) != len(sides[1]):
            raise InputError(
                f"{run.images[0]} has {len(sides[0])} volumes, but {run.images[1].name} has {len(sides[1])}: fetch "
                "both again."
            )
        return np.concatenate(sides, axis=1)
    if mask is None:
        raise ValueError("volumes are read inside a mask")
    return _read_volume(run.images[0], mask)


def brain_mask(runs: Sequence[Run], grey_matter: Path | None, threshold: float) -> nibabel.Nifti1Image:
    """The voxels that are read of a subject's volumes: in the brain masks of all runs, and grey matter.

    Parameters
    ----------
    runs: all that are used.
    grey_matter: probability of grey matter, on any grid of the same space; None: the brain masks alone.
    threshold: least probability, 0 to 1.

    Returns
    -------
    uint8 image on the runs' grid.

    Raises
    ------
    InputError: runs on different grids, a file that is missing or damaged, or no voxel is left.
    """
    first = runs[0]
    affine, shape = _grid(first.images[0])
    inside = np.ones(shape, bool)
    for run in runs:
        mask = _mask_of(run)
        for image in (run.images[0], mask):
            other_affine, other_shape = _grid(image)
            if other_shape != shape or not np.allclose(other_affine, affine, atol=_SAME_AFFINE_MM):
                raise InputError(
                    f"{image} is not on the grid of {first.images[0].name} (shape {other_shape} and {shape}): all "
                    "runs of a subject need one grid; choose a space or a resolution that they share."
                )
        with _readable(mask):
            inside &= np.asarray(load_nifti(mask).dataobj) > 0
    if not inside.any():
        raise InputError(
            f"No voxel is in the brain masks of all runs of sub-{first.entities['sub']}: look at them."
        )
    if grey_matter is not None:
        inside &= _resampled(grey_matter, affine, shape) >= threshold
        if not inside.any():
            raise InputError(
                f"{grey_matter} has no voxel with a probability of {threshold:g} or more inside the brain masks: is "
                "it of the same space? Lower the threshold, or take the brain masks alone."
            )
    return nibabel.Nifti1Image(inside.astype(np.uint8), affine)


def save_mask(mask: nibabel.Nifti1Image, path: Path) -> None:
    """Write a mask, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        # Without a time in it, so that the same mask gives the same file.
        partial.write_bytes(gzip.compress(mask.to_bytes(), mtime=0))


def grey_matter_file(files: Sequence[BidsFile], space: str, res: str | None) -> Path:
    """The map of the probability of grey matter of a subject, in the space and, if there is one, the resolution.

    Raises
    ------
    InputError: there is none.
    """
    found = [
        file
        for file in files
        # The subject's own T1w space has no entity of its own in these names.
        if file.suffix == "probseg" and file.get("label") == "GM" and (file.get("space") or "T1w") == space
    ]
    if not found:
        where = files[0].path.parent.parent if files else "the derivatives"
        raise InputError(
            f"{where}: there is no *_space-{space}_label-GM_probseg.nii.gz: fetch it, or take the brain masks alone "
            "(mask null)."
        )
    return sorted(found, key=lambda file: (file.get("res") != (res or ""), file.path))[0].path


def _length(image: Path) -> int:
    if not image.name.endswith(".gii"):
        shape = _load(image).shape
        if len(shape) != 4:
            raise InputError(
                f"{image} has the shape {shape}, but (x, y, z, time) is needed: is it a BOLD image?"
            )
        return shape[3]
    head = _head(image)
    count = re.search(r'NumberOfDataArrays="(\d+)"', head)
    if count is None:
        raise InputError(f"{image} is no GIFTI file: fetch it again.")
    # Some programs write all volumes as one array (vertex, time).
    columns = re.search(r'Dim1="(\d+)"', head)
    return int(columns[1]) if int(count[1]) == 1 and columns else int(count[1])


def _head(image: Path) -> str:
    check_downloaded(image)
    with image.open("rb") as file:
        return file.read(_HEAD_BYTES).decode("utf-8", errors="replace")


def _surface_tr_s(image: Path) -> float | None:
    found = re.search(r"TimeStep(?:\]\]>)?</Name>\s*<Value>(?:<!\[CDATA\[)?\s*([0-9.eE+-]+)", _head(image))
    time = float(found[1]) if found else 0.0
    if time <= 0:
        return None
    # FreeSurfer writes ms, other programs s.
    return time / 1000 if time > LONGEST_TR_S else time


def _volume_tr_s(image: Path) -> float:
    header = _load(image).header
    return float(header.get_zooms()[3]) * _UNITS_S.get(header.get_xyzt_units()[1], 1.0)


def _grid(image: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    loaded = _load(image)
    return loaded.affine, tuple(loaded.shape[:3])


def _mask_of(run: Run) -> Path:
    if run.mask is None:
        raise ValueError(f"{run.label} has no brain mask; `choose_runs` lets no volume pass without one")
    return run.mask


def _load(image: Path) -> Nifti:
    check_downloaded(image)
    with _readable(image):
        return load_nifti(image, keep_file_open=True)


@contextmanager
def _readable(image: Path) -> Iterator[None]:
    try:
        yield
    except (InputError, PermissionError):
        raise
    except _DAMAGED as error:
        raise InputError(f"{image} is damaged, or no image ({error}): fetch it again.") from error


def _read_surface(image: Path, n_vertices: int) -> np.ndarray:
    check_downloaded(image)
    with _readable(image):
        arrays = [array.data for array in load_gifti(image).darrays]
        values = arrays[0].T if len(arrays) == 1 and arrays[0].ndim == 2 else np.stack(arrays)
    if values.ndim != 2 or values.shape[1] != n_vertices:
        raise InputError(
            f"{image} has {values.shape[-1]:,} vertices, but a hemisphere of its space has {n_vertices:,}: is its "
            "name right?"
        )
    return values.astype(np.float32, copy=False)


def _read_volume(image: Path, mask: Path) -> np.ndarray:
    loaded = _load(image)
    affine, shape = _grid(mask)
    if tuple(loaded.shape[:3]) != shape or not np.allclose(loaded.affine, affine, atol=_SAME_AFFINE_MM):
        raise InputError(f"{image} is not on the grid of {mask}: run the step that makes the mask again.")
    inside = (np.asarray(load_nifti(mask).dataobj) > 0).T
    bold = np.empty((loaded.shape[3], int(inside.sum())), np.float32)
    with _readable(image):
        for start in range(0, len(bold), _VOLUMES_AT_ONCE):
            block = np.asarray(loaded.dataobj[..., start : start + _VOLUMES_AT_ONCE])
            bold[start : start + block.shape[3]] = block.T[:, inside]
    return bold


def _resampled(image: Path, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    check_downloaded(image)
    with _readable(image):
        loaded = load_nifti(image)
        if tuple(loaded.shape) == shape and np.allclose(loaded.affine, affine, atol=_SAME_AFFINE_MM):
            return loaded.get_fdata(dtype=np.float32)
        # Slow to import, and a run's masks are often on its grid.
        with needs("data", "The reading of masks on another grid"):
            from nilearn.image import resample_img

        resampled = resample_img(loaded, target_affine=affine, target_shape=shape, interpolation="continuous")
        return np.asarray(resampled.dataobj, np.float32)
