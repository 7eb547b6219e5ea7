import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization
from brainlm.scores.latents import (
    CLASSES,
    agreement,
    agreement_test,
    class_shares,
    classify,
    density,
    relative_difference,
)
from brainlm.simulation.listener import autocorrelate

EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)


def ar1(n_rows: int, n_columns: int, seed: int, coefficient: float = 0.8) -> np.ndarray:
    return autocorrelate(np.random.default_rng(seed).standard_normal((n_rows, n_columns)), coefficient)


# Whose is a latent


def test_relative_difference_by_hand():
    r = relative_difference(np.array([1, 0, 3, 2, 1, 0]), np.array([1, 2, 0, 1, 4, 0]))
    np.testing.assert_allclose(r, [0, -1, 1, 0.5, -0.75, np.nan])


@EXAMPLES
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_relative_difference_is_antisymmetric_and_bounded(norms):
    brain, lm = np.array(norms).T
    r = relative_difference(brain, lm)
    np.testing.assert_array_equal(r, -relative_difference(lm, brain))
    defined = (brain > 0) | (lm > 0)
    np.testing.assert_array_equal(np.isnan(r), ~defined)
    assert np.all(np.abs(r[defined]) <= 1)


def test_classes_exclude_their_bounds():
    above = np.nextafter
    r = [
        0.2,
        above(0.2, 0),
        -0.2,
        above(-0.2, 0),
        0.5,
        above(0.5, 1),
        -0.5,
        above(-0.5, -1),
        0,
        1,
        -1,
        0.35,
        np.nan,
    ]
    assert classify(np.array(r)).tolist() == [
        "between",
        "shared",
        "between",
        "shared",
        "between",
        "brain-dominant",
        "between",
        "lm-dominant",
        "shared",
        "brain-dominant",
        "lm-dominant",
        "between",
        "undefined",
    ]


def test_class_shares_are_of_live_latents():
    classes = np.array(["shared", "shared", "between", "brain-dominant", "undefined"])
    shares = class_shares(classes, np.array([True, False, True, True, True]))
    assert shares == {
        "shared": 0.25,
        "brain-dominant": 0.25,
        "lm-dominant": 0.0,
        "between": 0.25,
        "undefined": 0.25,
    }
    nobody = class_shares(classes, np.zeros(5, bool))
    assert set(nobody) == set(CLASSES) and all(np.isnan(share) for share in nobody.values())


@pytest.mark.parametrize(
    ("brain", "lm", "message"),
    [
        ([1, 2], [1], r"same latents; got \(2,\) and \(1,\)"),
        ([1, -2], [1, 2], "never negative"),
        (["a"], [1], "brain's decoder vectors must be an array of real numbers; got text"),
        ([1], None, "LM's decoder vectors must be an array of real numbers; got NoneType"),
    ],
)
def test_norms_that_cannot_be_compared_are_an_error(brain, lm, message):
    with pytest.raises(InputError, match=message):
        relative_difference(brain, lm)


def test_norms_and_r_come_in_any_kind_of_array():
    norms = torch.tensor([3.0, 1.0], requires_grad=True)
    r = relative_difference(norms, [3, 4])
    np.testing.assert_allclose(r, [0, -0.75])
    assert (
        classify(torch.from_numpy(r)).tolist() == classify(r.tolist()).tolist() == ["shared", "lm-dominant"]
    )
    with pytest.raises(InputError, match="r must be an array of real numbers; got text"):
        classify(["0.1"])


# Agreement


@pytest.fixture(scope="module")
def planted():
    """Latents 0-2 drive both sources, 3-4 the brain, 5 the LM; 6 reads noise and 7 only the LM."""
    random = np.random.default_rng(0)
    directions = (
        np.linalg.qr(random.standard_normal((20, 8)))[0],
        np.linalg.qr(random.standard_normal((12, 8)))[0],
    )
    activity = {source: ar1(400, 8, seed) for source, seed in (("brain", 1), ("lm", 2))}
    activity["lm"][:, :3] = activity["brain"][:, :3]
    scales = random.uniform(0.5, 2, 20).astype(np.float32), random.uniform(0.5, 2, 12).astype(np.float32)
    raw, normalization = {}, {}
    for source, direction, scale in zip(("brain", "lm"), directions, scales, strict=True):
        rows = activity[source] @ direction.T + 0.1 * random.standard_normal((400, len(direction)))
        raw[source] = 5 + rows * scale * 3
        n = len(scale)
        normalization[source] = Normalization(
            np.ones(n, bool), np.full(n, 5, np.float32), scale, 3.0, "zscore"
        )
    weights = {
        s: torch.from_numpy(d.astype(np.float32)) for s, d in zip(("brain", "lm"), directions, strict=True)
    }
    weights["brain"][:, 7] = 0
    return Crosscoder(weights, torch.zeros(8), 3, normalization), raw


def test_agreement_is_high_for_shared_latents_alone(planted):
    model, raw = planted
    result = agreement(model, raw)
    assert np.all(result[:3] > 0.95) and np.all(np.abs(result[3:7]) < 0.5)
    assert np.isnan(result[7])


def test_agreement_is_the_correlation_of_projections(planted):
    model, raw = planted
    projections = [
        (raw[s] - model.normalization[s].offset) / model.normalization[s].scale @ model.weights[s].numpy()
        for s in ("brain", "lm")
    ]
    expected = [scipy.stats.pearsonr(projections[0][:, i], projections[1][:, i]).statistic for i in range(7)]
    np.testing.assert_allclose(agreement(model, raw)[:7], expected, atol=1e-5)


def test_agreement_says_which_rows_and_which_source_it_lacks(planted):
    model, raw = planted
    with pytest.raises(InputError, match="between 'brain' and 'lm'; 'brain' is missing"):
        agreement(model, {"lm": raw["lm"]})
    censored = raw["brain"].copy()
    censored[[2, 7]] = np.nan
    with pytest.raises(InputError, match=r"Source 'brain' .* 2 rows \(TRs\): 2, 7 \(counted from 0\)"):
        agreement(model, {**raw, "brain": censored})


def test_agreement_test_tells_shared_latents_from_the_others(planted, rows_of):
    model, raw = planted
    rows = rows_of(**model.normalize(raw))
    test = agreement_test(model, rows, minimum_shift=15)
    np.testing.assert_allclose(test.correlation, agreement(model, raw), atol=1e-6)
    np.testing.assert_allclose(test.p_value[:3], 1 / 372)
    assert np.all(test.p_value[3:] > 0.01) and test.p_value[7] == 1


# Density


def test_density_is_the_share_of_rows():
    active = np.array([[0, 2], [2, 3], [3, 2], [2, 0]])
    np.testing.assert_array_equal(density(np.ones(active.shape), active, 6), [0.5, 0, 1, 0.5, 0, 0])


def test_density_of_a_models_rows(fitted_case):
    model, rows = fitted_case
    inputs = {source: rows.source(source) for source in ("brain", "lm")}
    shares = density(*model.active_rows(inputs), model.n_latents)
    np.testing.assert_allclose(shares, (model.encode_rows(inputs).numpy() != 0).mean(axis=0))
    assert shares.sum() == pytest.approx(model.k)
