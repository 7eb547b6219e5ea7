"""Transcripts as tables: words and times come back as written, and every fault is named with its line."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainlm.data.transcripts import read_transcript
from brainlm.data.words import load_words, save_words
from brainlm.errors import InputError
from brainlm.textgrid.tiers import read_words, write_textgrid

HEADER = "word\tonset\toffset\n"
NOBODY = 65534


@pytest.fixture
def tsv(tmp_path) -> Path:
    return tmp_path / "story.tsv"


def rows(words: pd.DataFrame) -> list[tuple[str, float, float]]:
    return list(words.itertuples(index=False, name=None))


def refusal(tsv: Path, content: str | bytes) -> str:
    tsv.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as caught:
        read_transcript(tsv)
    sentence = str(caught.value)
    assert sentence.startswith(f"{tsv}") and "\n" not in sentence
    return sentence.removeprefix(f"{tsv}")


@pytest.mark.parametrize("byte_order_mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_table_is_read(tsv, byte_order_mark, newline):
    text = HEADER + "I\t0.5\t0.75\nGrüße\t0.75\t1.25\ndon't\t1.5\t2e0\n"
    tsv.write_bytes(byte_order_mark + text.replace("\n", newline).encode())
    words = read_transcript(tsv)
    assert list(words.columns) == ["word", "onset_s", "offset_s"]
    assert rows(words) == [("i", 0.5, 0.75), ("grüße", 0.75, 1.25), ("don't", 1.5, 2.0)]
    assert words["onset_s"].dtype == words["offset_s"].dtype == np.float64
    assert words.attrs["dropped"] == {}


def test_a_textgrid_is_read_as_ever(tmp_path):
    path = tmp_path / "story.TextGrid"
    words = pd.DataFrame(
        {"label": ["sp", "One", "two"], "onset_s": [0.0, 1.0, 2.0], "offset_s": [1.0, 2.0, 4.0]}
    )
    write_textgrid(path, {"phone": words, "word": words}, 5.0)
    transcript = read_transcript(path)
    pd.testing.assert_frame_equal(transcript, read_words(path))
    assert rows(transcript) == [("one", 1.0, 2.0), ("two", 2.0, 4.0)]
    assert transcript.attrs["dropped"] == {"": 1, "sp": 1}


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=8)
TIME_S = st.floats(0, 1e5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoken=st.lists(st.tuples(WORD, TIME_S, TIME_S), min_size=1, max_size=8), quoted=st.booleans())
def test_any_words_and_times_come_back_in_order_of_onset(tsv, spoken, quoted):
    spoken = [(word, *sorted(times_s)) for word, *times_s in spoken]
    table = pd.DataFrame(spoken, columns=["word", "onset", "offset"])
    # pandas puts a word into quotes where it has quotes itself, or everything if told so.
    table.to_csv(tsv, sep="\t", index=False, quoting=1 if quoted else 0)
    expected = sorted(((word.lower(), on, off) for word, on, off in spoken), key=lambda row: row[1])
    assert rows(read_transcript(tsv, non_words=[])) == expected


@pytest.mark.parametrize("word", ["nan", "null", "NA", "n/a", "None", "true", "1", "007", "#hash", "pause"])
def test_a_word_is_taken_as_it_is(tsv, tmp_path, word):
    tsv.write_text(f"{HEADER}{word}\t1\t2\n")
    words = read_transcript(tsv)
    assert words["word"].tolist() == [word.lower()]
    # And stays so in the table that the next steps read.
    save_words(words, tmp_path / "words.tsv")
    assert load_words(tmp_path / "words.tsv")["word"].tolist() == [word.lower()]


def test_lines_without_a_word_are_dropped_and_counted(tsv):
    tsv.write_text(HEADER + '\t0\t1\na\t1\t2\n  \t\t\n\n""\t2\t3\nb\t3\t4\n')
    words = read_transcript(tsv)
    assert rows(words) == [("a", 1.0, 2.0), ("b", 3.0, 4.0)]
    assert words.attrs["dropped"] == {"": 2}


LABELS = ["sp", "{BR}", "Hello", "[Noise]", "sil", "(um)", "pause", "SP", "#"]


@pytest.fixture(params=["tsv", "TextGrid"])
def labelled(request, tmp_path) -> Path:
    """A transcript of either kind that holds `LABELS`."""
    path = tmp_path / f"story.{request.param}"
    onset_s = np.arange(len(LABELS), dtype=float)
    table = pd.DataFrame({"word": LABELS, "onset": onset_s, "offset": onset_s + 1})
    if request.param == "tsv":
        table.to_csv(path, sep="\t", index=False)
    else:
        tier = table.set_axis(["label", "onset_s", "offset_s"], axis=1)
        write_textgrid(path, {"words": tier, "phones": tier}, len(LABELS))
    return path


def test_labels_that_are_no_words_are_dropped_from_either_kind_of_transcript(labelled):
    words = read_transcript(labelled)
    assert rows(words) == [("hello", 2.0, 3.0), ("pause", 6.0, 7.0)]
    assert words.attrs["dropped"] == {"#": 1, "(um)": 1, "[noise]": 1, "br": 1, "sil": 1, "sp": 2}
    assert words.attrs["in_brackets"] == ["(um)", "[noise]"]


def test_other_labels_than_the_usual_ones_can_be_dropped(labelled):
    words = read_transcript(labelled, non_words=["PAUSE ", "[]"])
    assert words["word"].tolist() == ["sp", "{br}", "hello", "sil", "(um)", "sp", "#"]
    assert words.attrs["dropped"] == {"[noise]": 1, "pause": 1}


def test_every_label_but_the_empty_one_can_be_kept(labelled):
    words = read_transcript(labelled, non_words=[])
    assert words["word"].tolist() == [label.lower() for label in LABELS]
    assert words.attrs["dropped"] == {}


def test_a_label_that_is_no_word_may_have_blanks_and_no_times(tsv):
    tsv.write_text(HEADER + "a\t0\t1\n[background noise]\t\t\nnot-found-in-audio\tn/a\tn/a\nb\t3\t4\n")
    assert rows(read_transcript(tsv)) == [("a", 0.0, 1.0), ("b", 3.0, 4.0)]


def test_a_table_of_nothing_but_noise_has_no_words(tsv):
    assert refusal(tsv, HEADER + "sil\t0\t1\n<unk>\t1\t2\n").startswith(" has no words")


def test_phones_in_place_of_words_are_worth_a_warning(tsv):
    tsv.write_text(HEADER + "HH\t0\t1\nAH0\t1\t2\nL\t2\t3\nOW1\t3\t4\nhello\t4\t5\n")
    (warning,) = read_transcript(tsv).attrs["warnings"]
    assert warning.startswith(f"{tsv} has 4 words of 5 that look like phones, such as 'hh': ")
    assert "words_tier" in warning


def test_words_with_blanks_are_worth_a_warning(tmp_path):
    path = tmp_path / "story.TextGrid"
    labels = pd.DataFrame({"label": ["so we left", "then"], "onset_s": [0.0, 2.0], "offset_s": [2.0, 3.0]})
    write_textgrid(path, {"phones": labels, "words": labels}, 3.0)
    (warning,) = read_transcript(path).attrs["warnings"]
    assert warning.startswith(f"{path} has blanks in 1 of its 2 words, such as 'so we left': ")


@pytest.mark.parametrize("text", ["er oh i am so uh we saw a b and c", "the cat sat on the mat", "k"])
def test_common_short_words_are_worth_no_warning(tsv, text):
    lines = [f"{word}\t{i}\t{i + 1}\n" for i, word in enumerate(f"{text} we left".split())]
    tsv.write_text(HEADER + "".join(lines))
    assert read_transcript(tsv).attrs["warnings"] == []


def test_columns_may_stand_in_any_order_among_others(tsv):
    tsv.write_text("speaker\toffset \tword\t onset\nanna\t2\t  Hello \t1\nbert\t3\tthere\t 2 \n")
    assert rows(read_transcript(tsv)) == [("hello", 1.0, 2.0), ("there", 2.0, 3.0)]


def test_words_that_begin_together_keep_their_order(tsv):
    tsv.write_text(HEADER + "c\t5\t5\nb\t1\t2\na\t1\t1\n")
    assert read_transcript(tsv)["word"].tolist() == ["b", "a", "c"]


@pytest.mark.parametrize("column", ["word", "onset", "offset"])
def test_a_missing_column_is_named(tsv, column):
    header = "\t".join("Word" if name == column else name for name in ("word", "onset", "offset"))
    assert refusal(tsv, f"{header}\na\t1\t2\n").startswith(f", line 1: there is no column '{column}'")


@pytest.mark.parametrize("content", ["", "\n\n", "word,onset,offset\na,1,2\n"])
def test_what_has_no_columns_is_no_table(tsv, content):
    assert ", line 1: there is no column 'word'; the first line must name" in refusal(tsv, content)


@pytest.mark.parametrize("time", ["soon", "1,5", "inf", "1:30", "not a number"])
@pytest.mark.parametrize("column", ["onset", "offset"])
def test_a_time_that_is_no_number_is_named(tsv, column, time):
    times = {"onset": "0.5", "offset": "2"} | {column: time}
    content = f"{HEADER}a\t0\t1\nb\t{times['onset']}\t{times['offset']}\n"
    assert refusal(tsv, content).startswith(f", line 3: the {column} '{time}' is no number; give seconds")


def test_words_before_the_sounds_onset_are_taken(tsv):
    tsv.write_text(HEADER + "c\t0.5\t1\na\t-5.25\t-5\nb\t-0.5\t0.25\n")
    assert rows(read_transcript(tsv)) == [("a", -5.25, -5.0), ("b", -0.5, 0.25), ("c", 0.5, 1.0)]


def test_all_faults_of_a_table_are_named_with_their_lines(tsv):
    lines = ["a\t0\t1", "b\t2\t1", "c d\t2\t3", '"e\t3\t4', "f\tsoon\tlate", "g\t5", "h\t6\t7", "i\t9\t8"]
    assert refusal(tsv, HEADER + "\n".join(lines)) == (
        ", line 3: 'b' ends before it begins (2.0 to 1.0 s); mend its times. "
        "Line 4: 'c d' is more than one word; give each its own line and times. "
        'Line 5: a cell begins with a " that does not close it; remove it, or write a word with quotes as '
        '"""word""". '
        "Line 6: the onset 'soon' is no number; give seconds, for example 12.345. "
        "Line 6: the offset 'late' is no number; give seconds, for example 12.345. And 2 more such faults."
    )


UNTIMED = ["\t", "nan\tNaN", "NA\tna", "n/a\tN/A", "None\tnull", "-1\t-1", "-1.0\t", "NA\t-1"]


@pytest.mark.parametrize("times", UNTIMED)
def test_a_word_without_times_is_refused_with_what_to_do(tsv, times):
    lines = f"a\t0\t1\nb\t{times}\nc\t{times}\nd\t3\t4\n"
    assert refusal(tsv, HEADER + lines) == (
        ", line 3: 'b' has no times. Line 4: 'c' has no times. Drop the lines of words without times, give them "
        "interpolated ones, or set words_without_times to between, which places them between their "
        "neighbours."
    )


@pytest.mark.parametrize(
    ("times", "what"),
    [
        ("1.5\t", "has an onset but no offset"),
        ("1.5\t-1", "has an onset but no offset"),
        ("NA\t1.5", "has an offset but no onset"),
        ("-1\t1.5", "has an offset but no onset"),
    ],
)
def test_a_word_with_one_time_is_refused_or_heard_then(tsv, times, what):
    assert f", line 3: 'b' {what}. Drop the lines" in refusal(tsv, f"{HEADER}a\t0\t1\nb\t{times}\nc\t2\t3\n")
    words = read_transcript(tsv, words_without_times="between")
    assert rows(words) == [("a", 0.0, 1.0), ("b", 1.5, 1.5), ("c", 2.0, 3.0)]
    assert words.attrs["notes"] == ["words with one time alone are placed there: 1"]


@pytest.mark.parametrize("times", UNTIMED)
def test_words_without_times_are_placed_between_their_neighbours(tsv, times):
    lines = [f"a\t{times}", "b\t1\t2", f"c\t{times}", f"d\t{times}", "sil\t2\t6", "e\t6\t7", f"f\t{times}"]
    tsv.write_text(HEADER + "\n".join(lines))
    words = read_transcript(tsv, words_without_times="between")
    placed = [("c", 3.0, 3.0), ("d", 5.0, 5.0), ("e", 6.0, 7.0), ("f", 7.0, 7.0)]
    assert rows(words) == [("a", 1.0, 1.0), ("b", 1.0, 2.0), *placed]
    assert words.attrs["notes"] == ["words without times are placed between their neighbours: 4"]


def test_a_word_that_ends_before_it_begins_is_named(tsv):
    sentence = refusal(tsv, HEADER + "a\t0\t1\n\nb\t2.5\t2\n")
    assert ", line 4: 'b' ends before it begins (2.5 to 2.0 s)" in sentence


@pytest.mark.parametrize("cell", ["new york", "new\u00a0york", '"new york"'])
def test_several_words_in_a_cell_are_named(tsv, cell):
    assert " is more than one word; give each its own line" in refusal(tsv, f"{HEADER}{cell}\t0\t1\n")


@pytest.mark.parametrize(("line", "n_cells"), [("a\t1", 2), ("a", 1), ("a\t\t1\t2", 4), ("a 1 2", 1)])
def test_a_line_with_other_cells_than_the_first_is_named(tsv, line, n_cells):
    sentence = refusal(tsv, f"{HEADER}{line}\n")
    assert f", line 2: it has {n_cells} cells, but the first line has 3" in sentence


def test_a_quote_that_is_not_closed_takes_no_other_line_with_it(tsv):
    sentence = refusal(tsv, HEADER + 'a\t0\t1\n"b\t1\t2\nc"\t2\t3\n')
    assert ', line 3: a cell begins with a " that does not close it' in sentence


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 3), ("utf-16", 1)])
def test_another_encoding_is_named(tsv, encoding, line):
    content = (HEADER + "a\t0\t1\nété\t1\t2\n").encode(encoding)
    assert refusal(tsv, content) == f", line {line}: this is not UTF-8; save the table as UTF-8."


@pytest.mark.parametrize("content", [HEADER, HEADER + "\t0\t1\n \t\t\n"])
def test_a_table_without_words_is_refused(tsv, content):
    assert refusal(tsv, content).startswith(" has no words")


def test_a_missing_table_is_named(tsv):
    with pytest.raises(InputError, match=r"story\.tsv does not exist"):
        read_transcript(tsv)


def test_a_table_that_is_not_downloaded_is_named(tsv):
    pointer = "/annex/objects/MD5E-s123--0cc175b9c0f1b6a831c399e269772661.tsv\n"
    assert " has not been downloaded" in refusal(tsv, pointer)
    tsv.unlink()
    tsv.symlink_to("../.git/annex/objects/xx/MD5E-s123--0cc175b9.tsv")
    with pytest.raises(InputError, match=r"story\.tsv has not been downloaded"):
        read_transcript(tsv)


@pytest.fixture
def unreadable() -> Iterator[Path]:
    """A folder whose files can be closed to their reader; root, whom nothing stops, is nobody for a while."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("name", ["story.tsv", "story.TextGrid"])
