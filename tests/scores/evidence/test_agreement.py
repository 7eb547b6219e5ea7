"""Agreement beyond shifts and swaps: known answers, slow references, and rates of false alarms."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.scores.evidence.agreement import (
    agreement_evidence,
    nuisance_loss,
    plain_agreement,
    shifted_shares,
)
from brainlm.scores.evidence.nuisances import fit_nuisances
from brainlm.scores.evidence.significance import significant
from brainlm.scores.evidence.swaps import draw_swaps, swap_correlations
from brainlm.scores.evidence.unmixing import unmixed
from brainlm.scores.latents import agreement_test
from brainlm.simulation.listener import autocorrelate

LENGTHS = [70, 90, 60, 80, 75, 85, 65]
"""Of five test stories and two validation stories."""
RECORDINGS = [f"recording{i}" for i in range(7)]
EDGES = np.cumsum(LENGTHS)
N_TEST = int(EDGES[4])
SETTINGS = {"recordings": RECORDINGS, "minimum_shift": 10}


def ar1(n_rows: int, n_columns: int, seed: int) -> np.ndarray:
    return autocorrelate(np.random.default_rng(seed).standard_normal((n_rows, n_columns)), 0.8)


def in_stories(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, [edge for edge in EDGES if edge < len(rows)])


def stories(n_latents: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Independent smooth rows of the test stories in the brain, and of all stories in the LM."""
    rows = ar1(sum(LENGTHS), n_latents, 2 * seed), ar1(sum(LENGTHS), n_latents, 2 * seed + 1)
    return in_stories(rows[0][:N_TEST]), in_stories(rows[1])


def with_shared_course(n_latents: int, n_shared: int, seed: int) -> tuple[list, list]:
    brain, lm = stories(n_latents, seed)
    for of_brain, of_lm in zip(brain, lm, strict=False):
        of_brain[:, :n_shared] += of_lm[:, :n_shared]
    return brain, lm


def test_agreement_by_hand():
    brain, lm = with_shared_course(4, 1, 0)
    brain, lm = [rows.astype(np.float32) for rows in brain], [rows.astype(np.float32) for rows in lm]
    test = agreement_evidence(brain, lm, **SETTINGS, n_swaps=250, seed=3)
    x, y = np.concatenate(brain).astype(float), np.concatenate(lm[:5]).astype(float)
    null = np.array(
        [
            [np.corrcoef(x[:, c], np.roll(y[:, c], lag))[0, 1] for c in range(4)]
            for lag in range(10, N_TEST - 9)
        ]
    )
    observed = np.array([np.corrcoef(x[:, c], y[:, c])[0, 1] for c in range(4)])
    np.testing.assert_allclose(test.correlation, observed, rtol=1e-9)
    np.testing.assert_allclose(test.null_99, np.quantile(null, 0.99, axis=0), rtol=1e-9)
    np.testing.assert_allclose(test.p_shift, (1 + (null >= observed).sum(axis=0)) / (1 + len(null)))
    swapped = swap_correlations(brain, lm, draw_swaps(RECORDINGS[:5], RECORDINGS, n_swaps=250, seed=3))
    np.testing.assert_allclose(test.p_swap, (1 + (swapped >= observed).sum(axis=0)) / 251)
    np.testing.assert_array_equal(test.p, np.maximum(test.p_shift, test.p_swap))
    assert test.whole_model_mean == pytest.approx(observed.mean())
    expected = (1 + np.sum(null.mean(axis=1) >= observed.mean())) / (1 + len(null))
    assert test.whole_model_p == pytest.approx(expected)
    assert (test.n_shifts, test.n_swaps, test.n_null) == (len(null), 250, 250)
    assert all(getattr(test, name).dtype == np.float64 for name in ("correlation", "null_99", "p"))


def test_a_shared_course_is_found_and_others_are_not():
    # 300 latents come in three blocks.
    brain, lm = with_shared_course(300, 30, 0)
    test = agreement_evidence(brain, lm, **SETTINGS)
    found = significant(test.p, 0.05)
    assert found[:30].all()
    # Of 30 right ones and false ones a twentieth is false on average: 2 would be, and 8 hardly.
    assert found[30:].sum() < 8
    assert test.whole_model_p == pytest.approx(1 / (1 + test.n_shifts))
    np.testing.assert_allclose(test.p[:30].max(), 1e-3, atol=0.002)


