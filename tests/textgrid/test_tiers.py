from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from praatio import textgrid as praatio_textgrid
from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.point_tier import PointTier
from praatio.utilities.errors import PraatioException

from brainlm.errors import InputError
from brainlm.textgrid.tiers import read_words, write_textgrid

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]
BYTE_ORDER_MARKS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
WORDS = [("i", 0.5, 0.75), ("grüße", 0.75, 1.25), ('say "5"', 1.5, 1.875), ("item", 1.875, 2.0)]


def tier(intervals) -> pd.DataFrame:
    return pd.DataFrame(intervals, columns=["label", "onset_s", "offset_s"])


def write_words(path: Path, intervals, *, short: bool = False, duration_s: float = 10.0) -> Path:
    tiers = {"phone": [("AH0", 0.0, 1.0)], "word": intervals}
    if not short:
        write_textgrid(path, {name: tier(of_tier) for name, of_tier in tiers.items()}, duration_s)
        return path
    grid = praatio_textgrid.Textgrid(0, duration_s)
    for name, of_tier in tiers.items():
        entries = [(onset_s, offset_s, label) for label, onset_s, offset_s in of_tier]
        grid.addTier(IntervalTier(name, entries, 0, duration_s))
    grid.save(str(path), format="short_textgrid", includeBlankSpaces=True)
    return path


def rows(words: pd.DataFrame) -> list[tuple[str, float, float]]:
    return list(words.itertuples(index=False, name=None))


def encode_again(path: Path, encoding: str, newline: str = "\n") -> None:
    text = path.read_text(encoding="utf-8").replace("\n", newline)
    path.write_bytes(BYTE_ORDER_MARKS.get(encoding, b"") + text.encode(encoding))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_words_come_back_in_every_encoding_and_format(tmp_path, encoding, short, newline):
    path = write_words(tmp_path / "story.TextGrid", WORDS, short=short)
    encode_again(path, encoding, newline)
    words = read_words(path)
    assert list(words.columns) == ["word", "onset_s", "offset_s"]
    assert rows(words) == WORDS
    assert words.onset_s.dtype == words.offset_s.dtype == np.float64
    assert words.attrs["dropped"] == {"": 3}


