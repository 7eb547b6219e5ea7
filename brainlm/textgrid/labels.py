"""Which labels of a transcript are words that somebody said: not silences, noises and what was not understood."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

BRACKETS = ("<>", "[]", "()", "{}")
NON_WORDS = (
    *BRACKETS,
    # P2FA, the aligner of ds003020
    *("sentence_start", "sentence_end", "br", "lg", "ls", "ns", "sp", "sl", "cg", "ig"),
    # MFA, Kaldi, Gentle, CMU Sphinx; many of their labels, like all of Buckeye's and WebMAUS's, stand in brackets
    *("sil", "spn", "nsn", "unk", "oov", "!sil", "not-found-in-audio"),
    *("+breath+", "+cough+", "+laugh+", "+noise+", "+smack+", "+spn+"),
    *("++breath++", "++cough++", "++laugh++", "++noise++", "++smack++"),
    # CHAT, TIMIT, Praat
    *("xxx", "yyy", "#", "##", "h#", "--undefined--"),
)
"""Labels that stand for pauses, breaths, laughter, noise, unknown words and the like, and all in brackets."""

# The consonants and vowels of CMUdict, a vowel's stress, and the place in a word that Kaldi adds.
_ARPABET = re.compile(
    "(b|ch|d|dh|f|g|hh|jh|k|l|m|n|ng|p|r|s|sh|t|th|v|w|y|z|zh"
    "|(aa|ae|ah|ao|aw|ay|eh|er|ey|ih|iy|ow|oy|uh|uw)[012]?)(_[bies])?"
)


@dataclass(frozen=True)
class SortedLabels:
    """The labels of a transcript, sorted into words and others."""

    is_word: list[bool]
    """of each label"""
    dropped: dict[str, int]
    """label -> how many of it are no words, e.g. ``{"": 3, "sp": 120}``"""
    in_brackets: list[str]
    """those of `dropped` that are no words only because they stand in brackets"""


def sort_labels(labels: Iterable[str], non_words: Collection[str] | None = None) -> SortedLabels:
    """Tell the words among a transcript's labels; the empty label never is one.

    Parameters
    ----------
    non_words : labels that are no words, in any case; a label may have braces around it, as P2FA writes them. An
        empty pair of brackets, such as "[]", stands for every label of which nothing lies outside of brackets.
        None: `NON_WORDS`.
    """
    listed, brackets = _rule(tuple(NON_WORDS if non_words is None else non_words))
    is_word: list[bool] = []
    dropped: Counter[str] = Counter()
    in_brackets: set[str] = set()
    for label in map(_folded, labels):
        bare = label.strip("{} ")
        is_listed = label == "" or label in listed or bare in listed
        is_enclosed = not is_listed and _outside(brackets, label) == ""
        is_word.append(not is_listed and not is_enclosed)
        if is_listed:
            dropped[label if label in listed else bare] += 1
        elif is_enclosed:
            dropped[label] += 1
            in_brackets.add(label)
    return SortedLabels(is_word, dict(sorted(dropped.items())), sorted(in_brackets))


def oddities(words: Sequence[str]) -> list[str]:
    """What makes it doubtful that a transcript's words are words, in clauses that follow the file's name."""
    found = []
    with_blanks = [word for word in words if len(word.split()) > 1]
    if with_blanks:
        found.append(
            f"has blanks in {len(with_blanks)} of its {len(words)} words, such as {with_blanks[0]!r}: is it a "
            "tier of words? Give each word an interval of its own."
        )
    n_phones = sum(_ARPABET.fullmatch(word.casefold()) is not None for word in words)
    if 2 * n_phones > len(words):
        found.append(
            f"has {n_phones} words of {len(words)} that look like phones, such as "
            f"{next(word for word in words if _ARPABET.fullmatch(word.casefold()))!r}: name the tier of words in "
            "words_tier, or give it the words."
        )
    return found


@cache
def _rule(non_words: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """The labels that are no words, and what finds a pair of brackets with no other of its kind inside."""
    folded = frozenset(map(_folded, non_words))
    pairs = [
        f"{re.escape(a)}[^{re.escape(a + b)}]*{re.escape(b)}"
        for a, b in map(tuple, BRACKETS)
        if a + b in folded
    ]
    return folded - set(BRACKETS), re.compile("|".join(pairs)) if pairs else None


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()


def _outside(brackets: re.Pattern[str] | None, label: str) -> str:
    """What of a label lies outside of brackets, which may stand inside each other."""
    while brackets and brackets.search(label):
        label = brackets.sub("", label)
    return label.strip()
