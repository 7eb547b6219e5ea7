"""Brain responses: a story's HDF5 file as the dataset has it becomes a labelled Zarr store."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
import zarr
from zarr.types import AnyArray

from brainlm.arrays import named_rows
from brainlm.data.hdf5 import find_dataset, open_hdf5, read
from brainlm.errors import InputError
from brainlm.store import add_array, empty_array, new_store, to_json

# float32 rounds a z-score by less than 1e-6; a difference that matters to anyone is far larger than this.
_SAME_MEAN = 1e-4
# Volumes cut off after z-scoring, a few percent of a story, move means and SDs by a few hundredths, slow drifts by
# some more; the next unit in use, percent signal change, has SDs of some 0.5.
_MEAN_BOUND = 0.25
_SD_BOUNDS = (0.75, 1.25)
# A mask that reaches beyond the brain has some odd voxels.
_ODD_VOXELS = 0.05


@dataclass(frozen=True)
class ResponseSummary:
    """What `convert_responses` found in a story's file."""

    n_times: int
    n_voxels: int
    n_invalid_voxels: int
    """voxels that are constant or somewhere not finite"""
    median_mean: float
    """of the valid voxels' means over time, without their signs; 0 if z-scored"""
    median_sd: float
    """of the valid voxels' standard deviations over time; 1 if z-scored, less for a mean of z-scored repeats"""
    n_not_zscored: int
    """valid voxels whose mean is beyond ±0.25, or SD beyond 0.75 (0.75 / √n for the mean of n repeats) to 1.25"""
    n_repeats: int
    """0 if the file holds no individual repeats"""
    n_voxels_with_lost_repeats: int
    """valid voxels that are constant or somewhere not finite in a repeat or more"""
    data_is_mean_of_repeats: bool | None
    """None without repeats"""
    largest_difference_from_mean: float | None
    """of `data` from the mean of the repeats that are finite, absolute; infinite where only one of both is finite"""


def convert_responses(
    hdf5_path: Path | str,
    store_path: Path | str,
    *,
    expected_rows: int,
    tr_times_s: np.ndarray,
    block_rows: int = 256,
) -> ResponseSummary:
    """Convert a story's responses from HDF5 to a store, one block of rows in memory at a time.

    The HDF5 file holds ``data``, (time, voxel) float64, z-scored per voxel; that of a repeated story also
    holds ``individual_repeats``, (repeat, time, voxel). The store holds

    - ``bold``: (time, voxel) float32, z-scored, copied as it is, with any NaN;
    - ``repeats``: (repeat, time, voxel) float32, if there are any;
    - ``time``: (time,) float64, s after sound onset; ``voxel``: (voxel,) int64, column in the HDF5 file;
      ``repeat``: (repeat,) int64;
    - ``valid``: (voxel,) bool, False where a voxel's ``bold`` is constant or not finite at some time;
    - the fields of the summary as attributes: among them whether ``data`` is the mean of the repeats.

    Parameters
    ----------
    hdf5_path : ``derivative/preprocessed_data/<SUBJECT>/<story>.hf5``
    store_path : the store to write; one that is there is replaced.
    expected_rows : TRs that the story should have.
    tr_times_s : (time,) of length `expected_rows`, s after sound onset.
    block_rows : rows read at a time. 256 fills the store's files one by one at the paper's size.

    Raises
    ------
    InputError : if the file is missing, not downloaded, in use, damaged or otherwise not to be read; if ``data`` is
        missing, not of shape (time, voxel), without voxels or of another length than `expected_rows`; if
        ``individual_repeats`` do not fit ``data``; if there are rows without any finite value, or no valid
        voxel.
    ValueError : if `tr_times_s` does not have `expected_rows` values.
    """
    hdf5_path = Path(hdf5_path)
    tr_times_s = np.asarray(tr_times_s, dtype=np.float64)
    if tr_times_s.shape != (expected_rows,):
        raise ValueError(f"tr_times_s has shape {tr_times_s.shape}, but {expected_rows} rows are expected")

    with open_hdf5(hdf5_path) as file:
        data = _find_data(file, hdf5_path)
        require_rows(hdf5_path, data.shape[0], expected_rows)
        repeats = _find_repeats(file, hdf5_path, data.shape)
        attributes = {"source_file": hdf5_path.name, "simulated": bool(file.attrs.get("simulated", False))}
        with new_store(store_path, attributes) as group:
            _write_coordinates(group, tr_times_s, data.shape[1])
            bold = _empty_bold(group, data.shape)
            copy = None if repeats is None else _empty_repeats(group, repeats.shape)
            summary, valid = _examine(data, repeats, hdf5_path, block_rows, bold, copy)
            long_name = "the voxel varies and is finite at all times"
            add_array(group, "valid", valid, ("voxel",), attributes={"long_name": long_name})
            group.attrs.update(to_json(asdict(summary)))
    return summary


