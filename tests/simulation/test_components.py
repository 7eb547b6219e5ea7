import numpy as np
import pytest

from brainlm.simulation.components import (
    least_explained,
    rectified,
    share_explained,
    sparse_components,
    standardize,
    theme_readout,
    varimax,
    without,
)


def sparse_sources(n_rows: int, n_sources: int, seed: int = 0) -> np.ndarray:
    """Rare independent events of random size, as columns of mean 0 and s.d. 1."""
    random = np.random.default_rng(seed)
    events = (random.random((n_rows, n_sources)) < 0.08) * random.exponential(1, (n_rows, n_sources))
    return (events - events.mean(axis=0)) / events.std(axis=0)


def test_standardized_columns_have_mean_0_and_sd_1():
    values = np.random.default_rng(0).normal(7, 3, (50, 4))
    np.testing.assert_allclose(standardize(values).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standardize(values).std(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("both_signs", [False, True])
def test_varimax_finds_sparse_sources_in_a_rotation(both_signs):
    sources = sparse_sources(3000, 5)
    if both_signs:
        sources *= np.random.default_rng(2).choice([-1, 1], sources.shape)
    random_rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    scores = sources @ random_rotation
    rotation = varimax(scores)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(5), atol=1e-10)
    similarity = np.abs(np.corrcoef(sources.T, (scores @ rotation).T)[:5, 5:])
    # Each source is one component, up to order and sign; before, they were mixed.
    assert np.all(similarity.max(axis=1) > 0.98) and len(set(similarity.argmax(axis=1))) == 5
    mixed = np.abs(np.corrcoef(sources.T, scores.T)[:5, 5:])
    assert mixed.max(axis=1).min() < 0.8


def test_components_are_the_sparse_sources_turned_upwards():
    random = np.random.default_rng(2)
    sources = sparse_sources(2000, 4)
    sources[:, 1] *= -1  # a tail to the negative side, which must be turned around
    heard = sources @ random.standard_normal((4, 30)) + 0.05 * random.standard_normal((2000, 30))
    components = sparse_components(heard * random.uniform(0.1, 10, 30), 4)
    assert components.shape == (2000, 4)
    np.testing.assert_allclose(components.T @ components / 2000, np.eye(4), atol=1e-10)
    similarity = np.corrcoef((sources * [1, -1, 1, 1]).T, components.T)[:4, 4:]
    assert np.all(similarity.max(axis=1) > 0.95) and len(set(similarity.argmax(axis=1))) == 4


def test_only_what_is_high_is_left_of_a_rectified_course():
    course = np.random.default_rng(0).normal(7, 3, (500, 2))
    half = rectified(course)
    np.testing.assert_allclose(half.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(half.std(axis=0), 1, rtol=1e-12)
    above = course > course.mean(axis=0) + 0.5 * course.std(axis=0)
    for column in range(2):
        high = above[:, column]
        assert np.ptp(half[~high, column]) == 0 and half[high, column].min() > half[~high, column].max()
        # Above the threshold it is the course, up to origin and unit, in which a course may come.
        assert np.corrcoef(half[high, column], course[high, column])[0, 1] == pytest.approx(1)
    np.testing.assert_allclose(rectified(4 + 3 * course), half, atol=1e-10)


def test_a_higher_threshold_leaves_fewer_events():
    course = np.random.default_rng(3).standard_normal((500, 3))
    silent = [
        np.mean((half := rectified(course, threshold=threshold)) == half.min(axis=0))
        for threshold in (0.0, 0.5, 2.0)
    ]
    assert silent[0] < silent[1] < silent[2]


@pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
def test_the_theme_readout_is_a_ridge_regression(penalty):
    random = np.random.default_rng(0)
    in_span = random.random(200) < 0.2
    hidden = standardize(random.standard_normal((200, 12)) + 0.5 * in_span[:, None])
    # Ridge as least squares on rows added for the penalty.
    rows = np.concatenate([hidden, np.sqrt(penalty * 200) * np.eye(12)])
    target = np.concatenate([in_span - in_span.mean(), np.zeros(12)])
    expected = hidden @ np.linalg.lstsq(rows, target)[0]
    readout = theme_readout(hidden, in_span, penalty=penalty)
    np.testing.assert_allclose(readout, expected, rtol=1e-8, atol=1e-12)
    assert readout[in_span].mean() > readout[~in_span].mean()


def test_what_courses_leave_has_nothing_of_them_and_the_shares_add_up():
    random = np.random.default_rng(0)
    courses = random.standard_normal((300, 3)) + 5
    values = courses @ random.standard_normal((3, 2)) + 2 * random.standard_normal((300, 2)) - 1
    rest = without(values, courses)
    assert np.abs(np.corrcoef(courses.T, rest.T)[:3, 3:]).max() < 1e-10
    np.testing.assert_allclose(rest.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(share_explained(values, courses), 1 - rest.var(axis=0) / values.var(axis=0))
    np.testing.assert_allclose(without(values, courses + 100), rest, atol=1e-9)


def test_one_course_explains_the_squared_correlation_and_its_copies_no_more():
    values, course = np.random.default_rng(1).standard_normal((2, 100, 1))
    squared = np.corrcoef(values[:, 0], course[:, 0])[0, 1] ** 2
    assert share_explained(values, course) == pytest.approx(squared)
    # Columns that say the same are no more than one.
    assert share_explained(values, np.hstack([course, 2 * course, course + 1])) == pytest.approx(squared)
    np.testing.assert_allclose(share_explained(np.hstack([course, 3 - course]), course), 1)


def test_least_explained_are_the_components_that_go_along_with_nothing_else():
    random = np.random.default_rng(2)
    components, others = random.standard_normal((500, 5)), random.standard_normal((500, 2))
    components[:, 1] += 0.5 * components[:, 0]  # two that explain each other
    components[:, 3] += 0.5 * others[:, 1]

    def chosen(n: int, *last: int) -> list[int]:
        is_last = np.isin(np.arange(5), last)
        return np.flatnonzero(least_explained(components, others, n, not_of=is_last)).tolist()

    assert chosen(2) == [2, 4]
    assert chosen(2, 2)[-1] == 4 and 2 not in chosen(2, 2)
    assert chosen(5, 2) == [0, 1, 2, 3, 4] and chosen(0) == []
