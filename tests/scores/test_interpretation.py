import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.scores.interpretation import (
    Separation,
    heard_in_rows,
    interpret,
    maximal_passages,
    separation,
    theme_rows,
    theme_share,
    unheard,
    words_heard,
    words_of_theme,
)

EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def spoken(text: str, first_s: float = 0.0) -> pd.DataFrame:
    """Words of 0.75 s, one each second."""
    words = text.split()
    onset = first_s + np.arange(len(words), dtype=float)
    return pd.DataFrame({"word": words, "onset_s": onset, "offset_s": onset + 0.75})


WORDS = spoken("zero one two three four five six seven eight nine")


@pytest.mark.parametrize(
    ("time_s", "span_s", "heard"),
    [
        (4.0, 2.0, "two three"),  # what begins at the end or ends before the start is not heard
        (4.1, 2.0, "two three four"),  # a word still being said is
        (4.0, 2.25, "two three"),  # touching the start (word one ends at 1.75) is not overlapping
        (4.0, 2.5, "one two three"),
        (0.5, 3.0, "zero"),
        (0.0, 3.0, ""),
        (30.0, 3.0, ""),
        (9.9, 0.05, ""),  # a pause
    ],
)
def test_words_heard_overlap_the_span(time_s, span_s, heard):
    assert words_heard(WORDS, time_s, span_s)["word"].tolist() == heard.split()


@given(
    words=st.lists(st.tuples(st.integers(-40, 160), st.integers(0, 30)), max_size=20),
    first=st.integers(-10, 100),
    n_rows=st.integers(1, 12),
    span_s=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_words_heard_in_a_segments_rows_are_those_of_any_rows_passage(words, first, n_rows, span_s):
    onset_s, length_s = np.array(words, float).reshape(-1, 2).T / 4
    transcript = pd.DataFrame({"word": "a", "onset_s": onset_s, "offset_s": onset_s + length_s})
    times_s = first / 4 + 1.5 * np.arange(n_rows)
    heard = {index for time_s in times_s for index in words_heard(transcript, time_s, span_s).index}
    found = heard_in_rows(transcript, times_s, span_s)
    assert set(np.flatnonzero(found)) == heard


@pytest.mark.parametrize(
    ("told", "listed", "named"),
    [
        ("i don’t know", ["don't"], "don’t"),
        ("i don't know", ["don\u2019t"], "don't"),
        ("a cafe\u0301 here", ["caf\u00e9"], "cafe\u0301"),
        ("a caf\u00e9 here", ["Cafe\u0301"], "caf\u00e9"),
        ("the house", ["HOUSE", " house "], "house"),
        ("die straße", ["Strasse"], "straße"),
        ("self\u2011made", ["self-made"], "self\u2011made"),
        ("late at night at home", ["at night"], "at night"),
        ("at at night", ["at  Night"], "at night"),
        ("at home night", ["at night"], ""),
        ("ha ha ha", ["ha ha"], "ha ha ha"),
        ("we left at night", ["night", "at night", "we"], "we at night"),
        ("night", ["at night"], ""),
        ("cafe", ["café"], ""),
        ("", ["night"], ""),
    ],
)
def test_a_themes_words_are_found_as_they_sound(told, listed, named):
    words = told.split()
    found = words_of_theme(words, listed)
    assert found.dtype == bool and found.shape == (len(words),)
    assert [word for word, of_theme in zip(words, found, strict=True) if of_theme] == named.split()


@EXAMPLES
@given(
    words=st.lists(st.sampled_from("abc"), max_size=12),
    phrases=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=4),
)
def test_phrases_are_found_wherever_their_words_follow_one_another(words, phrases):
    expected = [
        any(
            words[start : start + len(phrase)] == phrase
            for phrase in phrases
            for start in range(max(0, place - len(phrase) + 1), place + 1)
        )
        for place in range(len(words))
    ]
    assert words_of_theme(words, map(" ".join, phrases)).tolist() == expected


def test_what_no_story_has_is_unheard():
    stories = [["late", "at", "night"], ["don’t"]]
    assert unheard(stories, ["night", "don't", "at night", "zebra", "night late"]) == ["zebra", "night late"]


