"""What is removed from a run's data: fMRIPrep's table of confounds, by nilearn's strategies or by columns."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.data.bids.names import listed
from brainlm.data.bids.runs import Run
from brainlm.errors import InputError, one_line
from brainlm.extras import needs
from brainlm.files import check_downloaded

LARGE_MOTION_MM = 0.5
MOST_LARGE = 1 / 2
"""Share of volumes with large motion above which a run is refused."""
MOST_REGRESSORS = 1 / 2
"""Of a run's rows: with more regressors little of anything is left."""
_NON_STEADY = re.compile(r"non_steady_state_outlier\d+")
_COSINE = re.compile(r"cosine\d+")


@dataclass(frozen=True, eq=False)
class Confounds:
    """What is removed from one run, and how much its listener moved."""

    regressors: pd.DataFrame
    """(time, regressor) float64, finite, without the leading rows."""
    n_leading: int
    """Volumes at the run's beginning, before the signal was steady, that are dropped."""
    mean_displacement_mm: float
    """Mean framewise displacement; NaN if the table does not have it."""
    share_large: float
    """Share of volumes whose framewise displacement exceeds 0.5 mm; NaN likewise."""


def count_non_steady(run: Run) -> int:
    """Volumes that fMRIPrep calls non-steady, from the first line of the table alone; 0 without a table.

    Raises
    ------
    InputError: the table is not downloaded.
    """
    if run.confounds is None:
        return 0
    check_downloaded(run.confounds)
    with run.confounds.open(encoding="utf-8-sig", errors="replace") as file:
        return len(_NON_STEADY.findall(file.readline()))


def read_confounds(run: Run, choice: str | Sequence[str], n_volumes: int) -> Confounds:
    """What is to be removed from a run's data.

    Parameters
    ----------
    choice: "simple", "compcor" (nilearn's strategies of these names, without the global signal), "none", or columns
        of the table. In all but none, fMRIPrep's cosines are among them: they are the high-pass filter.
    n_volumes: of the run's images.

    Raises
    ------
    InputError: no table where one is needed, or one that lacks columns, has other rows than the images, values that
        are missing, or as many regressors as half of the rows; volumes that are not steady elsewhere than at the
        beginning; large motion in most volumes; data that have been cleaned already.
    """
    if run.is_clean and choice != "none":
        raise InputError(
            f"{run.images[0]} has been cleaned already (desc-clean), and twice is wrong: set confounds to none."
        )
    if run.confounds is None:
        if choice != "none":
            raise InputError(
                f"{run.images[0].parent} has no {run.label}_desc-confounds_timeseries.tsv (or _regressors.tsv): "
                "fetch it, or set confounds to none."
            )
        return Confounds(pd.DataFrame(index=range(n_volumes)), 0, np.nan, np.nan)
    table = _read_table(run.confounds)
    if len(table) != n_volumes:
        raise InputError(
            f"{run.confounds} has {len(table)} rows, but {run.images[0].name} has {n_volumes} volumes: they are of "
            "different runs; fetch both again, or run fMRIPrep again."
        )
    n_leading = _leading(run.confounds, table)
    mean_mm, share = _motion(run.confounds, table)
    regressors = _regressors(run.confounds, table, choice).iloc[n_leading:].reset_index(drop=True)
    _check(run.confounds, regressors)
    return Confounds(regressors, n_leading, mean_mm, share)


def _read_table(path: Path) -> pd.DataFrame:
    check_downloaded(path)
    try:
        return pd.read_csv(path, sep="\t", na_values=["n/a"], encoding="utf-8-sig")
    except ValueError as error:
        raise InputError(f"{path} is no tab-separated table ({one_line(error)}): fetch it again.") from None


def _leading(path: Path, table: pd.DataFrame) -> int:
    columns = [column for column in table if _NON_STEADY.fullmatch(column)]
    rows = np.flatnonzero(table[columns].to_numpy().any(axis=1)) if columns else np.empty(0, int)
    if not np.array_equal(rows, np.arange(len(rows))):
        raise InputError(
            f"{path} calls the volumes {listed([str(row) for row in rows])} non-steady (non_steady_state_outlier), "
            "which are not the run's first ones: look at the run, or leave it out."
        )
    return len(rows)


def _motion(path: Path, table: pd.DataFrame) -> tuple[float, float]:
    if "framewise_displacement" not in table:
        return np.nan, np.nan
    displacement = pd.to_numeric(table["framewise_displacement"], errors="coerce").to_numpy(float)[1:]
    share = float(np.mean(displacement > LARGE_MOTION_MM))
    if share > MOST_LARGE:
        raise InputError(
            f"{path}: in {share:.0%} of the volumes the head moved by more than {LARGE_MOTION_MM} mm "
            "(framewise_displacement), in half at most it may: leave the run out."
        )
    return float(np.nanmean(displacement)), share


def _regressors(path: Path, table: pd.DataFrame, choice: str | Sequence[str]) -> pd.DataFrame:
    if choice == "none":
        return pd.DataFrame(index=table.index)
    cosines = [column for column in table if _COSINE.fullmatch(column)]
    if not cosines:
        raise InputError(
            f"{path} has no columns cosine00 and so on, with which slow drifts are removed: run fMRIPrep "
            "again, or set confounds to none and clean the data yourself."
        )
    if isinstance(choice, str):
        return _of_strategy(path, choice)
    for column in choice:
        if column not in table:
            close = get_close_matches(column, table.columns, n=1)
            advice = f"did you mean {close[0]}?" if close else f"it has {listed(list(table.columns))}."
            raise InputError(f"{path} has no column {column}; {advice}")
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}: the column {column} holds something else than numbers.")
    chosen = table[list(dict.fromkeys([*choice, *cosines]))].astype(np.float64)
    # Derivatives have no first value; nilearn's strategies put the second one there too.
    chosen.iloc[0] = chosen.iloc[0].fillna(chosen.iloc[1])
    return chosen


def _of_strategy(path: Path, strategy: str) -> pd.DataFrame:
    # Slow to import, and only what cleans needs it.
    with needs("data", "The cleaning of fMRIPrep's data"):
        from nilearn.interfaces.fmriprep import load_confounds_strategy

    # nilearn looks for the table beside an image, whose names it does not know in all their forms; it does not open
    # the image. One of this name and none else belongs to the table whatever the image is called.
    stem = path.name.partition("_desc-confounds")[0]
    image = path.with_name(f"{stem}_desc-preproc_bold.nii.gz")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            regressors, _ = load_confounds_strategy(str(image), denoise_strategy=strategy, demean=False)
    # Of columns that lack, some are a KeyError.
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{path} does not have what the strategy {strategy} needs ({one_line(error)}): run fMRIPrep "
            "again, or choose another strategy or a list of columns."
        ) from None
    return regressors.astype(np.float64)


def _check(path: Path, regressors: pd.DataFrame) -> None:
    lost = [column for column in regressors if not np.isfinite(regressors[column]).all()]
    if lost:
        raise InputError(
            f"{path} has missing values in {listed(lost)}: fetch it again, or choose other columns."
        )
    n_rows, n_regressors = regressors.shape
    if n_regressors + 1 > MOST_REGRESSORS * n_rows:
        raise InputError(
            f"{path}: {n_regressors} regressors would be removed from {n_rows} rows (TRs), of which they may be "
            "half at most: choose the strategy simple, or fewer columns."
        )
