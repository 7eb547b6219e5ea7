"""A small run made up for tests of its pages: what each table says is known."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.cortex.voxels import unnamed_voxels
from brainlm.report.browser.downloads import Volume
from brainlm.report.browser.maps import Brain, Partner
from brainlm.report.browser.passages import Story, word_uptake
from brainlm.report.browser.run import Recordings, Tables, Titles
from brainlm.report.browser.site import write_site

TR_S = 2.0
DELAYS_S = (2.0, 4.0, 6.0, 8.0)
N_TRS = 60
N_LATENTS = 8
DEAD, SILENT = 6, 7
N_VOXELS, N_HIDDEN = 40, 12
VERDICTS = {
    0: ("shared", ""),
    1: ("shared", "mostly nuisance"),
    2: ("artefact", ""),
    3: ("brain, story-driven", ""),
    4: ("agreeing", ""),
    5: ("unclear", ""),
    DEAD: ("dead", ""),
    SILENT: ("silent", ""),
}
REASONS = {4: "does not contribute to the LM", 5: "agreement not significant"}


@dataclass(frozen=True)
class Example:
    """All that `write_site` takes but the folder."""

    titles: Titles
    tables: Tables
    recordings: Recordings
    brain: Brain
    voxels: pd.DataFrame
    decoders: dict[str, np.ndarray]
    partners: tuple[Partner, ...] = ()
    volume: Volume | None = None

    def write(self, folder: Path) -> Path:
        write_site(
            folder,
            self.titles,
            self.tables,
            self.recordings,
            self.brain,
            self.voxels,
            self.decoders,
            partners=self.partners,
            volume=self.volume,
        )
        return folder

    def with_tables(self, **changes) -> "Example":
        return replace(self, tables=replace(self.tables, **changes))

    def with_titles(self, **changes) -> "Example":
        return replace(self, titles=replace(self.titles, **changes))


def evidence_row(latent: int, **changes) -> dict:
    """What a shared latent shows, but for the changes."""
    verdict, qualifier = VERDICTS[latent]
    return {
        "latent": latent,
        "source": "brain",
        "r": 0.1 * latent - 0.2,
        "class": "shared",
        "alive": latent != DEAD,
        "active": latent not in (DEAD, SILENT),
        "density": 0.05,
        "agreement": 0.4 - 0.05 * latent,
        "agreement_null_99": 0.21,
        "agreement_p_shift": 0.01,
        "agreement_p_swap": 0.001,
        "agreement_p": 0.01,
        "agreement_significant": True,
        "shift_agreement_significant": True,
        "swaps_known": True,
        "plain_agreement": 0.5,
        "plain_agreement_p": 0.01,
        "plain_agreement_significant": True,
        "nuisance_loss": 0.12,
        "contribution_brain": 1.5,
        "contribution_brain_low": 0.9,
        "contribution_brain_high": 2.1,
        "contributes_brain": True,
        "contribution_lm": 0.7,
        "contribution_lm_low": 0.2,
        "contribution_lm_high": 1.2,
        "contributes_lm": True,
        "q": 0.53,
        "reliability": 0.6,
        "reliability_p": 0.001,
        "reliability_significant": True,
        "reliability_known": True,
        "partialled_reliability": 0.55,
        "partialled_reliability_p": 0.002,
        "partialled_reliability_significant": True,
        "partialled_reliability_known": True,
        "agreement_at_ceiling": 0.54,
        "total_variation": 1.2,
        "slice_share": 0.15,
        "slice_jumps": 0.04,
        "verdict": verdict,
        "qualifier": qualifier,
        "reason": REASONS.get(latent, ""),
        **changes,
    }


def evidence(**changes) -> pd.DataFrame:
    """Of all latents; the changes are made to every live one's row, and what is asked of dead ones is missing."""
    table = pd.DataFrame([evidence_row(latent, **changes) for latent in range(N_LATENTS)])
    answers = table.columns[table.columns.get_loc("density") + 1 : table.columns.get_loc("verdict")]
    table[answers] = table[answers].astype(object)
    table.loc[table["latent"] == DEAD, answers] = np.nan
    return table


SUMMARY = {
    "n_rows": 2 * N_TRS,
    "n_stories": 2,
    "n_blocks": 6,
    "n_hearings": 5,
    "p_floor": 0.01,
    "n_at_floor": 2,
    "whole_model_p": 0.02,
}


def story(name: str, words: list[str], seed: int) -> Story:
    """Words of 0.4 s, two a second but for a pause."""
    onset_s = np.arange(len(words)) * 0.5 + np.where(np.arange(len(words)) > 40, 6.0, 0.0)
    table = pd.DataFrame({"word": words, "onset_s": onset_s, "offset_s": onset_s + 0.4})
    time_s = 11 + TR_S * np.arange(N_TRS)
    return Story(name, time_s, table, word_uptake(table, time_s, delays_s=DELAYS_S, window=3))


