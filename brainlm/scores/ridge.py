"""The encoding model that a crosscoder is compared with: ridge regression from LM features to voxels."""

import mmap
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from himalaya.backend import get_backend, set_backend
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search
from himalaya.ridge import solve_group_ridge_random_search
from himalaya.scoring import r2_score
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.scores.correlation import is_constant, pearson

ALPHAS = np.geomspace(10, 1e8, 15)
_BLOCK_ROWS = 256


def story_folds(story: np.ndarray, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cross-validation folds of whole stories, about equally many TRs in each, always the same ones.

    The longest story left goes to the fold with the fewest TRs so far.

    Parameters
    ----------
    story: (time,) label of each row's story.

    Returns
    -------
    For each fold (train,) and (validation,) int, rows in rising order; each row is in one validation set.

    Raises
    ------
    InputError: fewer stories than folds.
    """
    _, story_of_row, lengths = np.unique(story, return_inverse=True, return_counts=True)
    if n_folds < 2 or len(lengths) < n_folds:
        raise InputError(
            f"{len(lengths)} training stories cannot be split into {n_folds} cross-validation folds of whole "
            "stories (at least 2): use more stories or fewer folds."
        )
    fold_of_story, fold_rows = np.empty(len(lengths), int), np.zeros(n_folds, int)
    for longest in np.argsort(-lengths, kind="stable"):
        fold_of_story[longest] = fold_rows.argmin()
        fold_rows[fold_of_story[longest]] += lengths[longest]
    fold_of_row = fold_of_story[story_of_row]
    return [
        (np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)) for fold in range(n_folds)
    ]


@dataclass(frozen=True)
class RidgeFit:
    """How well ridge regression predicts each voxel; NaN for voxels that are constant or not finite."""

    correlation: NDArray[np.float64]
    """(voxel,) float64 Pearson correlation of test rows with their prediction."""
    penalty: NDArray[np.float64]
    """(voxel,) float64 penalty chosen by cross-validation; see whether many are at an end of the grid."""
    cv_score: NDArray[np.float64]
    """(voxel,) float64 R² in validation at that penalty, mean over folds."""


def ridge_correlations(
    features_train: np.ndarray,
    targets_train: Any,
    story_train: np.ndarray,
    features_test: np.ndarray,
    targets_test: Any,
    *,
    alphas: np.ndarray = ALPHAS,
    n_folds: int = 5,
    batch_voxels: int = 2000,
    scratch: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RidgeFit:
    """Predict voxels from features by ridge regression with a penalty for each voxel, and correlate on test rows.

    W = argmin ‖Y - X W‖² + Σ_v α_v ‖w_v‖², where X are features z-scored and Y targets centred by their training
    rows (constant features are dropped), and α_v has the largest R² in validation, mean over folds of whole stories:
    the usual voxelwise encoding model. Cross-validation is himalaya's (Dupré la Tour et al., 2022).

    Parameters
    ----------
    features_train, features_test: (time, feature), finite.
    targets_train, targets_test: (time, voxel) NumPy or Zarr arrays, or anything else that has a shape and gives rows
        when sliced; training targets are read twice, some rows at a time. Their unit does not matter.
    story_train: (time,) label of each training row's story.
    alphas: (alpha,) positive penalties to choose from. With more than half as many features as rows, a float32 kernel
        is used, and those below its rounding errors, 1e-7 of its largest eigenvalue or so, may never be chosen.
    batch_voxels: voxels predicted at a time.
    scratch: folder for a float32 copy of the training targets, which is gone afterwards; None keeps it in memory.
    progress: called with the number of steps done and of all steps.

    Raises
    ------
    InputError: fewer stories than folds, no feature that is finite and varies, or numbers of rows, features or voxels
        that do not fit.
    """
    _check_shapes(features_train, targets_train, story_train, features_test, targets_test)
    folds = story_folds(story_train, n_folds)
    x, x_test = _standardize(features_train, features_test)
    mean, valid = _mean_and_valid(targets_train)
    columns = np.flatnonzero(valid)
    result = RidgeFit(*(np.full(valid.size, np.nan) for _ in range(3)))
    if not columns.size:
        return result
    alphas = np.unique(np.asarray(alphas, float))
    batches = [slice(i, i + batch_voxels) for i in range(0, columns.size, batch_voxels)]
    n_steps = (n_folds * alphas.size + 1) * len(batches)
    steps = iter(range(1, n_steps + 1))
    with _centred(targets_train, mean, valid, scratch) as (y, forget):

        def advance() -> None:
            forget()
            step = next(steps)
            if progress is not None:
                progress(step, n_steps)

        penalty, cv_score = _choose_penalties(x, y, folds, alphas, batch_voxels, advance)
        result.penalty[valid], result.cv_score[valid] = penalty, cv_score
        u, squared, rotated_test = _decompose(x, x_test)
        y_test = np.empty((targets_test.shape[0], columns.size), np.float32)
        for number, block in enumerate(_row_blocks(targets_test)):
            y_test[number * _BLOCK_ROWS :][: len(block)] = block[:, valid]
        for batch in batches:
            # X_test (XᵀX + α)⁻¹ XᵀY = (X_test XᵀU) (Λ + α)⁻¹ UᵀY, where α differs from column to column.
            shrunk = (u.T @ y[:, batch]) / (squared[:, None] + torch.from_numpy(penalty[batch]).float())
            predicted = (rotated_test @ shrunk).numpy()
            result.correlation[columns[batch]] = pearson(predicted, y_test[:, batch])
            advance()
    return result


def _check_shapes(x: np.ndarray, y: Any, story: np.ndarray, x_test: np.ndarray, y_test: Any) -> None:
    rows_fit = len(x) == y.shape[0] == len(story) and len(x_test) == y_test.shape[0]
    if not rows_fit or x.shape[1] != x_test.shape[1] or y.shape[1] != y_test.shape[1]:
        train, test = (x.shape, y.shape, np.shape(story)), (x_test.shape, y_test.shape)
        raise InputError(f"Features, targets (and stories) do not fit: {train} in training, {test} in test.")


def _standardize(train: np.ndarray, test: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    total, squares = _sums(train)
    kept = ~is_constant(squares - total**2 / len(train), squares)
    if not (np.isfinite(train).all() and np.isfinite(test).all() and kept.any()):
        raise InputError(
            "Features of an encoding model must be finite, and some must vary over training TRs."
        )
    train, test = (values[:, kept].astype(np.float32) for values in (train, test))
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)
    train -= mean
    scale = np.sqrt(np.square(train).mean(axis=0, dtype=np.float64)).astype(np.float32)
    train /= scale
    test -= mean
    test /= scale
    return torch.from_numpy(train), torch.from_numpy(test)


def _row_blocks(targets: Any) -> Iterator[np.ndarray]:
    # Rows rather than voxels, because the stores' chunks hold whole rows: each would be read for every batch.
    for start in range(0, targets.shape[0], _BLOCK_ROWS):
        yield np.asarray(targets[start : start + _BLOCK_ROWS], np.float32)


def _sums(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over rows of values and of their squares."""
    return values.sum(axis=0, dtype=np.float64), np.einsum("tc,tc->c", values, values, dtype=np.float64)


def _mean_and_valid(targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """(voxel,) float32 mean, and bool: finite in all rows, and not constant."""
    n, (total, squares) = targets.shape[0], np.zeros((2, targets.shape[1]))
    with np.errstate(invalid="ignore"):
        for block in _row_blocks(targets):
            of_block, squares_of_block = _sums(block)
            total, squares = total + of_block, squares + squares_of_block
        valid = np.isfinite(squares) & ~is_constant(squares - total**2 / n, squares)
    return (total / n).astype(np.float32), valid


@contextmanager
def _centred(
    targets: Any, mean: np.ndarray, valid: np.ndarray, scratch: Path | None
) -> Iterator[tuple[torch.Tensor, Callable[[], None]]]:
    """The centred targets, and what frees the memory of all that was read of them."""
    shape = (targets.shape[0], int(valid.sum()))
    blocks = (block[:, valid] - mean[valid] for block in _row_blocks(targets))
    if scratch is None:
        centred = np.empty(shape, np.float32)
        for i, block in enumerate(blocks):
            centred[i * _BLOCK_ROWS : i * _BLOCK_ROWS + len(block)] = block
        yield torch.from_numpy(centred), lambda: None
        return
    with tempfile.TemporaryFile(dir=scratch) as file:
        for block in blocks:
            file.write(block.tobytes())
        file.flush()
        # Nobody writes it, but torch warns of an array that cannot be written.
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        centred = np.frombuffer(mapped, np.float32).reshape(shape)
        # Pages of the file count as memory of the process, in the end all of them, until it lets go of them.
        yield torch.from_numpy(centred), lambda: mapped.madvise(mmap.MADV_DONTNEED)


def _choose_penalties(
    x: torch.Tensor,
    y: torch.Tensor,
    folds: list[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
    batch_voxels: int,
    advance: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    # solve_ridge_cv_svd and solve_kernel_ridge_cv_eigenvalues call these two, which decompose once a fold for all
    # voxels. Under those names they would also refit all voxels with every penalty that any of them chose, and
    # keep two copies of the weights: with a kernel, each as large as the targets.
    def score(truth: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        advance()
        return r2_score(truth, predicted)

    settings = {
        "n_iter": torch.ones(1, 1),
        "alphas": torch.as_tensor(alphas, dtype=torch.float32),
        "score_func": score,
        "cv": folds,
        "n_targets_batch": batch_voxels,
        # One (validation, train) matrix at a time instead of one for each penalty.
        "n_alphas_batch": 1,
        "progress_bar": False,
    }
    with _torch_backend():
        if _prefers_kernel(x):
            found = solve_multiple_kernel_ridge_random_search(
                (x @ x.T)[None], y, return_weights=None, **settings
            )
        else:
            found = solve_group_ridge_random_search([x], y, return_weights=False, **settings)
    log_ratio, _, cv_scores = found
    # The solvers return -log α, rounded.
    chosen = np.abs(np.log(alphas)[:, None] + log_ratio.numpy()).argmin(axis=0)
    return alphas[chosen], cv_scores.numpy()[0]


@contextmanager
def _torch_backend() -> Iterator[None]:
    # Of the CPU backends, the one with the faster eigh, under the number of threads that all else here has. It is
    # a global variable of himalaya's.
    before = get_backend()
    set_backend("torch")
    try:
        yield
    finally:
        set_backend(before)


def _prefers_kernel(x: torch.Tensor) -> bool:
    # With an SVD, (feature, time) matrices are multiplied for each penalty; with a kernel, (validation, time) ones,
    # after a costlier decomposition. They take equally long at about half as many features as rows.
    return 2 * x.shape[1] > x.shape[0]


def _decompose(x: torch.Tensor, x_test: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """U and Λ of X Xᵀ = U Λ Uᵀ, without the part of Λ that is 0 for want of features, and X_test Xᵀ U."""
    if _prefers_kernel(x):
        squared, u = torch.linalg.eigh(x @ x.T)
        squared = squared.clamp(min=0)
    else:
        u, singular, _ = torch.linalg.svd(x, full_matrices=False)
        squared = singular**2
    return u, squared, x_test @ (x.T @ u)
