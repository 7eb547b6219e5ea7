"""A small folder of derivatives as fMRIPrep writes it, around numbers that a test gives.

    runs = [Run("01", "tunnel", bold, tr_s=1.5), Run("01", "lucy", bold, tr_s=1.5, run="2")]
    write_tree(root, runs, space="fsaverage5")

Names and contents follow fMRIPrep's documentation of its outputs; a test that needs something wrong changes it
afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nibabel
import numpy as np
import pandas as pd

from brainlm.simulation.confounds import simulated_confounds
from brainlm.simulation.fmriprep import (
    Recording,
    write_areas,
    write_confounds,
    write_description,
    write_hemisphere,
    write_json,
    write_surfaces,
)
from brainlm.surfaces import N_VERTICES

Names = Literal["new", "20.2", "old"]
"""How surfaces and confounds are called:

- new: `_hemi-L_space-fsaverage5_bold.func.gii` and `_desc-confounds_timeseries.tsv`, since fMRIPrep 21;
- 20.2: `_space-fsaverage5_hemi-L_bold.func.gii` and `_desc-confounds_timeseries.tsv`;
- old: `_space-fsaverage5_hemi-L.func.gii` and `_desc-confounds_regressors.tsv`, as in Narratives (fMRIPrep 20.0.5);
  surfaces have no sidecar, and dataset_description.json has PipelineDescription but no DatasetType.

Before "new", all CompCor columns are called a_comp_cor, and only the table's sidecar says of which mask they are.
"""


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a subject."""

    subject: str
    """Label, without "sub-"."""
    task: str
    bold: np.ndarray
    """(time, vertex), left hemisphere first; or (time, voxel) in the order of `in_mask`."""
    tr_s: float = 2.0
    session: str | None = None
    run: str | None = None
    start_time_s: float | None = None
    confounds: pd.DataFrame | None = None
    """One row a volume; None: drawn at random, different for each run."""
    n_non_steady: int = 0
    """Leading volumes that are not in a steady state, where confounds are drawn."""
    events: pd.DataFrame | None = None
    """Columns onset, duration, trial_type, ...: the raw dataset's events.tsv."""
    brain: np.ndarray | None = None
    """(x, y, z) bool, this run's brain mask if it is not the tree's; `bold` has its voxels."""

    @property
    def recording(self) -> Recording:
        return Recording(self.subject, self.task, self.tr_s, self.session, self.run, self.start_time_s)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of volumes lie."""

    brain: np.ndarray
    """(x, y, z) bool."""
    affine: np.ndarray
    """(4, 4) mm."""
    grey_matter: np.ndarray | None = None
    """(x, y, z) probability; None: 1 in the brain."""


def in_mask(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(x, y, z) or (x, y, z, time) -> (voxel,) or (voxel, time): z slowest, x fastest."""
    order = (2, 1, 0, *range(3, volume.ndim))
    return volume.transpose(order)[mask.T]