def activations(seed: int = 0) -> np.ndarray:
    """(time, latent): each active one in a twentieth of the TRs, four at a time."""
    random = np.random.default_rng(seed)
    values = np.zeros((2 * N_TRS, N_LATENTS), np.float32)
    for latent in range(N_LATENTS):
        if latent not in (DEAD, SILENT):
            rows = random.choice(len(values), 12, replace=False)
            values[rows, latent] = random.uniform(0.1, 1, 12)
    return values


def passages_of(activation: np.ndarray, stories: list[Story]) -> pd.DataFrame:
    """The strongest TR in each story, as the workflow's table has it."""
    rows = []
    for number, of_story in enumerate(stories):
        part = activation[number * N_TRS : (number + 1) * N_TRS]
        for latent in np.flatnonzero(part.max(axis=0) > 0):
            row = int(part[:, latent].argmax())
            rows.append((int(latent), of_story.name, of_story.time_s[row], float(part[row, latent])))
    table = pd.DataFrame(rows, columns=["latent", "story", "time_s", "activation"])
    table = table.sort_values(["latent", "activation"], ascending=[True, False])
    return table.assign(rank=table.groupby("latent").cumcount() + 1, passage="")


def names() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (0, "river, boat, water", 3, 6.1, 3, 0.71, 0.58, True),
            (1, "and, then", 2, 4.0, 2, 0.52, 0.58, False),
            (2, "", 0, np.nan, np.nan, np.nan, np.nan, np.nan),
            (3, "hill", 1, 4.2, 2, np.nan, np.nan, np.nan),
        ],
        columns=["latent", "name", "n_words", "z", "n_stories", "auc", "null_95", "above_null"],
    )


def found_again() -> pd.DataFrame:
    """In two other seeds and another subject: latent 0 everywhere, the others nowhere."""
    rows = [
        (latent, *model, 3 if latent == 0 else pd.NA, 0.8 if latent == 0 else np.nan, latent == 0)
        for model in [("SIM01", 1), ("SIM01", 2), ("SIM02", 1)]
        for latent in range(N_LATENTS)
    ]
    table = pd.DataFrame(
        rows, columns=["latent", "other_subject", "other_seed", "partner", "correlation", "found"]
    )
    partner_verdict = np.where(table["found"], "shared", "")
    return table.assign(
        subject="SIM01",
        seed=0,
        partner=table["partner"].astype("Int64"),
        partner_verdict=partner_verdict,
        same_verdict=table["found"],
    )


def found_in_seeds() -> pd.DataFrame:
    rows = [("SIM01", 0, latent, 2, 2 * (latent == 0), latent == 0) for latent in range(N_LATENTS)]
    return pd.DataFrame(rows, columns=["subject", "seed", "latent", "n_seeds", "n_found", "n_same_verdict"])


def example(
    words: tuple[list[str], list[str]] | None = None, story_names=("gardenwall", "oldcamera")
) -> Example:
    """A run with two test stories, without a cortex or regions."""
    random = np.random.default_rng(1)
    of_stories = words or tuple([f"word{number % 23}" for number in range(220)] for _ in range(2))
    stories = [story(name, told, 0) for name, told in zip(story_names, of_stories, strict=True)]
    activation = activations()
    n_live = N_LATENTS - 1
    tables = Tables(
        evidence=evidence(),
        summary=SUMMARY,
        passages=passages_of(activation, stories),
        names=names(),
        found_again=found_again(),
        found_in_seeds=found_in_seeds(),
        shown=frozenset({0}),
        r0=0.27,
    )
    decoder = random.standard_normal((N_LATENTS, N_VOXELS)).astype(np.float32)
    return Example(
        titles=Titles(
            dataset="demo",
            subject="SIM01",
            seed=0,
            simulated=True,
            language_model="tiny-llama",
            model_file="results/demo/SIM01/matched/seed0/crosscoder.safetensors",
            source="brain",
            delays_s=DELAYS_S,
            colormap="RdBu_r",
        ),
        tables=tables,
        recordings=Recordings(
            stories,
            activation,
            random.standard_normal((2 * N_TRS, n_live)),
            random.standard_normal((2 * N_TRS, n_live)),
        ),
        brain=Brain(unnamed_voxels(N_VOXELS), decoder),
        voxels=unnamed_voxels(N_VOXELS),
        decoders={
            "brain": decoder.T,
            "lm": random.standard_normal((N_HIDDEN, N_LATENTS)).astype(np.float32),
        },
    )
