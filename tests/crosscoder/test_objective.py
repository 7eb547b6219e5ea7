from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.objective import Objective, Parameters, gram_step, squared_norms, written_out_loss
from brainlm.crosscoder.selection import Selection

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
    encoder: np.ndarray | None = None
    select_by: str = "value"
    over: str = "row"
    source_weights: dict[str, float] = field(default_factory=dict)

    @property
    def encoder_weights(self) -> np.ndarray:
        return self.weights if self.encoder is None else self.encoder

    def parameters(self, dtype=torch.float64) -> Parameters:
        arrays = (self.weights, self.bias, self.encoder)
        return Parameters(*(None if array is None else torch.tensor(array, dtype=dtype) for array in arrays))

    def arguments(self, dtype=torch.float64):
        dead = torch.zeros(len(self.bias), dtype=torch.bool)
        dead[self.dead] = True
        selection = Selection(self.k, self.relu, self.select_by, self.over)
        objective = Objective(selection, self.alpha, self.source_weights)
        return torch.tensor(self.rows, dtype=dtype), self.slices, objective, dead


def problem(
    n_rows=6,
    widths=(4, 3),
    n_latents=9,
    k=3,
    alpha=0.3,
    dead=(),
    tied=True,
    weighted=False,
    seed=0,
    **options,
) -> Problem:
    random = np.random.default_rng(seed)
    edges = np.cumsum([0, *widths])
    slices = {
        f"source{i}": slice(int(a), int(b)) for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False))
    }
    rows = random.standard_normal((n_rows, edges[-1]))
    return Problem(
        weights=random.standard_normal((edges[-1], n_latents)),
        bias=random.standard_normal(n_latents) / 2,
        # As normalized data is: of mean norm 1.
        rows=rows / np.linalg.norm(rows, axis=1).mean(),
        slices=slices,
        k=k,
        alpha=alpha,
        dead=list(dead),
        encoder=None if tied else random.standard_normal((edges[-1], n_latents)),
        source_weights={"source0": 2.5, "source2": 0.0} if weighted else {},
        **options,
    )


@st.composite
def problems(draw) -> Problem:
    n_latents = draw(st.integers(1, 10))
    # Any latents may be drawn as dead, also those in some row's top k: an epoch ago they were not.
    dead = draw(st.lists(st.integers(0, n_latents - 1), unique=True, max_size=n_latents))
    return problem(
        n_rows=draw(st.integers(1, 6)),
        widths=draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)),
        n_latents=n_latents,
        k=draw(st.integers(1, n_latents)),
        alpha=draw(st.sampled_from([0.0, 1 / 32, 0.7, 2.0])),
        dead=dead,
        relu=draw(st.booleans()),
        tied=draw(st.booleans()),
        weighted=draw(st.booleans()),
        select_by=draw(st.sampled_from(["value", "contribution"])),
        over=draw(st.sampled_from(["row", "batch"])),
        seed=draw(st.integers(0, 9999)),
    )


def code_of(p: Problem) -> tuple[list[list[float]], list[list[int]]]:
    """Every row's pre-activations and active latents, in plain loops."""
    n_columns, n_latents = p.weights.shape
    pre = [
        [
            p.bias[i] + sum(p.encoder_weights[d, i] * row[d] for d in range(n_columns))
            for i in range(n_latents)
        ]
        for row in p.rows
    ]
    norm = [np.sqrt(np.sum(p.weights[:, i] ** 2)) for i in range(n_latents)]
    rank = {
        (t, i): pre[t][i] * (norm[i] if p.select_by == "contribution" else 1)
        for t in range(len(pre))
        for i in range(n_latents)
    }
    groups = (
        [list(rank)] if p.over == "batch" else [[(t, i) for i in range(n_latents)] for t in range(len(pre))]
    )
    n_kept = p.k * len(pre) if p.over == "batch" else p.k
    kept = {place for group in groups for place in sorted(group, key=rank.get, reverse=True)[:n_kept]}
    active = [[i for i in range(n_latents) if (t, i) in kept] for t in range(len(pre))]
    if p.relu:
        active = [[i for i in here if pre[t][i] > 0] for t, here in enumerate(active)]
    return pre, active