def test_praatio_reads_what_is_written(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", WORDS)
    grid = praatio_textgrid.openTextgrid(str(path), includeEmptyIntervals=True)
    assert grid.tierNames == ("phone", "word")
    assert grid.maxTimestamp == 10.0
    entries = [(label, start, end) for start, end, label in grid.getTier("word").entries]
    assert [entry for entry in entries if entry[0]] == WORDS
    assert entries[0] == ("", 0.0, 0.5) and entries[-1] == ("", 2.0, 10.0)
    for (_, _, end), (_, start, _) in zip(entries, entries[1:], strict=False):
        assert end == start


@pytest.mark.parametrize("file_format", ["long_textgrid", "short_textgrid"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_praatio_writes_is_read(tmp_path, file_format, encoding):
    grid = praatio_textgrid.Textgrid()
    grid.addTier(IntervalTier("phone", [(0.0, 1.0, "AH0")], 0, 10))
    grid.addTier(IntervalTier("word", [(start, end, word.title()) for word, start, end in WORDS], 0, 10))
    grid.addTier(PointTier("events", [(0.5, "click"), (3.0, "12")], 0, 10))
    path = tmp_path / "story.TextGrid"
    grid.save(str(path), format=file_format, includeBlankSpaces=True)
    encode_again(path, encoding)
    assert rows(read_words(path)) == WORDS


LABELS = st.text(
    alphabet=st.one_of(st.sampled_from('"!<>[]{}0123456789 \n\r\t=.-:é'), st.characters(codec="utf-8")),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(LABELS, max_size=8),
    cuts=st.lists(st.integers(1, 10**7), min_size=10, max_size=10, unique=True),
    short=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
)
def test_any_label_comes_back(tmp_path, labels, cuts, short, encoding):
    bounds_s = [cut / 1e6 for cut in sorted(cuts)]
    intervals = [*zip(labels, bounds_s, bounds_s[1:], strict=False), ("end", bounds_s[-1], 10.5)]
    path = write_words(tmp_path / "story.TextGrid", intervals, short=short, duration_s=10.5)
    encode_again(path, encoding)
    words = read_words(path, non_words=[])
    expected = [(" ".join(label.split()).lower(), onset, offset) for label, onset, offset in intervals]
    kept = [row for row in expected if row[0]]
    assert rows(words) == kept
    gaps = 2 if labels else 1  # before the first interval and before the last
    assert sum(words.attrs["dropped"].values()) == len(expected) - len(kept) + gaps


def test_labels_that_are_no_words_are_dropped_and_counted(tmp_path):
    labels = [
        "{BR}",
        "br",
        "sentence_start",
        "{ LG }",
        "Sp",
        "sp ",
        "{NS}",
        "ls",
        "sl",
        "cg",
        "IG",
        "sentence_end",
    ]
    intervals = [(label, i * 0.5, i * 0.5 + 0.5) for i, label in enumerate([*labels, "brr", "{laugh}"])]
    words = read_words(write_words(tmp_path / "story.TextGrid", intervals, duration_s=7.0))
    assert words.word.tolist() == ["brr"]
    assert words.attrs["dropped"] == {
        "br": 2, "cg": 1, "ig": 1, "lg": 1, "ls": 1, "ns": 1,
        "sentence_end": 1, "sentence_start": 1, "sl": 1, "sp": 2, "{laugh}": 1,
    }  # fmt: skip
    assert words.attrs["in_brackets"] == ["{laugh}"]


def test_blanks_and_line_breaks_inside_a_label_become_one_blank(tmp_path):
    intervals = [("  New\r\n  York\t", 0.0, 1.0), ("ice  cream", 1.0, 2.0)]
    words = read_words(write_words(tmp_path / "story.TextGrid", intervals))
    assert words.word.tolist() == ["new york", "ice cream"]


def test_words_are_in_order_of_onset(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", [("a", 0.0, 1.0), ("b", 1.0, 2.0)], short=True)
    path.write_text(path.read_text().replace('0\n1\n"a"', '5\n6\n"a"'))
    assert read_words(path).word.tolist() == ["b", "a"]


def test_comments_odd_spacing_and_point_tiers_are_read_as_praat_reads_them(tmp_path):
    path = tmp_path / "story.TextGrid"
    path.write_text(
        """File type = "ooTextFile short"
        "TextGrid"   ! made by hand, with "quotes" and 12 numbers
        0 ! from
        2.5
        tiers? <exists> size: 3
        "TextTier" "clicks" 0 2.5 1
            12e-1 "a click"
        item [2]: class = "IntervalTier" name = "wörd 3" xmin = 0 xmax = 2.5 intervals: size = 2
        intervals [1]: xmin = 0 xmax = +1.5 text = "Hi! there, 5"
        intervals [2]: ! the last
            xmin = 1.5 xmax = 2.5 text = "\"\"ok\"\""
        "IntervalTier" "empty" 0 2.5 0"""
    )
    assert rows(read_words(path)) == [("hi! there, 5", 0.0, 1.5), ('"ok"', 1.5, 2.5)]


def test_intervals_that_overlap_by_a_rounding_error_meet(tmp_path):
    intervals = [("a", 0.0, 0.1 + 0.2), ("b", 0.3, 1.1 + 2.2)]
    path = write_words(tmp_path / "story.TextGrid", intervals, duration_s=3.3)
    assert rows(read_words(path)) == [("a", 0.0, 0.3), ("b", 0.3, 3.3)]
    assert read_words(path).attrs["dropped"] == {}


@pytest.mark.parametrize(
    "intervals",
    [[("a", 0.0, 2.0), ("b", 1.0, 3.0)], [("a", 1.0, 1.0)], [("a", -1.0, 1.0)], [("a", 9.0, 11.0)]],
)
def test_impossible_intervals_are_not_written(tmp_path, intervals):
    with pytest.raises(PraatioException):
        write_words(tmp_path / "story.TextGrid", intervals)
    assert not (tmp_path / "story.TextGrid").exists()


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"story\.TextGrid does not exist"):
        read_words(tmp_path / "story.TextGrid")


def test_a_file_that_is_not_downloaded(tmp_path):
    path = tmp_path / "story.TextGrid"
    path.write_text("/annex/objects/MD5E-s872355--24e95f7dd974af6644c139b55a0d8f35.TextGrid\n")
    with pytest.raises(InputError, match=r"story\.TextGrid has not been downloaded"):
        read_words(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404</html>", b'{"a": 1}', b"ooBinaryFile\x08TextGrid\x00\x00", bytes(range(256))]
    + [b'File type = "ooTextFile"\nObject class = "Pitch 1"\n\n0\n1\n'],
)
def test_a_file_that_is_no_textgrid(tmp_path, content):
    path = tmp_path / "story.TextGrid"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"story\.TextGrid is not a Praat TextGrid"):
        read_words(path)


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_truncated_file_is_noticed_wherever_it_ends(tmp_path, short, encoding):
    path = write_words(tmp_path / "story.TextGrid", WORDS[:2], short=short, duration_s=1.25)
    encode_again(path, encoding)
    content = path.read_bytes()
    for length in range(len(content.rstrip(b" \n\x00"))):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="is truncated|is not a Praat TextGrid"):
            read_words(path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"story\.TextGrid is truncated"):
        read_words(path)


def test_a_damaged_file(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", WORDS, short=True)
    text = path.read_text()
    path.write_text(text.replace('0.5\n0.75\n"i"', '0.5\n"i"'))
    with pytest.raises(
        InputError, match=r"story\.TextGrid is damaged: there is the text 'i' where a number is due"
    ):
        read_words(path)
    path.write_text(text.replace("\n2\n", "\n-2\n"))
    with pytest.raises(InputError, match=r"story\.TextGrid is damaged: -2 is no number of tiers"):
        read_words(path)


def test_one_tier_only(tmp_path):
    write_textgrid(tmp_path / "story.TextGrid", {"text": tier(WORDS)}, 10.0)
    with pytest.raises(InputError, match=r"story\.TextGrid has 1 tier"):
        read_words(tmp_path / "story.TextGrid")
    words = read_words(tmp_path / "story.TextGrid", words_tier="text")
    assert rows(words) == WORDS
    assert words.attrs["notes"] == words.attrs["warnings"] == []


# Which tier holds the words

PHONES = [("AY1", 0.5, 0.75), ("G", 0.75, 1.0), ("spn", 1.0, 2.0)]


def grid_of(path: Path, names: list[str], *, words_at: int, points: tuple[str, ...] = ()) -> Path:
    """A TextGrid as praatio writes it, all of whose interval tiers but one hold phones."""
    grid = praatio_textgrid.Textgrid()
    for number, name in enumerate(names):
        intervals = WORDS if number == words_at else PHONES
        grid.addTier(IntervalTier(name, [(start, end, label) for label, start, end in intervals], 0, 10))
    for name in points:
        grid.addTier(PointTier(name, [(0.5, "click")], 0, 10), tierIndex=0)
    grid.save(str(path), format="long_textgrid", includeBlankSpaces=True)
    return path


@pytest.mark.parametrize(
    ("names", "words_at", "place"),
    [
        (["words", "phones"], 0, "tier 1, 'words'"),  # as MFA writes it
        (["Anna - WORDS", "Anna - phones"], 0, "tier 1, 'Anna - WORDS'"),
        (["phones", "notes", "my word tier"], 2, "tier 3, 'my word tier'"),
        (["words"], 0, "tier 1, 'words'"),
        (["phones", "Words"], 1, None),  # as in ds003020
    ],
)
def test_the_tier_called_words_is_read_wherever_it_stands(tmp_path, names, words_at, place):
    path = grid_of(tmp_path / "story.TextGrid", names, words_at=words_at)
    words = read_words(path)
    assert rows(words) == WORDS
    assert words.attrs["warnings"] == []
    said = [f"{path}: words are read from its {place}, and not from the second."] if place else []
    assert words.attrs["notes"] == said


def test_a_tier_of_points_called_words_does_not_count(tmp_path):
    path = grid_of(tmp_path / "story.TextGrid", ["phones", "words"], words_at=1, points=("word marks",))
    assert rows(read_words(path)) == WORDS
    with pytest.raises(
        InputError, match=r"no interval tier called 'word marks'.*it has 'phones', 'words'\.$"
    ):
        read_words(path, words_tier="word marks")


def test_of_several_tiers_called_words_the_config_names_one(tmp_path):
    path = grid_of(tmp_path / "story.TextGrid", ["words A", "phones", "Words B"], words_at=2)
    with pytest.raises(InputError, match=r"2 tiers .*: 'words A', 'Words B'\. .*words_tier"):
        read_words(path)
    assert rows(read_words(path, words_tier="Words B")) == WORDS


def test_tiers_of_one_name_are_refused_even_when_it_is_given(tmp_path):
    path = tmp_path / "story.TextGrid"
    header = '"ooTextFile" "TextGrid" 0 1 <exists> 2 '
    path.write_text(header + '"IntervalTier" "words" 0 1 1 0 1 "a" "IntervalTier" "words" 0 1 1 0 1 "b"')
    for name in (None, "words"):
        with pytest.raises(InputError, match=r"story\.TextGrid has 2 tiers .*rename"):
            read_words(path, words_tier=name)


def test_a_tier_that_the_config_names_is_taken_before_one_called_words(tmp_path):
    path = grid_of(tmp_path / "story.TextGrid", ["words", "phones", "text"], words_at=2)
    words = read_words(path, words_tier="text")
    assert rows(words) == WORDS
    assert words.attrs["notes"] == words.attrs["warnings"] == []


def test_a_tier_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    path = grid_of(tmp_path / "story.TextGrid", ["phones", "words"], words_at=1)
    with pytest.raises(InputError, match=r"story\.TextGrid has no .*'Word'.*it has 'phones', 'words'\.$"):
        read_words(path, words_tier="Word")


@pytest.mark.parametrize(
    ("names", "warns"),
    [
        (["segments", "text"], False),
        (["", ""], False),
        (["ORT-MAU", "KAN-MAU", "MAU"], True),
        (["text", "phones"], True),
    ],
)
def test_without_a_name_the_second_tier_is_read_and_said_to_be(tmp_path, names, warns):
    path = tmp_path / "story.TextGrid"
    tiers = [f'"IntervalTier" "{name}" 0 1 1 0 1 "{number}"' for number, name in enumerate(names)]
    path.write_text(f'"ooTextFile" "TextGrid" 0 1 <exists> {len(names)} ' + " ".join(tiers))
    words = read_words(path)
    assert words.word.tolist() == ["1"]
    (sentence,) = words.attrs["warnings" if warns else "notes"]
    assert words.attrs["notes" if warns else "warnings"] == []
    listed = ", ".join(f"'{name}'" for name in names)
    assert sentence.startswith(f"{path} has no tier called words: they are read from the second of {listed}.")
    assert ("words_tier" in sentence) is warns


def test_no_tiers(tmp_path):
    (tmp_path / "story.TextGrid").write_text('"ooTextFile"\n"TextGrid"\n0 1 <absent>')
    with pytest.raises(InputError, match=r"story\.TextGrid has 0 tier"):
        read_words(tmp_path / "story.TextGrid")


def test_a_point_tier_holds_no_words(tmp_path):
    (tmp_path / "story.TextGrid").write_text(
        '"ooTextFile"\n"TextGrid"\n0 1 <exists> 2\n"IntervalTier" "phone" 0 1 0\n'
        '"TextTier" "word" 0 1 1 0.5 "hi"'
    )
    with pytest.raises(InputError, match=r"story\.TextGrid has a TextTier as its second tier"):
        read_words(tmp_path / "story.TextGrid")


def test_no_words_left(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", [("{BR}", 0.0, 1.0)])
    with pytest.raises(InputError, match=r"story\.TextGrid has no words: none of the 2 intervals"):
        read_words(path)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_all_words_that_end_before_they_begin_are_named_with_their_lines(tmp_path, newline):
    path = write_words(tmp_path / "story.TextGrid", WORDS, short=True)
    text = path.read_text().replace('0.5\n0.75\n"i"', '0.75\n0.5\n"i"')
    text = text.replace('1.875\n2\n"item"', '1.875\n! a comment\n\n1.5\n"item"')
    path.write_text(text, newline=newline)
    line_of = {line: number for number, line in enumerate(text.splitlines(), start=1)}
    first, second = line_of['"i"'] - 2, line_of['"item"'] - 4
    with pytest.raises(InputError) as caught:
        read_words(path)
    assert str(caught.value) == (
        f"{path}, line {first}: 'i' ends before it begins (0.75 to 0.5 s); mend its times. "
        f"Line {second}: 'item' ends before it begins (1.875 to 1.5 s); mend its times."
    )


def test_what_is_no_word_may_end_before_it_begins(tmp_path):
    intervals = [("sil", 0.0, 0.5), ("[noise]", 0.75, 1.0), ("i", 1.0, 2.0)]
    path = write_words(tmp_path / "story.TextGrid", intervals, short=True)
    text = path.read_text().replace('0\n0.5\n"sil"', '3.0\n0.5\n"sil"')
    text = text.replace('0.75\n1\n"[noise]"', '5.0\n1.0\n"[noise]"').replace('0.5\n0.75\n""', '9\n7\n""')
    path.write_text(text)
    assert rows(read_words(path)) == [("i", 1.0, 2.0)]


@pytest.mark.parametrize("end_s", ["0.74", "0.65001"])
def test_a_word_that_ends_just_before_it_begins_has_no_length(tmp_path, end_s):
    path = write_words(tmp_path / "story.TextGrid", WORDS[:2], short=True)
    path.write_text(path.read_text().replace('0.75\n1.25\n"grüße"', f'0.75\n{end_s}\n"grüße"'))
    words = read_words(path)
    assert rows(words) == [WORDS[0], ("grüße", 0.75, 0.75)]
    note = "words that end before they begin by less than 0.1 s are given no length: 1"
    assert words.attrs["notes"] == [note]


def test_words_at_minus_one_have_no_times(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", WORDS, short=True)
    path.write_text(path.read_text().replace('0.75\n1.25\n"grüße"', '-1\n-1\n"grüße"'))
    with pytest.raises(InputError, match=r"line \d+: 'grüße' has no times\. Drop the lines"):
        read_words(path)
    words = read_words(path, words_without_times="between")
    assert rows(words) == [WORDS[0], ("grüße", 1.125, 1.125), *WORDS[2:]]


def test_damage_is_named_with_its_line(tmp_path):
    path = write_words(tmp_path / "story.TextGrid", WORDS, short=True)
    text = path.read_text().replace('0.5\n0.75\n"i"', '0.5\n"i"')
    path.write_text(text)
    line = text.splitlines().index('"i"') + 1
    with pytest.raises(InputError, match=rf"where a number is due \(line {line}\)\. Get the file again"):
        read_words(path)
