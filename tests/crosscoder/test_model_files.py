"""Model files that were written before the library was reordered still load, and mean the same."""

from pathlib import Path

import numpy as np
import pytest

from brainlm import Crosscoder

MODELS = Path(__file__).parent / "models"
# As the files were made: 4 voxels, the third left out of the model, 2 hidden dimensions, 3 latents.
WEIGHTS = {
    "brain": np.array([[1, 0, 0.5], [0, 2, -0.5], [0.25, 0, 0]]),
    "lm": np.array([[0, 1, 0.5], [0.5, -1, 0]]),
}
BIAS = np.array([0.125, 0, -0.25])
RAW = {
    "brain": np.array([[1.0, 2, 9, 4], [3, 1, 9, 0], [0, 5, 9, 8]]),
    "lm": np.array([[0, -1], [1, 2], [-2, 0.5]]),
}
NORMALIZED = {
    "brain": (RAW["brain"][:, [0, 1, 3]] - [1, 2, 4]) / [0.5, 1, 2] / 0.5,
    "lm": (RAW["lm"] - [0, -1]) / [1, 0.5] / 2,
}


def preactivations(encoder_scale: float) -> np.ndarray:
    return sum(NORMALIZED[source] @ (encoder_scale * WEIGHTS[source]) for source in WEIGHTS) + BIAS


def test_a_tied_model_with_top_k():
    model = Crosscoder.load(MODELS / "format2.safetensors")
    z = preactivations(1)
    z[np.arange(3), z.argmin(axis=1)] = 0
    np.testing.assert_array_equal(model.encode(RAW), z)
    for source, weights in WEIGHTS.items():
        np.testing.assert_array_equal(model.weights[source], weights)
        np.testing.assert_allclose(model.decoder_norms()[source], np.linalg.norm(weights, axis=0), rtol=1e-6)
    assert model.alive.tolist() == [True, True, False]
    assert model.provenance["experiment"] == "shuffled"
    assert model.normalization["brain"].kept.tolist() == [True, True, False, True]
    assert {source: of.standardize for source, of in model.normalization.items()} == {
        "brain": "zscore",
        "lm": "none",
    }


def test_an_untied_model_with_a_threshold_on_contributions():
    model = Crosscoder.load(MODELS / "format2-untied-batch-top-k.safetensors")
    z = preactivations(2)
    norms = np.linalg.norm(np.concatenate(list(WEIGHTS.values())), axis=0)
    np.testing.assert_array_equal(model.encode(RAW), np.where(z * norms > 0.75, z, 0))


@pytest.mark.parametrize("file", sorted(MODELS.glob("*.safetensors")), ids=lambda file: file.stem)
def test_a_model_that_is_saved_again_is_the_same(tmp_path, file):
    Crosscoder.load(file).save(tmp_path / file.name)
    assert (tmp_path / file.name).read_bytes() == file.read_bytes()
