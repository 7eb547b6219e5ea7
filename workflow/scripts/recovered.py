"""How well a model has found what is planted in a listener."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainlm.crosscoder.model import Crosscoder
from brainlm.files import read_tsv
from brainlm.rows.codes import load_codes
from brainlm.rows.pairs import assemble
from brainlm.rows.sources import Source
from brainlm.simulation.features import load_planted
from brainlm.simulation.recovery import match_planted
from brainlm.store import open_store


def recovered(
    planted_store: Path | str,
    sources: Mapping[str, Source],
    model_file: Path | str,
    codes_store: Path | str,
    latents_file: Path | str,
    *,
    test_stories: Sequence[str],
    pairing: Mapping[str, Any],
    minimum_shift_s: float,
    tr_s: float,
    trim: tuple[int, int] = (0, 0),
) -> pd.DataFrame:
    """Match what is planted to the latents of a model, as `match_planted` does; its result.

    Parameters
    ----------
    planted_store: the listener's features and maps.
    trim: rows that the store has of each story before and behind those of the model.
    """
    planted, n_rows = load_planted(Path(planted_store))
    first = dict(zip(n_rows, np.cumsum([0, *n_rows.values()]), strict=False))
    before, behind = trim

    def courses_and_activation(split: str) -> tuple[np.ndarray, np.ndarray]:
        codes = load_codes(codes_store, split)
        rows = np.concatenate([first[story] + np.arange(before, n_rows[story] - behind) for story in codes])
        return planted.time_courses[rows], np.concatenate([code.activation for code in codes.values()])

    model = Crosscoder.load(model_file)
    test = assemble(sources, model.normalization, test_stories, **pairing)
    return match_planted(
        planted,
        open_store(planted_store)["maps"][:][:, model.normalization["brain"].kept],
        training=courses_and_activation("train"),
        test=courses_and_activation("test"),
        test_brain=model.project("brain", test.source("brain")).numpy(),
        decoder_maps=model.weights["brain"].numpy(),
        latents=read_tsv(latents_file),
        minimum_shift=math.ceil(minimum_shift_s / tr_s),
    )
