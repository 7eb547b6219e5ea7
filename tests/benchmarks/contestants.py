"""One training step of a TopK model on a batch, as different libraries make it; each builds its own model."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from brainlm.crosscoder.objective import Objective, Parameters, gram_step, squared_norms, written_out_loss
from brainlm.crosscoder.selection import Selection

LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Shape:
    """Sizes of a problem."""

    n_columns: int
    n_latents: int
    k: int
    n_rows: int

    @property
    def slices(self) -> dict[str, slice]:
        """Two sources, as 2 to 1."""
        edge = 2 * self.n_columns // 3
        return {"brain": slice(0, edge), "lm": slice(edge, self.n_columns)}


def initial_decoder(shape: Shape) -> Tensor:
    """(latent, column), of norm 0.1 in each source as in the paper's runs."""
    decoder = torch.randn(shape.n_latents, shape.n_columns, generator=torch.Generator().manual_seed(1))
    return 0.14 * decoder / decoder.norm(dim=1, keepdim=True)


def ours(shape: Shape, rows: Tensor, n_dead: int = 0) -> Callable[[], None]:
    """brainlm's step, with so many latents drawn for the auxiliary loss."""
    decoder, bias = initial_decoder(shape), torch.zeros(shape.n_latents)
    decoder.grad, bias.grad = torch.zeros_like(decoder), torch.zeros_like(bias)
    adam = torch.optim.Adam([decoder, bias], lr=LEARNING_RATE, fused=True)
    parameters, gradient = Parameters(decoder.T, bias), Parameters(decoder.grad.T, bias.grad)
    dead = torch.arange(shape.n_latents) < n_dead if n_dead else None
    slices, objective = shape.slices, Objective(Selection(shape.k))
    # Known before the first step, as in training.
    energy = squared_norms(rows, slices)

    def step() -> None:
        gram_step(parameters, rows, slices, objective, dead, energy=energy, out=gradient)
        adam.step()

    return step


def dense_autograd(shape: Shape, rows: Tensor) -> Callable[[], None]:
    """The written-out loss in PyTorch, one concatenated W, the same fused Adam, no auxiliary loss."""
    weights = initial_decoder(shape).T.contiguous().requires_grad_()
    bias = torch.zeros(shape.n_latents, requires_grad=True)
    adam = torch.optim.Adam([weights, bias], lr=LEARNING_RATE, fused=True)

    def step() -> None:
        adam.zero_grad()
        preactivations = rows @ weights + bias
        kept = preactivations.topk(shape.k, dim=1)
        z = torch.zeros_like(preactivations).scatter(1, kept.indices, kept.values)
        ((z @ weights.T - rows).square().sum() / len(rows)).backward()
        adam.step()

    return step


def dense_autograd_with_auxiliary(shape: Shape, rows: Tensor, n_dead: int) -> Callable[[], None]:
    """The same with the auxiliary loss."""
    weights = initial_decoder(shape).T.contiguous().requires_grad_()
    bias = torch.zeros(shape.n_latents, requires_grad=True)
    adam = torch.optim.Adam([weights, bias], lr=LEARNING_RATE, fused=True)
    dead = torch.arange(shape.n_latents) < n_dead
    slices, objective = shape.slices, Objective(Selection(shape.k))

    def step() -> None:
        adam.zero_grad()
        written_out_loss(Parameters(weights, bias), rows, slices, objective, dead).total.backward()
        adam.step()

    return step


def dictionary_learning(shape: Shape, rows: Tensor) -> Callable[[], None]:
    """`TopKTrainer.update` of dictionary-learning, as it is."""
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(
        steps=10**6,
        activation_dim=shape.n_columns,
        dict_size=shape.n_latents,
        k=shape.k,
        layer=0,
        lm_name="none",
        lr=LEARNING_RATE,
        device="cpu",
        seed=0,
    )
    # Step 0 also computes a geometric median of the rows, once.
    return lambda: trainer.update(1, rows)


def sae_lens(shape: Shape, rows: Tensor) -> Callable[[], None]:
    """`TopKTrainingSAE.training_forward_pass` of SAELens, backward and fused Adam; no dead latents."""
    from sae_lens.saes.sae import TrainStepInput
    from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

    model = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=shape.n_columns, d_sae=shape.n_latents, k=shape.k))
    adam = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step() -> None:
        adam.zero_grad()
        output = model.training_forward_pass(
            TrainStepInput(
                sae_in=rows, coefficients={}, dead_neuron_mask=None, n_training_steps=1, is_logging_step=False
            )
        )
        output.loss.backward()
        adam.step()

    return step
