"""What a user holds, as arrays of real numbers of the shape that is wanted, or a sentence that says why not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from brainlm.errors import InputError

if TYPE_CHECKING:
    import torch

_ROWS_NAMED = 10


def real_array(
    values: Any, name: str, dims: Sequence[str | int] | None, dtype: DTypeLike | None = np.float32
) -> np.ndarray:
    """Numbers of any type, from NumPy, a list, pandas, xarray, Zarr, HDF5 or PyTorch, as a floating-point array.

    What is such an array already is not copied. Entries that a masked array hides become NaN; numbers beyond the
    range of `dtype` become infinite.

    Parameters
    ----------
    values: real numbers or booleans.
    name: what the values are, for error messages, e.g. "Source 'brain'".
    dims: for each axis its name, if it may have any length, or its length; None for any shape.
    dtype: a floating-point one; None for the values' own, float32 at least.

    Returns
    -------
    Of `dtype`, in the machine's byte order.

    Raises
    ------
    InputError: anything but real numbers, another shape, or an xarray.DataArray whose axes come in another order.
    """
    wanted = "" if dims is None else f" ({', '.join(map(str, dims))}{',' * (len(dims) == 1)})"
    array = _plain_array(values, name, wanted)
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"{name} must be an array{wanted} of real numbers; got {_kind(values, array)}: convert it first."
        )
    if dims is not None:
        fits = array.ndim == len(dims) and all(
            isinstance(dim, str) or length == dim for dim, length in zip(dims, array.shape, strict=True)
        )
        if not fits:
            raise InputError(f"{name} must be an array{wanted}; got {array.shape}.")
        labels = getattr(values, "dims", dims)
        if dims[0] in labels and labels[0] != dims[0]:
            raise InputError(
                f"{name} must be an array{wanted}; got the axes {', '.join(map(str, labels))}: transpose it."
            )
    dtype = np.result_type(array.dtype, np.float32) if dtype is None else dtype
    with np.errstate(over="ignore"):
        if isinstance(array, np.ma.MaskedArray):
            return np.ma.filled(array.astype(dtype), np.nan)
        return np.asarray(array, dtype)


def real_tensor(values: Any, name: str, dims: Sequence[str | int]) -> "torch.Tensor":
    """Like `real_array`, as a float32 tensor on the processor, without a copy where PyTorch needs none."""
    # Others need not spend the seconds that it takes.
    import torch

    array = real_array(values, name, dims)
    # PyTorch takes no array that steps backwards, and warns of one that it could not write to.
    usable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return torch.from_numpy(array if usable else array.copy())


def _plain_array(values: Any, name: str, wanted: str) -> np.ndarray:
    if _is_tensor(values):
        if str(values.layout) != "torch.strided" or values.is_meta or values.is_quantized:
            raise InputError(
                f"{name} must be an array{wanted}; got a tensor that is not dense: convert it first."
            )
        values = values.detach().cpu().resolve_conj().resolve_neg()
        # NumPy has no bfloat16.
        values = (
            values.float() if values.dtype.is_floating_point and values.itemsize < 4 else values
        ).numpy()
    try:
        return np.asanyarray(values) if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{name} must be an array{wanted} of real numbers; got {type(values).__name__} that is none ({error})."
        ) from None


def _is_tensor(values: Any) -> bool:
    """Whether it is one of PyTorch's, which is not imported to find out."""
    return any((base.__module__, base.__name__) == ("torch", "Tensor") for base in type(values).__mro__)


def _kind(values: Any, array: np.ndarray) -> str:
    if array.ndim == 0 and array.dtype.kind == "O":
        return type(values).__name__
    names = {"O": "objects", "U": "text", "S": "text", "T": "text", "c": "complex numbers", "V": "records"}
    return names.get(array.dtype.kind, str(array.dtype))


def require_finite(values: Any, name: str) -> None:
    """Check that all values of all rows, an array or a tensor (time, ...), are finite.

    Raises
    ------
    InputError: names the first rows that hold others.
    """
    finite = np.isfinite(np.asarray(values))
    finite = finite.all(axis=tuple(range(1, finite.ndim)))
    if not finite.all():
        rows = np.flatnonzero(~finite)
        raise InputError(
            f"{name} holds values that are not finite in {len(rows)} row{'s' * (len(rows) > 1)} (TRs): "
            f"{named_rows(rows)}. Leave them out."
        )


def named_rows(rows: Sequence[int] | np.ndarray) -> str:
    """The numbers of some rows, ten at most."""
    return (
        ", ".join(str(row) for row in rows[:_ROWS_NAMED])
        + ", ..." * (len(rows) > _ROWS_NAMED)
        + " (counted from 0)"
    )
