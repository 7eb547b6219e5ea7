"""The crosscoder's loss (paper, eq. 4 and 6), written out and in the fast Gram form.

Rows of X are TRs; columns are all sources side by side, source s in the columns `slices[s]`. W stacks the
sources' decoders the same way. With tied weights

    P = X W + b        Z = TopK(P)        X̂ = Z Wᵀ        E = X - X̂
    L = mean over rows of  ‖E‖² + alpha ‖E - a Wᵀ‖²

where a = relu(P) on the dead latents drawn for the batch, 0 elsewhere, and E is a constant in the second
term. Variants: P = X V + b with an encoder V of its own; and every norm above a weighted sum of the sources'
norms, Σ_s w_s ‖E_s‖².
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from brainlm.crosscoder.products import add_product, inner_products, product, transposed_product
from brainlm.crosscoder.selection import Selection, active_latents


class Parameters(NamedTuple):
    """What is learned, or its gradient."""

    weights: Tensor
    """W, (column, latent): decoder vectors as columns."""
    bias: Tensor
    """b, (latent,)."""
    encoder: Tensor | None = None
    """V, (column, latent); None: tied, V = W."""

    def map(self, change: Callable[[Tensor], Tensor]) -> "Parameters":
        """Each part changed in the same way."""
        encoder = None if self.encoder is None else change(self.encoder)
        return Parameters(change(self.weights), change(self.bias), encoder)


@dataclass(frozen=True)
class Objective:
    """What is minimised; the defaults are the paper's."""

    selection: Selection
    alpha: float = 1 / 32
    """Weight of the auxiliary loss."""
    source_weights: Mapping[str, float] = field(default_factory=dict)
    """Source -> weight of its errors; 1 for a source that is not named."""

    def weight(self, source: str) -> float:
        """Weight of a source's errors in the loss."""
        return self.source_weights.get(source, 1.0)


class Loss(NamedTuple):
    """A batch's loss; each field a sum over rows."""

    squared_error: dict[str, Tensor]
    """Source -> ‖x̂_s - x_s‖²."""
    auxiliary: Tensor
    """‖e - ê‖², sources weighted as in `total`, not yet multiplied by alpha; 0 where no latent is dead."""
    total: Tensor
    """What is minimised: squared errors plus alpha times auxiliary, divided by the number of rows."""


class Code(NamedTuple):
    """A batch seen through the dictionary, without a reconstruction."""

    preactivations: Tensor
    """P, (row, latent)."""
    active: Tensor
    """(row, latent) bool: chosen by TopK, and not cut off by a ReLU."""
    z: Tensor
    """Z, (row, latent)."""
    rows_by_weights: Tensor
    """Σ_s w_s X_s W_s, (row, latent); Q below."""
    weights_by_weights: Tensor
    """Σ_s w_s W_sᵀ W_s, (latent, latent); G below."""
    z_by_z: Tensor
    """ZᵀZ, (latent, latent)."""
    squared_error: dict[str, Tensor]
    """Source -> ‖x̂_s - x_s‖², summed over rows."""
    decoder_norms: Tensor
    """(latent,) norms ‖d‖ over all sources."""


class Step(NamedTuple):
    """What one Gram step gives the optimiser and the log."""

    loss: Loss
    gradient: Parameters
    """Of `loss.total`."""
    code: Code


def written_out_loss(
    parameters: Parameters,
    rows: Tensor,
    slices: Mapping[str, slice],
    objective: Objective,
    dead: Tensor | None = None,
) -> Loss:
    """Eq. 4 and 6 as they stand in the paper, for autograd; the reference for `gram_step`.

    Parameters
    ----------
    rows: (row, column).
    dead: (latent,) bool, the latents drawn for the auxiliary loss; None if there are none.
    """
    weights, bias, encoder = parameters
    preactivations = rows @ (weights if encoder is None else encoder) + bias
    active = active_latents(preactivations, objective.selection, weights.norm(dim=0))
    error = rows - torch.where(active, preactivations, 0) @ weights.T
    squared_error = {source: error[:, columns].square().sum() for source, columns in slices.items()}
    auxiliary = rows.new_zeros(())
    if dead is not None and dead.any():
        left_over = error.detach() - torch.where(dead, preactivations.relu(), 0) @ weights.T
        of_sources = (
            objective.weight(source) * left_over[:, columns].square().sum()
            for source, columns in slices.items()
        )
        auxiliary = sum(of_sources, start=auxiliary)
    total = (_total(squared_error, objective) + objective.alpha * auxiliary) / len(rows)
    return Loss(squared_error, auxiliary, total)


def squared_norms(rows: Tensor, slices: Mapping[str, slice]) -> Tensor:
    """‖x_s‖² of each row and source: (row, source)."""
    # Norms, unlike squares, need no copy as wide as the data.
    dtype = torch.promote_types(rows.dtype, torch.float32)
    norms = [torch.linalg.vector_norm(rows[:, columns], dim=1, dtype=dtype) for columns in slices.values()]
    return torch.stack(norms, dim=1).square()


