"""Which voxel lies where and in which areas (ROIs): a table of voxels, and summaries over ROIs.

A voxel table has one row a voxel, in the order of the data's columns:

    voxel      int64, column of the data, 0, 1, 2, ...
    i, j, k    Int64, indices into the subject's NIfTI volume (the axes x, y, z); <NA> where unknown
    x, y, z    float64, its centre in mm, as the volume's affine says; NaN where unknown; not in every table
    rois       str, names of the voxel's ROIs in alphabetical order, joined by ";"; empty where there are none

Of data on a surface, voxels are vertices, which have in place of these indices

    hemisphere str, L or R; empty where unknown
    vertex     Int64, number of the vertex in its hemisphere's mesh; <NA> where unknown
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from brainlm.cortex.voxel_places import AXES, place_column, place_columns, places, position, whole_number
from brainlm.errors import InputError
from brainlm.files import write_tsv

ALL_VOXELS = "all voxels"
NO_ROI = "no roi"

_SEPARATOR = ";"
_MISSING = "n/a"
# Bounds the float64 copies below: 25 MB each for 95,556 voxels.
_LATENTS_AT_A_TIME = 32


def voxel_table(
    mask: np.ndarray, voxel_rois: Mapping[str, np.ndarray], affine: np.ndarray | None = None
) -> pd.DataFrame:
    """The voxel table of a subject of whom it is known where voxels lie.

    Parameters
    ----------
    mask: (z, y, x) or (hemisphere, vertex) bool, whose C order is the order of the data's columns; `Cortex.mask`.
    voxel_rois: ROI -> (member,) int, its voxels; `Cortex.voxel_rois`. An ROI without voxels leaves no trace.
    affine: (4, 4) from i, j, k to mm, of a volume; None for a table without mm.

    Returns
    -------
    The table (see above); i, j, k index the mask's image as nibabel reads it, with the axes (x, y, z).

    Raises
    ------
    InputError: a name that cannot stand in the table: empty, with ";" in it, or taken (such as "all voxels").
    """
    names: list[list[str]] = [[] for _ in range(int(mask.sum()))]
    for roi, members in voxel_rois.items():
        name = _clean_name(roi, "The cortex")
        for voxel in members.tolist():
            names[voxel].append(name)
    return _table(places(mask, affine), [_joined(of_voxel) for of_voxel in names])


def read_voxel_table(path: Path, n_voxels: int) -> pd.DataFrame:
    """Read a voxel table, for example one that comes with a dataset without pycortex.

    Its columns are separated by tabs; voxel and rois are needed, in any order of rows and columns. Where a voxel lies
    may be absent, or "n/a" for single voxels: i, j and k, with or without x, y and z, or hemisphere and vertex.
    Further columns are ignored. ROIs of a voxel may be in any order.

    Parameters
    ----------
    n_voxels: columns of the data. Voxels that the table does not list are in no ROI.

    Returns
    -------
    The table (see above) with a row for each of the `n_voxels`.

    Raises
    ------
    InputError: no such file, not such a table, a voxel listed twice or beyond the data's columns, a place
        that is none, or an ROI's name that is taken.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: check the name of the voxel table.")
    positions: dict[str, list[object]] = {}
    rois: list[str | None] = [None] * n_voxels
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", strict=True)
            columns = list(rows.fieldnames or ())
            for needed in ("voxel", "rois"):
                if needed not in columns:
                    raise InputError(
                        f"{path} has no column '{needed}', but {', '.join(map(repr, columns)) or 'none at all'}: "
                        "a voxel table has the columns voxel and rois, separated by tabs."
                    )
            positions = {column: [None] * n_voxels for column in place_columns(columns)}
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                if None in row:
                    raise InputError(f"{place} has more fields than the header: separate ROIs by ';'.")
                voxel = _voxel_index(row["voxel"], n_voxels, place)
                if rois[voxel] is not None:
                    raise InputError(
                        f"{place}: voxel {voxel} is listed twice; write all its ROIs in one row."
                    )
                rois[voxel] = _joined(_split_names(row["rois"] or "", place))
                for column, values in positions.items():
                    if row.get(column) not in (None, "", _MISSING):
                        values[voxel] = position(row[column], column, place)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a voxel table ({error}): it is to be text in UTF-8 with tabs between columns."
        ) from error
    return _table(positions, [of_voxel or "" for of_voxel in rois])


