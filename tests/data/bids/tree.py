"""Files as fMRIPrep writes them, of numbers that a test gives."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nibabel.gifti import GiftiDataArray, GiftiImage

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
MASK = np.zeros((4, 3, 5), bool)
"""(x, y, z)"""
MASK[1:, 1:, 1:4] = True
MASK[1, 1, 1] = False
N_VOXELS = int(MASK.sum())
N_VERTICES = 10_242
"""Of a hemisphere of fsaverage5."""
MOTION = [
    f"{axis}{kind}"
    for axis in ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
    for kind in ("", "_derivative1", "_power2", "_derivative1_power2")
]


def confounds_table(
    n_volumes: int, seed: int = 0, *, n_non_steady: int = 0, n_compcor: int = 3
) -> pd.DataFrame:
    """A table with the columns of the strategies simple and compcor, and others."""
    random = np.random.default_rng(seed)
    columns = [*MOTION, "csf", "white_matter", "global_signal", "std_dvars"]
    columns += [f"a_comp_cor_{number:02}" for number in range(n_compcor)]
    table = pd.DataFrame(random.standard_normal((n_volumes, len(columns))), columns=columns)
    table["framewise_displacement"] = random.uniform(0, 0.2, n_volumes)
    table.loc[0, [name for name in table if "derivative1" in name or name == "framewise_displacement"]] = (
        np.nan
    )
    times = np.arange(n_volumes) + 0.5
    for order in (1, 2):
        table[f"cosine{order - 1:02}"] = np.cos(np.pi * order * times / n_volumes)
    for number in range(n_non_steady):
        table[f"non_steady_state_outlier{number:02}"] = (np.arange(n_volumes) == number).astype(float)
    return table


def run_stem(entities: Mapping[str, str]) -> str:
    return "_".join(f"{name}-{value}" for name, value in entities.items())


def func_folder(root: Path, entities: Mapping[str, str]) -> Path:
    session = [f"ses-{entities['ses']}"] if "ses" in entities else []
    folder = root.joinpath(f"sub-{entities['sub']}", *session, "func")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def write_confounds(
    root: Path, entities: Mapping[str, str], table: pd.DataFrame, *, old: bool = False
) -> Path:
    stem = func_folder(root, entities) / f"{run_stem(entities)}_desc-confounds_"
    path = Path(f"{stem}{'regressors' if old else 'timeseries'}.tsv")
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    components = {name: {"Mask": "combined", "Method": "aCompCor"} for name in table if "comp_cor" in name}
    write_json(path.with_suffix(".json"), components)
    return path


def write_volume(
    root: Path,
    entities: Mapping[str, str],
    bold: np.ndarray,
    *,
    space: str = "MNI152NLin2009cAsym",
    res: str | None = None,
    tr_s: float = 2.0,
    sidecar: Mapping[str, object] | None = None,
    mask: np.ndarray = MASK,
    affine: np.ndarray = AFFINE,
) -> Path:
    """bold: (time, voxel), in the order of the mask's transposed array, as `read_mask` has it."""
    folder = func_folder(root, entities)
    of_res = f"_res-{res}" if res else ""
    stem = folder / f"{run_stem(entities)}_space-{space}{of_res}"
    values = np.zeros((len(bold), *mask.T.shape), np.float32)
    values[:, mask.T] = bold
    image = nibabel.Nifti1Image(values.T, affine)
    image.header.set_zooms((3.0, 3.0, 3.0, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    path = Path(f"{stem}_desc-preproc_bold.nii.gz")
    nibabel.save(image, path)
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), affine), f"{stem}_desc-brain_mask.nii.gz")
    content = {"RepetitionTime": tr_s} if sidecar is None else sidecar
    write_json(Path(f"{stem}_desc-preproc_bold.json"), content)
    return path


def write_surfaces(
    root: Path,
    entities: Mapping[str, str],
    bold: np.ndarray,
    *,
    space: str = "fsaverage5",
    order: str = "new",
    tr_s: float = 2.0,
    sidecar: Mapping[str, object] | None = None,
    sides: Sequence[str] = ("L", "R"),
    units_per_s: float = 1000,
) -> list[Path]:
    """bold: (time, vertex), of the left hemisphere and then of the right; order: of names, new, old or clean."""
    paths = []
    for side, values in zip(("L", "R"), np.split(bold.astype(np.float32), 2, axis=1), strict=True):
        names = {
            "new": f"_hemi-{side}_space-{space}_bold",
            "old": f"_space-{space}_hemi-{side}",
            "clean": f"_space-{space}_hemi-{side}_desc-clean",
        }
        stem = func_folder(root, entities) / f"{run_stem(entities)}{names[order]}"
        arrays = [
            GiftiDataArray(
                row,
                intent="NIFTI_INTENT_TIME_SERIES",
                datatype="NIFTI_TYPE_FLOAT32",
                meta={"TimeStep": f"{units_per_s * tr_s}"},
            )
            for row in values
        ]
        path = Path(f"{stem}.func.gii")
        if side in sides:
            nibabel.save(GiftiImage(darrays=arrays), path)
            write_json(Path(f"{stem}.json"), {"RepetitionTime": tr_s} if sidecar is None else sidecar)
        paths.append(path)
    return paths


def write_grey_matter(
    root: Path, subject: str, values: np.ndarray, affine: np.ndarray = AFFINE, **entities: str
) -> None:
    """values: (x, y, z), probability."""
    folder = root / f"sub-{subject}" / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    stem = run_stem({"sub": subject, **entities, "label": "GM"})
    nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), affine), folder / f"{stem}_probseg.nii.gz")
