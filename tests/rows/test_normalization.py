import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization, fit_normalization

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
STANDARDIZATIONS = ["none", "center", "zscore"]


@pytest.fixture
def stories() -> list[np.ndarray]:
    """Three stories of unequal length; columns of unequal mean and spread."""
    random = np.random.default_rng(0)
    mean, spread = random.normal(0, 5, 6), random.uniform(0.5, 4, 6)
    return [(mean + spread * random.standard_normal((n, 6))).astype(np.float32) for n in (11, 40, 23)]


def fit(stories, standardize="none", kept=None) -> Normalization:
    kept = np.ones(stories[0].shape[1], bool) if kept is None else kept
    return fit_normalization(lambda: iter(stories), standardize=standardize, kept=kept, source="brain")[0]


def summary(stories, standardize="none", kept=None):
    kept = np.ones(stories[0].shape[1], bool) if kept is None else kept
    return fit_normalization(lambda: iter(stories), standardize=standardize, kept=kept, source="brain")[1]


@pytest.mark.parametrize("standardize", STANDARDIZATIONS)
def test_training_rows_have_mean_norm_one(stories, standardize):
    normalization = fit(stories, standardize)
    norms = [np.linalg.norm(normalization.apply(story), axis=1) for story in stories]
    assert np.concatenate(norms).mean() == pytest.approx(1, abs=1e-6)
    assert normalization.standardize == standardize


@pytest.mark.parametrize("standardize", STANDARDIZATIONS)
def test_rows_are_those_of_numpy_on_all_stories_together(stories, standardize):
    together = np.concatenate(stories).astype(np.float64)
    expected = together - (together.mean(axis=0) if standardize != "none" else 0)
    expected /= together.std(axis=0) if standardize == "zscore" else 1
    mean_norm = np.linalg.norm(expected, axis=1).mean()
    normalization = fit(stories, standardize)
    assert normalization.mean_norm == pytest.approx(mean_norm, rel=1e-6)
    rows = np.concatenate([normalization.apply(story) for story in stories])
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, expected / mean_norm, rtol=1e-4, atol=1e-6)


def test_zscored_columns_have_mean_0_and_sd_1_before_the_division(stories):
    normalization = fit(stories, "zscore")
    rows = np.concatenate([normalization.apply(story) for story in stories]) * normalization.mean_norm
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-5)


def test_without_standardization_rows_are_only_divided(stories):
    normalization = fit(stories)
    np.testing.assert_allclose(
        normalization.apply(stories[0]) * normalization.mean_norm, stories[0], rtol=1e-5
    )


@EXAMPLES
@given(
    standardize=st.sampled_from(STANDARDIZATIONS),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4).filter(lambda lengths: sum(lengths) > 2),
    seed=st.integers(0, 999),
)
def test_invert_undoes_apply(standardize, lengths, seed):
    random = np.random.default_rng(seed)
    stories = [random.normal(3, 2, (n, 4)).astype(np.float32) for n in lengths]
    normalization = fit(stories, standardize)
    for story in stories:
        restored = normalization.invert(normalization.apply(story))
        assert restored.dtype == np.float32
        np.testing.assert_allclose(restored, story, rtol=1e-4, atol=1e-4)


def test_statistics_keep_their_digits_far_from_zero():
    # Sums of squares about 0 would lose a spread of 1 next to an offset of 1e6 to rounding.
    random = np.random.default_rng(1)
    stories = [1e6 + random.standard_normal((500, 3)) * [1, 3, 10] for _ in range(4)]
    together = np.concatenate(stories)
    normalization = fit(stories, "zscore")
    np.testing.assert_allclose(normalization.scale, together.std(axis=0), rtol=1e-6)
    np.testing.assert_allclose(normalization.offset, together.mean(axis=0), rtol=1e-7)


def test_the_first_story_need_not_look_like_the_others():
    # Statistics are taken about the first story's mean; it may be far off.
    random = np.random.default_rng(2)
    stories = [1e4 + random.standard_normal((3, 2)), random.standard_normal((4000, 2))]
    normalization = fit(stories, "zscore")
    np.testing.assert_allclose(normalization.scale, np.concatenate(stories).std(axis=0), rtol=1e-6)


