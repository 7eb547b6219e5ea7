"""The choices a training run is made of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import torch

from brainlm.crosscoder.objective import Objective
from brainlm.crosscoder.selection import Selection
from brainlm.errors import InputError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
CHOICES = {
    "precision": tuple(PRECISIONS),
    "select_by": ("value", "contribution"),
    "top_k_over": ("row", "batch"),
}


@dataclass(frozen=True)
class TrainingSettings:
    """The paper's values are the defaults."""

    n_latents: int = 1024
    """Latents in the dictionary."""
    k: int = 64
    """Latents active in a row."""
    k_aux: int = 512
    """At most so many dead latents are drawn for a batch's auxiliary loss."""
    alpha: float = 1 / 32
    """Weight of the auxiliary loss."""
    epochs: int = 300
    """Passes over the training rows."""
    batch_size: int = 2048
    """Rows a step; the last batch of an epoch may be smaller."""
    learning_rate: float = 1e-4
    """Of Adam."""
    init_norm: float = 0.1
    """Norm of each source's part of a latent at the start."""
    relu: bool = False
    """ReLU after TopK."""
    tied: bool = True
    """One matrix for encoder and decoder; if not, the encoder starts as the decoder and learns by itself."""
    select_by: str = "value"
    """What latents compete by in TopK: "value" or "contribution"; see `Selection.by`."""
    top_k_over: str = "row"
    """"row", or "batch" for BatchTopK; see `Selection.over`."""
    source_weights: Mapping[str, float] = field(default_factory=dict)
    """Source -> weight of its errors in the loss; 1 for a source that is not named."""
    precision: str = "float32"
    """Of the rows and of products with them: float32; bfloat16, summed in float32, for a GPU; or float64."""

    @property
    def row_dtype(self) -> torch.dtype:
        """Of the rows, and of what they are multiplied with."""
        return PRECISIONS[self.precision]

    @property
    def parameter_dtype(self) -> torch.dtype:
        """Of weights, gradients and Adam's moments."""
        return torch.promote_types(self.row_dtype, torch.float32)

    def objective(self, threshold: float | None = None) -> Objective:
        """What is minimised; with a BatchTopK's threshold, how held-out rows are coded."""
        selection = Selection(self.k, self.relu, self.select_by, self.top_k_over, threshold)
        return Objective(selection, self.alpha, self.source_weights)


def require_consistent(settings: TrainingSettings, sources: Collection[str]) -> None:
    """Check settings before a run begins.

    Raises
    ------
    InputError: k or a batch size that do not fit, an unknown choice, or a weight for a source that is not there.
    """
    for name, known in CHOICES.items():
        if getattr(settings, name) not in known:
            raise InputError(f"{name} must be one of {', '.join(known)}, not {getattr(settings, name)!r}.")
    if settings.k > settings.n_latents:
        raise InputError(f"k ({settings.k}) is larger than n_latents ({settings.n_latents}).")
    if min(settings.k, settings.batch_size, settings.epochs) < 1:
        raise InputError(
            f"k ({settings.k}), batch_size ({settings.batch_size}) and epochs ({settings.epochs}) must be at least 1."
        )
    for source, weight in settings.source_weights.items():
        if weight < 0:
            raise InputError(f"The weight of source '{source}' is negative ({weight}).")
        if source not in sources:
            raise InputError(f"source_weights names '{source}'; the sources are {', '.join(sources)}.")