def errors_of(p: Problem) -> list[list[float]]:
    """x - x̂ of every row, in plain loops."""
    pre, active = code_of(p)
    return [
        [row[d] - sum(pre[t][i] * p.weights[d, i] for i in active[t]) for d in range(len(row))]
        for t, row in enumerate(p.rows)
    ]


def slow_loss(p: Problem, frozen: list[list[float]] | None = None):
    """Squared errors by source, auxiliary error and total; `frozen` are detached residuals to use instead."""
    squared, auxiliary, weighted = dict.fromkeys(p.slices, 0.0), 0.0, 0.0
    pre, _ = code_of(p)
    for t, error in enumerate(errors_of(p)):
        for source, columns in p.slices.items():
            weight = p.source_weights.get(source, 1.0)
            for d in range(columns.start, columns.stop):
                squared[source] += error[d] ** 2
                weighted += weight * error[d] ** 2
                if p.dead:
                    target = frozen[t][d] if frozen else error[d]
                    estimate = sum(max(pre[t][i], 0.0) * p.weights[d, i] for i in p.dead)
                    auxiliary += weight * (target - estimate) ** 2
    return squared, auxiliary, (weighted + p.alpha * auxiliary) / len(p.rows)


def autograd(p: Problem):
    parameters = p.parameters()
    learned = [part.requires_grad_() for part in parameters if part is not None]
    loss = written_out_loss(parameters, *p.arguments())
    gradients = torch.autograd.grad(loss.total, learned, allow_unused=True, materialize_grads=True)
    return loss, Parameters(*gradients)


def gram(p: Problem):
    return gram_step(p.parameters(), *p.arguments())


def relative_error(value, reference) -> float:
    value, reference = np.asarray(value, float), np.asarray(reference, float)
    # A gradient that is 0 (nothing passes the ReLU) must be met to rounding.
    return np.linalg.norm(value - reference) / max(np.linalg.norm(reference), 1e-4)


def assert_gram_step_is_exact(p: Problem) -> None:
    loss, gradient = autograd(p)
    step = gram(p)
    for part, expected in zip(step.gradient, gradient, strict=True):
        assert (part is None) == (expected is None)
        assert part is None or relative_error(part, expected) <= 1e-10
    energy = np.sum(p.rows**2)
    assert abs(step.loss.total - loss.total.detach()) * len(p.rows) <= 1e-10 * energy
    assert abs(step.loss.auxiliary - loss.auxiliary.detach()) <= 1e-10 * energy
    for source, error in loss.squared_error.items():
        assert abs(step.loss.squared_error[source] - error.detach()) <= 1e-10 * energy


@EXAMPLES
@given(problems())
def test_the_written_out_loss_is_the_papers(p):
    squared, auxiliary, total = slow_loss(p)
    loss = written_out_loss(p.parameters(), *p.arguments())
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


@pytest.mark.parametrize("options", [{}, {"tied": False, "weighted": True}])
def test_gradients_are_those_of_finite_differences(options):
    # Neither form against the other: the loops above, with the residual of the auxiliary loss held fixed.
    p = problem(n_rows=4, dead=(0, 4, 7), alpha=0.6, seed=5, **options)
    frozen = errors_of(p)
    step, size = gram(p), 1e-6
    for name, gradient in step.gradient._asdict().items():
        if gradient is None:
            continue
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
    p = replace(p, alpha=0.0, source_weights={})
    step = gram(p)
    total = sum(step.loss.squared_error.values()) / len(p.rows)
    assert relative_error(total, step.loss.total) <= 1e-12
    # They do not depend on how the columns are divided among sources.
    joined = gram(replace(p, slices={"all": slice(0, p.rows.shape[1])}))
    assert relative_error(joined.loss.squared_error["all"], sum(step.loss.squared_error.values())) <= 1e-10


