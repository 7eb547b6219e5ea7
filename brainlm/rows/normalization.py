"""Put each source on a common footing before training, from statistics of the training stories alone."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import real_array
from brainlm.errors import InputError
from brainlm.rows.choices import Standardization
from brainlm.store import add_array, new_store, open_store, read_array, read_attributes


@dataclass(frozen=True)
class Normalization:
    """How raw rows of one source become rows of mean norm 1 (paper, section 3.1).

    x_normalized = ((x[kept] - offset) / scale) / mean_norm
    """

    kept: NDArray[np.bool_]
    """(column,) bool: raw columns (voxels, hidden dimensions) the model sees; False where NaN or constant."""
    offset: NDArray[np.float32]
    """(kept,) float32, in raw units."""
    scale: NDArray[np.float32]
    """(kept,) float32, in raw units."""
    mean_norm: float
    """Mean l2 norm of the training rows after offset and scale."""
    standardize: Standardization

    @property
    def raw_width(self) -> int:
        """Number of raw columns."""
        return self.kept.size

    @property
    def width(self) -> int:
        """Number of columns the model sees."""
        return int(self.kept.sum())

    def apply(self, raw: Any, name: str = "Raw rows") -> NDArray[np.float32]:
        """(time, column) raw rows to (time, kept) float32; what is not finite stays so.

        Raises
        ------
        InputError: other than real numbers of that shape; `name` says which they are.
        """
        rows = real_array(raw, name, ("time", self.raw_width))[:, self.kept]
        rows -= self.offset
        rows /= self.scale * np.float32(self.mean_norm)
        return rows

    def invert(self, rows: Any) -> NDArray[np.float32]:
        """(time, kept) normalized rows to (time, column) float32 in raw units; NaN where not kept.

        Raises
        ------
        InputError: other than real numbers of that shape.
        """
        rows = real_array(rows, "Normalized rows", ("time", self.width))
        raw = np.full((len(rows), self.raw_width), np.nan, np.float32)
        raw[:, self.kept] = rows * (self.scale * np.float32(self.mean_norm)) + self.offset
        return raw


@dataclass(frozen=True)
class SourceSummary:
    """What the scaling of a source will do to r; printed in logs and stored beside the normalization."""

    n_rows: int
    n_excluded: int
    mean_over_norm: float
    """Norm of the mean row over the mean norm of rows, before `standardize`: near 1, all rows look alike."""
    top_two_energy: float
    """Share of the summed squares, before `standardize`, held by the two largest columns."""


def fit_normalization(
    stories: Callable[[], Iterable[np.ndarray]],
    *,
    standardize: Standardization,
    kept: np.ndarray,
    source: str,
) -> tuple[Normalization, SourceSummary]:
    """Statistics of one source over the training stories, one story in memory at a time.

    Parameters
    ----------
    stories: called twice; yields each training story's (time, column) raw array.
    standardize: "none", "center" (subtract the mean) or "zscore" (and divide by the standard deviation).
    kept: (column,) bool, columns without NaN in any story that will be used.
    source: name for error messages.

    Raises
    ------
    InputError: no columns are left, or values that are not finite where `kept` promises they are.
    """
    if standardize not in get_args(Standardization):
        raise ValueError(f"unknown standardization {standardize!r}")
    n_rows, shift, total, squares = 0, np.zeros(kept.size), np.zeros(kept.size), np.zeros(kept.size)
    for raw in stories():
        rows = real_array(raw, f"Source '{source}'", ("time", kept.size), None).astype(np.float64)
        rows[:, ~kept] = 0.0
        if not np.isfinite(rows).all():
            raise InputError(
                f"source '{source}' holds NaN or infinite values in columns that count as valid."
            )
        # Sums of squares about a value near the mean keep their digits.
        shift = rows.mean(axis=0) if n_rows == 0 else shift
        n_rows += len(rows)
        total = total + (rows - shift).sum(axis=0)
        squares = squares + ((rows - shift) ** 2).sum(axis=0)
    if n_rows == 0:
        raise InputError(f"source '{source}' has no training rows.")
    mean = shift + total / n_rows
    variance = np.maximum(squares / n_rows - (total / n_rows) ** 2, 0.0)
    kept = kept & (variance > 0)
    if not kept.any():
        raise InputError(f"source '{source}' has no column that varies over the training stories.")
    energy = variance + mean**2
    width = int(kept.sum())
    offset = mean[kept] if standardize != "none" else np.zeros(width)
    scale = np.sqrt(variance[kept]) if standardize == "zscore" else np.ones(width)
    unscaled = Normalization(
        kept, offset.astype(np.float32), scale.astype(np.float32), mean_norm=1.0, standardize=standardize
    )
    norm_sum = raw_norm_sum = 0.0
    for raw in stories():
        norm_sum += np.linalg.norm(unscaled.apply(raw), axis=1).sum(dtype=float)
        raw_norm_sum += np.linalg.norm(raw[:, kept].astype(np.float64), axis=1).sum()
    normalization = Normalization(
        kept, unscaled.offset, unscaled.scale, float(norm_sum / n_rows), standardize=standardize
    )
    summary = SourceSummary(
        n_rows=n_rows,
        n_excluded=int((~kept).sum()),
        mean_over_norm=float(np.linalg.norm(mean[kept]) / (raw_norm_sum / n_rows)),
        top_two_energy=float(np.sort(energy[kept])[-2:].sum() / energy[kept].sum()),
    )
    return normalization, summary


def save_normalization(
    normalization: Mapping[str, Normalization], summaries: Mapping[str, SourceSummary], path: Path
) -> None:
    """Write all sources' normalization, one group a source, as a Zarr store."""
    with new_store(path, {"sources": list(normalization)}) as store:
        for source, fitted in normalization.items():
            group = store.create_group(
                source,
                attributes={
                    "mean_norm": fitted.mean_norm,
                    "standardize": fitted.standardize,
                    **asdict(summaries[source]),
                },
            )
            add_array(group, "kept", fitted.kept, ("column",))
            add_array(group, "offset", fitted.offset, ("kept_column",))
            add_array(group, "scale", fitted.scale, ("kept_column",))


def load_normalization(path: Path) -> dict[str, Normalization]:
    """Read what `save_normalization` wrote: source -> normalization."""
    store, fitted = open_store(path), {}
    for source in read_attributes(store)["sources"]:
        attributes = read_attributes(store[source])
        fitted[source] = Normalization(
            kept=read_array(store, f"{source}/kept"),
            offset=read_array(store, f"{source}/offset"),
            scale=read_array(store, f"{source}/scale"),
            mean_norm=attributes["mean_norm"],
            standardize=attributes["standardize"],
        )
    return fitted
