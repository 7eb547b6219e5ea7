"""A listener and a language model in stores, and the model that their planted latents make: nothing is trained.

Latent by latent, what drives it: SHARED in both; STORY_DRIVEN in the brain alone, the same at every hearing;
SPONTANEOUS in the brain alone, anew at every hearing; LM_ONLY; WORD_RATE in both, which is a nuisance; STRIPES in the
brain alone, anew at every hearing, with a map of slices; SILENT and DEAD by nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from brainlm.cortex.neighbours import neighbour_pairs, slice_numbers
from brainlm.cortex.voxels import voxel_table
from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.pairs import Rows, assemble, fit_sources
from brainlm.rows.sources import Source
from brainlm.scores.evidence.halves import Halves, both_halves
from brainlm.scores.evidence.projections import SplitProjections, project_hearings, project_split
from brainlm.scores.evidence.table import Asking, evidence_table
from brainlm.scores.evidence.texture import Texture, texture
from brainlm.scores.evidence.verdict import labels
from brainlm.scores.summary import latent_table
from brainlm.simulation.listener import autocorrelate
from tests.scores.evidence.stored import write_sources

SHARED, DEAD, STORY_DRIVEN, SPONTANEOUS, LM_ONLY, WORD_RATE, SILENT, STRIPES = range(8)
N_LATENTS, K = 8, 6
LIVE = np.arange(N_LATENTS) != DEAD
PLANTED = {
    "brain": [SHARED, STORY_DRIVEN, SPONTANEOUS, WORD_RATE, STRIPES],
    "second": [STORY_DRIVEN, LM_ONLY, WORD_RATE],
    "lm": [SHARED, LM_ONLY, WORD_RATE],
}
"""Source -> what drives it: of what drives the LM, a second brain follows another part than the first."""
ANEW = [SPONTANEOUS, STRIPES]
SPLITS = {
    "train": {"oak": 130, "elm": 110, "ash": 120, "fir": 180},
    "validation": {"bay": 60, "yew": 70, "box": 65},
    "test": {"tea": 90, "rye": 70, "fig": 80, "pea": 75, "nut": 85},
}
REPEATED, N_REPEATS = "fig", 4
MASK = np.ones((8, 6, 5), bool)
WIDTHS = {"brain": MASK.size, "second": 50, "lm": 40}
NOISE = 2.0
"""Norm of a row's noise; courses have a standard deviation of 1, and maps a norm of 1."""
STRAY = 0.1
"""Norm of decoder vectors in sources that know nothing of the latent; of others it is 1, over all sources."""
ASKING = Asking(minimum_shift=15, false_discovery_rate=0.05)
MATCHED = {"brain_time": "matched", "seed": 0}


