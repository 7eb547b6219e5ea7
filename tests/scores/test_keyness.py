"""Words that are key to latents: slow references, planted words, and latents that follow nothing."""

from math import log, sqrt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import binom

from brainlm.errors import InputError, TooLittleDataError
from brainlm.scores.interpretation import comparable, words_heard
from brainlm.scores.keyness import STRONGEST, keyness, log_odds, passage_words, strongest_rows
from tests.scores.activity import sparse_activity
from tests.scores.talk import SPAN_S, THEME, Talk, talk

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)
MINIMUM_SHIFT = 20


def heard_in(stories: Talk):
    return passage_words(stories.words, stories.times_s, SPAN_S)


def keyness_of(stories: Talk, activation: np.ndarray):
    strongest = strongest_rows(sparse.csc_array(activation))
    return keyness(heard_in(stories), strongest, minimum_shift=MINIMUM_SHIFT)


def following(theme: np.ndarray, seed: int, correlation: float) -> np.ndarray:
    """(time, 1) what correlates so much with the theme's course, kept where it is high."""
    noise = np.random.default_rng(seed).standard_normal(theme.size)
    course = correlation * (theme - theme.mean()) / theme.std() + sqrt(1 - correlation**2) * noise
    return np.where(course > np.quantile(course, 0.9), course, 0)[:, None]


# Words of passages


@EXAMPLES
@given(
    words=st.lists(
        st.tuples(
            st.sampled_from(["a", "A", "b", "don't", "don’t"]), st.integers(-20, 60), st.integers(0, 9)
        ),
        max_size=15,
    ),
    n_rows=st.integers(1, 10),
    span_s=st.sampled_from([0.3, 2.0, 8.0]),
)
def test_each_time_a_word_is_said_is_shared_out_among_the_passages_that_hold_it(words, n_rows, span_s):
    table = pd.DataFrame(
        {
            "word": [word for word, _, _ in words],
            # Tenths, which are not exact in binary: ends that touch must be told as words_heard tells them.
            "onset_s": [onset / 10 for _, onset, _ in words],
            "offset_s": [(onset + length) / 10 for _, onset, length in words],
        }
    )
    times_s = {"hill": 0.7 + 0.9 * np.arange(n_rows), "lake": np.array([1.3])}
    found = passage_words({"hill": table, "lake": table}, times_s, span_s)
    held = {
        (story, row): words_heard(table, time_s, span_s).index
        for story, of_story in times_s.items()
        for row, time_s in enumerate(of_story)
    }
    expected: dict[tuple[str, int], float] = {}
    for column, ((story, _), indices) in enumerate(held.items()):
        for index in indices:
            n_passages = sum(index in others for (other, _), others in held.items() if other == story)
            cell = (comparable(table["word"][index]), column)
            expected[cell] = expected.get(cell, 0) + 1 / n_passages
    assert found.words.tolist() == sorted({word for word, _ in expected})
    assert found.counts.shape == (len(found.words), n_rows + 1)
    cells = found.counts.tocoo()
    shares = dict(zip(zip(found.words[cells.row], cells.col, strict=True), cells.data, strict=True))
    assert shares == pytest.approx(expected)
    assert found.story.tolist() == [0] * n_rows + [1]


def test_a_story_without_a_table_of_words_is_an_error_and_one_without_words_is_silent():
    stories = talk(0, n_stories=3)
    silent = stories.words | {"story01": stories.words["story01"].iloc[:0]}
    found = passage_words(silent, stories.times_s, SPAN_S)
    assert found.counts[:, found.story == 1].nnz == 0 and found.counts[:, found.story == 2].nnz > 0
    del silent["story01"]
    with pytest.raises(InputError, match="'story01' has no table of words"):
        passage_words(silent, stories.times_s, SPAN_S)


# Strongest rows


def test_the_strongest_rows_are_a_share_of_all_or_those_of_positive_values():
    activation = np.zeros((20, 5))
    activation[:, 0] = np.arange(20)
    activation[3, 1] = 0.5
    activation[:, 2] = -1
    activation[[4, 5, 6, 7], 3] = [1, 2, 2, 2]
    strong = strongest_rows(sparse.csc_array(activation), 0.1).toarray()
    assert set(np.unique(strong)) == {0, 1}
    # Rows as strong as the weakest of the strongest are among them; nothing and what is negative are not.
    assert [np.flatnonzero(column).tolist() for column in strong.T] == [[18, 19], [3], [], [5, 6, 7], []]