def test_smooth_independent_rows_have_uniform_p():
    n_latents = 1500
    brain, lm = stories(n_latents, 1)
    test = agreement_evidence(brain, lm, **SETTINGS, n_swaps=299)
    for p in (test.p_shift, test.p_swap):
        assert np.all((p > 0) & (p <= 1))
        for level in (0.05, 0.2, 0.5, 0.8):
            # Swaps cut stories to the shorter, so that their null is a little wider.
            assert abs(np.mean(p <= level) - level) < 4 * np.sqrt(level * (1 - level) / n_latents) + 0.02
    assert np.mean(test.p <= 0.05) <= min(np.mean(of <= 0.05) for of in (test.p_shift, test.p_swap))
    # The case is hard: taking rows as independent would call many of these significant.
    naive = scipy.stats.pearsonr(
        np.concatenate(brain), np.concatenate(lm[:5]), axis=0, alternative="greater"
    ).pvalue
    assert np.mean(naive <= 0.05) > 0.15


def test_what_every_story_does_at_its_beginning_passes_shifts_but_no_swap():
    brain, lm = stories(40, 2)
    for rows in [*brain, *lm]:
        rows += 6 * np.exp(-np.arange(len(rows)) / 8)[:, None]
    test = agreement_evidence(brain, lm, **SETTINGS)
    assert significant(test.p_shift, 0.05).mean() > 0.9
    assert significant(test.p, 0.05).mean() < 0.1


def test_the_whole_models_test_is_uniform_on_noise_and_finds_a_little_in_every_latent():
    p = [
        agreement_evidence(*stories(8, seed), **SETTINGS, n_swaps=0).whole_model_p for seed in range(10, 110)
    ]
    # A hundred independent ones: more than 13 below 0.05 have a probability of 0.0003.
    assert np.sum(np.array(p) <= 0.05) <= 13
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001
    brain, lm = stories(100, 3)
    for of_brain, of_lm in zip(brain, lm, strict=False):
        of_brain += 0.15 * of_lm
    test = agreement_evidence(brain, lm, **SETTINGS)
    assert significant(test.p, 0.05).mean() < 0.5 and test.whole_model_p < 0.01


def test_few_swaps_are_not_known():
    brain, lm = with_shared_course(3, 1, 0)
    # Five stories have 44 swaps among themselves.
    test = agreement_evidence(brain, lm[:5], recordings=RECORDINGS[:5], minimum_shift=10)
    assert test.n_swaps == 44 and np.isnan(test.p_swap).all() and test.n_null == test.n_shifts
    np.testing.assert_array_equal(test.p, test.p_shift)
    known = agreement_evidence(brain, lm[:5], recordings=RECORDINGS[:5], minimum_shift=10, fewest_swaps=44)
    assert known.n_null == 44 and known.p_swap[0] == pytest.approx(1 / 45)
    # One story has none.
    alone = agreement_evidence(brain[:1], lm[:1], recordings=RECORDINGS[:1], minimum_shift=10)
    assert alone.n_swaps == 0 and np.isnan(alone.p_swap).all()


@pytest.mark.filterwarnings("error")
def test_constant_latents_are_undefined_and_left_out_of_the_mean():
    brain, lm = with_shared_course(4, 4, 0)
    expected = agreement_evidence([rows[:, 1:] for rows in brain], [rows[:, 1:] for rows in lm], **SETTINGS)
    for rows in brain:
        rows[:, 0] = 0.1
    test = agreement_evidence(brain, lm, **SETTINGS)
    assert np.isnan(test.correlation[0]) and np.isnan(test.null_99[0])
    assert test.p_shift[0] == test.p_swap[0] == test.p[0] == 1
    np.testing.assert_array_equal(test.p[1:], expected.p)
    assert test.whole_model_mean == pytest.approx(expected.whole_model_mean)
    assert test.whole_model_p == expected.whole_model_p
    nothing = agreement_evidence([rows[:, :1] for rows in brain], [rows[:, :1] for rows in lm], **SETTINGS)
    assert np.isnan(nothing.whole_model_mean) and nothing.whole_model_p == 1 and nothing.p[0] == 1


