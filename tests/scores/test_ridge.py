import himalaya.backend
import numpy as np
import pytest
import zarr

from brainlm.errors import InputError
from brainlm.scores.ridge import RidgeFit, ridge_correlations, story_folds

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("error")]

LENGTHS = [30, 22, 41, 18, 25, 33, 27]
STORY = np.repeat([f"story{i}" for i in (4, 0, 6, 2, 5, 1, 3)], LENGTHS)
ALPHAS = np.logspace(0, 4, 5)


# Folds


@pytest.mark.parametrize("n_folds", [2, 3, 5, 7])
def test_folds_are_whole_stories_and_validate_each_row_once(n_folds):
    folds = story_folds(STORY, n_folds)
    assert len(folds) == n_folds
    np.testing.assert_array_equal(np.sort(np.concatenate([v for _, v in folds])), np.arange(len(STORY)))
    for train, validation in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(len(STORY)))
        assert not set(STORY[train]) & set(STORY[validation])
        assert all((np.diff(rows) > 0).all() for rows in (train, validation))


def test_folds_are_balanced_and_always_the_same():
    # Longest first, each to the emptiest fold: 41 | 33 | 30, then 27 to 30, 25 to 33, 22 to 41, 18 to 57.
    folds = story_folds(STORY, 3)
    assert [len(validation) for _, validation in folds] == [63, 58, 75]
    for (a, b), (c, d) in zip(folds, story_folds(STORY, 3), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_folds_do_not_need_stories_in_one_piece():
    story = np.array([1, 0, 1, 0, 2, 2])
    validation = [v.tolist() for _, v in story_folds(story, 3)]
    assert sorted(validation) == [[0, 2], [1, 3], [4, 5]]


@pytest.mark.parametrize("n_folds", [1, 8])
def test_fewer_stories_than_folds_are_an_error(n_folds):
    with pytest.raises(InputError, match=f"7 training stories cannot be split into {n_folds} "):
        story_folds(STORY, n_folds)


# Ridge


def simulate(
    n_features: int, n_voxels: int, *, seed: int = 0, n_test: int = 70, signal: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features with offsets, scales and one constant column, and voxels of unit variance, every other one noise."""
    random = np.random.default_rng(seed)
    n_train = len(STORY)
    scale = random.uniform(0.1, 10, n_features)
    features = random.standard_normal((n_train + n_test, n_features))
    weights = random.standard_normal((n_features, n_voxels))
    weights[1] = 0
    weights /= np.linalg.norm(weights, axis=0)
    weights[:, 1::2] = 0
    noise = random.standard_normal((n_train + n_test, n_voxels))
    targets = (np.sqrt(signal) * features @ weights + np.sqrt(1 - signal) * noise + 3).astype(np.float32)
    features = (features * scale + random.uniform(-5, 5, n_features)).astype(np.float32)
    features[:, 1] = 0.1
    return features[:n_train], targets[:n_train], features[n_train:], targets[n_train:]


def slow_ridge(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, alphas: np.ndarray, n_folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Validation R² (alpha, voxel), mean over folds, and test correlation (alpha, voxel), by normal equations."""
    x, y, x_test, y_test = (values.astype(float) for values in (x, y, x_test, y_test))
    kept = np.ptp(x, axis=0) > 0
    mean, scale = x[:, kept].mean(axis=0), x[:, kept].std(axis=0)
    x, x_test = (x[:, kept] - mean) / scale, (x_test[:, kept] - mean) / scale
    y = y - y.mean(axis=0)
    scores = np.zeros((n_folds, len(alphas), y.shape[1]))
    correlation = np.zeros((len(alphas), y.shape[1]))

    def fit(rows: np.ndarray, alpha: float, voxel: int) -> np.ndarray:
        gram = x[rows].T @ x[rows] + alpha * np.eye(x.shape[1])
        return np.linalg.solve(gram, x[rows].T @ y[rows, voxel])

    for i, alpha in enumerate(alphas):
        for voxel in range(y.shape[1]):
            for fold, (train, validation) in enumerate(story_folds(STORY, n_folds)):
                truth = y[validation, voxel]
                error = truth - x[validation] @ fit(train, alpha, voxel)
                scores[fold, i, voxel] = 1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()
            predicted = x_test @ fit(np.arange(len(x)), alpha, voxel)
            correlation[i, voxel] = np.corrcoef(predicted, y_test[:, voxel])[0, 1]
    return scores.mean(axis=0), correlation


# Few features against the rows, about as many, and more: an SVD, a kernel with null space, and a full one.
@pytest.mark.parametrize("n_features", [20, 150, 260])
def test_ridge_is_the_closed_form(n_features):
    x, y, x_test, y_test = simulate(n_features, 10, seed=n_features)
    fit = ridge_correlations(x, y, STORY, x_test, y_test, alphas=ALPHAS, n_folds=3)
    scores, correlation = slow_ridge(x, y, x_test, y_test, ALPHAS, 3)
    best = scores.argmax(axis=0)
    runner_up, highest = np.sort(scores, axis=0)[-2:]
    # Any other choice would be rounding; and there must be something to choose between.
    assert (highest - runner_up).min() > 1e-4
    assert len(set(best)) > 1
    np.testing.assert_array_equal(fit.penalty, ALPHAS[best])
    np.testing.assert_allclose(fit.cv_score, highest, atol=1e-4)
    np.testing.assert_allclose(fit.correlation, correlation[best, np.arange(10)], atol=1e-4)


@pytest.mark.parametrize("n_features", [10, 130])
def test_a_planted_signal_is_found_and_noise_is_not(n_features):
    x, y, x_test, y_test = simulate(n_features, 300, n_test=1000, signal=0.8)
    fit = ridge_correlations(x, y, STORY, x_test, y_test, n_folds=5)
    planted, noise = fit.correlation[::2], fit.correlation[1::2]
    # Noise limits a perfect model to the root of the signal's share of variance. Least squares adds errors to the
    # weights that predict noise of variance 0.2 p / (n - p - 1); ridge does no worse.
    ceiling = np.sqrt(0.8)
    least_squares = 0.8 / np.sqrt(0.8 + 0.2 * n_features / (len(STORY) - n_features - 1))
    assert least_squares - 0.01 < planted.mean() < ceiling
    assert n_features > 10 or planted.mean() > ceiling - 0.015
    # Predictions that are independent of the truth correlate with a standard deviation of 1 / sqrt(1000).
    assert abs(np.nanmean(noise)) < 0.01
    assert np.median(fit.penalty[1::2]) > 10 * np.median(fit.penalty[::2])
    assert np.median(fit.cv_score[::2]) > 0.3 > 0.05 > np.median(fit.cv_score[1::2])


def same(a: RidgeFit, b: RidgeFit) -> None:
    np.testing.assert_array_equal(a.penalty, b.penalty)
    np.testing.assert_allclose(a.correlation, b.correlation, atol=1e-5)
    np.testing.assert_allclose(a.cv_score, b.cv_score, atol=1e-5)


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    x, y, x_test, y_test = simulate(20, 23)
    return x, y, STORY, x_test, y_test


@pytest.fixture(scope="module")
def fit(case) -> RidgeFit:
    return ridge_correlations(*case, alphas=ALPHAS)


@pytest.mark.parametrize("batch_voxels", [1, 4, 22, 23, 24])
def test_batches_of_any_size_give_the_same(case, fit, batch_voxels):
    same(ridge_correlations(*case, alphas=ALPHAS, batch_voxels=batch_voxels), fit)


@pytest.mark.parametrize("block_rows", [1, 196, 50])
def test_blocks_of_rows_of_any_size_give_the_same(case, fit, block_rows, monkeypatch):
    monkeypatch.setattr("brainlm.scores.ridge._BLOCK_ROWS", block_rows)
    same(ridge_correlations(*case, alphas=ALPHAS), fit)


def test_zarr_targets_and_a_copy_on_disk_give_the_same(case, fit, tmp_path):
    x, y, story, x_test, y_test = case
    on_disk = [
        zarr.create_array(tmp_path / f"{i}.zarr", data=v, chunks=(16, 8)) for i, v in enumerate((y, y_test))
    ]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    same(ridge_correlations(x, on_disk[0], story, x_test, on_disk[1], alphas=ALPHAS, scratch=scratch), fit)
    assert not list(scratch.iterdir())


def test_units_and_offsets_change_nothing(case, fit):
    x, y, story, x_test, y_test = case
    other = ridge_correlations(2 * x + 3, 4 * y - 1, story, 2 * x_test + 3, 4 * y_test - 1, alphas=ALPHAS)
    same(other, fit)


def test_voxels_that_are_constant_or_not_finite_are_nan_and_harm_no_other(case, fit):
    x, y, story, x_test, y_test = case
    y, y_test = y.copy(), y_test.copy()
    y[:, 2] = 0.1
    y[5, 3] = np.nan
    y[195, 4] = np.inf
    y[0, 5], y[1, 5] = np.inf, -np.inf
    y_test[4, 22] = np.nan
    y_test[:, 21] = -0.1
    result = ridge_correlations(x, y, story, x_test, y_test, alphas=ALPHAS, batch_voxels=3)
    in_training, in_test = [2, 3, 4, 5], [21, 22]
    others = np.setdiff1d(np.arange(23), in_training)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result.correlation)), [*in_training, *in_test])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result.penalty)), in_training)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result.cv_score)), in_training)
    np.testing.assert_array_equal(result.penalty[others], fit.penalty[others])
    np.testing.assert_allclose(result.correlation[others[:-2]], fit.correlation[others[:-2]], atol=1e-5)


