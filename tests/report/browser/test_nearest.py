import numpy as np
import pytest

from brainlm.report.browser.nearest import activation_correlations, decoder_cosines, nearest


def test_cosines_are_of_the_vectors_of_all_sources_together():
    random = np.random.default_rng(0)
    decoders = {
        "brain": random.standard_normal((9000, 5)).astype(np.float32),
        "lm": random.standard_normal((7, 5)).astype(np.float32),
    }
    whole = np.concatenate(list(decoders.values())).astype(float)
    whole /= np.linalg.norm(whole, axis=0)
    # float32 products
    np.testing.assert_allclose(decoder_cosines(decoders), whole.T @ whole, atol=1e-4)


def test_correlations_are_pearsons_and_0_where_nothing_varies():
    random = np.random.default_rng(1)
    activation = random.standard_normal((50, 4)).astype(np.float32)
    activation[:, 2] = 0
    found = activation_correlations(activation)
    expected = np.corrcoef(np.delete(activation, 2, axis=1).T)
    np.testing.assert_allclose(np.delete(np.delete(found, 2, 0), 2, 1), expected, atol=1e-5)
    assert not found[2].any()


def test_the_nearest_are_others_in_falling_order():
    similarity = np.array([[1.0, 0.2, 0.9], [0.2, 1.0, -0.5], [0.9, -0.5, 1.0]])
    assert nearest(similarity, 2) == [[(2, 0.9), (1, 0.2)], [(0, 0.2), (2, -0.5)], [(0, 0.9), (1, -0.5)]]


@pytest.mark.parametrize(("n_latents", "n_found"), [(1, 0), (2, 1), (9, 3)])
def test_there_are_no_more_neighbours_than_latents(n_latents, n_found):
    assert {len(of_latent) for of_latent in nearest(np.eye(n_latents))} == {n_found}
