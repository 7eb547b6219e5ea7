from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.objective import gram_step, written_out_loss

EXAMPLES = settings(max_examples=80, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Problem:
    """A dictionary, a batch and how to code it."""

    weights: np.ndarray
    bias: np.ndarray
    rows: np.ndarray
    slices: dict[str, slice]
    k: int
    alpha: float
    dead: list[int]
    relu: bool = False

    def arguments(self, dtype=torch.float64):
        arrays = (torch.tensor(array, dtype=dtype) for array in (self.weights, self.bias, self.rows))
        dead = torch.tensor(self.dead, dtype=torch.long)
        return (*arrays, self.slices), {"k": self.k, "alpha": self.alpha, "dead": dead, "relu": self.relu}


def problem(n_rows=6, widths=(4, 3), n_latents=9, k=3, alpha=0.3, dead=(), relu=False, seed=0) -> Problem:
    random = np.random.default_rng(seed)
    edges = np.cumsum([0, *widths])
    slices = {
        f"source{i}": slice(int(a), int(b)) for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False))
    }
    return Problem(
        weights=random.standard_normal((edges[-1], n_latents)),
        bias=random.standard_normal(n_latents) / 2,
        rows=random.standard_normal((n_rows, edges[-1])),
        slices=slices,
        k=k,
        alpha=alpha,
        dead=list(dead),
        relu=relu,
    )


@st.composite
def problems(draw) -> Problem:
    n_latents = draw(st.integers(1, 10))
    # Any latents may be drawn as dead, also those in some row's top k: an epoch ago they were not.
    dead = draw(st.lists(st.integers(0, n_latents - 1), unique=True, max_size=n_latents))
    return problem(
        n_rows=draw(st.integers(1, 6)),
        widths=draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)),
        n_latents=n_latents,
        k=draw(st.integers(1, n_latents)),
        alpha=draw(st.sampled_from([0.0, 1 / 32, 0.7, 2.0])),
        dead=dead,
        relu=draw(st.booleans()),
        seed=draw(st.integers(0, 9999)),
    )


def errors_of_row(p: Problem, t: int) -> tuple[list[float], list[float], list[int]]:
    """x - x̂ of one row, its pre-activations and its top k, in plain loops."""
    n_columns, n_latents = p.weights.shape
    pre = [
        p.bias[i] + sum(p.weights[d, i] * p.rows[t, d] for d in range(n_columns)) for i in range(n_latents)
    ]
    top = sorted(range(n_latents), key=lambda i: pre[i], reverse=True)[: p.k]
    z = {i: max(pre[i], 0.0) if p.relu else pre[i] for i in top}
    error = [p.rows[t, d] - sum(z[i] * p.weights[d, i] for i in top) for d in range(n_columns)]
    return error, pre, top


def slow_loss(p: Problem, frozen: list[list[float]] | None = None):
    """Squared errors by source, auxiliary error and total; `frozen` are detached residuals to use instead."""
    squared, auxiliary = dict.fromkeys(p.slices, 0.0), 0.0
    for t in range(len(p.rows)):
        error, pre, _ = errors_of_row(p, t)
        for source, columns in p.slices.items():
            squared[source] += sum(error[d] ** 2 for d in range(columns.start, columns.stop))
        if p.dead:
            target = frozen[t] if frozen else error
            for d in range(len(error)):
                estimate = sum(max(pre[i], 0.0) * p.weights[d, i] for i in p.dead)
                auxiliary += (target[d] - estimate) ** 2
    return squared, auxiliary, (sum(squared.values()) + p.alpha * auxiliary) / len(p.rows)


def autograd(p: Problem):
    (weights, bias, rows, slices), options = p.arguments()
    weights.requires_grad_(), bias.requires_grad_()
    loss = written_out_loss(weights, bias, rows, slices, **options)
    return loss, *torch.autograd.grad(loss.total, (weights, bias))


def gram(p: Problem):
    arguments, options = p.arguments()
    return gram_step(*arguments, **options)


def relative_error(value, reference) -> float:
    value, reference = np.asarray(value, float), np.asarray(reference, float)
    # A gradient that is 0 (nothing passes the ReLU) must be met to rounding.
    return np.linalg.norm(value - reference) / max(np.linalg.norm(reference), 1e-4)


