"""Zarr conventions: every result of the project is one Zarr v3 directory store, written once and labelled.

Each array names its dimensions, so that ``xarray.open_zarr(path, consolidated=False)`` reads a store with
labels. The same input gives the same bytes: nothing written here depends on time, machine or process.
"""

import errno
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import ArrayLike, DTypeLike
from zarr.codecs import ZstdCodec
from zarr.errors import BaseZarrError
from zarr.types import AnyArray

from brainlm import __version__
from brainlm.errors import InputError

ONE_CHUNK_BYTES = 64 * 2**20
CHUNK_BYTES = 8 * 2**20
CHUNK_COLUMNS = 8192
# A float32 block of 256 TRs x 98,304 voxels (100 MB) fits, two of them do not: whoever streams a story in
# blocks of 256 rows fills one file after the other and never has to read one back.
FILE_BYTES = 128 * 2**20

# Measurements barely compress: level 1 is twice as fast to read back as zstd's default and as small. The
# checksum turns a damaged file into an error instead of wrong numbers.
_COMPRESSOR = ZstdCodec(level=1, checksum=True)

# Zarr's own settings, not those of ~/.config/zarr or of variables: they would change the stores' bytes.
zarr.config.refresh(paths=[], env={})


@contextmanager
def new_store(path: Path | str, attributes: Mapping[str, Any]) -> Iterator[zarr.Group]:
    """Write a store that appears at `path` only when it is complete.

    Yields the root group of ``<path>.partial``, which is renamed to `path` when the block ends (a store
    already there is replaced) and removed when it fails. Parent folders are made.

    Parameters
    ----------
    path : the store's folder, by convention ``<name>.zarr``.
    attributes : the store's attributes; NumPy values and paths are converted to JSON. The versions of brainlm
        and zarr are added as ``software``.

    Raises
    ------
    InputError : if `path` holds something other than a store, which is then left alone.
    """
    path = Path(path)
    _require_replaceable(path)
    partial = path.with_name(path.name + ".partial")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    software = {"brainlm": __version__, "zarr": zarr.__version__}
    try:
        yield zarr.create_group(
            partial, zarr_format=3, attributes=to_json({**attributes, "software": software})
        )
        _remove(path)
        partial.rename(path)
    except BaseException:  # an interrupted job (KeyboardInterrupt) leaves nothing behind either
        _remove(partial)
        raise