@EXAMPLES
@given(seed=st.integers(0, 999), factor=st.sampled_from([1e-3, 1.0, 7.0]))
def test_strongest_rows_have_no_unit(seed, factor):
    activation = sparse_activity(60, 8, seed)
    strong = strongest_rows(sparse.csc_array(factor * activation), 0.2)
    np.testing.assert_array_equal(
        strong.toarray(), strongest_rows(sparse.csc_array(activation), 0.2).toarray()
    )
    assert (strong.sum(axis=0) <= 12).all()


# Log-odds


def slow_log_odds(inside, n_inside, elsewhere, n_elsewhere, prior, n_prior) -> tuple[float, float]:
    """Equations 16 and 20 of Monroe, Colaresi & Quinn, one word at a time."""
    odds_inside = (inside + prior) / (n_inside + n_prior - (inside + prior))
    odds_elsewhere = (elsewhere + prior) / (n_elsewhere + n_prior - (elsewhere + prior))
    return log(odds_inside) - log(odds_elsewhere), sqrt(1 / (inside + prior) + 1 / (elsewhere + prior))


@EXAMPLES
@given(
    counts=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 900)), min_size=2, max_size=8),
    weight=st.sampled_from([0.05, 1.0, 30.0]),
)
def test_log_odds_are_those_of_the_equations(counts, weight):
    inside, elsewhere = np.array(counts).T
    prior = weight * (1 + np.arange(len(counts)))
    n_inside, n_elsewhere, n_prior = inside.sum() + 3, elsewhere.sum() + 5, prior.sum() + 1
    found = log_odds(inside, n_inside, elsewhere, n_elsewhere, prior, n_prior)
    expected = [
        slow_log_odds(a, n_inside, b, n_elsewhere, alpha, n_prior)
        for a, b, alpha in zip(inside, elsewhere, prior, strict=True)
    ]
    np.testing.assert_allclose(np.transpose(found), expected, rtol=1e-12, atol=1e-12)


def test_a_word_as_frequent_everywhere_has_no_log_odds():
    difference, _ = log_odds(np.array([4.0]), 100, np.array([40.0]), 1000, prior=np.array([8.0]), n_prior=200)
    assert difference == pytest.approx(0, abs=1e-12)


# Keyness


def slow_keyness(stories: Talk, activation: np.ndarray) -> tuple[list[str], dict[str, np.ndarray]]:
    """Words of two stories or more; and (word, latent) z, least log-odds, margin of z above its threshold, and number
    of stories in whose strongest passages a word is heard; word by word and shift by shift."""
    share, story_of_row = [], []
    for story, times_s in stories.times_s.items():
        held = [words_heard(stories.words[story], time_s, SPAN_S)["word"] for time_s in times_s]
        n_passages = pd.concat(held).index.value_counts()
        share += [(1 / n_passages[passage.index]).groupby(passage).sum() for passage in held]
        story_of_row += [story] * len(times_s)
    per_row, story_of_row = pd.DataFrame(share).fillna(0), np.array(story_of_row)
    counts = per_row[sorted(word for word in per_row if per_row[word].groupby(story_of_row).any().sum() > 1)]
    words, counts, of_all = list(counts), counts.to_numpy(), per_row.to_numpy().sum(axis=1)
    total, n_total, n_rows = counts.sum(axis=0), of_all.sum(), len(activation)
    shifts = np.linspace(MINIMUM_SHIFT, n_rows - MINIMUM_SHIFT, 199).round().astype(int)
    found = {"z": [], "least": [], "margin": [], "n_stories": []}
    for column in activation.T:
        strong = (column > 0) & (column >= np.sort(column)[-int(STRONGEST * n_rows)])
        zeta = []
        for shift in [0, *shifts]:
            turned = np.roll(strong, shift)
            inside, n_inside = counts[turned].sum(axis=0), of_all[turned].sum()
            of_words = [
                slow_log_odds(a, n_inside, y - a, n_total - n_inside, STRONGEST * y, STRONGEST * n_total)
                for a, y in zip(inside, total, strict=True)
            ]
            zeta.append([delta / sigma for delta, sigma in of_words])
            if shift == 0:
                found["least"].append([delta - 1.96 * sigma for delta, sigma in of_words])
        z = (zeta - np.mean(zeta, axis=0)) / np.maximum(np.std(zeta, axis=0), 1)
        found["z"].append(z[0])
        found["margin"].append(z[0] - sorted(z[1:].max(axis=1))[-10])
        found["n_stories"].append([np.unique(story_of_row[strong & (of > 0)]).size for of in counts.T])
    return words, {name: np.transpose(values) for name, values in found.items()}


