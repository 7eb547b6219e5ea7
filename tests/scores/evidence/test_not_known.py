"""Where a question cannot be asked, the columns say so, and the verdict is given from the rest."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from brainlm.files import write_tsv
from brainlm.scores.evidence.table import evidence_table
from brainlm.scores.evidence.tallies import LIVE_LABELS
from tests.scores.evidence.planted import (
    ASKING,
    DEAD,
    LIVE,
    LM_ONLY,
    N_LATENTS,
    REPEATED,
    SHARED,
    SILENT,
    SPLITS,
    SPONTANEOUS,
    STORY_DRIVEN,
    STRIPES,
    WORD_RATE,
    Planted,
    called,
    check_verdicts,
    held_out_code,
    plant,
    right,
)

RELIABILITY = [
    f"{name}{end}" for name in ("reliability", "partialled_reliability") for end in ("", "_p", "_significant")
]
TEXTURE = ["total_variation", "slice_share", "slice_jumps"]


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> Planted:
    return plant(tmp_path_factory.mktemp("joint"), joint=True)


def not_known(table: pd.DataFrame, columns: list[str], folder) -> None:
    """Of all latents, in the frame and in the file."""
    assert table[columns].isna().all(axis=None)
    write_tsv(table, folder / "evidence.tsv", digits=None, missing="not known")
    written = pd.read_csv(folder / "evidence.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert (written[columns] == "not known").all(axis=None)


@pytest.mark.parametrize("trained_on", [False, True], ids=["none", "only in training"])
def test_without_repeats_reliability_is_not_known(planted, tmp_path, trained_on):
    if trained_on:
        others = [story for story in SPLITS["test"] if story != REPEATED]
        planted = planted.with_splits(train=[*SPLITS["train"], REPEATED], test=others)
        table, summary = planted.evidence()
    else:
        table, summary = planted.evidence(hearings={})
    not_known(table, [*RELIABILITY, "agreement_at_ceiling"], tmp_path)
    assert table["reliability_known"][LIVE].eq(False).all() and summary["n_hearings"] == 0
    check_verdicts(table, right(story_driven="brain", spontaneous="brain"))


def test_hearings_too_short_for_a_shift_tell_nothing(planted, tmp_path):
    hearings = planted.halves().hearings
    short = [(plain[:, :20], partialled[:, :20]) for plain, partialled in hearings]
    halves = replace(planted.halves(), hearings=short)
    table, summary = evidence_table(planted.latents(), halves, planted.texture(), ASKING)
    not_known(table, [*RELIABILITY, "agreement_at_ceiling"], tmp_path)
    assert summary["n_hearings"] == 0


def test_hearings_of_a_validation_story_count(planted):
    test = [story for story in SPLITS["test"] if story != REPEATED]
    moved = planted.with_splits(validation=[*SPLITS["validation"], REPEATED], test=test)
    table, _ = moved.evidence()
    check_verdicts(table, right())


def test_without_a_cortex_texture_is_not_known(planted, tmp_path):
    table, _ = planted.evidence(cortex=False)
    not_known(table, TEXTURE, tmp_path)
    check_verdicts(table, right(stripes="brain, spontaneous"))


def test_with_one_test_story_neither_swaps_nor_the_jackknife_are_known(planted, tmp_path):
    others = [story for story in SPLITS["train"] if story != "fir"]
    table, summary = planted.with_splits(train=others, test=["fir"]).evidence()
    not_known(table, ["agreement_p_swap"], tmp_path)
    assert table["swaps_known"][LIVE].eq(False).all() and summary["n_swaps"] == 3
    assert summary["p_floor"] == 1 / (1 + 180 - 2 * 15 + 1)
    pd.testing.assert_series_equal(table["agreement_p"], table["agreement_p_shift"], check_names=False)
    assert all(np.isnan(summary[f"error_{label}"]) for label in LIVE_LABELS)
    check_verdicts(table, right(story_driven="brain", spontaneous="brain"))


def test_without_validation_stories_test_stories_are_too_few_to_swap(planted, tmp_path):
    table, summary = planted.with_splits(validation=[]).evidence()
    not_known(table, ["agreement_p_swap"], tmp_path)
    # The derangements of 5.
    assert summary["n_swaps"] == 44 and np.isfinite(summary["error_shared"])
    check_verdicts(table, right())


def test_segments_of_one_recording_are_never_swapped(planted, tmp_path):
    one = dict.fromkeys([*SPLITS["test"], *SPLITS["validation"]], "one talk")
    table, summary = planted.evidence(recordings=one)
    assert summary["n_swaps"] == 0
    not_known(table, ["agreement_p_swap"], tmp_path)
    apart = one | {story: story for story in SPLITS["validation"]}
    # No test story can have another one's, and 5 do not find room in 3.
    assert planted.evidence(recordings=apart)[1]["n_swaps"] == 0


@pytest.mark.parametrize("source", ["brain", "second"])
def test_each_brain_of_a_joint_model_has_verdicts_of_its_own(joint, source):
    table, summary = joint.evidence(source=source, cortex=source == "brain")
    assert set(table["source"]) == {source}
    if source == "brain":
        check_verdicts(table, right())
    else:
        # What the two brains share is the story's; the second is not known to have heard one twice.
        assert table["reliability_known"][LIVE].eq(False).all() and summary["n_hearings"] == 0
        of_second = {SHARED: "LM", STORY_DRIVEN: "brain", LM_ONLY: "shared", SILENT: "silent", DEAD: "dead"}
        check_verdicts(table, of_second | dict.fromkeys([SPONTANEOUS, STRIPES], "unclear"))
        assert set(table["reason"][[SPONTANEOUS, STRIPES]]) == {"contributes to neither source"}


def test_codes_of_a_joint_model_come_from_all_sources(joint):
    """A brain's rows are reconstructed from what all sources say."""
    partial = held_out_code(joint, ["brain", "lm"])
    table, other = joint.evidence()[0], joint.evidence(activation=partial)[0]
    assert (table["contribution_brain"] != other["contribution_brain"])[[STORY_DRIVEN, WORD_RATE]].all()
    pd.testing.assert_series_equal(table["agreement"], other["agreement"])


def test_a_model_without_live_latents_has_a_table_and_no_shares(planted):
    dead = replace(planted, model=replace(planted.model, alive=np.zeros(N_LATENTS, bool)))
    table, summary = dead.evidence()
    assert set(called(table)) == {"dead"} and len(table) == N_LATENTS
    assert table["agreement_p"].isna().all()
    assert summary["live_latents"] == 0 and summary["n_at_floor"] == 0
    unknown = [f"{what}_{label}" for what in ("share", "error") for label in LIVE_LABELS]
    unknown += ["whole_model_agreement", "shifted_share_agreeing", "largest_shifted_share_agreeing"]
    assert all(np.isnan(summary[name]) for name in unknown)


def test_an_untied_model_is_asked_by_its_decoder(planted, evidence):
    """An encoder decides what is active, and nothing else."""
    random = np.random.default_rng(3)
    encoder = {
        name: torch.from_numpy(random.standard_normal(weights.shape).astype(np.float32))
        for name, weights in planted.model.weights.items()
    }
    untied = replace(planted, model=replace(planted.model, encoder=encoder))
    code = held_out_code(planted, list(planted.model.weights))
    table, other = evidence[0], untied.evidence(activation=code)[0]
    pd.testing.assert_frame_equal(table.drop(columns="density"), other.drop(columns="density"))
    # As they stand, codes of that encoder reconstruct nothing.
    assert not untied.evidence()[0]["contributes_brain"][[STORY_DRIVEN, SPONTANEOUS]].any()