def assert_gram_step_is_exact(p: Problem) -> None:
    loss, weight_gradient, bias_gradient = autograd(p)
    step = gram(p)
    assert relative_error(step.weight_gradient, weight_gradient) <= 1e-10
    assert relative_error(step.bias_gradient, bias_gradient) <= 1e-10
    assert relative_error(step.loss.total, loss.total.detach()) <= 1e-10
    assert relative_error(step.loss.auxiliary, loss.auxiliary.detach()) <= 1e-10
    for source, error in loss.squared_error.items():
        assert relative_error(step.loss.squared_error[source], error.detach()) <= 1e-10


@EXAMPLES
@given(problems())
def test_the_written_out_loss_is_the_papers(p):
    squared, auxiliary, total = slow_loss(p)
    arguments, options = p.arguments()
    loss = written_out_loss(*arguments, **options)
    assert list(loss.squared_error) == list(squared)
    for source, error in squared.items():
        assert relative_error(loss.squared_error[source], error) <= 1e-10
    assert relative_error(loss.auxiliary, auxiliary) <= 1e-10
    assert relative_error(loss.total, total) <= 1e-10


@EXAMPLES
@given(problems())
def test_a_gram_step_has_the_loss_and_gradient_of_the_written_out_form(p):
    assert_gram_step_is_exact(p)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("n_dead", [0, 1, 3, 40])
@pytest.mark.parametrize("widths", [(30,), (40, 12), (25, 11, 6)])
def test_a_gram_step_is_exact_on_larger_problems(widths, n_dead, relu):
    assert_gram_step_is_exact(
        problem(50, widths, n_latents=64, k=8, dead=range(3, 3 + n_dead), relu=relu, seed=n_dead)
    )


def test_gradients_are_those_of_finite_differences():
    # Neither form against the other: the loops above, with the residual of the auxiliary loss held fixed.
    p = problem(n_rows=4, dead=(0, 4, 7), alpha=0.6, seed=5)
    frozen = [errors_of_row(p, t)[0] for t in range(4)]
    step, size = gram(p), 1e-6
    for name, gradient in (("weights", step.weight_gradient), ("bias", step.bias_gradient)):
        for index in np.ndindex(gradient.shape):
            up, down = (getattr(p, name).copy() for _ in range(2))
            up[index] += size
            down[index] -= size
            rise = slow_loss(replace(p, **{name: up}), frozen)[2]
            rise -= slow_loss(replace(p, **{name: down}), frozen)[2]
            assert gradient[index].item() == pytest.approx(rise / (2 * size), rel=1e-5, abs=1e-6)


@EXAMPLES
@given(problems())
def test_errors_of_sources_add_up_to_the_total(p):
    step = gram(replace(p, alpha=0.0))
    total = sum(step.loss.squared_error.values()) / len(p.rows)
    assert relative_error(total, step.loss.total) <= 1e-12
    # They do not depend on how the columns are divided among sources.
    joined = gram(replace(p, alpha=0.0, slices={"all": slice(0, p.rows.shape[1])}))
    assert relative_error(joined.loss.squared_error["all"], sum(step.loss.squared_error.values())) <= 1e-10


@EXAMPLES
@given(problems())
def test_a_gram_step_names_the_active_latents(p):
    step = gram(p)
    expected, negative = np.zeros((len(p.rows), p.weights.shape[1]), bool), 0
    for t in range(len(p.rows)):
        _, pre, top = errors_of_row(p, t)
        # What a ReLU cuts off is not active.
        expected[t, [i for i in top if pre[i] > 0 or not p.relu]] = True
        negative += sum(pre[i] < 0 for i in top)
    np.testing.assert_array_equal(step.active, expected)
    share = 0 if p.relu else negative / (len(p.rows) * p.k)
    assert step.negative_share.item() == pytest.approx(share)


@pytest.mark.parametrize("relu", [False, True])
def test_the_auxiliary_loss_moves_dead_latents_alone(relu):
    p = problem(40, (12, 9), n_latents=20, k=4, dead=(1, 6, 7, 15), alpha=0.5, relu=relu)
    with_loss, without = gram(p), gram(replace(p, alpha=0.0))
    for name in ("weight_gradient", "bias_gradient"):
        moved = (getattr(with_loss, name) - getattr(without, name)).reshape(-1, 20).abs().amax(dim=0)
        assert torch.all(moved[p.dead] > 1e-3)
        assert moved[[i for i in range(20) if i not in p.dead]].max() < 1e-14


