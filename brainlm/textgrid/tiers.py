"""Praat TextGrids: the words of a story and when they are spoken."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from praatio.data_classes.interval_tier import IntervalTier
from praatio.data_classes.textgrid import Textgrid

from brainlm.errors import InputError
from brainlm.files import whole_file
from brainlm.textgrid.labels import sort_labels
from brainlm.textgrid.praat import Tier, read_tiers
from brainlm.textgrid.word_times import Spoken, check_faults, settle_times

WORDS_TIER = 1


def read_words(
    path: Path | str,
    *,
    non_words: Collection[str] | None = None,
    words_tier: str | None = None,
    words_without_times: str = "refuse",
) -> pd.DataFrame:
    """Read the words of a story's TextGrid, in any format that `brainlm.textgrid.praat.read_tiers` takes.

    They are the interval tier with "word" in its name, in any case, wherever it stands: aligners put the phones
    before or behind it. If no name has it, they are the second tier. A label with blanks or line breaks in it stays
    one word, because it has one interval; each run of them becomes a single blank.

    Parameters
    ----------
    non_words : labels that are dropped, see `brainlm.textgrid.labels.sort_labels`.
    words_tier : name of the tier of words.
    words_without_times : see `brainlm.textgrid.word_times.settle_times`.

    Returns
    -------
    DataFrame with a row per word in order of onset: ``word`` (str, lower case, no blanks at its ends),
    ``onset_s`` and ``offset_s`` (float64, seconds after sound onset). Of ``.attrs``, ``["dropped"]`` is the number
    of dropped intervals by label, e.g. ``{"": 3, "sp": 120}``, ``["in_brackets"]`` lists those of these labels that
    only their brackets betray, and ``["notes"]`` and ``["warnings"]`` list sentences for a log and for the user.

    Raises
    ------
    InputError : see `brainlm.textgrid.praat.read_tiers`; if no interval tier, or more than one, is called
        `words_tier`; without `words_tier`, if several have "word" in their names, or if none has and the second tier
        is missing or has no intervals; if no word is left; with their lines, if words end before they begin or have
        no times (both -1).
    """
    path = Path(path)
    tiers = read_tiers(path)
    number = _number_of_words_tier(path, tiers, words_tier)
    tier = tiers[number]
    labels = sort_labels((label for *_, label in tier.intervals), non_words)
    spoken = [
        Spoken(line, " ".join(label.split()).lower(), onset_s, offset_s)
        for (onset_s, offset_s, label), line, is_word in zip(
            tier.intervals, tier.lines, labels.is_word, strict=True
        )
        if is_word
    ]
    if not spoken:
        raise InputError(
            f"{path} has no words: none of the {len(tier.intervals)} intervals of its tier '{tier.name}' is one. "
            "Name the tier of words in words_tier, or take what are words out of non_words."
        )
    words, time_notes, faults = settle_times(spoken, words_without_times)
    check_faults(path, faults)
    table = pd.DataFrame(words, columns=["word", "onset_s", "offset_s"])
    table = table.sort_values("onset_s", kind="stable", ignore_index=True)
    notes, warnings = _doubts(path, tiers, number) if words_tier is None else ([], [])
    table.attrs |= {
        "dropped": labels.dropped,
        "in_brackets": labels.in_brackets,
        "notes": notes + time_notes,
        "warnings": warnings,
    }
    return table


def write_textgrid(path: Path | str, tiers: Mapping[str, pd.DataFrame], duration_s: float) -> None:
    """Write interval tiers as a TextGrid (UTF-8, Praat's long text format).

    Parameters
    ----------
    tiers : in order, a tier's name and its intervals: a DataFrame with columns ``label`` (str), ``onset_s``
        and ``offset_s``. Stretches without an interval get the empty label. Times are rounded to 1 ns, so
        that ends and beginnings that differ by a rounding error meet.
    duration_s : end of every tier; all begin at 0.

    Raises
    ------
    PraatioException : if intervals overlap, are empty or reach beyond 0 ... `duration_s`.
    """
    end_s = round(float(duration_s), 9)
    grid = Textgrid(0, end_s)
    for name, tier in tiers.items():
        times_s = (tier[column].to_numpy(float).round(9) for column in ("onset_s", "offset_s"))
        intervals = list(zip(*times_s, tier["label"], strict=True))
        grid.addTier(IntervalTier(name, intervals, 0, end_s), reportingMode="error")
    with whole_file(Path(path)) as partial:
        # Of its own accord praatio would make intervals of less than 10 ns part of the next.
        grid.save(str(partial), "long_textgrid", includeBlankSpaces=True, minimumIntervalLength=None)


def _number_of_words_tier(path: Path, tiers: Sequence[Tier], words_tier: str | None) -> int:
    found = [
        number
        for number, tier in enumerate(tiers)
        if tier.kind == "IntervalTier"
        and ("word" in tier.name.casefold() if words_tier is None else tier.name == words_tier)
    ]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        names = _listed(tiers[number] for number in found)
        raise InputError(
            f"{path} has {len(found)} tiers that may hold the words: {names}. Name the right one in "
            "words_tier; if they have the same name, rename it in Praat."
        )
    if words_tier is not None:
        raise InputError(
            f"{path} has no interval tier called '{words_tier}', which words_tier names; it has "
            f"{_listed(tier for tier in tiers if tier.kind == 'IntervalTier') or 'none'}."
        )
    if len(tiers) <= WORDS_TIER:
        raise InputError(
            f"{path} has {len(tiers)} tier(s), and none called words: words are then read from its second one. "
            "Rename the tier of words in Praat, or name it in words_tier."
        )
    kind = tiers[WORDS_TIER].kind
    if kind != "IntervalTier":
        raise InputError(
            f"{path} has a {kind} as its second tier, and no interval tier called words, but words need intervals: "
            "name their tier in words_tier."
        )
    return WORDS_TIER


def _doubts(path: Path, tiers: Sequence[Tier], number: int) -> tuple[list[str], list[str]]:
    """Sentences for the log, and for the user, about where the words were found when nobody named their tier."""
    name = tiers[number].name
    if "word" in name.casefold():
        place = f"words are read from its tier {number + 1}, '{name}', and not from the second"
        return [f"{path}: {place}."] * (number != WORDS_TIER), []
    sentence = f"{path} has no tier called words: they are read from the second of {_listed(tiers)}"
    if len(tiers) > 2 or "phon" in name.casefold():
        return [], [f"{sentence}. Name their tier in words_tier."]
    return [f"{sentence}."], []


def _listed(tiers: Iterable[Tier]) -> str:
    return ", ".join(f"'{tier.name}'" for tier in tiers)