@dataclass(frozen=True, eq=False)
class Planted:
    """Stored rows of a brain (or several) and the LM, the model of what is planted, and what else is known."""

    model: Crosscoder
    sources: Mapping[str, Source]
    repeats: Mapping[str, np.ndarray]
    """Story -> (repeat, time, voxel) raw hearings of "brain"."""
    nuisances: Mapping[str, np.ndarray]
    """Story -> (time, nuisance): word rate, and something else."""
    splits: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {split: list(stories) for split, stories in SPLITS.items()}
    )

    def halves(self, *, source: str = "brain", **others: Any) -> Halves:
        """As a run asks for them."""
        held_out = [*self.splits["test"], *self.splits.get("validation", ())]
        arguments = {
            "source": source,
            "activation": held_out_code(self, tuple(self.sources)),
            "nuisances": self.nuisances,
            "nuisance_names": ["words", "other"],
            "recordings": {story: story for stories in SPLITS.values() for story in stories},
            "hearings": {
                story: project_hearings(self.model, source, hearings)
                for story, hearings in self.repeats.items()
                if source == "brain" and story in held_out
            },
        }
        return both_halves(self.model, projections(self), **(arguments | others))

    def latents(self, source: str = "brain") -> pd.DataFrame:
        """The table of latents, of one brain."""
        table = latent_table(
            self.model, held_out_rows(self), minimum_shift=ASKING.minimum_shift, false_discovery_rate=0.05
        )
        return table[table["source"] == source]

    def texture(self, source: str = "brain", *, cortex: bool = True) -> Texture:
        """Of the live latents' maps."""
        places = voxel_table(MASK, {})
        known = (
            (neighbour_pairs(places, np.ones(len(places), bool)), slice_numbers(places, "z"))
            if cortex
            else (None, None)
        )
        return texture(self.model.weights[source].numpy()[:, self.model.alive], *known)

    def evidence(
        self, *, source: str = "brain", cortex: bool = True, asking: Asking = ASKING, **others: Any
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        """What is known of the latents, and of the model."""
        halves = self.halves(source=source, **others)
        return evidence_table(self.latents(source), halves, self.texture(source, cortex=cortex), asking)

    def with_splits(self, **splits: Sequence[str]) -> "Planted":
        """Other stories in some splits; a split without stories is left out."""
        chosen = {split: stories for split, stories in ({**self.splits} | splits).items() if stories}
        return replace(self, splits=chosen)


# Stores are slow to read, and several tests ask for the same.
@cache
def projections(planted: Planted) -> dict[str, SplitProjections]:
    return {
        split: project_split(planted.model, planted.sources, stories, pairing=MATCHED)
        for split, stories in planted.splits.items()
    }


@cache
def held_out_rows(planted: Planted) -> Rows:
    return assemble(planted.sources, planted.model.normalization, planted.splits["test"], **MATCHED)


def held_out_code(planted: Planted, given: Sequence[str]) -> np.ndarray:
    """(time, latent) of the test stories, from the sources that are given."""
    rows = held_out_rows(planted)
    return planted.model.encode_rows({name: rows.source(name) for name in given}).numpy()


def courses(n_rows: int, n_courses: int, random: np.random.Generator) -> np.ndarray:
    """(time, course), smooth, of variance 1."""
    return autocorrelate(random.standard_normal((n_rows, n_courses)), 0.6)


def unit_columns(values: np.ndarray) -> np.ndarray:
    return values / np.linalg.norm(values, axis=0)


def plant(folder: Path, *, joint: bool = False, rotate: bool = False) -> Planted:
    """Write the stores, and make the model.

    Parameters
    ----------
    joint: with the second brain.
    rotate: turn the rows and the maps of each source in its space by a random rotation.
    """
    # With this seed no test is false by chance.
    random = np.random.default_rng(4)
    names = list(WIDTHS) if joint else ["brain", "lm"]
    maps = {name: unit_columns(random.standard_normal((WIDTHS[name], N_LATENTS))) for name in names}
    maps["brain"][:, STRIPES] = unit_columns(np.repeat([1, -2, 2, -1, 1, -2, 3, -2], MASK[0].size))
    turns = {
        name: np.linalg.qr(np.random.default_rng(1).standard_normal((width, width)))[0]
        if rotate
        else np.eye(width)
        for name, width in WIDTHS.items()
    }
    nuisances, hearings = {}, {name: {} for name in names}
    for story, n_rows in (pair for stories in SPLITS.values() for pair in stories.items()):
        of_story = courses(n_rows, N_LATENTS, random)
        nuisances[story] = np.column_stack([of_story[:, WORD_RATE], random.standard_normal(n_rows)])
        for name in names:
            n_hearings = N_REPEATS if (name, story) == ("brain", REPEATED) else 1
            hearings[name][story] = np.stack(
                [heard(name, of_story, maps[name], random) for _ in range(n_hearings)]
            )
            hearings[name][story] = (hearings[name][story] @ turns[name]).astype(np.float32)
    sources = write_sources(
        folder,
        {
            name: {story: of.mean(axis=0) for story, of in stories.items()}
            for name, stories in hearings.items()
        },
    )
    normalization, _ = fit_sources(
        sources,
        training=list(SPLITS["train"]),
        all_stories=list(nuisances),
        standardize=dict.fromkeys(names, "center"),
    )
    strength = {name: np.where(np.isin(range(N_LATENTS), PLANTED[name]), 1, STRAY) for name in names}
    n_sources = sum(strength[name] == 1 for name in names)
    weights = {
        name: turns[name].T @ (maps[name] * strength[name] / np.sqrt(np.maximum(n_sources, 1)))
        for name in names
    }
    model = Crosscoder(
        {name: torch.from_numpy(of_source.astype(np.float32)) for name, of_source in weights.items()},
        torch.where(torch.isin(torch.arange(N_LATENTS), torch.tensor([SILENT, DEAD])), -100.0, 0.0),
        K,
        normalization,
        alive=np.arange(N_LATENTS) != DEAD,
    )
    return Planted(model, sources, {REPEATED: hearings["brain"][REPEATED]}, nuisances)


def heard(name: str, of_story: np.ndarray, maps: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(time, column) of one hearing of a story with some courses, (time, latent)."""
    of_hearing = of_story.copy()
    of_hearing[:, ANEW] = courses(len(of_story), len(ANEW), random)
    noise = NOISE / np.sqrt(len(maps)) * courses(len(of_story), len(maps), random)
    return of_hearing[:, PLANTED[name]] @ maps[:, PLANTED[name]].T + noise


# Verdicts


def called(table: pd.DataFrame) -> list[str]:
    return labels(table).tolist()


def right(**others: str) -> dict[int, str]:
    """Latent -> its verdict, where all is known but what `others` say."""
    return {
        SHARED: "shared",
        STORY_DRIVEN: others.get("story_driven", "brain, story-driven"),
        SPONTANEOUS: others.get("spontaneous", "brain, spontaneous"),
        LM_ONLY: "LM",
        STRIPES: others.get("stripes", "artefact"),
        SILENT: "silent",
        DEAD: "dead",
    }


def check_verdicts(table: pd.DataFrame, expected: dict[int, str]) -> None:
    of_latent = called(table)
    assert {latent: of_latent[latent] for latent in expected} == expected
    assert of_latent[WORD_RATE] in ("nuisance", "shared, mostly nuisance")
