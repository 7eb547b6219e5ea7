from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.normalization import Normalization
from brainlm.scores.reconstruction import reconstruction_fit
from brainlm.scores.summary import latent_table, model_summary

N_ROWS = 400


@pytest.fixture(scope="module")
def model(as_is) -> Crosscoder:
    """Latent 0 is shared, 1 the brain's, 2 the LM's, 3 is dead; one voxel of the raw data is excluded."""
    brain = torch.zeros(5, 4)
    lm = torch.zeros(3, 4)
    brain[0, 0] = lm[0, 0] = 1.0
    brain[1, 1] = 1.0
    lm[1, 2] = 1.0
    kept = np.array([True, True, True, True, True, False])
    ones = np.ones(5, np.float32)
    return Crosscoder(
        weights={"brain": brain, "lm": lm},
        bias=torch.tensor([0.0, 0.0, 0.0, -9.0]),
        k=2,
        normalization={"brain": Normalization(kept, 0 * ones, ones, 1.0, "zscore"), "lm": as_is(3)},
        alive=np.array([True, True, True, False]),
    )


@pytest.fixture(scope="module")
def test_rows(rows_of):
    random = np.random.default_rng(0)
    brain, lm = random.standard_normal((N_ROWS, 5)), random.standard_normal((N_ROWS, 3))
    lm[:, 0] = brain[:, 0] + 0.3 * lm[:, 0]
    return rows_of([150, 250], brain=brain, lm=lm)


@pytest.fixture(scope="module")
def latents(model, test_rows):
    return latent_table(model, test_rows, minimum_shift=20, false_discovery_rate=0.05)


def test_each_latent_has_its_class_and_norms(latents):
    assert latents["class"].tolist() == ["shared", "brain-dominant", "lm-dominant", "undefined"]
    assert latents["r"].tolist()[:3] == [0, 1, -1] and np.isnan(latents["r"][3])
    assert latents["brain_norm"].tolist() == [1, 1, 0, 0]


def test_only_the_shared_latent_agrees_on_held_out_rows(latents):
    assert latents["agreement_significant"].tolist() == [True, False, False, False]
    assert latents["agreement"][0] > 0.9 and latents["agreement"][0] > latents["agreement_null_99"][0]
    # Without a brain part there is nothing to correlate.
    assert latents["agreement"][1:].isna().all() and (latents["agreement_p"][1:] == 1).all()


def discoveries(p_values: list[Fraction], level: Fraction) -> list[bool]:
    """Benjamini-Hochberg: all tests up to the last one in order that stays below its limit."""
    in_order = sorted(p_values)
    limits = [level * rank / len(p_values) for rank in range(1, len(p_values) + 1)]
    last = max((p for p, limit in zip(in_order, limits, strict=True) if p <= limit), default=-1)
    return [p <= last for p in p_values]


@pytest.mark.parametrize("level", [Fraction(1, 100), Fraction(1, 20), Fraction(1, 5), Fraction(1, 2)])
@pytest.mark.parametrize("n_rows", [100, 119, 400])
def test_significance_is_that_of_live_latents_at_the_false_discovery_rate(as_is, rows_of, level, n_rows):
    # 100 rows have 59 circular shifts of at least 21: p-values are sixtieths, which often lie on limits.
    n_latents, random = 48, np.random.default_rng(0)
    alive = np.arange(n_latents) % 4 > 0
    identity = torch.eye(n_latents)
    model = Crosscoder(
        {"brain": identity, "lm": identity},
        torch.zeros(n_latents),
        2,
        {source: as_is(n_latents) for source in ("brain", "lm")},
        alive=alive,
    )
    brain, lm = random.standard_normal((2, n_rows, n_latents))
    lm += np.linspace(0, 0.4, n_latents) * brain
    table = latent_table(
        model, rows_of(brain=brain, lm=lm), minimum_shift=21, false_discovery_rate=float(level)
    )
    n_shifts = n_rows - 2 * 21 + 1
    p_values = [Fraction(round(p * (n_shifts + 1)), n_shifts + 1) for p in table["agreement_p"]]
    np.testing.assert_allclose(np.array(p_values, float), table["agreement_p"])
    assert not table.loc[~alive, "agreement_significant"].any()
    expected = discoveries([p for p, live in zip(p_values, alive, strict=True) if live], level)
    assert table.loc[alive, "agreement_significant"].tolist() == expected


