"""Stories of the simulated dataset: annotated text and a model of when each word is spoken."""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.errors import InputError
from brainlm.textgrid.labels import sort_labels

THEMES = ("place", "negative", "colloquial")
PAUSES_S = {"": 0.0, ",": 0.25, ".": 0.6, "paragraph": 1.2}

_TAG_OR_WORD = re.compile(r"<(?P<close>/?)(?P<tag>[^<>]*)>|(?P<word>[^\s<>]+)|(?P<paragraph>\n\s*\n)")


def read_annotated(path: Path, non_words: Collection[str] | None = None) -> pd.DataFrame:
    """Read a story whose text marks spans as ``<place> ... </place>``, one span never inside another.

    Parameters
    ----------
    non_words: labels that are no words in transcripts, see `brainlm.textgrid.labels.sort_labels`.

    Returns
    -------
    One row a word, with columns word (lower case, no punctuation but apostrophes), theme ("place", "negative",
    "colloquial" or "") and pause ("", ",", "." or "paragraph": what follows the word).

    Raises
    ------
    InputError: an unknown, nested or unclosed tag, or a word that transcripts use for a noise ("sp"), with its
        line; or no words.
    """
    text = path.read_text(encoding="utf-8")
    rows: list[dict[str, str]] = []
    theme, theme_line = "", 0
    for match in _TAG_OR_WORD.finditer(text):
        if match["paragraph"]:
            if rows:
                rows[-1]["pause"] = "paragraph"
        elif match["word"]:
            written = match["word"].replace("\u2019", "'")
            spoken = re.sub(r"[^\w']|_", "", written.lower()).strip("'")
            end = written.rstrip("\"')\u201d")[-1:]
            pause = "." if end in ".?!" else "," if end in ",;:" else ""
            if spoken and not sort_labels([spoken], non_words).is_word[0]:
                line = text.count("\n", 0, match.start()) + 1
                raise InputError(
                    f"{path}, line {line}: '{spoken}' stands for a noise in transcripts; reword it, or take "
                    "it out of non_words."
                )
            if spoken:
                rows.append({"word": spoken, "theme": theme, "pause": pause})
            elif rows and pause:
                rows[-1]["pause"] = pause  # punctuation after a closing tag
        else:
            opening = match["tag"] if not match["close"] else ""
            fits = match["tag"] in THEMES and (match["tag"] == theme if match["close"] else not theme)
            line = text.count("\n", 0, match.start()) + 1
            if not fits:
                raise InputError(
                    f"{path}, line {line}: {match[0]} does not fit here; "
                    f"spans are {', '.join(f'<{t}>...</{t}>' for t in THEMES)} and do not nest."
                )
            theme, theme_line = opening, line
    if theme:
        raise InputError(f"{path}, line {theme_line}: this <{theme}> is not closed.")
    if not rows:
        raise InputError(f"{path} has no words.")
    return pd.DataFrame(rows)


def speak(story: pd.DataFrame, random: np.random.Generator, *, words_per_minute: float) -> pd.DataFrame:
    """Give each word of a story a time, as a person telling it would.

    Durations grow with the number of letters and vary by word (log-normal, 20 %) and slowly over the story
    (a speaker speeds up and slows down by some 15 % within a minute); punctuation makes pauses, which vary
    by 30 %. The whole is then stretched to the wanted rate.

    Parameters
    ----------
    story: as `read_annotated` returns it.
    words_per_minute: of the whole story, pauses included.

    Returns
    -------
    The same rows with columns onset_s and offset_s, s after the sound's onset; the first word starts at 0.5 s.
    """
    n_words = len(story)
    letters = story["word"].str.len().to_numpy()
    slow = np.convolve(random.standard_normal(n_words + 120), np.hanning(121), mode="valid")
    pace = np.exp(0.15 * slow[:n_words] / (slow.std() or 1.0))
    durations = (0.12 + 0.045 * letters) * pace * np.exp(0.2 * random.standard_normal(n_words))
    pauses = story["pause"].map(PAUSES_S).to_numpy() * np.exp(0.3 * random.standard_normal(n_words))
    stretch = 60 * n_words / words_per_minute / (durations.sum() + pauses.sum())
    steps = (durations + pauses) * stretch
    onset = 0.5 + np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    return story.assign(onset_s=onset, offset_s=onset + durations * stretch)