def summarize(hdf5_path: Path, *, block_rows: int = 256) -> ResponseSummary:
    """What `convert_responses` would find in a story's file, whatever its number of rows; nothing is written.

    Raises
    ------
    InputError : as `convert_responses`.
    """
    with open_hdf5(hdf5_path) as file:
        data = _find_data(file, hdf5_path)
        return _examine(data, _find_repeats(file, hdf5_path, data.shape), hdf5_path, block_rows)[0]


def data_shape(hdf5_path: Path) -> tuple[int, int]:
    """(time, voxel) of a story's file, in a few milliseconds: no value is read.

    Raises
    ------
    InputError : if the file cannot be opened, or its ``data`` cannot be a story's.
    """
    with open_hdf5(hdf5_path) as file:
        return _find_data(file, hdf5_path).shape


def require_rows(hdf5_path: Path, n_times: int, expected_rows: int) -> None:
    """Check that a story's file has the rows that its recording leaves.

    Raises
    ------
    InputError : it has others.
    """
    if n_times != expected_rows:
        raise InputError(
            f"{hdf5_path} has {n_times} rows (TRs), but {expected_rows} are expected for this story: check "
            "respdict.json and the dataset's trim, or download the file again."
        )


def scale_warning(summary: ResponseSummary) -> str | None:
    """A sentence if more than a twentieth of the valid voxels are not z-scored, as `ResponseSummary` counts them."""
    n_valid = summary.n_voxels - summary.n_invalid_voxels
    if summary.n_not_zscored <= _ODD_VOXELS * n_valid:
        return None
    return (
        f"{summary.n_not_zscored:,} of {n_valid:,} voxels are not z-scored over the story (half of the means lie "
        f"beyond ±{summary.median_mean:.3g}, half of the SDs above {summary.median_sd:.3g}; 0 and 1 are expected): "
        "z-score each voxel over each story, or those of the largest numbers decide what is learned."
    )


def _find_data(file: h5py.File, path: Path) -> h5py.Dataset:
    data = find_dataset(file, path, "data")
    if data is None:
        raise InputError(
            f"{path} has no dataset `data` (it holds: {', '.join(file) or 'nothing'}): "
            "is it a file of derivative/preprocessed_data?"
        )
    if data.ndim != 2 or not np.issubdtype(data.dtype, np.floating):
        raise InputError(
            f"{path}: `data` is {data.dtype} of shape {data.shape}, but floating-point numbers of shape "
            "(time, voxel) are needed: is it a file of derivative/preprocessed_data?"
        )
    if data.size == 0:
        raise InputError(
            f"{path} has no voxels or no rows (`data` has shape {data.shape}): download it again."
        )
    return data


def _find_repeats(file: h5py.File, path: Path, data_shape: tuple[int, int]) -> h5py.Dataset | None:
    if "individual_repeats" not in file.keys():  # noqa: SIM118, for a link to nothing is no member, but a key
        return None
    repeats = find_dataset(file, path, "individual_repeats")
    shape: tuple[int, ...] = repeats.shape if repeats is not None else ()
    if shape[1:] != data_shape or shape[0] == 0:
        raise InputError(
            f"{path}: `individual_repeats` has shape {shape}, which does not fit `data` of shape "
            f"{data_shape}: (repeat, time, voxel) is needed. Download the file again."
        )
    return repeats


def _write_coordinates(group: zarr.Group, tr_times_s: np.ndarray, n_voxels: int) -> None:
    time_attributes = {"units": "s", "long_name": "time of the TR after sound onset"}
    add_array(group, "time", tr_times_s, ("time",), attributes=time_attributes)
    voxel_attributes = {"long_name": "column of the HDF5 file"}
    add_array(group, "voxel", np.arange(n_voxels), ("voxel",), attributes=voxel_attributes)


def _empty_bold(group: zarr.Group, shape: tuple[int, int]) -> AnyArray:
    attributes = {"units": "z-score", "long_name": "BOLD response, z-scored per voxel over the story"}
    return empty_array(group, "bold", shape, np.float32, ("time", "voxel"), attributes=attributes)


def _empty_repeats(group: zarr.Group, shape: tuple[int, int, int]) -> AnyArray:
    dims = ("repeat", "time", "voxel")
    attributes = {"units": "z-score", "long_name": "BOLD response to each presentation of the story"}
    add_array(group, "repeat", np.arange(shape[0]), ("repeat",))
    return empty_array(group, "repeats", shape, np.float32, dims, attributes=attributes)