@pytest.mark.filterwarnings("error")
def test_no_latents_are_no_error():
    brain, lm = stories(0, 0)
    test = agreement_evidence(brain, lm, **SETTINGS)
    assert test.p.shape == test.correlation.shape == (0,) and np.isnan(test.whole_model_mean)
    assert np.isnan(shifted_shares(brain, lm, **SETTINGS, rate=0.05)).all()


def test_what_cannot_be_tested_is_an_error():
    brain, lm = stories(2, 0)
    with pytest.raises(InputError, match="7 stories of the LM need .* got 6"):
        agreement_evidence(brain, lm, recordings=RECORDINGS[:6], minimum_shift=10)
    for ask in (agreement_evidence, shifted_shares):
        rate = {"rate": 0.05} if ask is shifted_shares else {}
        with pytest.raises(InputError, match="375 test TRs leave no circular shift of at least 188"):
            ask(brain, lm, recordings=RECORDINGS, minimum_shift=188, **rate)
    with pytest.raises(InputError, match="375 test TRs"):
        plain_agreement(brain, lm[:5], minimum_shift=188)
    with pytest.raises(InputError, match="Test story 2 .* 60 rows of the brain, but 59 of the LM"):
        plain_agreement(brain, [*lm[:2], lm[2][:59], *lm[3:]], minimum_shift=10)


# With decoder weights


def test_rows_and_weights_times_one_factor_change_no_number():
    random = np.random.default_rng(0)
    rows = {"brain": ar1(N_TEST, 12, 0), "lm": ar1(sum(LENGTHS), 7, 1)}
    rows["brain"][:, 0] += rows["lm"][:N_TEST, 0]
    weights = {source: random.standard_normal((of.shape[1], 9)) for source, of in rows.items()}

    def evidence(factor: float):
        unmixed_rows = []
        for source, of in rows.items():
            # Of one source alone: that is what scaling does.
            f = factor if source == "brain" else 1
            x, w = f * of, f * weights[source]
            unmixed_rows.append(in_stories(unmixed(x @ w, w.T @ w)))
        return agreement_evidence(*unmixed_rows, **SETTINGS)

    before, after = evidence(1), evidence(37.0)
    for name in ("correlation", "null_99", "p_shift", "p_swap", "p", "whole_model_mean", "whole_model_p"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9)


@pytest.mark.parametrize("ridge", [0.1, 0.3, 5.0])
def test_orthogonal_decoders_give_the_agreement_of_projections(as_is, rows_of, ridge):
    random = np.random.default_rng(0)
    brain, lm = ar1(300, 12, 0), ar1(300, 9, 1)
    weights = {
        source: (np.linalg.qr(random.standard_normal((width, 6)))[0] * random.uniform(0.5, 2, 6)).astype(
            np.float32
        )
        for source, width in (("brain", 12), ("lm", 9))
    }
    brain += lm @ weights["lm"] @ weights["brain"].T / 3
    model = Crosscoder(
        {source: torch.from_numpy(w) for source, w in weights.items()},
        torch.zeros(6),
        2,
        {"brain": as_is(12), "lm": as_is(9)},
    )
    rows = rows_of(brain=brain, lm=lm)
    expected = agreement_test(model, rows, minimum_shift=15)
    no_nuisances = np.zeros((300, 0))
    partialled = []
    for source, w in weights.items():
        u = unmixed(model.project(source, rows.source(source)), w.T @ w, ridge=ridge)
        partialled.append([fit_nuisances([(u, no_nuisances)]).residual(u, no_nuisances)])
    test = agreement_evidence(*partialled, recordings=["story"], minimum_shift=15)
    # Decoder vectors in float32 are orthogonal to 1e-7.
    np.testing.assert_allclose(test.correlation, expected.correlation, atol=1e-5)
    np.testing.assert_allclose(test.null_99, expected.null_99, atol=1e-5)
    # At most one shift lies so near that rounding decides.
    np.testing.assert_allclose(test.p, expected.p_value, atol=1.01 / 272)