def unnamed_voxels(n_voxels: int) -> pd.DataFrame:
    """The voxel table of a subject of whom neither a cortex nor a table is known: no places, no ROIs."""
    return _table({axis: [None] * n_voxels for axis in AXES}, [""] * n_voxels)


def save_voxel_table(table: pd.DataFrame, path: Path) -> None:
    """Write a voxel table as `read_voxel_table` reads it."""
    write_tsv(table, path)


def rois_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """ROI -> (member,) int64, its voxels in ascending order; ROIs in alphabetical order."""
    names = table["rois"].str.split(_SEPARATOR).explode()
    named = names[names != ""]
    return {
        str(roi): table.loc[rows, "voxel"].to_numpy() for roi, rows in named.groupby(named).groups.items()
    }


def roi_summary(table: pd.DataFrame, values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Quantities of voxels, summarized over each ROI.

    Parameters
    ----------
    table: a voxel table.
    values: name -> (voxel,), not finite where undefined: left out, and not counted in <name>_n_finite.

    Returns
    -------
    One row an ROI, in alphabetical order, and a last one "all voxels": roi, n_voxels (with or without a value),
    and for each quantity <name>_mean, <name>_sd (n - 1 in the denominator), <name>_median, <name>_n_finite.
    Statistics are NaN where there are too few values.

    Raises
    ------
    InputError: not one value for each voxel of the table.
    """
    for name, of_voxel in values.items():
        check_one_a_voxel(table, np.size(of_voxel), f"'{name}'")
    rows = []
    for roi, members in (rois_of(table) | {ALL_VOXELS: np.arange(len(table))}).items():
        row: dict[str, object] = {"roi": roi, "n_voxels": members.size}
        for name, of_voxel in values.items():
            chosen = np.asarray(of_voxel)[members].astype(float)
            finite = pd.Series(chosen[np.isfinite(chosen)])
            row[f"{name}_mean"] = finite.mean()
            row[f"{name}_sd"] = finite.std()
            row[f"{name}_median"] = finite.median()
            row[f"{name}_n_finite"] = finite.size
        rows.append(row)
    return pd.DataFrame(rows)


def latent_roi_weights(table: pd.DataFrame, decoder: np.ndarray, latents: Sequence[int]) -> pd.DataFrame:
    """How strongly latents act on each ROI. An ROI's share of a latent's energy is

        energy_share = sum of w² over the ROI's voxels / sum of w² over all voxels

    Voxels may be in several ROIs, so that shares of overlapping ROIs add up to more than 1.

    Parameters
    ----------
    table: a voxel table.
    decoder: (latent, voxel) float32 decoder weights, NaN for voxels that were left out of the model: left out
        here as well. Never copied as a whole.
    latents: rows of the decoder that are wanted.

    Returns
    -------
    One row a latent and ROI, in this order: latent; roi, in alphabetical order, then "no roi" (voxels in none)
    and "all voxels"; n_voxels with a weight; mean_weight, mean_absolute_weight, rms_weight over them, NaN if
    there are none; energy_share, NaN for a latent without any weight but 0. Sums are taken in float64.

    Raises
    ------
    InputError: not one column for each voxel of the table.
    ValueError: a latent that is no row of the decoder.
    """
    check_one_a_voxel(table, decoder.shape[1], "Each latent of the decoder")
    wanted = np.asarray(latents, int)
    if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(decoder):
        raise ValueError(f"latents from {wanted.min()} to {wanted.max()} of a decoder with {len(decoder)}")
    rois, membership = _membership(table)
    sums = {name: np.empty((wanted.size, len(rois))) for name in ("known", "weight", "absolute", "square")}
    for start in range(0, wanted.size, _LATENTS_AT_A_TIME):
        block = slice(start, start + _LATENTS_AT_A_TIME)
        # In C order, which the sparse product would otherwise make of it each time.
        weights = np.ascontiguousarray(decoder[wanted[block]].T, float)
        known = np.isfinite(weights)
        weights[~known] = 0
        sums["known"][block] = (membership @ known.astype(float)).T
        sums["weight"][block] = (membership @ weights).T
        sums["square"][block] = (membership @ np.square(weights)).T
        sums["absolute"][block] = (membership @ np.abs(weights, out=weights)).T
    with np.errstate(invalid="ignore"):
        columns = {
            "n_voxels": sums["known"].astype(int),
            "mean_weight": sums["weight"] / sums["known"],
            "mean_absolute_weight": sums["absolute"] / sums["known"],
            "rms_weight": np.sqrt(sums["square"] / sums["known"]),
            "energy_share": sums["square"] / sums["square"][:, rois.index(ALL_VOXELS), None],
        }
    return pd.DataFrame(
        {
            "latent": np.repeat(wanted, len(rois)),
            "roi": np.tile(np.array(rois), wanted.size),
            **{name: values.ravel() for name, values in columns.items()},
        }
    )


def check_one_a_voxel(table: pd.DataFrame, n_values: int, what: str) -> None:
    """Check that there is one value for each voxel of the table.

    Parameters
    ----------
    what: the values, as the start of a sentence, e.g. "The map to be drawn".

    Raises
    ------
    InputError: another number of values than the table has voxels.
    """
    if n_values != len(table):
        raise InputError(
            f"{what} has {n_values:,} values, but the voxel table has {len(table):,} voxels: "
            "they belong to different subjects or masks."
        )


def _membership(table: pd.DataFrame) -> tuple[list[str], sparse.csr_matrix]:
    """ROIs, "no roi", "all voxels"; and which voxels they have: (roi, voxel) float64 of 0 and 1."""
    groups = rois_of(table)
    groups[NO_ROI] = np.flatnonzero((table["rois"] == "").to_numpy())
    groups[ALL_VOXELS] = np.arange(len(table))
    members = np.concatenate(list(groups.values()))
    boundaries = np.cumsum([0, *(group.size for group in groups.values())])
    shape = (len(groups), len(table))
    return list(groups), sparse.csr_matrix((np.ones(members.size), members, boundaries), shape)


def _table(positions: Mapping[str, Iterable[object]], rois: Sequence[str]) -> pd.DataFrame:
    columns = {name: place_column(name, list(values)) for name, values in positions.items()}
    voxel = np.arange(len(rois), dtype=np.int64)
    return pd.DataFrame({"voxel": voxel, **columns, "rois": pd.Series(rois, dtype=str)})


def _joined(names: Iterable[str]) -> str:
    return _SEPARATOR.join(sorted(set(names)))


def _split_names(field: str, place: str) -> list[str]:
    names = [] if field.strip() == _MISSING else field.split(_SEPARATOR)
    return [_clean_name(name, place) for name in names if name.strip()]


def _clean_name(name: str, where: str) -> str:
    """The name without superfluous blanks, tabs or line breaks."""
    clean = " ".join(name.split())
    if not clean or _SEPARATOR in clean or clean in (ALL_VOXELS, NO_ROI, _MISSING):
        raise InputError(
            f"{where} has an ROI called '{clean}': rename it, because names must not be empty, contain "
            f"'{_SEPARATOR}' or be one of '{ALL_VOXELS}', '{NO_ROI}' and '{_MISSING}'."
        )
    return clean


def _voxel_index(text: str | None, n_voxels: int, place: str) -> int:
    voxel = whole_number(text or "", "voxel", place)
    if voxel >= n_voxels:
        raise InputError(
            f"{place}: there is no voxel {voxel:,}, because the data have {n_voxels:,} columns, counted from 0; "
            "is the table another subject's, or counted from 1?"
        )
    return voxel
