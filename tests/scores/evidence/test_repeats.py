"""Reliability of latents against hearings turned round one by one, simulations and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.ceiling import reliability
from brainlm.scores.evidence.repeats import (
    ceiling_agreement,
    ceiling_agreement_of_mean,
    latent_reliability,
)
from brainlm.simulation.listener import autocorrelate

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def hearings_of(n_repeats, n_times, n_latents, *, signal=0.0, smooth=0.7, seed=0) -> np.ndarray:
    """(repeat, time, latent): a smooth signal in all hearings, smooth noise of variance 1 in each."""
    random = np.random.default_rng(seed)
    of_story, of_hearing = (
        autocorrelate(random.standard_normal((n_times, size)), smooth)
        for size in (n_latents, n_repeats * n_latents)
    )
    return np.sqrt(signal) * of_story + of_hearing.reshape(n_times, n_repeats, n_latents).swapaxes(0, 1)


def slow_p(stories, *, minimum_shift, n_draws, seed):
    """Turn every hearing round, draw by draw, and compute explainable variance anew, in plain steps.

    Counts as large a value what differs by rounding alone, as it does where all hearings turn by one shift.
    """
    random = np.random.default_rng(seed)
    drawn = [
        random.integers(minimum_shift, s.shape[1] - minimum_shift + 1, (n_draws, len(s))) for s in stories
    ]
    observed = np.mean([reliability(story).explainable_variance for story in stories], axis=0)
    as_well = np.zeros(observed.size)
    for draw in range(n_draws):
        values = []
        for story, shifts in zip(stories, drawn, strict=True):
            turned = np.stack([np.roll(y, k, axis=0) for y, k in zip(story, shifts[draw], strict=True)])
            values.append(reliability(turned).explainable_variance)
        as_well += np.mean(values, axis=0) >= observed - 1e-12
    return (1 + as_well) / (1 + n_draws)


@EXAMPLES
@given(
    shapes=st.lists(st.tuples(st.integers(2, 5), st.integers(12, 25)), min_size=1, max_size=3),
    minimum_shift=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_the_fast_null_is_the_slow_one(shapes, minimum_shift, seed):
    stories = [hearings_of(*shape, 6, signal=0.3, seed=seed + number) for number, shape in enumerate(shapes)]
    found = latent_reliability(stories, minimum_shift=minimum_shift, n_draws=30, seed=seed)
    np.testing.assert_array_equal(
        found.p, slow_p(stories, minimum_shift=minimum_shift, n_draws=30, seed=seed)
    )
    expected = np.mean([reliability(story).explainable_variance for story in stories], axis=0)
    np.testing.assert_allclose(found.rho, expected, rtol=1e-12, atol=1e-12)
    assert (found.n_repeats, found.n_stories) == (sum(n for n, _ in shapes), len(shapes))


def test_the_planted_share_of_signal_is_found_and_significant():
    found = latent_reliability([hearings_of(6, 400, 200, signal=1.0)], minimum_shift=20)
    assert np.mean(found.rho) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(found.p, 1 / 1000)


@pytest.mark.parametrize(("n_repeats", "n_times"), [(2, 80), (5, 200)])
def test_hearings_without_a_signal_have_uniform_p_values(n_repeats, n_times):
    n_latents = 2000
    found = latent_reliability([hearings_of(n_repeats, n_times, n_latents)], minimum_shift=15)
    assert abs(np.mean(found.rho)) < 0.01
    for level in (0.05, 0.2, 0.5):
        rate = np.mean(found.p <= level)
        # Four s.e.; circles join ends of hearings that do not fit each other, which costs a little.
        assert abs(rate - level) < 4 * np.sqrt(level * (1 - level) / n_latents) + 0.015


def test_few_possible_shifts_do_not_pass_for_many():
    # 41 rows have two shifts of at least 20: of two hearings, half of the draws turn both by the same.
    found = latent_reliability([hearings_of(2, 41, 50, signal=9)], minimum_shift=20)
    assert (found.p > 0.4).all()


def test_what_a_hearing_alone_has_is_not_reliable_and_what_hearings_share_is():
    stories = hearings_of(4, 150, 2, seed=4)
    stories[:, :, 1] = stories[0, :, 1]
    found = latent_reliability([stories], minimum_shift=10)
    assert found.rho[1] == pytest.approx(1) and found.p[1] == 1 / 1000
    assert found.rho[0] < 0.2


def test_offsets_and_a_factor_change_nothing():
    story = hearings_of(3, 60, 5, signal=0.5)
    offsets = np.random.default_rng(0).standard_normal((3, 1, 5))
    one, other = (latent_reliability([s], minimum_shift=8) for s in (story, 40 * (story + offsets)))
    np.testing.assert_allclose(one.rho, other.rho, rtol=1e-9)
    np.testing.assert_array_equal(one.p, other.p)


def test_the_same_seed_gives_the_same_p():
    story = hearings_of(3, 60, 40)
    one, same, other = (latent_reliability([story], minimum_shift=8, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.p, same.p)
    assert (one.p != other.p).any()


def test_stories_that_tell_nothing_are_left_out():
    long = hearings_of(3, 60, 4, signal=1)
    once, brief, short = long[:1], long[:, :2], long[:, :15]
    found = latent_reliability([long, once, brief, short], minimum_shift=8)
    alone = latent_reliability([long], minimum_shift=8)
    np.testing.assert_array_equal(found.rho, alone.rho)
    assert (found.n_stories, found.n_repeats) == (1, 3)
    assert latent_reliability([once, brief, short], minimum_shift=8) is None
    assert latent_reliability([], minimum_shift=8) is None
    # Two rows of any shift leave no degrees of freedom, even where they could be turned.
    assert latent_reliability([brief], minimum_shift=1) is None


def test_a_latent_that_is_lost_has_no_reliability_and_a_lost_hearing_is_left_out():
    story, other = hearings_of(4, 60, 4, signal=9), hearings_of(3, 50, 4, signal=9, seed=1)
    lossy = story.copy()
    lossy[2, :, 1] = 0.1
    lossy[2, 17, 3] = np.nan
    lossy[:3, :, 2] = 0
    found = latent_reliability([lossy], minimum_shift=8, seed=3)
    assert np.isnan(found.rho).tolist() == [False, False, True, False] and found.p[2] == 1
    rest = latent_reliability([story[[0, 1, 3]]], minimum_shift=8)
    np.testing.assert_allclose(found.rho[[1, 3]], rest.rho[[1, 3]])
    # Of 45 shifts three hearings turn all by the same one in about one draw of 2,000.
    assert max(*found.p[[1, 3]], *rest.p[[1, 3]]) <= 0.004
    # In the other story it is known.
    both = latent_reliability([lossy, other], minimum_shift=8)
    assert both.rho[2] == pytest.approx(reliability(other).explainable_variance[2])
    assert both.rho[0] == pytest.approx(
        np.mean([reliability(s).explainable_variance[0] for s in (story, other)])
    )


def test_stories_of_other_latents_are_refused():
    with pytest.raises(InputError, match="same latents; got 4, 5"):
        latent_reliability([np.zeros((2, 30, 4)), np.zeros((2, 30, 5))], minimum_shift=3)
    with pytest.raises(InputError, match=r"\(repeat, time, latent\)"):
        latent_reliability([np.zeros((30, 4))], minimum_shift=3)


# Agreement at its ceiling


def test_agreement_at_its_ceiling_by_hand():
    a, rho = np.array([0.3, 0.6, 0.3, 0.3, 0.3, np.nan]), np.array([0.25, 0.25, 0.0, -0.1, np.nan, 0.25])
    yes = np.ones(6, bool)
    np.testing.assert_allclose(ceiling_agreement(a, rho, yes), [0.6, 1.2, np.nan, np.nan, np.nan, np.nan])
    assert np.isnan(ceiling_agreement(a, rho, ~yes)).all()
    # Of three hearings: 0.25 / (0.25 + 0.75 / 3) = 1/2.
    np.testing.assert_allclose(ceiling_agreement_of_mean(a, rho, yes, [3])[:2], [0.3 * 2**0.5, 0.6 * 2**0.5])
    # Of two stories NP / n is averaged: (1/2 + 1/6) / 2 = 1/3.
    np.testing.assert_allclose(ceiling_agreement_of_mean(a, rho, yes, [2, 6])[0], 0.3 * 2**0.5)


def test_one_hearing_is_its_own_mean():
    a, rho, yes = np.array([0.2, -0.4]), np.array([0.3, 0.9]), np.ones(2, bool)
    np.testing.assert_allclose(ceiling_agreement_of_mean(a, rho, yes, [1]), ceiling_agreement(a, rho, yes))


def test_the_ceiling_of_the_mean_is_that_of_repeated_hearings():
    story = hearings_of(5, 300, 50, signal=1.0)
    expected = reliability(story)
    yes, ones = np.ones(50, bool), np.ones(50)
    rho = latent_reliability([story], minimum_shift=20, n_draws=1).rho
    np.testing.assert_allclose(1 / ceiling_agreement(ones, rho, yes), expected.ceiling_single)
    np.testing.assert_allclose(1 / ceiling_agreement_of_mean(ones, rho, yes, [5]), expected.ceiling_mean)


def test_what_does_not_fit_is_refused():
    yes = np.ones(3, bool)
    with pytest.raises(InputError, match=r"Reliability .*\(3,\)"):
        ceiling_agreement(np.ones(3), np.ones(2), yes)
    for significant in (yes[:2], np.ones(3)):
        with pytest.raises(InputError, match="of 3 latents as True or False"):
            ceiling_agreement(np.ones(3), np.ones(3), significant)
    for n_hearings in ([], [0, 3]):
        with pytest.raises(InputError, match="heard at least once"):
            ceiling_agreement_of_mean(np.ones(3), np.ones(3), yes, n_hearings)