def test_halves_that_follow_word_rate_agree_plainly_and_not_without_it():
    random = np.random.default_rng(0)
    n_train, n_test, n_latents = 1500, N_TEST, 20
    rate = ar1(n_train + n_test, 2, 5)
    brain, lm = ar1(n_train + n_test, n_latents, 6), ar1(n_train + n_test, n_latents, 7)
    shared = ar1(n_train + n_test, 4, 8)
    # Latents 0-3 share a course, 4-19 word rate: the brain half follows it alone, the LM half among other things.
    brain[:, 4:] += rate @ random.uniform(0.8, 1.5, (2, 16))
    lm[:, 4:] += rate @ random.uniform(0.8, 1.5, (2, 16))
    brain[:, :4] += shared
    lm[:, :4] += shared
    # Beside it something that is no nuisance, as there always is.
    nuisances = np.column_stack([rate, ar1(n_train + n_test, 1, 9), np.zeros(n_train + n_test)])
    edges = EDGES[:4]
    plain = plain_agreement(np.split(brain[n_train:], edges), np.split(lm[n_train:], edges), minimum_shift=10)
    partialled = []
    for values in (brain, lm):
        training = zip(np.split(values[:n_train], 5), np.split(nuisances[:n_train], 5), strict=True)
        residual = fit_nuisances(training).residual(values[n_train:], nuisances[n_train:])
        partialled.append(np.split(residual, edges))
    test = agreement_evidence(*partialled, recordings=RECORDINGS[:5], minimum_shift=10)
    plain_significant = significant(plain.p_value, 0.05)
    assert plain_significant.all()
    found = significant(test.p, 0.05)
    assert found[:4].all() and found[4:].sum() <= 1
    loss = nuisance_loss(test.correlation, plain.correlation, plain_significant)
    assert np.all(loss[:4] < 0.2) and np.all(loss[4:] > 0.6)


def test_plain_agreement_is_the_shift_test():
    brain, lm = with_shared_course(200, 20, 0)
    plain, test = plain_agreement(brain, lm[:5], minimum_shift=10), agreement_evidence(brain, lm, **SETTINGS)
    np.testing.assert_array_equal(plain.correlation, test.correlation)
    np.testing.assert_array_equal(plain.p_value, test.p_shift)
    np.testing.assert_array_equal(plain.null_99, test.null_99)


@given(a=st.floats(-1, 1), plain=st.floats(-1, 1).filter(lambda a: abs(a) > 1e-6))
def test_nuisance_loss_is_the_share_of_variance_that_went(a, plain):
    np.testing.assert_allclose(
        nuisance_loss([a, a, np.nan, 0.5], [plain, plain, 0.5, 0.0], [True, False, True, True]),
        [1 - a**2 / plain**2, np.nan, np.nan, np.nan],
    )


def test_nuisance_loss_is_of_the_same_latents():
    with pytest.raises(InputError, match=r"Plain agreement must be an array \(2,\)"):
        nuisance_loss([0.1, 0.2], [0.1], [True])


# After turning the brain's rows around


@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), n_others=st.integers(0, 2))
def test_shifted_shares_are_those_of_turned_rows(seed, n_others):
    brain, lm = stories(20, seed)
    x, y = np.concatenate(brain), lm[: 5 + n_others]
    # A latent that agrees after a turn of 180 rows, so that something is found.
    x[:, :3] += np.roll(np.concatenate(lm[:5])[:, :3], -180, axis=0)
    asked = {"recordings": RECORDINGS[: 5 + n_others], "minimum_shift": 10, "n_swaps": 299}
    shares = shifted_shares(in_stories(x), y, **asked, rate=0.2, n_turns=6)
    turns = np.linspace(10, N_TEST - 10, 6).round().astype(int)
    expected = []
    for turn in turns:
        test = agreement_evidence(in_stories(np.roll(x, turn, axis=0)), y, **asked)
        expected.append(significant(test.p, 0.2).mean())
    np.testing.assert_array_equal(shares, expected)


def test_shares_are_found_after_the_right_turn_and_few_after_others():
    brain, lm = stories(30, 4)
    turn = 10 + round((N_TEST - 20) * 7 / 19)
    x = np.concatenate(brain)
    x += np.roll(np.concatenate(lm[:5]), -turn, axis=0)
    shares = shifted_shares(in_stories(x), lm, **SETTINGS, rate=0.05)
    assert shares.shape == (20,) and shares.argmax() == 7 and shares[7] > 0.9
    assert np.delete(shares, 7).mean() < 0.02