@EXAMPLES
@given(problems())
def test_a_gram_step_codes_as_plain_loops_do(p):
    code = gram(p).code
    pre, active = code_of(p)
    expected = np.zeros((len(p.rows), len(p.bias)))
    for t, here in enumerate(active):
        expected[t, here] = [pre[t][i] for i in here]
        assert set(np.flatnonzero(code.active[t])) == set(here)
    np.testing.assert_allclose(code.z, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("relu", [False, True])
def test_the_auxiliary_loss_moves_dead_latents_alone(relu, tied):
    p = problem(40, (12, 9), n_latents=20, k=4, dead=(1, 6, 7, 15), alpha=0.5, relu=relu, tied=tied)
    with_loss, without = gram(p).gradient, gram(replace(p, alpha=0.0)).gradient
    for part, before in zip(with_loss, without, strict=True):
        if part is not None:
            moved = (part - before).reshape(-1, 20).abs().amax(dim=0)
            assert torch.all(moved[p.dead] > 1e-3)
            assert moved[[i for i in range(20) if i not in p.dead]].max() < 1e-14


def test_the_auxiliary_gradient_grows_with_alpha():
    p = problem(dead=(2, 5), n_rows=30)
    at = {alpha: gram(replace(p, alpha=alpha)).gradient.weights for alpha in (0.0, 1.0, 3.0)}
    torch.testing.assert_close(at[3.0] - at[0.0], 3 * (at[1.0] - at[0.0]), rtol=1e-10, atol=1e-12)


def test_dead_latents_in_the_top_k():
    p = problem(n_rows=30, n_latents=9, k=5, seed=2)
    active = gram(p).code.active
    often = [int(i) for i in active.sum(dim=0).topk(3).indices]
    assert active[:, often].any(dim=1).sum() > 15
    assert_gram_step_is_exact(replace(p, dead=often))


def test_dead_latents_whose_preactivations_are_negative_get_no_gradient():
    p = problem(n_rows=5, dead=(0, 3))
    p.bias[[0, 3]] = -100
    step, without = gram(p), gram(replace(p, dead=[]))
    torch.testing.assert_close(step.gradient.weights, without.gradient.weights, rtol=0, atol=0)
    # Nothing is reconstructed of the residual, so that all of it counts.
    assert step.loss.auxiliary.item() == pytest.approx(
        sum(e.item() for e in step.loss.squared_error.values())
    )


def test_without_dead_latents_the_auxiliary_loss_is_zero():
    p = problem()
    for step in (gram(p), gram_step(p.parameters(), *p.arguments()[:3], dead=None)):
        assert step.loss.auxiliary.item() == 0
        total = sum(error.item() for error in step.loss.squared_error.values())
        assert step.loss.total.item() == pytest.approx(total / 6, rel=1e-12)


@pytest.mark.parametrize("dead", [[], [1, 2]])
@pytest.mark.parametrize("relu", [False, True])
def test_a_batch_of_one_row(dead, relu):
    assert_gram_step_is_exact(problem(n_rows=1, dead=dead, relu=relu))


@pytest.mark.parametrize("over", ["row", "batch"])
@pytest.mark.parametrize("dead", [[], [1, 2]])
def test_all_latents_active(dead, over):
    p = problem(n_rows=7, k=9, dead=dead, over=over)
    assert gram(p).code.active.all()
    assert_gram_step_is_exact(p)


@pytest.mark.parametrize("over", ["row", "batch"])
@pytest.mark.parametrize("dead", [[], [2, 7]])
def test_latents_that_tie_in_the_top_k(dead, over):
    # Small whole numbers, of which every sum is exact: the same ties in both forms.
    random = np.random.default_rng(1)
    p = problem(n_rows=12, widths=(3, 2), n_latents=10, k=3, dead=dead, over=over)
    p = replace(
        p,
        weights=random.integers(-1, 2, p.weights.shape).astype(float),
        rows=random.integers(-2, 3, p.rows.shape).astype(float),
        bias=np.zeros(10),
    )
    pre, _ = code_of(p)
    ties = [np.sort(row)[-3] == np.sort(row)[-4] for row in pre]
    assert sum(ties) > 3
    assert_gram_step_is_exact(p)
    assert gram(p).code.active.sum() == 36


@pytest.mark.parametrize("relu", [False, True])
def test_a_row_of_zeros(relu):
    p = problem(dead=(0, 1, 2), relu=relu)
    p.rows[2] = 0
    assert_gram_step_is_exact(p)
    # Only the bias is left of its code.
    expected = np.sort(p.bias)[-p.k :].min()
    assert set(np.flatnonzero(gram(p).code.active[2])) == set(np.flatnonzero(p.bias >= expected))


@pytest.mark.parametrize("select_by", ["value", "contribution"])
@pytest.mark.parametrize("dead", [[], [3], [3, 4]])
def test_a_latent_of_norm_zero(dead, select_by):
    p = problem(dead=dead, select_by=select_by)
    p.weights[:, 3] = 0
    p.bias[3] = 50
    assert_gram_step_is_exact(p)
    # By value it is in every row's top k, without an effect on the reconstruction; its contribution is none.
    active = gram(p).code.active[:, 3]
    assert active.all() if select_by == "value" else not active.all()


def test_the_norm_of_a_latent_is_that_of_all_sources():
    # Equal pre-activations; latent 1 has the longer decoder vector only if both sources count.
    weights = np.array([[3.0, 2.0], [0.0, 3.0]])
    p = Problem(
        weights,
        np.zeros(2),
        np.array([[1.0, 1.0 / 3.0]]),
        {"a": slice(0, 1), "b": slice(1, 2)},
        1,
        0.0,
        [],
        select_by="contribution",
    )
    assert gram(p).code.preactivations.tolist() == [[3.0, 3.0]]
    assert gram(p).code.active.tolist() == [[False, True]]


def test_a_batch_that_is_reconstructed_without_error_has_no_gradient():
    # Rows that are the latents themselves; each is its own top 1, with a code of 1.
    identity = np.eye(4)
    p = Problem(identity, np.zeros(4), identity, {"a": slice(0, 1), "b": slice(1, 4)}, 1, 0.5, [])
    step = gram(p)
    assert step.loss.total.item() == pytest.approx(0, abs=1e-15)
    assert step.gradient.weights.abs().max() == 0 and step.gradient.bias.abs().max() == 0


def test_a_code_by_hand():
    # p = (2, -1); k = 1 keeps 2; x̂ = (2, 0), e = (0, -1); the dead latent's a = relu(-1) = 0.
    p = Problem(
        np.eye(2), np.zeros(2), np.array([[2.0, -1.0]]), {"a": slice(0, 1), "b": slice(1, 2)}, 1, 0.5, [1]
    )
    step = gram(p)
    assert {source: error.item() for source, error in step.loss.squared_error.items()} == {"a": 0.0, "b": 1.0}
    assert step.loss.auxiliary.item() == 1.0 and step.loss.total.item() == 1.5


def test_a_source_of_weight_zero_is_encoded_but_not_reconstructed():
    p = replace(problem(30, (5, 4)), source_weights={"source1": 0.0})
    step = gram(p)
    # Its part of the weights still learns to encode, from the other source's error.
    assert step.gradient.weights[5:].abs().max() > 1e-3
    only = step.loss.squared_error["source0"] / 30
    assert step.loss.total.item() == pytest.approx(only.item(), rel=1e-12)


def test_the_gradient_is_written_where_it_is_asked_for():
    p = problem(dead=(1, 2), tied=False)
    out = Parameters(*(torch.full_like(part, torch.nan) for part in p.parameters()))
    step = gram_step(p.parameters(), *p.arguments(), out=out)
    for part, here, expected in zip(step.gradient, out, gram(p).gradient, strict=True):
        assert part is here
        torch.testing.assert_close(part, expected, rtol=0, atol=0)


def test_squared_norms_are_those_of_each_source():
    p = problem(20, (5, 4, 2))
    norms = squared_norms(torch.tensor(p.rows), p.slices)
    expected = [(p.rows[:, columns] ** 2).sum(axis=1) for columns in p.slices.values()]
    np.testing.assert_allclose(norms, np.transpose(expected), rtol=1e-12)
    given = gram_step(p.parameters(), *p.arguments(), energy=norms)
    assert given.loss.total == gram(p).loss.total


@pytest.mark.parametrize("dead", [(), range(10)])
def test_bfloat16_rows_give_the_step_of_the_rounded_problem(dead):
    # Rounded once, rows and weights are multiplied and summed without further loss; only what is multiplied with
    # the rows to give the gradient is rounded again.
    p = problem(60, (40, 16), n_latents=32, k=4, dead=dead)
    rounded = replace(
        p,
        weights=torch.tensor(p.weights).bfloat16().double().numpy(),
        rows=torch.tensor(p.rows).bfloat16().double().numpy(),
    )
    rows, *others = p.arguments(torch.float32)
    step = gram_step(p.parameters(torch.float32), rows.bfloat16(), *others)
    exact = gram(rounded)
    assert step.gradient.weights.dtype == torch.float32
    assert relative_error(step.loss.total, exact.loss.total) < 1e-5
    assert relative_error(step.gradient.bias, exact.gradient.bias) < 1e-4
    assert relative_error(step.gradient.weights, exact.gradient.weights) < 2e-3


@pytest.mark.parametrize("options", [{}, {"over": "batch", "tied": False, "weighted": True, "relu": True}])
def test_a_step_on_a_gpu_waits_for_nothing_and_sums_in_float32(options):
    # On PyTorch's "meta" device tensors have shapes and types but no values; it stands for any but the processor.
    p = problem(64, (40, 16), n_latents=32, k=4, dead=range(10), **options)
    rows, slices, objective, dead = p.arguments(torch.float32)
    parameters = Parameters(
        *(None if part is None else part.to("meta") for part in p.parameters(torch.float32))
    )
    step = gram_step(parameters, rows.bfloat16().to("meta"), slices, objective, dead.to("meta"))
    for part, gradient in zip(parameters, step.gradient, strict=True):
        assert (part is None) == (gradient is None)
        if part is not None:
            assert (gradient.shape, gradient.dtype) == (part.shape, torch.float32)
            assert gradient.device.type == "meta"
    assert step.code.rows_by_weights.dtype == step.code.weights_by_weights.dtype == torch.float32
    # To look at a value is an error there.
    with pytest.raises(RuntimeError):
        step.loss.total.item()


def test_bfloat16_points_downhill_close_to_convergence():
    # Where the fit is good, the parts of a gradient nearly cancel, and rounding weighs most.
    random = np.random.default_rng(0)
    p = problem(400, (200, 80), n_latents=64, k=4)
    weights = p.weights / np.linalg.norm(p.weights, axis=0)
    z = random.standard_normal((400, 64)) * (random.random((400, 64)) < 4 / 64)
    rows = np.abs(z) @ weights.T + 0.02 * random.standard_normal(p.rows.shape)
    weights += 0.002 * random.standard_normal(weights.shape)
    p = replace(p, weights=weights, rows=rows, bias=np.zeros(64))
    exact = gram(p)
    assert exact.loss.total < 0.15 * np.sum(rows**2) / 400
    tensor, *others = p.arguments(torch.float32)
    rounded = gram_step(p.parameters(torch.float32), tensor.bfloat16(), *others).gradient.weights.double()
    cosine = (rounded * exact.gradient.weights).sum() / (rounded.norm() * exact.gradient.weights.norm())
    assert cosine > 0.99


def test_single_precision_is_near():
    p = problem(200, (300, 80), n_latents=128, k=16, dead=range(10), alpha=1 / 32)
    single, double = gram_step(p.parameters(torch.float32), *p.arguments(torch.float32)), gram(p)
    assert single.gradient.weights.dtype == torch.float32
    assert relative_error(single.loss.total, double.loss.total) < 1e-5
    assert relative_error(single.gradient.weights, double.gradient.weights) < 1e-4
