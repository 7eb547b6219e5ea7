"""Tables of words: every word comes back as it was, whatever a spreadsheet would take it for."""

import numpy as np
import pandas as pd
import pytest

from brainlm.data.words import load_words, save_words
from brainlm.errors import InputError

ODD_WORDS = [
    "nan",
    "null",
    "NA",
    "n/a",
    "none",
    "true",
    "1",
    "007",
    "1e5",
    "",
    "don't",
    '"quoted"',
    'a"b',
    "été",
]


def words_table(words: list[str]) -> pd.DataFrame:
    onset_s = 0.5 + 0.25 * np.arange(len(words))
    return pd.DataFrame({"word": words, "onset_s": onset_s, "offset_s": onset_s + 0.2})


@pytest.mark.parametrize("word", ODD_WORDS)
def test_a_single_word_comes_back(tmp_path, word):
    # Alone in its column, so that nothing but its quotes tells that it is text.
    save_words(words_table([word]), tmp_path / "words.tsv")
    assert load_words(tmp_path / "words.tsv")["word"].tolist() == [word]


def test_a_table_of_words_comes_back(tmp_path):
    words = words_table(ODD_WORDS)
    save_words(words, tmp_path / "words.tsv")
    pd.testing.assert_frame_equal(load_words(tmp_path / "words.tsv"), words)


def test_times_are_kept_to_the_millisecond(tmp_path):
    words = pd.DataFrame({"word": ["now"], "onset_s": [1.23449], "offset_s": [1234.5678]})
    save_words(words, tmp_path / "words.tsv")
    loaded = load_words(tmp_path / "words.tsv")
    assert loaded[["onset_s", "offset_s"]].iloc[0].tolist() == [1.234, 1234.568]
    assert loaded["onset_s"].dtype == np.float64


def test_other_columns_are_kept(tmp_path):
    save_words(words_table(["here"]).assign(theme="place"), tmp_path / "words.tsv")
    assert load_words(tmp_path / "words.tsv")["theme"].tolist() == ["place"]


@pytest.mark.parametrize("column", ["word", "onset_s", "offset_s"])
def test_a_missing_column_is_named(tmp_path, column):
    words_table(["here"]).drop(columns=column).to_csv(tmp_path / "words.tsv", sep="\t", index=False)
    with pytest.raises(InputError, match=f"words.tsv lacks the column '{column}'"):
        load_words(tmp_path / "words.tsv")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="words.tsv does not exist"):
        load_words(tmp_path / "words.tsv")
