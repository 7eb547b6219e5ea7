import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.selection import Selection, active_latents, ranks

EXAMPLES = settings(max_examples=80, deadline=None, derandomize=True)
ONES = torch.ones(4)


def slow(values: np.ndarray, norms: np.ndarray, selection: Selection) -> np.ndarray:
    """By sorting."""
    rank = values * norms if selection.by == "contribution" else values
    active = np.zeros(values.shape, bool)
    if selection.over == "batch":
        active.flat[np.argsort(rank, axis=None)[::-1][: selection.k * len(values)]] = True
    else:
        for t, row in enumerate(rank):
            active[t, np.argsort(row)[::-1][: selection.k]] = True
    return active & (values > 0) if selection.relu else active


@EXAMPLES
@given(
    n_rows=st.integers(1, 6),
    n=st.integers(1, 20),
    relu=st.booleans(),
    by=st.sampled_from(["value", "contribution"]),
    over=st.sampled_from(["row", "batch"]),
    data=st.data(),
)
def test_what_is_kept_is_what_sorting_gives(n_rows, n, relu, by, over, data):
    selection = Selection(data.draw(st.integers(1, n)), relu, by, over)
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    values, norms = random.standard_normal((n_rows, n)), random.uniform(0.1, 3, n)
    active = active_latents(torch.from_numpy(values), selection, torch.from_numpy(norms))
    np.testing.assert_array_equal(active, slow(values, norms, selection))


def test_top_k_is_by_value_and_keeps_signs():
    row = torch.tensor([[-1.0, -9.0, 0.5, -0.25]])
    assert active_latents(row, Selection(2), ONES).tolist() == [[False, False, True, True]]
    assert active_latents(row, Selection(2, relu=True), ONES).tolist() == [[False, False, True, False]]


def test_top_k_of_all_latents_keeps_all():
    assert active_latents(torch.randn(5, 4), Selection(4), ONES).all()


@pytest.mark.parametrize("over", ["row", "batch"])
def test_ties_keep_no_more_than_k(over):
    assert active_latents(torch.ones(2, 4), Selection(3, over=over), ONES).sum() == 6


def test_a_batch_gives_more_to_rows_that_need_more():
    values = torch.tensor([[9.0, 8.0, 7.0, 6.0], [5.0, 1.0, 0.0, 0.0]])
    assert active_latents(values, Selection(2, over="batch"), ONES).sum(dim=1).tolist() == [4, 0]


def test_contributions_take_the_norm_into_account():
    values, norms = torch.tensor([[3.0, 2.0, -1.0]]), torch.tensor([1.0, 2.0, 9.0])
    selection = Selection(1, by="contribution")
    assert ranks(values, selection, norms).tolist() == [[3.0, 4.0, -9.0]]
    assert active_latents(values, selection, norms).tolist() == [[False, True, False]]


def test_a_threshold_takes_the_place_of_k():
    values = torch.tensor([[3.0, 2.0, 1.0, 0.5], [0.0, 0.1, 0.2, 1.5]])
    selection = Selection(1, over="batch", threshold=0.9)
    assert active_latents(values, selection, ONES).sum(dim=1).tolist() == [3, 1]
    by_contribution = Selection(1, by="contribution", threshold=0.9)
    active = active_latents(values, by_contribution, torch.tensor([0.1, 1.0, 1.0, 0.1]))
    assert active.tolist() == [[False, True, True, False], [False] * 4]
