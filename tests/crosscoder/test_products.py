import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.products import SPARSE_FROM, add_product, inner_products, product, transposed_product


def normal(*shape: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape)).to(dtype)


def relative_error(value: torch.Tensor, expected: torch.Tensor) -> float:
    return float((value.double() - expected).norm() / expected.norm())


def test_rounded_factors_are_summed_in_float32():
    a, b = normal(30, 400).bfloat16(), normal(400, 20, seed=1).bfloat16()
    result = product(a, b)
    assert result.dtype == torch.float32
    assert relative_error(result, a.double() @ b.double()) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_factors_keep_their_precision(dtype):
    result = product(normal(3, 4, dtype=dtype), normal(4, 2, dtype=dtype))
    assert result.dtype == dtype


# Fewer latents than a block, whole blocks, and a rest.
@settings(max_examples=20, deadline=None, derandomize=True)
@given(n_latents=st.sampled_from([1, 7, 255, 256, 257, 512, 700]), n_columns=st.integers(1, 40))
def test_inner_products_are_w_transposed_w(n_latents, n_columns):
    weights = normal(n_columns, n_latents)
    result = inner_products(weights)
    torch.testing.assert_close(result, weights.T @ weights, rtol=1e-12, atol=1e-12)
    # Not to the last bit: the kernels of some processors round the two halves of a symmetric product differently, and
    # training needs no more than this.
    torch.testing.assert_close(result, result.T, rtol=1e-12, atol=1e-12)


def coefficients_with_zeros(n_rows: int, n_latents: int, dense: list[int]) -> torch.Tensor:
    values = normal(n_rows, n_latents)
    values[torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) > 0.05] = 0
    values[:, dense] = normal(n_rows, len(dense), seed=3)
    return values


# Below and above the size from which zeros are made use of; the last tile of columns is not whole.
@pytest.mark.parametrize("n_columns", [100, 4100])
@pytest.mark.parametrize("dense", [[], [5, 6, 700], list(range(1024))])
@pytest.mark.parametrize("memory", ["by latent", "by column"])
def test_transposed_products_with_zeros(n_columns, dense, memory):
    rows, coefficients = normal(256, n_columns, seed=1), coefficients_with_zeros(256, 1024, dense)
    assert (rows.numel() * 1024 >= SPARSE_FROM) == (n_columns == 4100)
    shape = (1024, n_columns) if memory == "by latent" else (n_columns, 1024)
    out = torch.full(shape, torch.nan, dtype=torch.float64)
    out = out.T if memory == "by latent" else out
    transposed_product(rows, coefficients, out=out)
    assert relative_error(out, rows.T @ coefficients) < 1e-13


def test_a_part_of_the_columns_is_written_in_place():
    rows, coefficients = normal(256, 9000, seed=1), coefficients_with_zeros(256, 1024, [3])
    out = torch.zeros(1024, 9000, dtype=torch.float64).T
    part = slice(2000, 7000)
    transposed_product(rows[:, part], coefficients, out=out[part])
    assert relative_error(out[part], rows[:, part].T @ coefficients) < 1e-13
    assert not out[:2000].any() and not out[7000:].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_products_are_added(dtype):
    weights, mixture = normal(50, 20).to(dtype), normal(20, 20, seed=1)
    before = normal(20, 50, seed=2).to(torch.promote_types(dtype, torch.float32)).T
    out = before.clone()
    add_product(weights, mixture.to(out.dtype), out=out)
    expected = before.double() + weights.double() @ mixture
    assert relative_error(out, expected) < (1e-2 if dtype == torch.bfloat16 else 1e-6)
