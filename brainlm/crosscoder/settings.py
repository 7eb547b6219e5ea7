"""The choices a training run is made of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt

from brainlm.errors import InputError

if TYPE_CHECKING:
    import torch

    from brainlm.crosscoder.objective import Objective


@dataclass(frozen=True)
class TrainingSettings:
    """The paper's values are the defaults."""

    n_latents: Annotated[int, Ge(1)] = 1024
    """Latents in the dictionary: at most a twentieth of the training rows (TRs of all training stories; the paper has
    19 rows a latent), or it learns them by heart. On 12 minutes of fMRI the brain's correlation with its prediction
    from the language model was 0.18 with 7 rows a latent and 0.39 with 47 (ridge regression: 0.32). Below 14 the
    training warns. With few rows take batches of at most a tenth of them, and epochs for some 3,000 steps (`epochs` ×
    rows / `batch_size`), the paper's number; the table `shares` says if the variance explained in validation falls
    below 0."""
    k: Annotated[int, Ge(1)] = 64
    """Latents active in a row."""
    k_aux: Annotated[int, Ge(0)] = 512
    """Dead latents drawn for a batch's auxiliary loss, at most."""
    alpha: Annotated[float, Ge(0)] = 1 / 32
    """Weight of the auxiliary loss."""
    epochs: Annotated[int, Ge(1)] = 300
    """Passes over the training rows."""
    batch_size: Annotated[int, Ge(1)] = 2048
    """Rows (TRs) a step; the last batch of an epoch may be smaller."""
    learning_rate: Annotated[float, Gt(0)] = 1e-4
    """Of Adam."""
    init_norm: Annotated[float, Gt(0)] = 0.1
    """Norm of each source's part of a latent at the start."""
    relu: bool = False
    """Set negative kept values to 0 after TopK, as Gao et al. (2025) do."""
    tied: bool = True
    """One matrix encodes and decodes; `false`: an encoder of its own, which starts as the decoder and learns by
    itself."""
    select_by: Literal["value", "contribution"] = "value"
    """What latents compete by in TopK: `value`, or `contribution`, the value times the norm of the whole decoder
    vector."""
    top_k_over: Literal["row", "batch"] = "row"
    """`row`: k latents of each row; `batch`: BatchTopK (Bussmann et al. 2024), k times as many of a batch as it has
    rows. Afterwards latents above the last epoch's mean threshold are active, k a row on average."""
    source_weights: Mapping[str, float] = field(default_factory=dict)
    """Source -> weight of its squared errors in the loss; 1 for a source that is not named."""
    precision: Literal["float32", "bfloat16", "float64"] = "float32"
    """Of rows and of products with them. `bfloat16`, summed in float32, is for a GPU; in a test the median change of
    r is below 0.05, but single latents end elsewhere. `float64` is for checks: float32 moved no r by 0.0001."""

    # PyTorch is slow to import, and who reads settings does not compute with them.

    @property
    def row_dtype(self) -> "torch.dtype":
        """Of the rows, and of what they are multiplied with."""
        import torch

        return getattr(torch, self.precision)

    @property
    def parameter_dtype(self) -> "torch.dtype":
        """Of weights, gradients and Adam's moments."""
        import torch

        return torch.promote_types(self.row_dtype, torch.float32)

    def objective(self, threshold: float | None = None) -> "Objective":
        """What is minimised; with a BatchTopK's threshold, how held-out rows are coded."""
        from brainlm.crosscoder.objective import Objective
        from brainlm.crosscoder.selection import Selection

        selection = Selection(self.k, self.relu, self.select_by, self.top_k_over, threshold)
        return Objective(selection, self.alpha, self.source_weights)


def require_consistent(settings: TrainingSettings, sources: Collection[str]) -> None:
    """Check settings before a run begins.

    Raises
    ------
    InputError: an unknown choice, a number below its minimum, more latents active than there are, or a weight for a
        source that is not there.
    """
    for name, hint in get_type_hints(TrainingSettings, include_extras=True).items():
        value = getattr(settings, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            raise InputError(f"{name} must be one of {', '.join(get_args(hint))}, not {value!r}.")
        for rule in get_args(hint):
            if isinstance(rule, Ge) and value < rule.ge:
                raise InputError(f"{name} must be at least {rule.ge}, not {value!r}.")
    if settings.k > settings.n_latents:
        raise InputError(f"k ({settings.k}) is larger than n_latents ({settings.n_latents}).")
    for source, weight in settings.source_weights.items():
        if weight < 0:
            raise InputError(f"The weight of source '{source}' is negative ({weight}).")
        if source not in sources:
            raise InputError(f"source_weights names '{source}'; the sources are {', '.join(sources)}.")
