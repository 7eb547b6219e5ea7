"""A config of former days is read as it was meant, and its user is told what things are called now."""

from copy import deepcopy

from pipeline.former_words import with_todays_words


def test_a_config_in_todays_words_stays_as_it_is():
    config = {"ridge": {"n_folds": 3}, "experiments": {"mine": {"pairing": {"brain_time": "shuffled"}}}}
    assert with_todays_words(config) == (config, [])


def test_former_words_are_read_and_told_wherever_they_stand():
    given = {
        "encoding": {"n_folds": 3},
        "pairing": {"brain_time": "permuted", "seed": 1},
        "experiments": {"mine": {"pairing": {"brain_time": "permuted"}}, "permuted": {"seeds": [0]}},
    }
    before = deepcopy(given)
    config, sentences = with_todays_words(given)
    assert given == before
    assert config == {
        "ridge": {"n_folds": 3},
        "pairing": {"brain_time": "shuffled", "seed": 1},
        "experiments": {"mine": {"pairing": {"brain_time": "shuffled"}}, "permuted": {"seeds": [0]}},
    }
    assert sentences == [
        "Config: encoding is now called ridge, and read as such.",
        "Config: pairing.brain_time permuted is now called shuffled, and read as such.",
        "Config: experiments.mine.pairing.brain_time permuted is now called shuffled, and read as such.",
    ]


def test_a_section_with_both_names_is_left_to_be_refused():
    config = {"encoding": {"n_folds": 3}, "ridge": {}}
    assert with_todays_words(config) == (config, [])