def test_a_voxel_that_is_constant_in_one_story_is_scored_by_the_others(case):
    x, y, story, x_test, y_test = case
    y = y.copy()
    y[story == story[0], 0] = 0
    result = ridge_correlations(x, y, story, x_test, y_test, alphas=ALPHAS, n_folds=7)
    assert np.isfinite(result.cv_score[0]) and result.correlation[0] > 0.3


def test_no_valid_voxel_at_all(case):
    x, y, story, x_test, y_test = case
    result = ridge_correlations(x, np.zeros_like(y), story, x_test, y_test)
    assert all(np.isnan(values).all() for values in (result.correlation, result.penalty, result.cv_score))


def test_progress_counts_to_the_end_and_himalayas_backend_is_left_as_it_was(case):
    before = himalaya.backend.get_backend().name
    seen = []
    ridge_correlations(*case, alphas=ALPHAS, batch_voxels=10, progress=lambda *step: seen.append(step))
    # 3 batches, each in 5 folds with 5 penalties, and in the test.
    assert seen == [(step, 78) for step in range(1, 79)]
    assert himalaya.backend.get_backend().name == before


def test_ridge_says_what_is_wrong(case):
    x, y, story, x_test, y_test = case
    with pytest.raises(InputError, match="stories"):
        ridge_correlations(x, y, np.zeros(len(x)), x_test, y_test)
    with pytest.raises(InputError, match="finite"):
        ridge_correlations(np.full_like(x, 2), y, story, x_test, y_test)
    with pytest.raises(InputError, match="finite"):
        ridge_correlations(np.where(x == x[3, 3], np.nan, x), y, story, x_test, y_test)
    for wrong in (
        (x[1:], y, story, x_test, y_test),
        (x, y, story[1:], x_test, y_test),
        (x, y, story, x_test, y_test[1:]),
        (x[:, 1:], y, story, x_test, y_test),
        (x, y, story, x_test, y_test[:, 1:]),
    ):
        with pytest.raises(ValueError, match="do not fit"):
            ridge_correlations(*wrong)
