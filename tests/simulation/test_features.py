import numpy as np
import pytest

from brainlm.simulation.features import (
    haemodynamic_response,
    hear,
    language_model_features,
    standardize,
    theme_readout,
    varimax,
)


def sparse_sources(n_rows: int, n_sources: int, seed: int = 0) -> np.ndarray:
    """Rare independent events of random size, as columns of mean 0 and s.d. 1."""
    random = np.random.default_rng(seed)
    events = (random.random((n_rows, n_sources)) < 0.08) * random.exponential(1, (n_rows, n_sources))
    return (events - events.mean(axis=0)) / events.std(axis=0)


def test_the_haemodynamic_response_has_area_one_and_peaks_near_five_seconds():
    t = np.arange(0, 60, 0.01)
    response = haemodynamic_response(t)
    assert response.sum() * 0.01 == pytest.approx(1, abs=1e-3)
    assert 4.5 < t[response.argmax()] < 5.5
    assert 12 < t[response.argmin()] < 18 and response.min() < 0
    assert np.all(haemodynamic_response(np.array([-10.0, -0.1, 0.0])) == 0)


def test_one_word_is_heard_as_one_response():
    times = np.arange(1.0, 30, 2)
    heard = hear(np.array([[2.0, -1.0]]), np.array([3.0]), np.array([3.4]), times)
    expected = 0.4 * haemodynamic_response(times - 3.2)
    np.testing.assert_allclose(heard, np.stack([2 * expected, -expected], axis=1), rtol=1e-12)


def test_words_are_heard_one_by_one():
    random = np.random.default_rng(0)
    onset = np.cumsum(random.uniform(0.3, 0.6, 40))
    offset, values, times = onset + 0.25, random.standard_normal((40, 3)), np.arange(1.0, 40, 2)
    expected = sum(
        hear(values[i : i + 1], onset[i : i + 1], offset[i : i + 1], times) for i in range(len(values))
    )
    np.testing.assert_allclose(hear(values, onset, offset, times), expected, atol=1e-12)


def test_constant_speech_tends_to_its_level():
    edges = np.cumsum(np.random.default_rng(0).uniform(0.1, 0.5, 400))
    values = np.full((399, 1), 2.5)
    times = np.arange(0.0, edges[-1], 2)
    heard = hear(values, edges[:-1], edges[1:], times)[:, 0]
    np.testing.assert_allclose(heard[times > 40], 2.5, rtol=1e-3)
    assert heard[0] == 0
    # Half the speech is half the level.
    heard = hear(values, edges[:-1], (edges[:-1] + edges[1:]) / 2, times)[:, 0]
    np.testing.assert_allclose(heard[times > 60], 1.25, rtol=0.05)


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


def test_language_model_features_are_the_rectified_sources():
    random = np.random.default_rng(2)
    sources = sparse_sources(2000, 4)
    sources[:, 1] *= -1  # a tail to the negative side, which must be turned around
    heard = sources @ random.standard_normal((4, 30)) + 0.05 * random.standard_normal((2000, 30))
    features = language_model_features(heard * random.uniform(0.1, 10, 30), 4)
    assert features.shape == (2000, 4)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(features.std(axis=0), 1, rtol=1e-10)
    rectified = np.maximum(sources * [1, -1, 1, 1] - 0.5, 0)
    similarity = np.corrcoef(rectified.T, features.T)[:4, 4:]
    assert np.all(similarity.max(axis=1) > 0.95) and len(set(similarity.argmax(axis=1))) == 4
    # Silent, at one value, most of the time.
    assert np.all(np.mean(features == features.min(axis=0), axis=0) > 0.5)


def test_a_higher_threshold_leaves_fewer_events():
    random = np.random.default_rng(3)
    heard = sparse_sources(500, 3) @ random.standard_normal((3, 10)) + 0.3 * random.standard_normal((500, 10))
    silent = [
        np.mean((f := language_model_features(heard, 3, threshold=threshold)) == f.min(axis=0))
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