def open_store(path: Path | str) -> zarr.Group:
    """Open the store at `path` for reading.

    Raises
    ------
    InputError : if there is no such folder, or it is no Zarr v3 group, or the system does not let it be read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: run the step that writes this store.")
    try:
        return zarr.open_group(path, mode="r", zarr_format=3)
    except (BaseZarrError, OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR):
            raise InputError(
                f"{path} cannot be read ({error.strerror}): look at the permissions, the disk or the network before "
                "the store itself."
            ) from error
        raise InputError(
            f"{path} cannot be read as a Zarr v3 store ({_first_line(error)}): "
            "remove it and run the step that writes it again."
        ) from error


def add_array(
    group: zarr.Group,
    name: str,
    values: ArrayLike,
    dims: Sequence[str],
    *,
    attributes: Mapping[str, Any] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> AnyArray:
    """Write `values` (numbers or booleans, any shape) as the array `name`, one name in `dims` per axis.

    See `empty_array` for `attributes` and `chunks`; `add_strings` is for text.
    """
    values = np.asarray(values)
    array = empty_array(group, name, values.shape, values.dtype, dims, attributes=attributes, chunks=chunks)
    array[...] = values
    return array


def empty_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    dims: Sequence[str],
    *,
    attributes: Mapping[str, Any] | None = None,
    chunks: tuple[int, ...] | None = None,
) -> AnyArray:
    """Create the array `name`, to be filled block by block.

    What is never written, or lost, reads as NaN in a floating-point array (0 or False in any other).

    Parameters
    ----------
    shape, dtype : as in NumPy; numbers or booleans.
    dims : one name for each axis, e.g. ``("time", "voxel")``.
    attributes : of the array, e.g. ``{"units": "s"}``.
    chunks : shape of the smallest part that is read at once. By default an array of up to 64 MB is one
        chunk, and a larger one has chunks of about 8 MB. Chunks are gathered into files of up to 128 MB.

    Raises
    ------
    ValueError : if `dims` does not have one name for each axis.
    """
    if len(dims) != len(shape):
        raise ValueError(
            f"array {name!r} has {len(shape)} axes but {len(dims)} dimension names: {tuple(dims)}"
        )
    dtype = np.dtype(dtype)
    chunks = chunks or default_chunks(shape, dtype.itemsize)
    file_shape = _file_shape(shape, chunks, dtype.itemsize)
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=None if file_shape == chunks else file_shape,
        compressors=_COMPRESSOR,
        fill_value=np.nan if np.issubdtype(dtype, np.floating) else np.zeros((), dtype)[()],
        dimension_names=tuple(dims),
        attributes=to_json(attributes or {}),
    )


def add_strings(
    group: zarr.Group,
    name: str,
    values: Sequence[str],
    dim: str,
    *,
    attributes: Mapping[str, Any] | None = None,
) -> AnyArray:
    """Write a list of strings of any length as the one-dimensional array `name` along `dim`."""
    array = group.create_array(
        name,
        shape=(len(values),),
        dtype=np.dtypes.StringDType(),
        chunks=(max(1, len(values)),),
        compressors=_COMPRESSOR,
        dimension_names=(dim,),
        attributes=to_json(attributes or {}),
    )
    array[...] = np.array(values, dtype=np.dtypes.StringDType())
    return array


def read_strings(group: zarr.Group, name: str) -> list[str]:
    """Read what `add_strings` wrote."""
    return [str(value) for value in read_array(group, name)]


def stored_array(group: zarr.Group, name: str) -> AnyArray:
    """An array of a store, of which nothing is read yet.

    Raises
    ------
    KeyError : there is no array of this name.
    """
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise KeyError(name)
    return found


def read_array(group: zarr.Group, name: str) -> np.ndarray:
    """Read an array whole; errors as `stored_array`."""
    return np.asarray(stored_array(group, name)[...])


def read_attributes(node: zarr.Group | AnyArray) -> dict[str, Any]:
    """The attributes of a store, or of an array or group in it, as `to_json` made them."""
    return dict(node.attrs.asdict())


def default_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunk shape for an array of `shape` with elements of `itemsize` bytes: see `empty_array`."""
    if math.prod(shape) * itemsize <= ONE_CHUNK_BYTES:
        return tuple(max(1, length) for length in shape)
    # Matrices are also read by columns (a few voxels over a whole story), so their rows are cut as well.
    limits = [CHUNK_COLUMNS if len(shape) > 1 else shape[0], *reversed(shape[:-1])]
    budget = CHUNK_BYTES // itemsize
    chunks: list[int] = []
    for length, limit in zip(reversed(shape), limits, strict=True):
        chunks.append(max(1, min(length, limit, budget)))
        budget //= chunks[-1]
    return tuple(reversed(chunks))


def to_json(value: Any) -> Any:
    """Convert NumPy values, paths, mappings and sequences to what JSON holds.

    Non-finite numbers, which JSON lacks, become "NaN", "Infinity" and "-Infinity" (`float` reads them
    back), as Zarr itself writes them.
    """
    if isinstance(value, np.ndarray | np.generic):
        return to_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if isinstance(value, Path) else value


def _file_shape(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """As many whole chunks, along the last axis first, as fit into one file."""
    room = max(1, FILE_BYTES // (math.prod(chunks) * itemsize))
    file_shape = []
    for length, chunk in zip(reversed(shape), reversed(chunks), strict=True):
        repeats = max(1, min(math.ceil(length / chunk), room))
        file_shape.append(chunk * repeats)
        room //= repeats
    return tuple(reversed(file_shape))


def _require_replaceable(path: Path) -> None:
    if path.is_dir() and not (path / "zarr.json").exists() and any(path.iterdir()):
        raise InputError(
            f"{path} is a folder with other things in it, not a store: move it away or choose another path."
        )
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, but a store (a folder) is to be written there: move it away.")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