def test_what_every_story_does_at_its_beginning_is_in_no_shifted_share():
    random = np.random.default_rng(0)
    # Seven stories of 75 TRs, so that turns by one, two, three and four stories bring beginnings together.
    course = 6 * np.exp(-np.arange(75) / 8)[:, None]
    brain, lm = ([course + random.standard_normal((75, 40)) for _ in range(n)] for n in (5, 7))
    asked = {"recordings": RECORDINGS, "minimum_shift": 75, "rate": 0.05, "n_turns": 4}
    assert shifted_shares(brain, lm, **asked).max() < 0.1
    # That takes swaps: shifts alone, with nothing but turns by whole stories to equal it, call it agreement.
    assert shifted_shares(brain, lm, **asked, fewest_swaps=1000).mean() > 0.5


def test_there_are_no_more_turns_than_shifts():
    brain, lm = stories(2, 0)
    shares = shifted_shares(brain, lm, recordings=RECORDINGS, minimum_shift=185, rate=0.05)
    assert shares.shape == (6,)


# Nuisances that were taken out of both


def without(values: np.ndarray, nuisances: np.ndarray) -> np.ndarray:
    return fit_nuisances([(values, nuisances)]).residual(values, nuisances)


def test_what_is_shifted_follows_nuisances_again_and_loses_them_again():
    """Slow: at every shift, take them out of the shifted rows by least squares."""
    nuisances = ar1(N_TEST, 6, 20)
    x, y = without(ar1(N_TEST, 3, 21), nuisances), without(ar1(N_TEST, 3, 22), nuisances)
    # One that comes twice and one that is constant take nothing more.
    named = np.column_stack([nuisances, 3 * nuisances[:, :1] - 1, np.full(N_TEST, 7.0)])
    test = agreement_evidence(
        in_stories(x),
        in_stories(y),
        recordings=RECORDINGS[:5],
        minimum_shift=10,
        nuisances=in_stories(named),
    )
    null = []
    for lag in range(10, N_TEST - 9):
        again = without(np.roll(x, -lag, axis=0), nuisances)
        null.append([np.corrcoef(again[:, c], y[:, c])[0, 1] for c in range(3)])
    observed = [np.corrcoef(x[:, c], y[:, c])[0, 1] for c in range(3)]
    np.testing.assert_allclose(test.correlation, observed, rtol=1e-9)
    np.testing.assert_allclose(test.null_99, np.quantile(null, 0.99, axis=0), rtol=1e-8)
    np.testing.assert_allclose(test.p_shift, (1 + (np.array(null) >= observed).sum(axis=0)) / (1 + len(null)))


def test_with_few_rows_and_many_nuisances_fewer_unrelated_signals_seem_to_agree():
    n_rows, n_latents, draws = 160, 150, 8
    called = {"again": [], "once": []}
    for draw in range(draws):
        nuisances = ar1(n_rows, 12, 100 + draw)
        x, y = (without(ar1(n_rows, n_latents, seed + draw), nuisances) for seed in (200, 300))
        asked = {"recordings": ["story"], "minimum_shift": 10}
        for name, taken in (("again", [nuisances]), ("once", None)):
            p = agreement_evidence([x], [y], **asked, nuisances=taken).p_shift
            called[name].append(np.mean(p <= 0.05))
    # So few rows of so slow signals have too narrow a null even without nuisances: 0.07 of these have p <= 0.05.
    assert 0.03 < np.mean(called["again"]) < np.mean(called["once"]) - 0.01


def test_nuisances_that_say_nothing_change_nothing():
    brain, lm = with_shared_course(6, 2, 3)
    expected = agreement_evidence(brain, lm, **SETTINGS)
    for nothing in (
        [np.zeros((len(rows), 2)) for rows in brain],
        [np.empty((len(rows), 0)) for rows in brain],
    ):
        test = agreement_evidence(brain, lm, **SETTINGS, nuisances=nothing)
        np.testing.assert_array_equal(test.p, expected.p)
        np.testing.assert_array_equal(test.null_99, expected.null_99)
        shares = [
            shifted_shares(brain, lm, **SETTINGS, rate=0.2, nuisances=taken) for taken in (None, nothing)
        ]
        np.testing.assert_array_equal(*shares)