def _examine(
    data: h5py.Dataset,
    repeats: h5py.Dataset | None,
    path: Path,
    block_rows: int,
    bold: AnyArray | None = None,
    copy: AnyArray | None = None,
) -> tuple[ResponseSummary, np.ndarray]:
    """Read all blocks, and write them to `bold` and `copy` (of the repeats); the summary and valid, (voxel,) bool."""
    valid, mean, sd = _examine_data(data, bold, path, block_rows)
    n_repeats, difference, n_lost = 0, None, 0
    if repeats is not None:
        n_repeats = len(repeats)
        difference, usable = _examine_repeats(repeats, data, copy, path, block_rows)
        n_lost = int(np.sum(valid & ~usable.all(axis=0)))
    is_mean = None if difference is None else difference <= _SAME_MEAN
    smallest_sd = _SD_BOUNDS[0] / np.sqrt(n_repeats if is_mean else 1)
    odd = (np.abs(mean) > _MEAN_BOUND) | (sd < smallest_sd) | (sd > _SD_BOUNDS[1])
    summary = ResponseSummary(
        n_times=data.shape[0],
        n_voxels=data.shape[1],
        n_invalid_voxels=int(np.sum(~valid)),
        median_mean=float(np.median(np.abs(mean[valid]))),
        median_sd=float(np.median(sd[valid])),
        n_not_zscored=int(np.sum(valid & odd)),
        n_repeats=n_repeats,
        n_voxels_with_lost_repeats=n_lost,
        data_is_mean_of_repeats=is_mean,
        largest_difference_from_mean=difference,
    )
    return summary, valid


def _examine_data(
    data: h5py.Dataset, bold: AnyArray | None, path: Path, block_rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`valid`, (voxel,) bool, and the valid voxels' means and SDs, (voxel,)."""
    finite = np.ones(data.shape[1], dtype=bool)
    constant = np.ones(data.shape[1], dtype=bool)
    total, squares = np.zeros((2, data.shape[1]))
    lost_rows: list[int] = []
    first_row = read(data, np.s_[0], path)
    for rows in _row_blocks(data.shape[0], block_rows):
        block = read(data, rows, path)
        if bold is not None:
            bold[rows] = block
        finite_here = np.isfinite(block)
        finite &= finite_here.all(axis=0)
        constant &= (block == first_row).all(axis=0)
        with np.errstate(invalid="ignore"):
            total += block.sum(axis=0, dtype=np.float64)
            squares += np.einsum("tv,tv->v", block, block, dtype=np.float64)
        lost_rows += (rows.start + np.flatnonzero(~finite_here.any(axis=1))).tolist()

    if lost_rows:
        raise _lost(path, lost_rows)
    valid = finite & ~constant
    if not valid.any():
        raise InputError(
            f"{path}: none of its {valid.size} voxels has finite values that vary over time. "
            "Download the file again."
        )
    mean = np.where(valid, total / len(data), np.nan)
    return valid, mean, np.sqrt(np.maximum(squares / len(data) - mean**2, 0))


def _examine_repeats(
    repeats: h5py.Dataset, data: h5py.Dataset, copy: AnyArray | None, path: Path, block_rows: int
) -> tuple[float, np.ndarray]:
    """The largest absolute difference of the repeats' mean from `data`, and which of them vary and are finite at all
    times, (repeat, voxel) bool."""
    largest = 0.0
    finite, constant = np.ones((2, len(repeats), data.shape[1]), dtype=bool)
    first_rows = [read(repeats, np.s_[repeat, 0], path) for repeat in range(len(repeats))]
    for rows in _row_blocks(data.shape[0], block_rows):
        total = np.zeros((rows.stop - rows.start, data.shape[1]))
        n_finite = np.zeros(total.shape, dtype=np.int32)
        for repeat in range(len(repeats)):
            block = read(repeats, np.s_[repeat, rows], path)
            if copy is not None:
                copy[repeat, rows] = block
            finite_here = np.isfinite(block)
            finite[repeat] &= finite_here.all(axis=0)
            constant[repeat] &= (block == first_rows[repeat]).all(axis=0)
            np.add(total, block, out=total, where=finite_here)
            n_finite += finite_here
        block = read(data, rows, path)
        # A mean may or may not leave out what is lost.
        lost = (n_finite == 0) | (~np.isfinite(block) & (n_finite < len(repeats)))
        mean = np.divide(total, n_finite, out=np.full(total.shape, np.nan), where=~lost)
        largest = max(largest, _largest_difference(mean, block))
    return largest, finite & ~constant


def _largest_difference(mean: np.ndarray, block: np.ndarray) -> float:
    """Largest absolute difference of two arrays; infinite if one is finite where the other is not."""
    finite = np.isfinite(mean)
    if (finite != np.isfinite(block)).any():
        return np.inf
    return float(np.max(np.abs(mean[finite] - block[finite]), initial=0.0))


def _row_blocks(n_rows: int, block_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, block_rows):
        yield slice(start, min(start + block_rows, n_rows))


def _lost(path: Path, rows: list[int]) -> InputError:
    return InputError(
        f"{path} has {len(rows)} rows (TRs) in which no voxel is finite: {named_rows(rows)}. "
        "Download the file again, or leave the story out."
    )
