"""How well a crosscoder reconstructs its sources, from all of them or from one alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.scores.reconstruction import cross_prediction, reconstruction_fit

pytestmark = pytest.mark.usefixtures("one_thread")


def direct_correlation(x: np.ndarray, y: np.ndarray) -> list[float]:
    return [
        np.nan if np.ptp(x[:, c]) == 0 or np.ptp(y[:, c]) == 0 else np.corrcoef(x[:, c], y[:, c])[0, 1]
        for c in range(x.shape[1])
    ]


def test_fit_is_that_of_the_whole_reconstruction(fitted_case):
    model, rows = fitted_case
    z = model.encode_rows({source: rows.source(source) for source in ("brain", "lm")}).numpy().astype(float)
    fits = reconstruction_fit(model, rows)
    assert set(fits) == {"brain", "lm"}
    for source, fit in fits.items():
        x, reconstruction = rows.source(source).astype(float), z @ model.weights[source].numpy().T
        np.testing.assert_allclose(fit.correlation, direct_correlation(x, reconstruction), atol=1e-5)
        for story in range(3):
            here = rows.story == story
            expected = direct_correlation(x[here], reconstruction[here])
            np.testing.assert_allclose(fit.story_correlation[story], expected, atol=1e-5)
        variance = np.sum((x - x.mean(axis=0)) ** 2)
        expected = 1 - np.sum((x - reconstruction) ** 2) / variance
        assert fit.explained == pytest.approx(expected, abs=1e-5)
    assert np.isnan(fits["brain"].correlation[3]) and np.isnan(fits["brain"].story_correlation[:, 3]).all()
    assert np.isfinite(np.delete(fits["brain"].correlation, 3)).all()


def test_a_perfect_reconstruction_fits_perfectly(as_is, rows_of):
    identity = np.eye(6, dtype=np.float32)
    model = Crosscoder(
        {"brain": torch.from_numpy(identity[:4]), "lm": torch.from_numpy(identity[4:])},
        torch.zeros(6),
        6,
        {"brain": as_is(4), "lm": as_is(2)},
    )
    values = np.random.default_rng(0).standard_normal((30, 6))
    fits = reconstruction_fit(model, rows_of(brain=values[:, :4], lm=values[:, 4:]))
    for fit in fits.values():
        np.testing.assert_allclose(fit.correlation, 1, rtol=1e-6)
        assert fit.explained == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("relu", [False, True])
def test_cross_prediction_is_the_explicit_computation(as_is: Callable, rows_of: Callable, relu: bool):
    random = np.random.default_rng(0)
    weights = {"brain": random.standard_normal((8, 12)) / 4, "lm": random.standard_normal((5, 12)) / 4}
    weights["brain"][2] = 0
    bias = random.standard_normal(12) / 10
    z = np.maximum(random.standard_normal((60, 12)) - 0.8, 0)
    data = {s: z @ w.T * 4 + 0.3 * random.standard_normal((60, len(w))) + 1 for s, w in weights.items()}
    data["brain"][:, 3] = 1.7
    rows = rows_of([25, 20, 15], **data)
    model = Crosscoder(
        {source: torch.from_numpy(w.astype(np.float32)) for source, w in weights.items()},
        torch.from_numpy(bias.astype(np.float32)),
        4,
        {"brain": as_is(8), "lm": as_is(5)},
        relu=relu,
    )
    result = cross_prediction(model, rows)

    assert set(result) == {(a, b) for a in ("brain", "lm", "both") for b in ("brain", "lm")}
    for given, sources in {"brain": ["brain"], "lm": ["lm"], "both": ["brain", "lm"]}.items():
        code = np.zeros((60, 12))
        for row in range(60):
            preactivation = bias + sum(weights[s].T @ data[s][row] for s in sources)
            top = np.argsort(preactivation)[-4:]
            code[row, top] = np.maximum(preactivation[top], 0) if relu else preactivation[top]
        for target, w in weights.items():
            decoded = code @ w.T
            for column in range(len(w)):
                undefined = np.ptp(decoded[:, column]) == 0 or np.ptp(data[target][:, column]) == 0
                expected = (
                    np.corrcoef(decoded[:, column], data[target][:, column])[0, 1]
                    if not undefined
                    else np.nan
                )
                np.testing.assert_allclose(result[given, target][column], expected, atol=1e-5)
    assert np.flatnonzero(np.isnan(result["lm", "brain"])).tolist() == [2, 3]

    for source, fit in reconstruction_fit(model, rows).items():
        np.testing.assert_array_equal(result["both", source], fit.correlation)