def test_keyness_is_that_of_a_slow_reference():
    stories = talk(1, n_stories=5, n_rows=50)
    # A latent that is strong in more rows than count, one in few of them, one that follows the theme.
    activation = np.hstack([sparse_activity(250, 2, 3, k=1), following(stories.theme, 4, 0.8)])
    activation[:, 1] *= np.arange(250) % 9 == 0
    words, expected = slow_keyness(stories, activation)
    found = keyness_of(stories, activation)
    assert found.words.tolist() == words
    # Kept in float32.
    np.testing.assert_allclose(found.z, expected["z"], atol=2e-5)
    np.testing.assert_allclose(found.least_log_odds, expected["least"], atol=2e-5)
    # Where rounding cannot decide it.
    clear = np.abs(expected["margin"]) > 1e-4
    above = (expected["margin"] > 0) & (expected["n_stories"] >= 2)
    np.testing.assert_array_equal(found.above_null[clear], above[clear])
    assert above[:, 2].any()


@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_a_latent_is_named_by_the_words_of_the_moments_that_it_follows(correlation):
    stories = talk(2)
    latents = np.hstack([following(stories.theme, seed, correlation) for seed in range(20)])
    found = keyness_of(stories, latents)
    of_theme = np.isin(found.words, THEME)
    assert of_theme.sum() == len(THEME)
    n_right, n_wrong = (found.above_null[which].sum(axis=0) for which in (of_theme, ~of_theme))
    assert (n_right >= 3).mean() >= 0.9
    # 5 % of latents would have one by chance, were there no theme.
    assert (n_wrong > 0).sum() <= binom.ppf(0.999, 20, 0.05)


@pytest.mark.parametrize("k", [10, 60], ids=["sparse", "dense"])
def test_latents_that_follow_nothing_have_words_in_five_percent_of_cases(k):
    n_latents = 200
    stories = talk(3)
    found = keyness_of(stories, sparse_activity(stories.theme.size, n_latents, seed=5, k=k))
    assert found.above_null.any(axis=0).sum() <= binom.ppf(0.999, n_latents, 0.05)


def test_a_word_of_one_story_is_not_key():
    stories = talk(4)
    heard = heard_in(stories)
    # Strong wherever the first story's own word is heard, and once where both stories of a pair say theirs.
    own, pair = (heard.counts[heard.words == word].toarray()[0] > 0 for word in ("own0", "pair1"))
    found = keyness_of(stories, np.stack([own, pair], axis=1).astype(float))
    assert "own0" not in found.words
    assert found.words[found.above_null[:, 1]].tolist() == ["pair1"]


def test_a_latent_that_is_strong_in_one_story_alone_has_no_words():
    stories = talk(5)
    heard = heard_in(stories)
    of_theme = heard.counts[np.isin(heard.words, THEME)].sum(axis=0) > 0
    found = keyness_of(stories, np.stack([of_theme, of_theme & (heard.story == 3)], axis=1).astype(float))
    assert found.above_null[:, 0].sum() >= 3 and not found.above_null[:, 1].any()


def test_a_latent_that_is_never_strong_has_no_words():
    stories = talk(6)
    found = keyness_of(stories, np.zeros((stories.theme.size, 2)))
    assert np.isfinite(found.z).all() and not found.above_null.any()


def test_what_belongs_to_other_rows_or_is_too_little_is_an_error():
    stories = talk(7, n_stories=2, n_rows=30)
    heard, ones = heard_in(stories), sparse.csc_array(np.ones((60, 1)))
    with pytest.raises(InputError, match="words for 60 TRs, but activations for 59"):
        keyness(heard, ones[:59], minimum_shift=MINIMUM_SHIFT)
    with pytest.raises(
        TooLittleDataError, match="60 training TRs leave 17 .* give the training split 62 TRs"
    ):
        keyness(heard, ones, minimum_shift=22)
    apart = {story: table.assign(word=table["word"] + story) for story, table in stories.words.items()}
    with pytest.raises(TooLittleDataError, match="No word is heard in two stories"):
        keyness(passage_words(apart, stories.times_s, SPAN_S), ones, minimum_shift=5)
