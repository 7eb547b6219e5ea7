"""The Brain-LM crosscoder (paper, section 3.2): one sparse code for several sources, with tied weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from brainlm.arrays import real_tensor, require_finite
from brainlm.crosscoder.model_file import read_model_file, write_model_file
from brainlm.crosscoder.selection import Selection, active_latents
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization


@dataclass(frozen=True)
class Crosscoder:
    """A trained crosscoder with all it needs to be used on raw data."""

    weights: Mapping[str, Tensor]
    """Source name -> (width, latent) float32: column i is latent i's decoder vector d_i."""
    bias: Tensor
    """(latent,) float32, of the encoder."""
    k: int
    """Latents active in a row."""
    normalization: Mapping[str, Normalization]
    """Source name -> how raw rows are normalized."""
    relu: bool = False
    """Whether TopK is followed by a ReLU."""
    encoder: Mapping[str, Tensor] | None = None
    """Source name -> (width, latent) float32; None: tied, the weights encode as well."""
    select_by: str = "value"
    """What latents compete by, see `Selection.by`."""
    threshold: float | None = None
    """Of a model trained with BatchTopK: all latents above it are active, k on average."""
    alive: NDArray[np.bool_] | None = None
    """(latent,) bool: in some training row's top k during the last epoch."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Settings it was trained with, for the record."""

    @property
    def n_latents(self) -> int:
        """Number of latents."""
        return self.bias.numel()

    @property
    def widths(self) -> dict[str, int]:
        """Columns of each source's raw rows: voxels, hidden dimensions."""
        return {source: self.normalization[source].raw_width for source in self.weights}

    def project(self, source: str, rows: np.ndarray | Tensor) -> Tensor:
        """One source's part of the pre-activations, W_sᵀ x_s (V_sᵀ x_s if not tied), without the bias.

        Parameters
        ----------
        rows: (time, width) normalized rows.

        Returns
        -------
        (time, latent) float32.
        """
        weights = (self.encoder or self.weights)[source]
        return real_tensor(rows, f"Normalized rows of '{source}'", ("time", len(weights))) @ weights

    def preactivations(self, rows: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """What TopK chooses from, on normalized rows, source name -> (time, width): (time, latent) float32."""
        return sum(self.project(source, values) for source, values in rows.items()) + self.bias

    def active(self, preactivations: Tensor) -> Tensor:
        """Which latents TopK keeps of (time, latent) pre-activations: (time, latent) bool.

        Raises
        ------
        InputError: rows that are not finite, because none of their latents is above another.
        """
        require_finite(preactivations, "The input")
        selection = Selection(self.k, self.relu, self.select_by, threshold=self.threshold)
        norms = None
        if self.select_by == "contribution":
            norms = torch.stack([weights.norm(dim=0) for weights in self.weights.values()]).norm(dim=0)
        return active_latents(preactivations, selection, norms)

    def encode_rows(self, rows: Mapping[str, np.ndarray | Tensor]) -> Tensor:
        """Eq. 1 on normalized rows, source name -> (time, width): (time, latent) float32.

        A row with a value that is not finite, in any source, is NaN throughout.
        """
        preactivations = self.preactivations(rows)
        # One such value reaches the pre-activations of all latents.
        missing = ~preactivations.isfinite().all(dim=1)
        preactivations[missing] = 0
        z = torch.where(self.active(preactivations), preactivations, 0)
        z[missing] = torch.nan
        return z

    def active_rows(
        self, rows: Mapping[str, np.ndarray | Tensor]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """The code of normalized rows in sparse form, for storing.

        Returns
        -------
        (time, active) float32 values of active latents in falling order, then zeros, and (time, active) int32 indices
        of their latents; as many columns as any row has active latents (k, usually).

        Raises
        ------
        InputError: rows with values that are not finite, which have no active latents.
        """
        preactivations = self.preactivations(rows)
        active = self.active(preactivations)
        n_columns = max([1, *active.sum(dim=1).tolist()])
        kept = torch.where(active, preactivations, -torch.inf).topk(n_columns, dim=1)
        values = torch.where(kept.values.isinf(), 0, kept.values)
        return values.numpy(), kept.indices.numpy().astype(np.int32)

    def decode_rows(self, source: str, z: Tensor) -> Tensor:
        """Eq. 2 and 3, in normalized units: (time, latent) to (time, width)."""
        return z @ self.weights[source].T

    def normalize(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
        """Raw inputs, source name -> (time, column), to normalized rows, source name -> (time, width) float32.

        Raises
        ------
        InputError: no input, an unknown source, anything but real numbers, or arrays whose shapes do not fit the
            model or each other.
        """
        if not isinstance(inputs, Mapping):
            raise InputError(
                f"A crosscoder takes a mapping, source name -> array; got {type(inputs).__name__}: name the source, "
                f"one of {', '.join(self.weights)}."
            )
        unknown = set(inputs) - set(self.weights)
        if unknown or not inputs:
            given = ", ".join(map(str, inputs)) or "none"
            raise InputError(f"This crosscoder encodes the sources {', '.join(self.weights)}; got {given}.")
        rows = {
            source: self.normalization[source].apply(values, f"Source '{source}'")
            for source, values in inputs.items()
        }
        if len({len(values) for values in rows.values()}) > 1:
            counts = ", ".join(f"{source} {len(values)}" for source, values in rows.items())
            raise InputError(f"All sources must have the same number of rows (TRs); got {counts}.")
        return rows

    def encode(self, inputs: Mapping[str, Any]) -> NDArray[np.float32]:
        """Latents of raw data.

        A source that is left out contributes nothing: the bias is kept and nothing is rescaled, so that
        ``encode({"lm": y})`` predicts from the language model alone.

        Parameters
        ----------
        inputs: source name -> (time, column) raw array: of NumPy, pandas, xarray, Zarr or PyTorch, or nested lists.

        Returns
        -------
        (time, latent) float32; at most k non-zero values a row, unless trained with BatchTopK. A row with a value
        that is not finite in a column that the model uses (a censored volume, say) is NaN throughout.

        Raises
        ------
        InputError: as `normalize`.
        """
        return self.encode_rows(self.normalize(inputs)).numpy()

    def decode(self, z: Any) -> dict[str, NDArray[np.float32]]:
        """Reconstructions in raw units, source name -> (time, column) float32.

        NaN in excluded columns, and in rows of the code z, (time, latent), with a value that is not finite.

        Raises
        ------
        InputError: z is no array of real numbers of that shape.
        """
        z = real_tensor(z, "The code z", ("time", self.n_latents))
        missing = ~z.isfinite().all(dim=1).numpy()
        decoded = {}
        for source in self.weights:
            decoded[source] = self.normalization[source].invert(self.decode_rows(source, z).numpy())
            decoded[source][missing] = np.nan
        return decoded

    def decoder_norms(self) -> dict[str, NDArray[np.float32]]:
        """Source name -> (latent,) float32: norms ‖d_i‖ of the decoder vectors, in normalized units."""
        return {source: weights.norm(dim=0).numpy() for source, weights in self.weights.items()}

    def save(self, path: str | Path) -> None:
        """Write weights, normalization and settings to one safetensors file, in one piece or not at all.

        Parent folders are made.
        """
        tensors = {"bias": self.bias}
        for source, weights in self.weights.items():
            normalization = self.normalization[source]
            tensors[f"weights.{source}"] = weights
            if self.encoder is not None:
                tensors[f"encoder.{source}"] = self.encoder[source]
            tensors[f"kept.{source}"] = torch.from_numpy(normalization.kept)
            tensors[f"offset.{source}"] = torch.from_numpy(normalization.offset)
            tensors[f"scale.{source}"] = torch.from_numpy(normalization.scale)
        if self.alive is not None:
            tensors["alive"] = torch.from_numpy(self.alive)
        header = {
            "sources": list(self.weights),
            "k": self.k,
            "relu": self.relu,
            "select_by": self.select_by,
            "threshold": self.threshold,
            "mean_norm": {source: self.normalization[source].mean_norm for source in self.weights},
            "standardize": {source: self.normalization[source].standardize for source in self.weights},
            "provenance": dict(self.provenance),
        }
        write_model_file(Path(path), header, tensors)

    @classmethod
    def load(cls, path: str | Path) -> "Crosscoder":
        """Read what `save` wrote.

        Raises
        ------
        InputError: no such file, or not a crosscoder written by this library.
        """
        header, tensors = read_model_file(Path(path))
        try:
            model = cls._from_file(header, tensors)
        except KeyError as error:
            raise InputError(
                f"{path} lacks {error}, so that it is no whole crosscoder: copy it again."
            ) from None
        for source, weights in model.weights.items():
            if tuple(weights.shape) != (model.normalization[source].width, model.n_latents):
                raise InputError(
                    f"{path}: the weights of '{source}' are {tuple(weights.shape)}, but "
                    f"{(model.normalization[source].width, model.n_latents)} is needed: copy the file again."
                )
        return model

    @classmethod
    def from_pretrained(cls, source: str | Path, revision: str | None = None) -> "Crosscoder":
        """Read a crosscoder that was shared: a folder, or a repository on the Hugging Face hub.

        Parameters
        ----------
        source: a folder with model.safetensors and config.json, or a hub name, "organisation/model".
        revision: of a repository: a branch, tag or commit.

        Raises
        ------
        InputError: as `brainlm.crosscoder.sharing.load_pretrained`.
        """
        # It builds on this class.
        from brainlm.crosscoder.sharing import load_pretrained

        return load_pretrained(source, revision)

    @classmethod
    def _from_file(cls, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Crosscoder":
        normalization = {
            source: Normalization(
                kept=tensors[f"kept.{source}"].numpy(),
                offset=tensors[f"offset.{source}"].numpy(),
                scale=tensors[f"scale.{source}"].numpy(),
                mean_norm=header["mean_norm"][source],
                standardize=header["standardize"][source],
            )
            for source in header["sources"]
        }
        return cls(
            weights={source: tensors[f"weights.{source}"] for source in header["sources"]},
            bias=tensors["bias"],
            k=header["k"],
            normalization=normalization,
            relu=header["relu"],
            encoder={source: tensors[f"encoder.{source}"] for source in header["sources"]}
            if any(name.startswith("encoder.") for name in tensors)
            else None,
            select_by=header["select_by"],
            threshold=header["threshold"],
            alive=tensors["alive"].numpy() if "alive" in tensors else None,
            provenance=header["provenance"],
        )