def test_a_file_without_permission_to_read_is_named(unreadable, name):
    path = unreadable / name
    path.write_text(HEADER)
    path.chmod(0)
    with pytest.raises(InputError, match=rf"{name} cannot be read: its permissions"):
        read_transcript(path)
    path.chmod(0o400)
    with pytest.raises(InputError, match="has no words|is not a Praat TextGrid"):
        read_transcript(path)


GENTLE = """We,we,0.5,0.7
walked,walked,0.7,1.1
slowly,,,
and,,,
Harbour,<unk>,2.1,2.6
"""


def test_what_gentle_has_not_aligned_is_placed_between_its_neighbours_and_counted(tmp_path):
    path = tmp_path / "align.csv"
    path.write_text(GENTLE)
    words = read_transcript(path)
    assert words["word"].tolist() == ["we", "walked", "slowly", "and", "harbour"]
    # The gap from 1.1 to 2.1 s, at a quarter and at three quarters.
    assert words["onset_s"].tolist() == pytest.approx([0.5, 0.7, 1.35, 1.85, 2.1])
    assert words["offset_s"].tolist() == pytest.approx([0.7, 1.1, 1.35, 1.85, 2.6])
    assert words.attrs["notes"] == ["words without times are placed between their neighbours: 2"]


@pytest.mark.parametrize(
    "text",
    [
        "word,case,onset,offset\nWe,we,0.5,0.7\nrun,,,\n",
        "We,0.5,0.7\nrun,,\n",
        '"We",we,0.5,0.7\r\nrun,,,\r\n',
    ],
)
def test_gentles_table_may_have_names_or_lack_a_column(tmp_path, text):
    path = tmp_path / "align.csv"
    path.write_text(text)
    words = read_transcript(path)
    assert list(zip(words["word"], words["onset_s"], words["offset_s"], strict=True)) == [
        ("we", 0.5, 0.7),
        ("run", 0.7, 0.7),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "we\twe\t0.5\t0.7\n",
            "line 1: it has 1 cells, but gentle's align.csv has word, .*save a table .*as .tsv",
        ),
        ("we,we,0.5,soon\n", "line 1: the offset 'soon' is no number"),
        ("we,,,\nrun,,,\n", "none of the 2 words has a time"),
        ("", "has no words"),
    ],
)
def test_what_is_not_gentles_is_said_with_its_line(tmp_path, text, expected):
    path = tmp_path / "align.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=expected):
        read_transcript(path)
