"""Matrix products of training: the precision they are made in, and the zeros that a processor need not touch."""

import warnings

import torch
from torch import Tensor

# The entries of a sparse matrix are multiplied some 8 times slower than those of a dense one.
SPARSE_BELOW = 1 / 8
# With fewer multiplications than this, bookkeeping costs more than the zeros.
SPARSE_FROM = 2**30
# Columns of the rows that stay in a core's cache while they are used.
TILE = 192
# Latents of a block of the symmetric product.
BLOCK = 256


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b, summed in float32 at least.

    bfloat16 factors are what a GPU multiplies fast. A processor multiplies the same rounded factors in float32:
    the same result, without the speed.
    """
    if a.dtype != torch.bfloat16:
        return a @ b
    return a.float() @ b.float() if _on_processor(a) else torch.mm(a, b, out_dtype=torch.float32)


def _on_processor(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def inner_products(weights: Tensor) -> Tensor:
    """WᵀW: (latent, latent) from (column, latent); on a processor little more than one triangle is computed."""
    n_latents = weights.shape[1]
    if not _on_processor(weights) or n_latents <= BLOCK:
        return product(weights.T, weights)
    result = torch.empty(n_latents, n_latents, dtype=torch.promote_types(weights.dtype, torch.float32))
    for start in range(0, n_latents, BLOCK):
        stop = min(start + BLOCK, n_latents)
        block = product(weights[:, start:].T, weights[:, start:stop])
        result[start:, start:stop] = block
        result[start:stop, start:] = block.T
    return result


def transposed_product(rows: Tensor, coefficients: Tensor, *, out: Tensor) -> None:
    """out = rowsᵀ coefficients, of which a processor makes use of the zeros.

    Parameters
    ----------
    rows: (row, column). coefficients: (row, latent).
    out: (column, latent); fastest where a latent's column is contiguous in memory.
    """
    is_large = rows.numel() * coefficients.shape[1] >= SPARSE_FROM
    if rows.dtype == torch.bfloat16 and _on_processor(rows):
        out.copy_(product(rows.T, coefficients.to(rows.dtype)))
    elif rows.dtype == torch.bfloat16:
        torch.mm(coefficients.T.to(rows.dtype), rows, out_dtype=torch.float32, out=out.T)
    elif is_large and _on_processor(rows):
        _sparse_transposed_product(rows, coefficients, out=out)
    else:
        torch.mm(coefficients.T, rows, out=out.T)


def _sparse_transposed_product(rows: Tensor, coefficients: Tensor, *, out: Tensor) -> None:
    density = (coefficients != 0).to(coefficients.dtype).mean(dim=0)
    dense = (density > SPARSE_BELOW).nonzero().flatten()
    of_dense = coefficients[:, dense].T
    sparse = _compressed_rows(coefficients.index_fill(1, dense, 0).T.contiguous())
    for start in range(0, rows.shape[1], TILE):
        tile, here = rows[:, start : start + TILE].contiguous(), out[start : start + TILE].T
        torch.addmm(here, sparse, tile, beta=0, out=here)
        if dense.numel():
            here[dense] = of_dense @ tile


def _compressed_rows(matrix: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # PyTorch calls the whole format "beta"; this product of it has been there for years, and is tested here.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return matrix.to_sparse_csr()


def add_product(weights: Tensor, mixture: Tensor, *, out: Tensor) -> None:
    """out += weights mixture.

    Parameters
    ----------
    weights, out: (column, latent). mixture: (latent, latent).
    """
    if weights.dtype == torch.bfloat16:
        out.T.add_(product(mixture.T.to(weights.dtype), weights.T))
    else:
        out.addmm_(weights, mixture)