def test_columns_with_nan_are_left_out_and_come_back_as_nan(stories):
    for story in stories:
        story[:, 2] = np.nan
    kept = np.array([True, True, False, True, True, True])
    normalization = fit(stories, "zscore", kept)
    assert (normalization.raw_width, normalization.width) == (6, 5)
    rows = normalization.apply(stories[0])
    assert rows.shape == (11, 5) and np.isfinite(rows).all()
    restored = normalization.invert(rows)
    assert restored.shape == (11, 6) and np.isnan(restored[:, 2]).all()
    np.testing.assert_allclose(restored[:, kept], stories[0][:, kept], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, -1234.567])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_columns_are_left_out(stories, value, dtype):
    stories = [story.astype(dtype) for story in stories]
    for story in stories:
        story[:, 4] = value
    normalization = fit(stories, "zscore")
    np.testing.assert_array_equal(normalization.kept, [True, True, True, True, False, True])
    assert np.isfinite(normalization.apply(stories[1])).all()


def test_a_column_that_is_constant_in_each_story_but_not_over_stories_is_kept(stories):
    for i, story in enumerate(stories):
        story[:, 4] = i
    assert fit(stories).kept[4]


def test_raw_arrays_are_left_as_they_were(stories):
    before = [story.copy() for story in stories]
    normalization = fit(stories, "zscore", np.array([True, False, True, True, True, True]))
    normalization.apply(stories[0])
    for story, original in zip(stories, before, strict=True):
        np.testing.assert_array_equal(story, original)


def test_summary(stories):
    # One column that dwarfs the others, and one that is constant and must not count.
    for story in stories:
        story[:, 0] += 1000
        story[:, 5] = 50_000
    columns = np.concatenate(stories)[:, :5].astype(float)
    result = summary(stories, "zscore")
    assert (result.n_rows, result.n_excluded) == (74, 1)
    expected = np.linalg.norm(columns.mean(axis=0)) / np.linalg.norm(columns, axis=1).mean()
    assert result.mean_over_norm == pytest.approx(expected, rel=1e-6)
    energy = np.sort((columns**2).sum(axis=0))
    assert result.top_two_energy == pytest.approx(energy[-2:].sum() / energy.sum(), rel=1e-6)


def test_nan_in_a_column_that_counts_as_valid_is_an_error(stories):
    stories[1][3, 2] = np.nan
    with pytest.raises(InputError, match="'brain' holds NaN"):
        fit(stories)


def test_no_varying_column_is_an_error(stories):
    with pytest.raises(InputError, match="'brain' has no column that varies"):
        fit([np.ones((5, 3)), np.ones((4, 3))])
    with pytest.raises(InputError, match="'brain' has no column that varies"):
        fit(stories, kept=np.zeros(6, bool))


def test_no_story_is_an_error():
    with pytest.raises(InputError, match="'brain' has no training rows"):
        fit([], kept=np.ones(3, bool))


def test_an_unknown_standardization_is_an_error(stories):
    with pytest.raises(ValueError, match="robust"):
        fit(stories, "robust")


def test_rows_that_do_not_fit_are_an_error(stories):
    normalization = fit(stories, kept=np.arange(6) != 2)
    with pytest.raises(InputError, match=r"Raw rows must be an array \(time, 6\); got \(11, 5\)"):
        normalization.apply(stories[0][:, :5])
    with pytest.raises(InputError, match=r"Normalized rows must be an array \(time, 5\); got \(11, 6\)"):
        normalization.invert(stories[0])


def test_missing_values_stay_missing_there_and_back(stories):
    normalization = fit(stories, "zscore")
    raw = stories[0].copy()
    raw[4, 1], raw[6, 2] = np.nan, np.inf
    back = normalization.invert(normalization.apply(raw.tolist()))
    np.testing.assert_allclose(back, raw, rtol=1e-4, atol=1e-5)
