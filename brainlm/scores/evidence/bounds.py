"""From where on a number tells; apart from what computes with it, so that a config can be read without it."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True)
class VerdictBounds:
    """Bounds of the verdict of a latent: settings of a table, printed with it, not laws."""

    nuisance_loss: Annotated[float, Gt(0), Lt(1)] = 0.4
    """Share of plain agreement that nuisances explain; above it a shared latent is mostly nuisance."""
    one_sided: Annotated[float, Gt(0), Lt(1)] = 0.8
    """Relative difference of the contributions to brain and LM; beyond it, either way, a shared latent is mostly the
    LM's or mostly the brain's."""
    reliability: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Share of what the brain alone says that the story drives; up to it, however significant, a latent counts as
    spontaneous: a little of its neighbours is in every latent."""
    slice_share: Annotated[float, Gt(0), Lt(1)] = 0.5
    """Share of the decoder map's variance between slices; above it a map may be stripes."""
    slice_jumps: Annotated[float, Gt(0)] = 0.5
    """Jumps of the decoder map from slice to slice; above it slices know little of their neighbours."""
