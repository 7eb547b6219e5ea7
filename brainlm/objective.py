"""The crosscoder's loss (paper, eq. 4 and 6), written out and in the fast Gram form.

Rows of X are TRs; columns are all sources side by side, source s in the columns `slices[s]`. W stacks the
sources' decoders the same way. With tied weights

    P = X W + b        Z = TopK(P)        X̂ = Z Wᵀ        E = X - X̂
    L = mean over rows of  ‖E‖² + alpha ‖E - a W_Aᵀ‖²

where a = relu(P) on the few dead latents A drawn for the batch, and E is a constant in the second term.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from brainlm.crosscoder import keep_top_k, top_k


class Loss(NamedTuple):
    """A batch's loss; each field a sum over rows."""

    squared_error: dict[str, Tensor]
    """Source -> ‖x̂_s - x_s‖²."""
    auxiliary: Tensor
    """‖e - ê‖² over all sources, not yet multiplied by alpha; 0 where no latent is dead."""
    total: Tensor
    """What is minimised: squared errors plus alpha times auxiliary, divided by the number of rows."""


class Step(NamedTuple):
    """What one Gram step gives the optimiser and the log."""

    loss: Loss
    weight_gradient: Tensor
    """(column, latent) gradient of `loss.total`."""
    bias_gradient: Tensor
    """(latent,)."""
    active: Tensor
    """(row, latent) bool: in the row's top k, and not cut off by a ReLU."""
    negative_share: Tensor
    """Share of kept values that are negative."""


def written_out_loss(
    weights: Tensor,
    bias: Tensor,
    rows: Tensor,
    slices: Mapping[str, slice],
    *,
    k: int,
    alpha: float,
    dead: Tensor,
    relu: bool = False,
) -> Loss:
    """Eq. 4 and 6 as they stand in the paper, for autograd; the reference for `gram_step`.

    Parameters
    ----------
    weights: (column, latent). bias: (latent,). rows: (row, column).
    dead: (dead,) indices of the latents chosen for the auxiliary loss, possibly none.
    """
    preactivations = rows @ weights + bias
    reconstruction = top_k(preactivations, k, relu=relu) @ weights.T
    error = rows - reconstruction
    squared_error = {source: error[:, columns].square().sum() for source, columns in slices.items()}
    auxiliary = rows.new_zeros(())
    if dead.numel():
        error_estimate = preactivations[:, dead].relu() @ weights[:, dead].T
        auxiliary = (error.detach() - error_estimate).square().sum()
    total = (sum(squared_error.values()) + alpha * auxiliary) / len(rows)
    return Loss(squared_error, auxiliary, total)


def gram_step(
    weights: Tensor,
    bias: Tensor,
    rows: Tensor,
    slices: Mapping[str, slice],
    *,
    k: int,
    alpha: float,
    dead: Tensor,
    relu: bool = False,
) -> Step:
    """The same loss and its exact gradient without forming a reconstruction or a residual.

    With Q = X W, G = WᵀW and R = Q - Z G (the residual seen through the decoder, E W):

        ‖E‖²          = ‖X‖² - 2 ⟨Z, Q⟩ + ⟨Z, Z G⟩
        ‖E - a W_Aᵀ‖² = ‖E‖² - 2 ⟨a, R⟩ + ⟨a, a G⟩
        dP = -2 R on the top k,  plus  2 alpha (a G - R) where a > 0
        dW = Xᵀ (dP - 2 Z - 2 alpha a) + W (2 ZᵀZ + alpha (2 Zᵀa + 2 aᵀa)),   db = column sums of dP

    which takes three products with the wide matrices instead of five. Parameters as `written_out_loss`.
    """
    n_rows = len(rows)
    code_of_source = {source: rows[:, columns] @ weights[columns] for source, columns in slices.items()}
    gram_of_source = {source: weights[columns].T @ weights[columns] for source, columns in slices.items()}
    code, gram = sum(code_of_source.values()), sum(gram_of_source.values())
    preactivations = code + bias
    kept = keep_top_k(preactivations, k, relu=relu)
    z = torch.zeros_like(preactivations).scatter_(1, kept.latents, kept.values)
    # What a ReLU has cut off is neither active nor passes a gradient.
    kept_is_active = kept.values > 0 if relu else torch.ones_like(kept.values, dtype=torch.bool)
    active = torch.zeros_like(preactivations, dtype=torch.bool).scatter_(1, kept.latents, kept_is_active)

    squared_error = {}
    for source, columns in slices.items():
        cross, quadratic = (z * code_of_source[source]).sum(), (z * (z @ gram_of_source[source])).sum()
        # Norms, unlike squares, need no copy as wide as the data; row by row they keep their digits.
        energy = torch.linalg.vector_norm(rows[:, columns], dim=1).square().sum()
        squared_error[source] = energy - 2 * cross + quadratic

    residual = code - z @ gram
    code_gradient = torch.where(active, -2 * residual, 0)
    encoder_side = code_gradient - 2 * z
    decoder_side = 2 * z.T @ z
    auxiliary = rows.new_zeros(())
    if dead.numel():
        a = torch.zeros_like(z)
        a[:, dead] = preactivations[:, dead].relu()
        a_gram = a @ gram
        auxiliary = sum(squared_error.values()) - 2 * (a * residual).sum() + (a * a_gram).sum()
        auxiliary_gradient = torch.where(a > 0, 2 * alpha * (a_gram - residual), 0)
        code_gradient = code_gradient + auxiliary_gradient
        encoder_side = encoder_side + auxiliary_gradient - 2 * alpha * a
        # The detached residual still contains Z: aᵀE needs Zᵀa, but not aᵀZ.
        decoder_side = decoder_side + 2 * alpha * (z.T @ a + a.T @ a)

    weight_gradient = rows.T @ encoder_side + weights @ decoder_side
    total = (sum(squared_error.values()) + alpha * auxiliary) / n_rows
    return Step(
        loss=Loss(squared_error, auxiliary, total),
        weight_gradient=weight_gradient / n_rows,
        bias_gradient=code_gradient.sum(dim=0) / n_rows,
        active=active,
        negative_share=(kept.values < 0).float().mean(),
    )