def test_maximal_passages_of_two_stories():
    words = {"hill": spoken("a b c d e f"), "lake": spoken("p q r s t u")}
    times = {"hill": np.array([2.0, 4.0, 6.0]), "lake": np.array([3.0, 5.0])}
    activations = {
        # Latent 0 peaks in both, latent 1 in the lake alone, latent 2 in none.
        "hill": np.array([[0.1, -1.0, 0.0], [2.0, 0.0, -2.0], [0.3, -0.5, 0.0]]),
        "lake": np.array([[0.2, 0.7, -1.0], [5.0, 0.0, 0.0]]),
    }
    table = maximal_passages(activations, times, words, span_s=2.0, n_passages=3)
    expected = pd.DataFrame(
        [
            (0, 1, "lake", 5.0, 5.0, "s t"),
            (0, 2, "hill", 4.0, 2.0, "c d"),
            (1, 1, "lake", 3.0, 0.7, "q r"),
        ],
        columns=["latent", "rank", "story", "time_s", "activation", "passage"],
    )
    pd.testing.assert_frame_equal(table, expected)
    best = maximal_passages(activations, times, words, span_s=2.0, n_passages=1)
    pd.testing.assert_frame_equal(best, expected.iloc[[0, 2]].reset_index(drop=True))


def test_equal_passages_are_ordered_by_story():
    stories = ["delta", "alpha", "charlie", "bravo"]
    table = maximal_passages(
        {s: np.full((2, 1), 1.5) for s in stories},
        {s: np.array([3.0, 5.0]) for s in stories},
        dict.fromkeys(stories, WORDS),
        span_s=1.0,
        n_passages=3,
    )
    assert table["story"].tolist() == ["alpha", "bravo", "charlie"] and table["rank"].tolist() == [1, 2, 3]
    # The first of equal rows.
    assert table["time_s"].tolist() == [3.0, 3.0, 3.0]


def test_latents_that_are_never_positive_have_no_passage():
    table = maximal_passages(
        {"hill": np.zeros((2, 3))}, {"hill": np.arange(2.0)}, {"hill": WORDS}, span_s=1.0, n_passages=3
    )
    assert list(table.columns) == ["latent", "rank", "story", "time_s", "activation", "passage"]
    assert table.empty


def test_theme_share_counts_the_words_heard():
    in_theme = np.array([0, 0, 1, 1, 0, 0, 0, 0, 0, 1], bool)
    times = np.array([-5.0, 2.0, 3.0, 4.0, 4.1, 9.0, 10.0, 30.0])
    shares = theme_share(in_theme, WORDS, times, 2.0)
    np.testing.assert_allclose(shares, [0, 0, 0.5, 1, 2 / 3, 0, 0.5, 0])
    expected = [in_theme[words_heard(WORDS, t, 2.0).index].mean() if 0 < t < 12 else 0 for t in times]
    np.testing.assert_allclose(shares, expected)


def slow_auc(activation: np.ndarray, labels: np.ndarray) -> float:
    wins = sum(
        1.0 if inside > outside else 0.5 if inside == outside else 0.0
        for inside in activation[labels]
        for outside in activation[~labels]
    )
    return wins / (labels.sum() * (~labels).sum())


@EXAMPLES
@given(n_rows=st.integers(6, 20), seed=st.integers(0, 999), ties=st.booleans())
def test_auc_counts_pairs(n_rows, seed, ties):
    random = np.random.default_rng(seed)
    activation = random.integers(0, 3, (n_rows, 3)) if ties else random.standard_normal((n_rows, 3))
    labels = np.arange(n_rows) < random.integers(1, n_rows)
    random.shuffle(labels)
    found = separation(activation, labels, minimum_shift=2)
    np.testing.assert_allclose(found.auc, [slow_auc(activation[:, i], labels) for i in range(3)], atol=1e-10)
    # The null turns the labels, by at least two rows either way.
    null = [
        [slow_auc(activation[:, i], np.roll(labels, shift)) for i in range(3)]
        for shift in range(2, n_rows - 1)
    ]
    np.testing.assert_allclose(found.null, null, atol=1e-10)


def test_auc_of_perfect_and_of_opposite_latents():
    labels = np.repeat([False, True, False], [6, 4, 10])
    activation = np.stack([labels * 2.0, -1.0 * labels, np.zeros(20)], axis=1)
    np.testing.assert_allclose(separation(activation, labels, minimum_shift=5).auc, [1, 0, 0.5], atol=1e-12)