def test_nothing_is_significant_where_no_latent_is_live(model, test_rows):
    dead = Crosscoder(model.weights, model.bias, model.k, model.normalization, alive=np.zeros(4, bool))
    table = latent_table(dead, test_rows, minimum_shift=20, false_discovery_rate=0.05)
    assert not table["agreement_significant"].any()


def test_densities_are_those_of_the_code(model, latents, test_rows):
    z = model.encode_rows({source: test_rows.source(source) for source in ("brain", "lm")}).numpy()
    np.testing.assert_allclose(latents["density"], (z != 0).mean(axis=0))
    assert latents["density"][3] == 0


def test_the_summary_counts_live_latents_and_excluded_voxels(model, latents, test_rows):
    fit = reconstruction_fit(model, test_rows)
    summary = model_summary(model, latents, {"test": fit, "training": fit})
    assert (summary["n_latents"], summary["live_latents"]) == (4, 3)
    assert summary["share_shared"] == pytest.approx(1 / 3) and summary["share_undefined"] == 0
    assert (summary["shared_latents"], summary["shared_agreeing_latents"]) == (1, 1)
    assert summary["share_agreeing"] == pytest.approx(1 / 3)
    # Three voxels have no weight, so that their reconstruction is constant; one more is excluded.
    assert summary["undefined_brain"] == 4 and summary["undefined_lm"] == 1
    assert summary["test_correlation_brain"] == np.nanmean(fit["brain"].correlation)
    assert (
        summary["standardize_brain"] == "zscore" and summary["training_explained_lm"] == fit["lm"].explained
    )


@pytest.fixture(scope="module")
def two_brains(model, as_is) -> Crosscoder:
    """The same with a second brain, which has latent 1 as strongly as the LM has latent 0, and latent 2 of the LM."""
    other = torch.zeros(4, 4)
    other[0, 1] = other[1, 2] = 1.0
    return Crosscoder(
        weights={"brain": model.weights["brain"], "other": other, "lm": model.weights["lm"]},
        bias=model.bias,
        k=2,
        normalization={**model.normalization, "other": as_is(4)},
        alive=model.alive,
    )


def test_each_brain_is_compared_with_the_language_model(two_brains, test_rows, latents, rows_of):
    random = np.random.default_rng(3)
    other = random.standard_normal((N_ROWS, 4))
    lm = test_rows.source("lm")
    other[:, 1] = lm[:, 1] + 0.3 * other[:, 1]
    rows = rows_of([150, 250], brain=test_rows.source("brain"), other=other, lm=lm)
    table = latent_table(two_brains, rows, minimum_shift=20, false_discovery_rate=0.05)
    brain, second = (part.reset_index(drop=True) for _, part in table.groupby("source", sort=False))
    assert brain["source"].unique() == ["brain"] and second["source"].unique() == ["other"]
    # What brain and LM say to each other does not depend on a third.
    same = ["latent", "r", "class", "brain_norm", "lm_norm", "agreement", "agreement_p"]
    pd.testing.assert_frame_equal(brain[same], latents[same])
    assert second["class"].tolist() == ["lm-dominant", "brain-dominant", "shared", "undefined"]
    assert second["agreement_significant"].tolist() == [False, False, True, False]
    assert second["other_norm"].tolist() == [0, 1, 1, 0]
    fit = reconstruction_fit(two_brains, rows)
    assert set(fit) == {"brain", "other", "lm"}
    summary = model_summary(two_brains, second, {"test": fit})
    assert summary["source"] == "other" and summary["shared_agreeing_latents"] == 1
    assert summary["test_correlation_other"] == np.nanmean(fit["other"].correlation)


def test_any_source_can_be_the_reference(two_brains, test_rows, rows_of):
    rows = rows_of(
        brain=test_rows.source("brain"),
        other=np.random.default_rng(0).standard_normal((N_ROWS, 4)),
        lm=test_rows.source("lm"),
    )
    table = latent_table(two_brains, rows, minimum_shift=20, false_discovery_rate=0.05, reference="brain")
    assert table["source"].unique().tolist() == ["other", "lm"]
    assert table.loc[table["source"] == "lm", "r"].tolist()[:3] == [0, -1, 1]
