"""Which labels of a transcript are words."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from brainlm.simulation.stories import read_annotated
from brainlm.textgrid.labels import NON_WORDS, sort_labels

REPOSITORY = Path(__file__).parents[2]
PAIRS = ["<>", "[]", "()", "{}"]


def words(labels: list[str], non_words=None) -> list[str]:
    is_word = sort_labels(labels, non_words).is_word
    return [label for label, kept in zip(labels, is_word, strict=True) if kept]


@pytest.mark.parametrize(
    "labels",
    [
        "sp sil SIL spn <eps> <unk> [bracketed]",  # MFA
        "<p:> <nib> <usb> <p>",  # WebMAUS
        "<sil> <spn> !SIL [noise] [laughter] [UNK] <UNK> NSN not-found-in-audio",  # Kaldi, Gentle
        "<SIL> {B_TRANS} <VOCNOISE> <IVER> <LAUGH-yes> {E_TRANS}",  # Buckeye
        "{SL} {NS} {LG} {BR} {CG} LG lg ++NOISE++ +BREATH+ <s> </s>",  # P2FA, CMU Sphinx
        "xxx yyy # (laughs) (.) (1.5) --undefined--",  # CHAT, Praat
        "sentence_start br ls ns sl cg ig",  # ds003020
    ],
)
def test_labels_of_aligners_are_no_words(labels):
    assert words(labels.split()) == []


@pytest.mark.parametrize(
    "label",
    [
        "nan",
        "null",
        "NA",
        "none",
        "pause",
        "noise",
        "silence",
        "laughter",
        "unknown",
        "breath",
        "don't",
        "i",
        "x",
    ]
    + ["(be)cause", "[uh", "a>", "<a> b", "twenty-one", "3", "7up", "größe"],
)
def test_words_are_words(label):
    assert words([label]) == [label]


@pytest.mark.parametrize("label", ["", " ", "\t\n"])
@pytest.mark.parametrize("non_words", [None, [], ["sp"]])
def test_an_empty_label_never_is_a_word(label, non_words):
    assert sort_labels([label], non_words).dropped == {"": 1}


@pytest.mark.parametrize("pair", PAIRS)
def test_an_empty_pair_of_brackets_stands_for_what_lies_within_such_brackets(pair):
    opened, closed = pair
    inside = [f"{opened}{text}{closed}" for text in ("", "noise", f" a {opened}b{closed} ", "sp")]
    inside.append(f"{opened}a{closed} {opened}b{closed}")
    outside = [f"{opened}a{closed}b", f"b{opened}a{closed}", f"{opened}a", f"a{closed}", f"{closed}a{opened}"]
    outside.append(f"{opened}a{closed} b {opened}c{closed}")
    assert words(inside + outside, [pair]) == outside
    others = [other for other in PAIRS if other != pair]
    assert words(inside[1:3], others) == inside[1:3]


def test_labels_are_compared_in_any_case_and_without_blanks_at_their_ends():
    assert words([" Sil ", "SIL", "{ sil }", "STRASSE", "sill"], ["  sIl", "stra\u00dfe "]) == ["sill"]


def test_a_label_that_is_given_in_braces_is_dropped_only_there():
    assert words(["um", "{um}", "{UM}"], ["{um}"]) == ["um"]


def test_what_is_dropped_is_counted_and_what_only_brackets_betray_is_named():
    labels = sort_labels(["{LG}", "lg", "", "[Noise]", "[noise]", "hi", "(um)"])
    assert labels.dropped == {"": 1, "(um)": 1, "[noise]": 2, "lg": 2}
    assert labels.in_brackets == ["(um)", "[noise]"]


LABEL = st.text(st.sampled_from("ab <>[](){}"), max_size=8)


def outside_brackets(label: str, pairs: list[str]) -> str:
    """What no balanced pair holds, found one character at a time."""
    closing, stack, kept = {a: b for a, b in pairs}, [], []
    for position, character in enumerate(label):
        kept.append(position)
        if character in closing:
            stack.append(position)
        elif character in closing.values():
            if stack and closing[label[stack[-1]]] == character:
                kept = [place for place in kept if place < stack[-1]]
                stack.pop()
            else:
                stack.clear()
    return "".join(label[place] for place in kept).strip()


@given(label=LABEL, pair=st.sampled_from(PAIRS))
def test_brackets_of_one_kind_are_taken_off_as_by_a_slow_reference(label, pair):
    assert words([label], [pair]) == ([label] if label.strip() and outside_brackets(label, [pair]) else [])


@given(labels=st.lists(LABEL))
def test_every_label_is_a_word_or_counted(labels):
    of = sort_labels(labels)
    assert len(of.is_word) == len(labels)
    assert sum(of.is_word) + sum(of.dropped.values()) == len(labels)
    assert sort_labels(words(labels)).dropped == {}


def test_the_documented_labels_are_the_librarys():
    readme = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(non_words: .*?)```", readme, re.DOTALL)
    assert yaml.safe_load(block)["non_words"] == list(NON_WORDS)


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "config" / "stories").glob("*.txt")), ids=lambda path: path.stem
)
def test_the_demos_stories_consist_of_words(path):
    spoken = read_annotated(path)["word"].tolist()
    assert words(spoken) == spoken
