"""A story's runs, cleaned and z-scored, as a file of ds003020."""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from brainlm.data.bids.confounds import read_confounds
from brainlm.data.bids.images import check_tr, read_bold
from brainlm.data.bids.runs import Run
from brainlm.errors import InputError
from brainlm.extras import needs
from brainlm.files import whole_file

_VOXELS_AT_ONCE = 10_000
# Of a voxel's largest value: float32 rounds with an SD of up to 3.4e-8 of it, which is no signal.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class RunSummary:
    """What was done with a run."""

    run: str
    n_volumes: int
    n_leading: int
    """non-steady volumes dropped before cleaning"""
    removed: str
    """regressors, the constant left out: columns of the confounds with blanks between them"""
    mean_displacement_mm: float
    share_large_displacement: float
    n_constant: int
    """voxels that are constant, or of which the regressors leave nothing: zeros"""
    n_lost: int
    """voxels that are somewhere not finite: NaN"""


def convert_hearings(
    runs: Sequence[Run],
    path: Path,
    *,
    space: str,
    mask: Path | None,
    confounds: str | Sequence[str],
    tr_s: float,
    n_volumes: int,
    trim_first: int,
    trim_last: int,
    progress: Callable[[], object] = lambda: None,
) -> list[RunSummary]:
    """Clean a subject's hearings of a story and write them in ds003020's layout, one run in memory at a time.

    Of each run, leading non-steady volumes are dropped, all regressors and the constant are removed in one
    least-squares step, each voxel is z-scored over all rows that are left, and then rows are cut off. The file holds
    ``data``, (time, voxel) float32, the mean of the hearings, and ``individual_repeats``, (repeat, time, voxel)
    float32, if there are several. Attributes: ``runs``, ``removed`` (JSON: run -> columns),
    ``mean_framewise_displacement_mm`` and ``share_above_0.5_mm`` of each run, ``confounds`` (the choice), ``space``.

    Parameters
    ----------
    path: of the file to write, with its folder made.
    mask: of volumes; None for surfaces.
    confounds: see `brainlm.data.bids.confounds.read_confounds`.
    tr_s: from the sidecars, checked against the images.
    n_volumes: of the story: what a run has beyond them is cut off at its end.
    trim_first, trim_last: volumes of the story that are cut off at its beginning and end.
    progress: called after each run.

    Raises
    ------
    InputError: a file is missing or damaged, or does not fit the others; a run is shorter than the story, or has more
        non-steady volumes than are trimmed.
    """
    n_rows, summaries, removed = n_volumes - trim_first - trim_last, [], {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial, h5py.File(partial, "w") as file:
        total = np.empty(0)
        for number, run in enumerate(runs):
            check_tr(run, tr_s)
            bold = read_bold(run, space, mask)
            if len(bold) < n_volumes:
                raise InputError(
                    f"{run.images[0]} has {len(bold)} volumes, but the story has {n_volumes}: fetch it again."
                )
            found = read_confounds(run, confounds, len(bold))
            if found.n_leading > trim_first:
                raise InputError(
                    f"{run.confounds}: the first {found.n_leading} volumes are not steady, but {trim_first} are "
                    f"trimmed: set trim.first to {found.n_leading} or more."
                )
            cleaned, n_constant, n_lost = clean(bold[found.n_leading :], found.regressors.to_numpy())
            n_run = len(bold)
            del bold
            rows = cleaned[trim_first - found.n_leading :][:n_rows]
            if len(runs) > 1:
                _repeats(file, (len(runs), *rows.shape))[number] = rows
            total = rows.astype(np.float64) if number == 0 else total + rows
            removed[run.label] = list(found.regressors.columns)
            summaries.append(
                RunSummary(
                    run=run.label,
                    n_volumes=n_run,
                    n_leading=found.n_leading,
                    removed=" ".join(found.regressors) or "nothing",
                    mean_displacement_mm=found.mean_displacement_mm,
                    share_large_displacement=found.share_large,
                    n_constant=n_constant,
                    n_lost=n_lost,
                )
            )
            progress()
        file.create_dataset("data", data=(total / len(runs)).astype(np.float32))
        file.attrs.update(_attributes(summaries, removed, confounds, space))
    return summaries


def clean(bold: np.ndarray, regressors: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Remove regressors and the constant in one least-squares step, and z-score what is left.

    Parameters
    ----------
    bold: (time, voxel) float32.
    regressors: (time, regressor) float64, finite; maybe none.

    Returns
    -------
    (time, voxel) float32, of mean 0 and population SD 1; how many voxels are constant, or explained by the
    regressors, and are 0; how many are somewhere not finite, and are NaN everywhere.
    """
    # Slow to import, and only what cleans needs it.
    with needs("data", "The cleaning of fMRIPrep's data"):
        from nilearn.signal import clean as remove

    cleaned = np.empty(bold.shape, np.float32)
    n_constant = n_lost = 0
    for start in range(0, bold.shape[1], _VOXELS_AT_ONCE):
        columns = slice(start, start + _VOXELS_AT_ONCE)
        block = bold[:, columns].astype(np.float64)
        lost = ~np.isfinite(block).all(axis=0)
        block[:, lost] = 0
        largest = np.abs(block).max(axis=0)
        block -= block.mean(axis=0)
        if regressors.shape[1]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                # Regressors lose their means, so that the constant is removed in the same step.
                block = remove(block, confounds=regressors, detrend=False, standardize=None, filter=False)
        after = block.std(axis=0)
        nothing = after <= _ROUNDING * largest
        cleaned[:, columns] = np.where(nothing, 0, block / np.where(nothing, 1, after))
        cleaned[:, columns][:, lost] = np.nan
        n_constant += int((nothing & ~lost).sum())
        n_lost += int(lost.sum())
    return cleaned, n_constant, n_lost


def _repeats(file: h5py.File, shape: tuple[int, ...]) -> h5py.Dataset:
    return file.require_dataset("individual_repeats", shape, np.float32)


def _attributes(
    summaries: Sequence[RunSummary],
    removed: dict[str, list[str]],
    confounds: str | Sequence[str],
    space: str,
) -> dict[str, Any]:
    return {
        "runs": [of.run for of in summaries],
        "removed": json.dumps(removed),
        "mean_framewise_displacement_mm": [of.mean_displacement_mm for of in summaries],
        "share_above_0.5_mm": [of.share_large_displacement for of in summaries],
        "confounds": confounds if isinstance(confounds, str) else list(confounds),
        "space": space,
    }