@pytest.mark.parametrize("value", [True, False])
def test_without_two_kinds_of_rows_there_is_no_auc(value):
    found = separation(np.random.default_rng(0).random((10, 2)), np.full(10, value), minimum_shift=2)
    assert np.isnan(found.auc).all() and np.isnan(found.null).all()


def test_interpret_picks_the_best_latent_of_the_class(separations):
    candidates = {"shared": np.array([0, 2, 5]), "brain-dominant": np.array([4, 1])}
    wanted = [("shared", "place"), ("brain-dominant", "place"), ("brain-dominant", "negative")]
    table = interpret(separations, candidates, wanted)
    assert list(table.columns) == ["class", "theme", "rank", "latent", "auc", "null_95", "n_candidates"]
    assert table["class"].tolist() == ["shared", "brain-dominant", "brain-dominant"]
    assert table["theme"].tolist() == ["place", "place", "negative"]
    # Latent 3 separates places best, but belongs to neither class.
    assert table["latent"].tolist() == [0, 1, 4]
    assert table["auc"].tolist() == [0.6, 0.9, 0.99]
    assert table["n_candidates"].tolist() == [3, 2, 2]
    for row, latents in zip(table.itertuples(), ([0, 2, 5], [4, 1], [4, 1]), strict=True):
        best = [max(shifted[i] for i in latents) for shifted in separations[row.theme].null]
        assert row.null_95 == pytest.approx(np.quantile(best, 0.95))


def test_the_null_of_the_best_grows_with_the_number_of_candidates(separations):
    few, many = ({"shared": np.arange(n)} for n in (1, 6))
    null = [interpret(separations, c, [("shared", "place")])["null_95"].item() for c in (few, many)]
    assert null[1] > null[0]


def test_a_class_without_latents_has_no_best(separations):
    table = interpret(separations, {"lm-dominant": np.array([], int)}, [("lm-dominant", "place")])
    row = table.iloc[0]
    assert (row["latent"], row["n_candidates"]) == (-1, 0)
    assert np.isnan(row["auc"]) and np.isnan(row["null_95"])


def test_a_theme_that_does_not_occur_has_no_best():
    nowhere = {"place": Separation(np.full(4, np.nan), np.full((9, 4), np.nan))}
    row = interpret(nowhere, {"shared": np.array([0, 1])}, [("shared", "place")]).iloc[0]
    assert row["latent"] == -1 and np.isnan(row["auc"]) and row["n_candidates"] == 2


def test_interpret_ranks_as_many_latents_as_asked_for(separations):
    candidates = {"shared": np.array([0, 2, 5])}
    table = interpret(separations, candidates, [("shared", "place"), ("shared", "negative")], n_best=2)
    assert table["rank"].tolist() == [1, 2, 1, 2]
    assert table["latent"].tolist() == [0, 5, 0, 2]
    assert table["null_95"].nunique() == 2


def test_with_spans_most_words_make_a_theme_and_with_lists_the_most_hit_tenth_of_trs():
    share = np.array([0.0, 0.5, 0.51, 1.0])
    assert theme_rows(share, annotated=True).tolist() == [False, False, True, True]
    hits = np.arange(100) / 1000
    assert np.flatnonzero(theme_rows(hits, annotated=False)).tolist() == list(range(90, 100))
    assert not theme_rows(np.zeros(50), annotated=False).any()


def test_too_few_rows_for_a_null_are_an_error():
    with pytest.raises(InputError, match=r"30 test TRs .* lower the minimum shift"):
        separation(np.random.default_rng(0).random((30, 2)), np.arange(30) < 10, minimum_shift=16)


def test_what_belongs_to_other_words_or_rows_is_an_error():
    with pytest.raises(InputError, match="given for 9 words, but the story has 10"):
        theme_share(np.ones(9, bool), WORDS, np.arange(5.0), 2.0)
    # 10 and 11 rows have as many frequencies.
    with pytest.raises(InputError, match="given for 10 TRs, but activations for 11"):
        separation(np.zeros((11, 3)), np.ones(10, bool), minimum_shift=2)
    with pytest.raises(InputError, match="'a' has 5 rows of activations, but 6 times"):
        maximal_passages({"a": np.ones((5, 2))}, {"a": np.arange(6.0)}, {"a": WORDS}, span_s=3, n_passages=1)
