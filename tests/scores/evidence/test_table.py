"""All questions at once: planted latents get the verdict that is right for them, whatever units rows come in."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from brainlm.errors import InputError
from brainlm.files import read_tsv, write_tsv
from brainlm.scores.correlation import pearson
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.halves import Half, Halves
from brainlm.scores.evidence.projections import Energy
from brainlm.scores.evidence.table import Asking, evidence_table
from brainlm.scores.evidence.tallies import LIVE_LABELS, jackknife_error
from brainlm.scores.evidence.texture import Texture
from brainlm.scores.evidence.verdict import told, verdicts
from brainlm.scores.latents import classify
from tests.scores.evidence.planted import (
    ASKING,
    DEAD,
    LIVE,
    LM_ONLY,
    N_LATENTS,
    PLANTED,
    REPEATED,
    SHARED,
    SILENT,
    SPLITS,
    SPONTANEOUS,
    STORY_DRIVEN,
    STRIPES,
    WORD_RATE,
    called,
    check_verdicts,
    held_out_code,
    plant,
    right,
)

TEXTURE = ["total_variation", "slice_share", "slice_jumps"]
TEXTS = ["source", "class", "verdict", "qualifier", "reason"]


def numbers_of(table: pd.DataFrame, *, but: Sequence[str] = ()) -> pd.DataFrame:
    return table.drop(columns=[*TEXTS, *but]).astype(float)


# Planted latents


def test_planted_latents_get_the_verdict_that_is_right(evidence):
    table, _ = evidence
    assert table["latent"].tolist() == list(range(N_LATENTS)) and set(table["source"]) == {"brain"}
    check_verdicts(table, right())


def test_the_columns_say_why(evidence):
    table, _ = evidence
    assert table["agreement"][SHARED] > 0.9 and table["agreement_significant"][SHARED]
    assert table["plain_agreement"][WORD_RATE] > 0.8 and table["plain_agreement_significant"][WORD_RATE]
    assert table["nuisance_loss"][WORD_RATE] > 0.9 and abs(table["nuisance_loss"][SHARED]) < 0.1
    for source in ("brain", "lm"):
        contributes, _ = told(table, f"contributes_{source}")
        assert np.flatnonzero(contributes).tolist() == PLANTED[source]
    reliable, _ = told(table, "reliability_significant")
    assert np.flatnonzero(reliable).tolist() == [SHARED, STORY_DRIVEN, WORD_RATE]
    assert (table["reliability"][[SHARED, STORY_DRIVEN]] > 0.9).all() and table["reliability_known"][SHARED]
    # Without word rate, the story drives nothing of it.
    assert table["partialled_reliability"][WORD_RATE] < 0.3
    assert table["slice_share"][STRIPES] == pytest.approx(1) and table["slice_jumps"][STRIPES] > 0.5
    assert table["agreement_at_ceiling"][SHARED] > table["agreement"][SHARED]
    assert (table["q"][[STORY_DRIVEN, LM_ONLY]].abs() > 0.9).all() and abs(table["q"][SHARED]) < 0.4


def test_dead_latents_are_not_asked(evidence):
    table, _ = evidence
    asked = table.drop(columns=["latent", "source", "r", "class", "alive", "active", "density"])
    assert asked.loc[DEAD].drop(["verdict", "qualifier", "reason"]).isna().all()
    assert asked.loc[SILENT, "agreement_p"] <= 1


def test_the_summary_counts_what_was_asked(evidence):
    table, summary = evidence
    n_rows = sum(SPLITS["test"].values())
    assert (summary["live_latents"], summary["n_rows"], summary["n_stories"]) == (7, n_rows, 5)
    assert (summary["n_shifts"], summary["n_swaps"]) == (n_rows - 2 * 15 + 1, 999)
    assert summary["p_floor"] == 1 / (1 + summary["n_shifts"]) and summary["n_at_floor"] == 1
    assert summary["n_hearings"] == 4 and summary["nuisances"] == "words, other"
    assert summary["n_blocks"] == sum(int(np.ceil(n / 15)) for n in SPLITS["test"].values())
    shares = {label: summary[f"share_{label}"] for label in LIVE_LABELS}
    assert sum(shares.values()) == pytest.approx(1)
    for label, share in shares.items():
        assert share == pytest.approx(np.mean(np.array(called(table))[LIVE] == label))
    assert summary["whole_model_agreement"] == pytest.approx(np.mean(table["agreement"]))
    # By chance one in twenty of the latents that are not alike after turns, of which there are a few.
    assert summary["shifted_share_agreeing"] < 0.05


def test_what_a_file_says_is_what_was_found(evidence, tmp_path):
    table, _ = evidence
    write_tsv(table, tmp_path / "evidence.tsv", digits=None, missing="not known")
    read = read_tsv(tmp_path / "evidence.tsv")
    assert read.columns.tolist() == table.columns.tolist()
    pd.testing.assert_frame_equal(numbers_of(read), numbers_of(table), check_exact=True)
    assert read[TEXTS].to_numpy().tolist() == table[TEXTS].to_numpy().tolist()
    pd.testing.assert_frame_equal(verdicts(read, VerdictBounds()), read[["verdict", "qualifier", "reason"]])


def test_bounds_are_those_that_are_asked_for(planted):
    strict = Asking(ASKING.minimum_shift, ASKING.false_discovery_rate, VerdictBounds(slice_jumps=3))
    table, _ = planted.evidence(asking=strict)
    check_verdicts(table, right(stripes="brain, spontaneous"))


# Properties


@pytest.mark.parametrize(("source", "factor"), [("brain", 30), ("lm", 0.01)])
def test_rows_and_weights_of_a_source_times_one_factor_change_no_verdict(planted, evidence, source, factor):
    model = planted.model
    scaling = model.normalization[source]
    scaled = replace(
        model,
        weights={**model.weights, source: factor * model.weights[source]},
        normalization={**model.normalization, source: replace(scaling, mean_norm=scaling.mean_norm / factor)},
    )
    halves = replace(planted, model=scaled).halves(activation=held_out_code(planted, list(model.weights)))
    table, _ = evidence_table(planted.latents(), halves, planted.texture(), ASKING)
    assert called(table) == called(evidence[0])
    # All that changes is rounding in float32.
    pd.testing.assert_frame_equal(numbers_of(table), numbers_of(evidence[0]), rtol=1e-3, atol=1e-4)


def test_a_rotation_within_each_source_changes_no_number_but_texture(planted, evidence, tmp_path):
    table, summary = plant(tmp_path, rotate=True).evidence()
    pd.testing.assert_frame_equal(
        numbers_of(table, but=TEXTURE), numbers_of(evidence[0], but=TEXTURE), rtol=1e-3, atol=1e-4
    )
    # A map that has been rotated is striped no more.
    assert table["slice_share"][STRIPES] < 0.2
    check_verdicts(table, right(stripes="brain, spontaneous"))
    for name, value in evidence[1].items():
        if name.startswith(("n_", "whole", "shifted")):
            assert summary[name] == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize("ridge", [0.01, 20])
def test_orthogonal_decoders_without_nuisances_and_swaps_agree_as_projections_do(planted, ridge):
    orthogonal = {
        name: torch.linalg.qr(weights)[0] * torch.arange(1, N_LATENTS + 1)
        for name, weights in planted.model.weights.items()
    }
    model = replace(planted, model=replace(planted.model, weights=orthogonal)).with_splits(validation=[])
    none = {story: values[:, :0] for story, values in planted.nuisances.items()}
    table, _ = model.evidence(nuisances=none, nuisance_names=[], ridge=ridge)
    today = model.latents()
    assert not table["swaps_known"][LIVE].any()
    # Projections are kept in float32.
    np.testing.assert_allclose(table["agreement"][LIVE], today["agreement"][LIVE], atol=1e-5)
    np.testing.assert_allclose(table["agreement_null_99"][LIVE], today["agreement_null_99"][LIVE], atol=1e-5)
    np.testing.assert_allclose(table["agreement_p"][LIVE].astype(float), today["agreement_p"][LIVE])
    assert table["agreement_significant"][LIVE].tolist() == today["agreement_significant"][LIVE].tolist()


def test_a_nuisance_of_zeros_changes_nothing(planted, evidence):
    with_zeros = {
        story: np.column_stack([0 * values[:, :1], values]) for story, values in planted.nuisances.items()
    }
    table, summary = planted.evidence(nuisances=with_zeros, nuisance_names=["zeros", "words", "other"])
    pd.testing.assert_frame_equal(numbers_of(table), numbers_of(evidence[0]), rtol=1e-9, atol=1e-9)
    assert called(table) == called(evidence[0]) and summary["nuisances"] == "words, other"


# Agreement at its ceiling


def test_agreement_at_its_ceiling_is_over_stories_that_were_heard_once(planted, evidence):
    halves, table = planted.halves(), evidence[0]
    once = [number for number, story in enumerate(SPLITS["test"]) if story != REPEATED]
    brain, lm = (np.concatenate([half.partialled[n] for n in once]) for half in (halves.brain, halves.lm))
    expected = pearson(brain, lm)[SHARED] / np.sqrt(table["partialled_reliability"][SHARED])
    assert table["agreement_at_ceiling"][SHARED] == pytest.approx(expected)
    assert table["agreement_at_ceiling"][[SPONTANEOUS, STRIPES, DEAD]].isna().all()


def test_agreement_at_its_ceiling_over_a_repeated_story_is_that_of_its_mean(planted):
    table, _ = planted.with_splits(test=[REPEATED]).evidence()
    rho = table["partialled_reliability"][SHARED]
    ceiling = np.sqrt(rho / (rho + (1 - rho) / 4))
    assert table["agreement_at_ceiling"][SHARED] == pytest.approx(table["agreement"][SHARED] / ceiling)


def test_tables_of_other_latents_are_refused(planted):
    latents, halves = planted.latents(), planted.halves()
    texture = planted.texture()
    other = latents.assign(alive=np.arange(N_LATENTS) != SHARED)
    reordered = latents.iloc[::-1]
    for table, maps in (
        (other, texture),
        (reordered, texture),
        (latents, Texture(*np.zeros((3, N_LATENTS)))),
    ):
        with pytest.raises(InputError, match="take all from one model and brain, in order"):
            evidence_table(table, halves, maps, ASKING)


# Halves that were never projections


def halves_of(strength: np.ndarray, lengths: list[int], *, seed: int = 0) -> Halves:
    """Latents of which brain and LM say the same to some degree; no validation stories, no repeats."""
    random, n_rows, edges = np.random.default_rng(seed), sum(lengths), np.cumsum(lengths)[:-1]
    both = random.standard_normal((n_rows, strength.size))
    energy = Energy(np.array(lengths), np.full(len(lengths), 100.0), np.zeros((len(lengths), 2)))

    def half() -> Half:
        rows = np.split(strength * both + random.standard_normal(both.shape), edges)
        return Half(rows, rows, random.standard_normal(both.shape) / 10, np.ones(strength.size), energy)

    names = tuple(f"story {number}" for number in range(len(lengths)))
    code = np.abs(random.standard_normal(both.shape))
    return Halves(
        np.arange(strength.size),
        half(),
        half(),
        names,
        code,
        [],
        (1,) * len(lengths),
        (),
        [np.empty((n, 0)) for n in lengths],
    )


def latents_of(halves: Halves) -> pd.DataFrame:
    n_latents = len(halves.latents)
    return pd.DataFrame(
        {
            "latent": range(n_latents),
            "source": "brain",
            "r": np.zeros(n_latents),
            "class": classify(np.zeros(n_latents)),
            "alive": True,
            "density": 1.0,
        }
    )


def no_texture(halves: Halves) -> Texture:
    return Texture(*np.full((3, len(halves.latents)), np.nan))


@pytest.mark.parametrize(("n_alike", "n_found"), [(12, 0), (13, 13)])
def test_few_test_trs_find_nothing_unless_many_latents_reach_the_floor(n_alike, n_found):
    """88 rows have 49 shifts of 20 rows or more: of 32 latents 13 must reach 1/50 before any is significant."""
    strength = np.where(np.arange(32) < n_alike, 20.0, 0)
    halves = halves_of(strength, [50, 38], seed=3)
    table, summary = evidence_table(latents_of(halves), halves, no_texture(halves), Asking(20, 0.05))
    assert (summary["n_shifts"], summary["p_floor"], summary["n_at_floor"]) == (49, 0.02, 13)
    assert (table["agreement_p"] == 0.02)[:n_alike].all()
    # The others are independent noise, of which none reaches the floor with this seed.
    assert (table["agreement_p"] > 0.02)[n_alike:].all()
    assert table["agreement_significant"].sum() == n_found
    # Without either story too few rows are left for a shift.
    assert np.isnan(summary["error_shared"])


def test_errors_are_those_of_verdicts_given_anew_without_each_story():
    halves = halves_of(np.linspace(0, 0.8, 24), [60, 45, 70, 50])
    latents, asking = latents_of(halves), Asking(8, 0.05)
    _, summary = evidence_table(latents, halves, no_texture(halves), asking)
    without = []
    for left_out in range(4):
        rest = halves.chosen([number for number in range(4) if number != left_out])
        without.append(evidence_table(latents, rest, no_texture(rest), asking)[1])
    errors = {label: jackknife_error([of[f"share_{label}"] for of in without]) for label in LIVE_LABELS}
    assert errors == pytest.approx({label: summary[f"error_{label}"] for label in LIVE_LABELS})
    assert sum(error > 0 for error in errors.values()) >= 2


def test_a_latent_that_is_active_in_one_story_alone_is_silent_without_it():
    halves = halves_of(np.zeros(10), [60, 45, 70])
    code = halves.activation.copy()
    code[60:, 0] = 0
    halves = replace(halves, activation=code)
    table, summary = evidence_table(latents_of(halves), halves, no_texture(halves), Asking(8, 0.05))
    assert table["active"].all() and summary["share_silent"] == 0
    assert summary["error_silent"] == pytest.approx(jackknife_error([0.1, 0, 0]))
