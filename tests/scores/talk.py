"""Stories in which some words are said only now and then, and latents that follow these moments."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainlm.rows.codes import StoryCode

SPAN_S = 8.0
TR_S = 2.0
THEME = ("harbour", "anchor", "gull", "tide", "rope", "sail")
N_OTHERS = 150


@dataclass(frozen=True)
class Talk:
    """Stories, one after the other."""

    words: dict[str, pd.DataFrame]
    """Story -> columns word, onset_s, offset_s."""
    times_s: dict[str, np.ndarray]
    """Story -> (time,)."""
    theme: np.ndarray
    """(time,) share of the words in each row's passage that were said in a moment of the theme."""

    def codes(self, activation: np.ndarray) -> dict[str, StoryCode]:
        """From (time, latent), every value kept."""
        n_latents = activation.shape[1]
        stops = np.cumsum([len(times_s) for times_s in self.times_s.values()])[:-1]
        return {
            story: StoryCode(
                values.astype(np.float32),
                np.tile(np.arange(n_latents, dtype=np.int32), (len(values), 1)),
                times_s,
                n_latents,
            )
            for (story, times_s), values in zip(
                self.times_s.items(), np.split(activation, stops), strict=True
            )
        }


def talk(seed: int, n_stories: int = 12, n_rows: int = 60, first: int = 0) -> Talk:
    """Two words a second, some as frequent as "the"; in a moment of 20 s a story, every third of the theme.

    Each story has a word of its own that comes in runs, and every two stories share one.

    Parameters
    ----------
    first: number of the first story, in its name and in its own words.
    """
    random = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, N_OTHERS + 1)
    words, times_s, theme = {}, {}, []
    for number in range(first, first + n_stories):
        onset_s = np.arange(0, n_rows * TR_S + 10, 0.5)
        spoken = (
            random.choice(N_OTHERS, onset_s.size, p=frequency / frequency.sum()).astype(str).astype(object)
        )
        for own in (f"own{number}", f"pair{number // 2}"):
            start = random.integers(0, onset_s.size - 40)
            spoken[start : start + 40 : 4] = own
        in_theme = np.zeros(onset_s.size, bool)
        start = random.integers(0, onset_s.size - 40)
        in_theme[start : start + 40] = True
        chosen = in_theme & (random.random(onset_s.size) < 1 / 3)
        spoken[chosen] = random.choice(THEME, chosen.sum())
        story = f"story{number:02}"
        words[story] = pd.DataFrame({"word": spoken, "onset_s": onset_s, "offset_s": onset_s + 0.4})
        times_s[story] = 10 + TR_S * np.arange(n_rows)
        heard = (onset_s + 0.4 > times_s[story][:, None] - SPAN_S) & (onset_s < times_s[story][:, None])
        theme.append(heard @ in_theme.astype(float) / heard.sum(axis=1))
    return Talk(words, times_s, np.concatenate(theme))
