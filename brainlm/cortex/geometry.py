"""What pycortex computes of a subject's anatomy, in a process of its own.

Importing pycortex settles its database for the whole process, writes to the home folder and starts Inkscape;
and it keeps surfaces by the subject's name, whichever database they came from. None of this outlives the
process, or needs undoing in the caller's.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from brainlm.errors import InputError
from brainlm.extras import missing_package

DEPTHS = 32
"""Points between the white matter and the pial surface that a flatmap pixel averages."""


@dataclass(frozen=True, eq=False)
class CortexGeometry:
    """How the voxels of a subject, its cortical surface and its flatmap lie on each other."""

    mask: NDArray[np.bool_]
    """(z, y, x) bool, the `thick` mask."""
    on_cortex: NDArray[np.bool_]
    """(height, width) bool."""
    pixel_of_voxel: sparse.csr_matrix
    """(pixel, voxel) float32."""
    curvature: NDArray[np.float32]
    """(height, width) float32, NaN off cortex."""
    vertex_position: NDArray[np.float64]
    """(vertex, xy) float64 in pixels, NaN for the vertices that were cut out of the flatmap."""
    voxel_of_vertex: sparse.csr_matrix
    """(voxel, vertex) float64: share of the line through the grey matter at a vertex in a voxel."""


def compute_geometry(filestore: Path, subject: str, transform: str, height: int) -> CortexGeometry:
    """Have pycortex compute a subject's geometry; takes about ten seconds.

    Parameters
    ----------
    filestore: a pycortex database, into which pycortex writes.
    height: of the flatmap in pixels.

    Raises
    ------
    InputError: pycortex fails.
    """
    with tempfile.TemporaryDirectory(dir=filestore.parent) as temporary:
        output = Path(temporary, "geometry.npz").resolve()
        arguments = [str(filestore.resolve()), subject, transform, height, str(output)]
        child = subprocess.run(
            [sys.executable, "-m", __name__, json.dumps(arguments)],
            env=os.environ | _environment(Path(temporary).resolve()),
            cwd=Path(__file__).parents[2],  # where this very package is found
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if child.returncode:
            cause = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
            raise InputError(
                f"pycortex cannot make the flatmap of subject {subject} with transform {transform} ({cause})."
            )
        with np.load(output) as saved:
            return CortexGeometry(
                mask=saved["mask"],
                on_cortex=saved["on_cortex"],
                pixel_of_voxel=_unpack(saved, "pixel_of_voxel"),
                curvature=saved["curvature"],
                vertex_position=saved["vertex_position"],
                voxel_of_vertex=_unpack(saved, "voxel_of_vertex"),
            )


def pycortex_share() -> Path:
    """Folder of the database ("db") and the colormaps that come with pycortex.

    Raises
    ------
    MissingPackageError: pycortex is not installed.
    InputError: pycortex was installed without them.
    """
    try:
        installed = files("pycortex") or []
    except PackageNotFoundError:
        raise missing_package("flatmaps", "A flatmap of a subject's own cortex", "pycortex") from None
    for file in installed:
        if file.match("share/pycortex/db/S1/overlays.svg"):
            return Path(file.locate()).resolve().parents[2]
    raise InputError(
        "pycortex is installed without its example subject S1: install it from PyPI (pip install pycortex)."
    )


def _environment(home: Path) -> dict[str, str]:
    """Keep all that pycortex, Matplotlib and Inkscape write at their start within `home`."""
    configuration = home / ("Library/Application Support" if sys.platform == "darwin" else ".config")
    settings = configuration / "pycortex" / "options.cfg"
    settings.parent.mkdir(parents=True)
    # A wheel built elsewhere and taken from a cache names folders of that other environment.
    share = pycortex_share()
    settings.write_text(
        f"[basic]\nfilestore = {share / 'db'}\n[webgl]\ncolormaps = {share / 'colormaps'}\n", encoding="utf-8"
    )
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(configuration),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "MPLBACKEND": "Agg",
        # It opens files without saying in which encoding.
        "PYTHONUTF8": "1",
        # Half a million 2 x 2 systems are solved one by one: threads take up to 15 times as long over them.
        "OPENBLAS_NUM_THREADS": "1",
    }


def _write_geometry(filestore: str, subject: str, transform: str, height: int, output: str) -> None:
    import cortex as pycortex

    pycortex.db.filestore = filestore
    quickflat = pycortex.quickflat.utils
    mask = pycortex.db.get_mask(subject, transform, "thick")

    # pycortex's image is transposed and has the bottom row first; its matrices have one row for each pixel
    # on the cortex, in the order of that image.
    inside, _ = quickflat.get_flatmask(subject, height=height)
    width = inside.shape[0]
    column, row_from_bottom = np.nonzero(inside)
    pixel = (height - 1 - row_from_bottom) * width + column
    pixel_of_inside = sparse.csr_matrix(
        (np.ones(pixel.size), (pixel, np.arange(pixel.size))), shape=(inside.size, pixel.size)
    )
    inside_of_voxel = quickflat.get_flatcache(
        subject, transform, height=height, thick=DEPTHS, sampler="nearest"
    )
    pixel_of_voxel = sparse.csr_matrix(pixel_of_inside @ inside_of_voxel.tocsr()[:, mask.ravel()])
    pixel_of_voxel.sort_indices()
    inside_of_vertex = quickflat.get_flatcache(subject, None, height=height)
    curvature = np.full(inside.size, np.nan, np.float32)
    curvature[pixel] = inside_of_vertex @ pycortex.db.get_surfinfo(subject, "curvature").data

    flat, triangles = pycortex.db.get_surf(subject, "flat", merge=True, nudge=True)
    low, high = flat[:, :2].min(0), flat[:, :2].max(0)
    vertex_position = (flat[:, :2] - low) / (high - low) * (width - 1, height - 1)
    vertex_position[:, 1] = height - 1 - vertex_position[:, 1]
    vertex_position[~np.isin(np.arange(len(flat)), triangles)] = np.nan
    mapper = pycortex.get_mapper(subject, transform, "line_nearest")
    voxel_of_vertex = sparse.vstack(mapper.masks).tocsr()[:, mask.ravel()].T.tocsr()

    arrays = {
        "mask": mask,
        "on_cortex": inside.T[::-1],
        "curvature": curvature.reshape(height, width),
        "vertex_position": vertex_position,
        **_pack("pixel_of_voxel", pixel_of_voxel.astype(np.float32)),
        **_pack("voxel_of_vertex", voxel_of_vertex),
    }
    np.savez(output, allow_pickle=False, **arrays)


def _pack(name: str, matrix: sparse.csr_matrix) -> dict[str, np.ndarray]:
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}
    return {f"{name}_{part}": np.asarray(array) for part, array in parts.items()}


def _unpack(saved: np.lib.npyio.NpzFile, name: str) -> sparse.csr_matrix:
    data, indices, indptr, shape = (
        saved[f"{name}_{part}"] for part in ("data", "indices", "indptr", "shape")
    )
    return sparse.csr_matrix((data, indices, indptr), shape=tuple(shape))


if __name__ == "__main__":
    _write_geometry(*json.loads(sys.argv[1]))
