"""Which latents are active in a row: TopK (paper, eq. 1) and its variants."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Selection:
    """How active latents are chosen; the defaults are the paper's."""

    k: int
    """Latents active in a row; with `over` "batch" on average over a batch's rows."""
    relu: bool = False
    """Also cut off negative values, as Gao et al. (2025) do; eq. 1 keeps them."""
    by: str = "value"
    """"value" ranks latents by z; "contribution" by z ‖d‖, the size of what a latent adds to x̂."""
    over: str = "row"
    """"row" keeps k of each row; "batch" k x rows of a whole batch (BatchTopK, Bussmann et al. 2024)."""
    threshold: float | None = None
    """Of a trained BatchTopK: all latents ranked above it are active, so that rows do not depend on each other."""


def ranks(preactivations: Tensor, selection: Selection, decoder_norms: Tensor | None) -> Tensor:
    """What latents compete by: (row, latent).

    Parameters
    ----------
    preactivations: (row, latent).
    decoder_norms: (latent,) norms of whole decoder vectors, all sources together; needed for contributions alone.
    """
    if selection.by != "contribution":
        return preactivations
    if decoder_norms is None:
        raise ValueError("contributions need the decoder vectors' norms")
    return preactivations * decoder_norms


def active_latents(preactivations: Tensor, selection: Selection, decoder_norms: Tensor | None) -> Tensor:
    """Which latents are kept, by signed value and not by magnitude: (row, latent) bool.

    Parameters as `ranks`. What a ReLU cuts off is not active.
    """
    ranked = ranks(preactivations, selection, decoder_norms)
    if selection.threshold is not None:
        active = ranked > selection.threshold
    else:
        competitors, n_kept = ranked, selection.k
        if selection.over == "batch":
            competitors, n_kept = ranked.reshape(1, -1), selection.k * len(ranked)
        kept = competitors.topk(n_kept, dim=1, sorted=False).indices
        active = torch.zeros_like(competitors, dtype=torch.bool).scatter_(1, kept, True).view_as(ranked)
    return active & (preactivations > 0) if selection.relu else active