def in_volume(bold: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(time, voxel) -> (x, y, z, time) float32; the inverse of `in_mask`, 0 outside the mask."""
    volume = np.zeros((*mask.shape[::-1], len(bold)), np.float32)
    volume[mask.T] = bold.T
    return volume.transpose(2, 1, 0, 3)


def small_grid(shape: tuple[int, int, int] = (6, 7, 5), voxel_mm: float = 4.0) -> Grid:
    """A box of voxels around a place in MNI152 space; the outermost voxels are not of the brain."""
    brain = np.zeros(shape, bool)
    brain[1:-1, 1:-1, 1:-1] = True
    affine = np.diag([voxel_mm, voxel_mm, voxel_mm, 1.0])
    affine[:3, 3] = (-56.0, -30.0, 0.0)
    return Grid(brain, affine)


def write_tree(
    root: Path,
    runs: Sequence[Run],
    *,
    space: str = "fsaverage5",
    res: str | None = None,
    names: Names = "new",
    grid: Grid | None = None,
    raw: Path | None = None,
    freesurfer: Path | None = None,
) -> None:
    """Write the derivatives of these runs.

    Parameters
    ----------
    root: the folder of dataset_description.json and of sub-*; made.
    space: an fsaverage surface, or a space of volumes, which needs `grid`.
    res: resolution label of volumes.
    raw: where the raw dataset's events.tsv and sidecars go; None: there is none.
    freesurfer: the folder of FreeSurfer's subjects; None: <root>/sourcedata/freesurfer.
    """
    root.mkdir(parents=True, exist_ok=True)
    write_tree_description(root, names=names)
    for i, run in enumerate(runs):
        random = np.random.default_rng([i, *run.recording.stem.encode()])
        table = run.confounds
        if table is None:
            table = simulated_confounds(len(run.bold), run.tr_s, random, n_non_steady=run.n_non_steady)
        write_run_confounds(root, run, table, names=names)
        if space in N_VERTICES:
            write_run_surfaces(root, run, space, names=names)
        else:
            write_run_volume(root, run, space, res, grid)
        if raw is not None:
            write_raw_run(raw, run)
    if space in N_VERTICES:
        write_two_areas(freesurfer or root / "sourcedata" / "freesurfer", space)


def write_tree_description(root: Path, *, names: Names = "new") -> None:
    """dataset_description.json; with the old names it does not say that these are derivatives."""
    if names != "old":
        write_description(root, version={"new": "25.2.0", "20.2": "20.2.7"}[names])
        return
    content = {
        "Name": "fMRIPrep - fMRI PREProcessing workflow",
        "BIDSVersion": "1.1.1",
        "PipelineDescription": {"Name": "fMRIPrep", "Version": "20.0.5"},
    }
    write_json(root / "dataset_description.json", content)


def write_run_confounds(root: Path, run: Run, table: pd.DataFrame, *, names: Names = "new") -> None:
    """The table by the names of this version, with its sidecar."""
    suffix = "regressors" if names == "old" else "timeseries"
    write_confounds(root, run.recording, table, suffix=suffix)
    if names == "new":
        return
    # Up to 20.2 the masks are told apart by the sidecar alone.
    stem = root / run.recording.folder / "func" / f"{run.recording.stem}_desc-confounds_{suffix}"
    compcor = [column for column in table if column[1:].startswith("_comp_cor_")]
    masks = {"a": "combined", "c": "CSF", "w": "WM"}
    described = {
        f"a_comp_cor_{i:02}": {"Method": "aCompCor", "Mask": masks[column[0]], "Retained": True}
        for i, column in enumerate(compcor)
    }
    renamed = table.rename(columns=dict(zip(compcor, described, strict=True)))
    renamed.to_csv(stem.with_name(f"{stem.name}.tsv"), sep="\t", index=False, na_rep="n/a")
    write_json(stem.with_name(f"{stem.name}.json"), described)


def write_run_surfaces(root: Path, run: Run, space: str, *, names: Names = "new") -> None:
    """Both hemispheres; no sidecars with the old names."""
    if names == "new":
        write_surfaces(root, run.recording, space, run.bold)
        return
    folder, bold_suffix = root / run.recording.folder / "func", "_bold" if names == "20.2" else ""
    for hemisphere, bold in zip("LR", np.split(run.bold, 2, axis=1), strict=True):
        stem = f"{run.recording.stem}_space-{space}_hemi-{hemisphere}{bold_suffix}"
        write_hemisphere(folder / f"{stem}.func.gii", bold, hemisphere)
        if names == "20.2":
            write_json(folder / f"{stem}.json", run.recording.sidecar())


def write_run_volume(root: Path, run: Run, space: str, res: str | None, grid: Grid) -> None:
    """The image and its sidecar, the brain mask, and the subject's grey matter."""
    recording = run.recording
    of_space = f"space-{space}" + (f"_res-{res}" if res else "")
    stem = root / recording.folder / "func" / f"{recording.stem}_{of_space}"
    brain = grid.brain if run.brain is None else run.brain
    write_volume(
        stem.with_name(f"{stem.name}_desc-preproc_bold.nii.gz"), in_volume(run.bold, brain), grid, run.tr_s
    )
    write_json(stem.with_name(f"{stem.name}_desc-preproc_bold.json"), recording.sidecar())
    write_volume(stem.with_name(f"{stem.name}_desc-brain_mask.nii.gz"), brain.astype(np.uint8), grid)
    # What is of the head is not of a session, nor is its T1w space named.
    anatomy = f"{of_space}_" if space != "T1w" else ""
    grey_matter = grid.brain.astype(np.float32) if grid.grey_matter is None else grid.grey_matter
    subject = f"sub-{run.subject}"
    path = root / subject / "anat" / f"{subject}_{anatomy}label-GM_probseg.nii.gz"
    write_volume(path, grey_matter.astype(np.float32), grid)


def write_volume(path: Path, values: np.ndarray, grid: Grid, tr_s: float | None = None) -> None:
    """(x, y, z[, time]) as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(values, grid.affine)
    image.header.set_xyzt_units("mm", "sec")
    if tr_s is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
    nibabel.save(image, path)


def write_raw_run(raw: Path, run: Run) -> None:
    """The run's events, and the sidecar that all runs of its task inherit; no image."""
    description = {"Name": "raw", "BIDSVersion": "1.4.0", "DatasetType": "raw"}
    write_json(raw / "dataset_description.json", description)
    write_json(raw / f"task-{run.task}_bold.json", {"RepetitionTime": run.tr_s, "TaskName": run.task})
    if run.events is not None:
        path = raw / run.recording.folder / "func" / f"{run.recording.stem}_events.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        run.events.to_csv(path, sep="\t", index=False, na_rep="n/a")


def write_two_areas(freesurfer: Path, space: str) -> None:
    """An annot file for each hemisphere: the first third of its vertices in one area, the second in another."""
    n = N_VERTICES[space]
    for hemisphere in "LR":
        areas = np.repeat(
            np.array(["transversetemporal", "cuneus", ""], object), [n // 3, n // 3, n - 2 * (n // 3)]
        )
        write_areas(freesurfer, space, hemisphere, areas)