def test_the_auxiliary_gradient_grows_with_alpha():
    p = problem(dead=(2, 5), n_rows=30)
    at = {alpha: gram(replace(p, alpha=alpha)).weight_gradient for alpha in (0.0, 1.0, 3.0)}
    torch.testing.assert_close(at[3.0] - at[0.0], 3 * (at[1.0] - at[0.0]), rtol=1e-10, atol=1e-12)


def test_dead_latents_in_the_top_k():
    p = problem(n_rows=30, n_latents=9, k=5, seed=2)
    active = gram(p).active
    often = [int(i) for i in active.sum(dim=0).topk(3).indices]
    assert active[:, often].any(dim=1).sum() > 15
    assert_gram_step_is_exact(replace(p, dead=often))


def test_dead_latents_whose_preactivations_are_negative_get_no_gradient():
    p = problem(n_rows=5, dead=(0, 3))
    p.bias[[0, 3]] = -100
    step, without = gram(p), gram(replace(p, dead=[]))
    torch.testing.assert_close(step.weight_gradient, without.weight_gradient, rtol=0, atol=0)
    # Nothing is reconstructed of the residual, so that all of it counts.
    assert step.loss.auxiliary.item() == pytest.approx(
        sum(e.item() for e in step.loss.squared_error.values())
    )


def test_without_dead_latents_the_auxiliary_loss_is_zero():
    step = gram(problem())
    assert step.loss.auxiliary.item() == 0
    total = sum(error.item() for error in step.loss.squared_error.values())
    assert step.loss.total.item() == pytest.approx(total / 6, rel=1e-12)


@pytest.mark.parametrize("dead", [[], [1, 2]])
@pytest.mark.parametrize("relu", [False, True])
def test_a_batch_of_one_row(dead, relu):
    assert_gram_step_is_exact(problem(n_rows=1, dead=dead, relu=relu))


@pytest.mark.parametrize("relu", [False, True])
def test_a_row_of_zeros(relu):
    p = problem(dead=(0, 1, 2), relu=relu)
    p.rows[2] = 0
    assert_gram_step_is_exact(p)
    # Only the bias is left of its code.
    expected = np.sort(p.bias)[-p.k :].min()
    assert set(np.flatnonzero(gram(p).active[2])) == set(np.flatnonzero(p.bias >= expected))


@pytest.mark.parametrize("dead", [[], [3], [3, 4]])
def test_a_latent_of_norm_zero(dead):
    p = problem(dead=dead)
    p.weights[:, 3] = 0
    p.bias[3] = 5  # in every row's top k, without an effect on the reconstruction
    assert_gram_step_is_exact(p)
    assert gram(p).active[:, 3].all()


def test_a_batch_that_is_reconstructed_without_error_has_no_gradient():
    # Rows that are the latents themselves; each is its own top 1, with a code of 1.
    identity = np.eye(4)
    p = Problem(identity, np.zeros(4), identity, {"a": slice(0, 1), "b": slice(1, 4)}, 1, 0.5, [])
    step = gram(p)
    assert step.loss.total.item() == pytest.approx(0, abs=1e-15)
    assert step.weight_gradient.abs().max() == 0 and step.bias_gradient.abs().max() == 0


def test_a_code_by_hand():
    # p = (2, -1); k = 1 keeps 2; x̂ = (2, 0), e = (0, -1); the dead latent's a = relu(-1) = 0.
    p = Problem(
        np.eye(2), np.zeros(2), np.array([[2.0, -1.0]]), {"a": slice(0, 1), "b": slice(1, 2)}, 1, 0.5, [1]
    )
    step = gram(p)
    assert {source: error.item() for source, error in step.loss.squared_error.items()} == {"a": 0.0, "b": 1.0}
    assert step.loss.auxiliary.item() == 1.0 and step.loss.total.item() == 1.5


def test_single_precision_is_near():
    p = problem(200, (300, 80), n_latents=128, k=16, dead=range(10), alpha=1 / 32)
    arguments, options = p.arguments(torch.float32)
    single, double = gram_step(*arguments, **options), gram(p)
    assert single.weight_gradient.dtype == torch.float32
    assert relative_error(single.loss.total, double.loss.total) < 1e-5
    assert relative_error(single.weight_gradient, double.weight_gradient) < 1e-4