def encode_batch(
    parameters: Parameters,
    rows: Tensor,
    slices: Mapping[str, slice],
    objective: Objective,
    energy: Tensor | None = None,
) -> Code:
    """Codes and squared errors without forming a reconstruction or a residual.

        ‖E_s‖² = ‖X_s‖² - 2 ⟨Z, X_s W_s⟩ + ⟨ZᵀZ, W_sᵀW_s⟩

    The difference is exact to the working precision relative to ‖X_s‖². Parameters as `gram_step`.
    """
    weights, bias, encoder = parameters
    rows_by_weights = {s: product(rows[:, columns], weights[columns]) for s, columns in slices.items()}
    weights_by_weights = {s: inner_products(weights[columns]) for s, columns in slices.items()}
    preactivations = (_total(rows_by_weights) if encoder is None else product(rows, encoder)) + bias
    decoder_norms = _total(weights_by_weights).diagonal().sqrt()
    active = active_latents(preactivations, objective.selection, decoder_norms)
    z = torch.where(active, preactivations, 0)
    z_by_z = inner_products(z)
    energy = (squared_norms(rows, slices) if energy is None else energy).sum(dim=0)
    squared_error = {}
    for source, of_source in zip(slices, energy, strict=True):
        cross = (z * rows_by_weights[source]).sum()
        squared_error[source] = of_source - 2 * cross + (z_by_z * weights_by_weights[source]).sum()
    return Code(
        preactivations=preactivations,
        active=active,
        z=z,
        rows_by_weights=_total(rows_by_weights, objective),
        weights_by_weights=_total(weights_by_weights, objective),
        z_by_z=z_by_z,
        squared_error=squared_error,
        decoder_norms=decoder_norms,
    )


def gram_step(
    parameters: Parameters,
    rows: Tensor,
    slices: Mapping[str, slice],
    objective: Objective,
    dead: Tensor | None = None,
    *,
    energy: Tensor | None = None,
    out: Parameters | None = None,
) -> Step:
    """The written-out loss and its exact gradient without forming a reconstruction or a residual.

    With Q = X W, G = WᵀW and R = Q - Z G (the residual seen through the decoder, E W):

        ‖E - a Wᵀ‖² = ‖E‖² - 2 ⟨a, R⟩ + ⟨a, a G⟩
        dP = -2 R on the top k,  plus  2 alpha (a G - R) where a > 0
        dW = Xᵀ (dP - 2 Z - 2 alpha a) + W (2 ZᵀZ + alpha (2 Zᵀa + 2 aᵀa)),   db = column sums of dP

    which takes 2 + 2 n/B products of the size of X W (for B rows and n latents; one of the two is with a sparse
    matrix, half of the others are symmetric) where autograd takes 5. dP reaches the encoder, all else the decoder;
    with tied weights they are one.

    Parameters
    ----------
    rows: (row, column), in the precision that products are made in; parameters are rounded to it.
    dead: as `written_out_loss`.
    energy: `squared_norms` of the rows, which do not change while a model is trained; computed if None.
    out: written to and returned as the gradient; new tensors if None. Memory this large is expensive to get.
    """
    n_rows, alpha = len(rows), objective.alpha
    master, bias, encoder = parameters
    gradient = out or parameters.map(torch.empty_like)
    weights = master.to(rows.dtype)
    encoder = None if encoder is None else encoder.to(rows.dtype)
    code = encode_batch(Parameters(weights, bias, encoder), rows, slices, objective, energy)
    z, gram = code.z, code.weights_by_weights
    residual = torch.addmm(code.rows_by_weights, z, gram, alpha=-1)

    # Half of what the equations say, summed over rows; `scale` makes up for both.
    encoder_side = torch.where(code.active, residual, 0).neg_()
    decoder_side = -z
    mixture = code.z_by_z
    error = _total(code.squared_error, objective)
    auxiliary = torch.zeros_like(error)
    if dead is not None:
        a = torch.where(dead, code.preactivations.relu(), 0)
        a_gram = a @ gram
        auxiliary = (error - 2 * (a * residual).sum() + (a * a_gram).sum()) * dead.any()
        encoder_side += torch.where(a > 0, alpha * (a_gram - residual), 0)
        decoder_side -= alpha * a
        # The detached residual still contains Z: aᵀE needs Zᵀa, but not aᵀZ.
        mixture = mixture + alpha * (z.T @ a + inner_products(a))

    scale = 2 / n_rows
    gradient.bias.copy_(scale * encoder_side.sum(dim=0))
    if gradient.encoder is not None:
        transposed_product(rows, scale * encoder_side, out=gradient.encoder)
    for columns, weight in _columns_of_equal_weight(slices, objective):
        of_decoder, here = gradient.weights[columns], scale * weight
        # With tied weights one product takes both sides.
        of_rows = here * decoder_side if encoder is not None else here * decoder_side + scale * encoder_side
        transposed_product(rows[:, columns], of_rows, out=of_decoder)
        add_product(weights[columns], here * mixture, out=of_decoder)
    return Step(Loss(code.squared_error, auxiliary, (error + alpha * auxiliary) / n_rows), gradient, code)


def _total(of_source: Mapping[str, Tensor], objective: Objective | None = None) -> Tensor:
    weight = objective.weight if objective else lambda source: 1.0
    return reduce(add, (v if weight(s) == 1 else weight(s) * v for s, v in of_source.items()))


def _columns_of_equal_weight(
    slices: Mapping[str, slice], objective: Objective
) -> Iterator[tuple[slice, float]]:
    # Usually all columns at once.
    if len({objective.weight(source) for source in slices}) == 1:
        yield slice(None), objective.weight(next(iter(slices)))
    else:
        yield from ((columns, objective.weight(source)) for source, columns in slices.items())
