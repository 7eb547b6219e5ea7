"""Tables and figures of evidence: shares, ranges and counts by hand, and what is not known."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from brainlm.errors import InputError
from brainlm.files import NOT_KNOWN, read_tsv
from brainlm.report.evidence import (
    evidence_table,
    funnel_table,
    never_given,
    shown_evidence,
    verdicts_table,
)
from brainlm.report.evidence_figures import MARKS, evidence_scatter, funnel_figure
from brainlm.report.evidence_notes import evidence_notes, funnel_notes, verdicts_notes
from brainlm.report.style import SINGLE_COLUMN_CM, publish_figure
from brainlm.report.write import publish_table, spelt_out
from brainlm.scores.evidence.bounds import VerdictBounds
from brainlm.scores.evidence.tallies import LIVE_LABELS
from brainlm.scores.latents import classify
from tests.report.figure_texts import texts

BOUNDS = VerdictBounds(
    nuisance_loss=0.41, one_sided=0.82, reliability=0.25, slice_share=0.53, slice_jumps=0.54
)


def latents_of(*called: str, r=0.0, **columns) -> pd.DataFrame:
    """Latents of labels such as "shared, mostly LM"; other columns follow from them."""
    split = [label.split(", ") if label.startswith("shared, ") else [label, ""] for label in called]
    verdict, qualifier = (np.array(of) for of in zip(*split, strict=True))
    n, shared = len(called), verdict == "shared"
    agrees, r = shared | (verdict == "agreeing"), np.broadcast_to(np.asarray(r, float), len(called))
    table = {
        "latent": np.arange(n),
        "r": r,
        "class": classify(r),
        "alive": verdict != "dead",
        "agreement": np.linspace(-0.1, 0.6, n),
        "agreement_null_99": 0.2,
        "agreement_significant": agrees,
        "shift_agreement_significant": agrees,
        "plain_agreement_significant": agrees,
        "swaps_known": True,
        "contributes_brain": shared,
        "contributes_lm": shared,
        "contribution_brain": np.linspace(-0.01, 12, n),
        "reliability_known": True,
        "partialled_reliability": np.linspace(0, 0.9, n),
        "verdict": verdict,
        "qualifier": qualifier,
    }
    return pd.DataFrame(table | columns)


def summary_of(experiment: str, seed: int = 0, **columns) -> dict:
    return {
        "subject": "S1",
        "experiment": experiment,
        "seed": seed,
        "source": "brain",
        "live_latents": 4,
        "n_rows": 640,
        "n_stories": 5,
        "n_shifts": 599,
        "n_swaps": 999,
        "p_floor": 1 / 600,
        "n_at_floor": 1,
        "whole_model_agreement": 0.2,
        "whole_model_p": 1 / 600,
        "n_hearings": 5,
        "nuisances": "words_2s, lm_row_norm",
        "error_shared": 0.02,
        "shifted_share_agreeing": 0.0,
        "largest_shifted_share_agreeing": 0.0,
    } | columns


@pytest.fixture
def summaries() -> pd.DataFrame:
    return pd.DataFrame(
        [
            summary_of("matched"),
            summary_of(
                "matched",
                1,
                live_latents=3,
                error_shared=0.04,
                whole_model_agreement=0.4,
                whole_model_p=0.05,
                shifted_share_agreeing=0.01,
                largest_shifted_share_agreeing=0.25,
            ),
            summary_of("noise", n_hearings=0, error_shared=0.0, whole_model_p=0.5),
        ]
    )


@pytest.fixture
def latents() -> dict[str, list[pd.DataFrame]]:
    return {
        "matched": [
            latents_of("shared", "shared, mostly LM", "agreeing", "LM", r=[0.1, 0.3, -0.6, -0.7]),
            latents_of("shared", "shared", "dead", "silent", r=[0.1, 0.0, 0.0, 0.6]),
        ],
        "noise": [
            latents_of(*3 * ["LM"], "unclear", r=[-0.5, -0.1, -0.3, 0.9], reliability_known=False),
        ],
    }


# The table of evidence


def test_shares_are_means_over_models_with_the_range(summaries, latents):
    table = evidence_table(summaries, latents).set_index("experiment")
    assert table.index.tolist() == ["matched", "noise"] and table["models"].tolist() == [2, 1]
    row = table.loc["matched"]
    # 1 of 4 and 2 of 3: models count alike, however many of their latents live.
    assert row["shared (%)"] == pytest.approx((25 + 200 / 3) / 2)
    assert row[["shared (%), lowest", "shared (%), highest"]].tolist() == pytest.approx([25, 200 / 3])
    assert row[["live latents", "live latents, lowest", "live latents, highest"]].tolist() == [3.5, 3, 4]
    assert row["shared, mostly LM (%)"] == pytest.approx(12.5) and row["silent (%)"] == pytest.approx(50 / 3)
    # What agrees is more than what is called agreeing.
    assert row["agreeing (%)"] == pytest.approx(12.5)
    assert row["agreement significant (%)"] == pytest.approx((75 + 200 / 3) / 2)
    assert row["class shared, |r| < 0.2 (%)"] == pytest.approx((25 + 200 / 3) / 2)
    assert row["whole-model agreement"] == pytest.approx(0.3)
    assert row[["whole-model p, lowest", "whole-model p, highest"]].tolist() == pytest.approx([1 / 600, 0.05])
    assert row["± shared over stories (points)"] == pytest.approx(3)
    assert row["agreeing after turns (%)"] == pytest.approx(0.5)
    assert row["agreeing after turns (%), largest"] == pytest.approx(25)
    for ending in ("", ", lowest", ", highest"):
        shares = table[[f"{label} (%){ending}" for label in LIVE_LABELS]]
        assert ending or shares.sum(axis=1).tolist() == pytest.approx([100, 100])


def test_the_neutral_point_is_the_median_r_of_white_noise(summaries, latents):
    assert evidence_table(summaries, latents)["r0"].tolist() == pytest.approx([-0.2, -0.2])
    latents["noise"][0].loc[3, ["alive", "verdict"]] = [False, "dead"]
    summaries.loc[2, "live_latents"] = 3
    assert evidence_table(summaries, latents)["r0"].tolist() == pytest.approx([-0.3, -0.3])
    del latents["noise"]
    assert evidence_table(summaries[:2], latents)["r0"].isna().all()


def test_each_brain_of_a_joint_model_has_its_own_row_and_neutral_point():
    names = ["matched: A", "matched: B", "noise: A", "noise: B"]
    latents = {name: [latents_of("shared", "LM", r=number / 10)] for number, name in enumerate(names)}
    rows = pd.DataFrame([summary_of(name, live_latents=2) for name in names])
    table = evidence_table(rows, latents)
    assert table["experiment"].tolist() == names
    assert table["r0"].tolist() == pytest.approx([0.2, 0.3, 0.2, 0.3])
    assert any("white noise" in note for note in evidence_notes(rows, latents, [], BOUNDS, rate=0.05))


def test_for_reading_means_have_their_range_and_empty_verdicts_are_left_out(summaries, latents):
    numbers = evidence_table(summaries, latents)
    shown = shown_evidence(numbers)
    assert len(shown) == len(numbers)
    matched, noise = shown.iloc[0], shown.iloc[1]
    assert matched["shared (%)"] == "45.8 (25.0 to 66.7)" and matched["± over stories"] == "3.0"
    assert shown.columns.tolist().index("± over stories") == shown.columns.tolist().index("shared (%)") + 1
    assert matched["whole-model agreement"] == "0.300 (0.200 to 0.400)"
    assert matched["its p"] == "0.0017 to 0.05" and noise["its p"] == "0.5"
    assert matched["after turns (%)"] == "0.5, at most 25.0" and noise["after turns (%)"] == "0.0"
    assert noise["live latents"] == "4" and noise["shared (%)"] == "0.0" and noise["r0"] == "−0.20"
    assert "artefact (%)" not in shown and "unclear (%)" in shown
    assert {"artefact", "nuisance", "brain"} < set(never_given(numbers))
    assert not set(never_given(numbers)) & {"shared", "silent", "LM"}


def test_the_headline_is_told_even_where_it_is_nobodys():
    numbers = evidence_table(pd.DataFrame([summary_of("matched")]), {"matched": [latents_of(*4 * ["LM"])]})
    assert shown_evidence(numbers)["shared (%)"].tolist() == ["0.0"]
    assert "shared" not in never_given(numbers) and "agreeing" in never_given(numbers)


def test_what_is_not_known_is_said_so_in_every_file(tmp_path):
    dead = [latents_of("dead", "dead")]
    unknown = dict.fromkeys(
        ("whole_model_agreement", "error_shared", "shifted_share_agreeing", "largest_shifted_share_agreeing"),
        np.nan,
    )
    rows = pd.DataFrame([summary_of("matched", live_latents=0, whole_model_p=1.0, **unknown)])
    numbers = evidence_table(rows, {"matched": dead})
    shown = shown_evidence(numbers)
    for name in ("shared (%)", "± over stories", "after turns (%)", "whole-model agreement", "r0"):
        assert shown[name].tolist() == [NOT_KNOWN], name
    notes = evidence_notes(rows, {"matched": dead}, never_given(numbers), BOUNDS, rate=0.05)
    publish_table(tmp_path / "t.tsv", shown, title="T", notes=notes, simulated=False, data=spelt_out(numbers))
    assert "\tnot known\t" in (tmp_path / "t.tsv").read_text()
    assert read_tsv(tmp_path / "t.tsv")["shared (%)"].isna().all()
    assert " not known |" in (tmp_path / "t.md").read_text()


def test_an_error_that_one_model_lacks_is_not_known_of_the_mean(summaries, latents):
    summaries.loc[1, "error_shared"] = np.nan
    table = evidence_table(summaries, latents)
    assert np.isnan(table["± shared over stories (points)"][0])


def test_summaries_and_latents_of_other_models_are_refused(summaries, latents):
    with pytest.raises(InputError, match="1 summaries and 2 tables of latents of 'matched'"):
        evidence_table(summaries.drop(index=1), latents)
    with pytest.raises(InputError, match="2 summaries and 0 tables of latents of 'matched'"):
        evidence_table(summaries, {"noise": latents["noise"]})
    with pytest.raises(InputError, match="0 summaries and 1 tables of latents of 'shifted'"):
        evidence_table(summaries, latents | {"shifted": latents["noise"]})
    with pytest.raises(InputError, match="counts 4 live latents, its table 3"):
        evidence_table(summaries, latents | {"matched": latents["matched"][::-1]})


# Notes


def test_notes_say_what_was_asked_and_how_finely(summaries, latents):
    notes = "\n".join(evidence_notes(summaries, latents, ["artefact"], BOUNDS, rate=0.07))
    for bound in ("0.41", "0.82", "0.25", "0.53", "0.54", "0.07"):
        assert bound in notes
    assert "Nuisances taken out: words_2s, lm_row_norm." in notes
    assert "no latent's p is below 0.0017" in notes and "of 3 to 4 live latents 1 or more agree" in notes
    assert "599 shifts, 999 swaps of stories" in notes and "over 20 turns" in notes
    assert "matched: over 5 hearings of repeated stories; noise: not known" in notes
    assert "over 5 test stories" in notes and "other stories" in notes and "other times" in notes
    assert "no latent has them: artefact" in notes
    assert "not comparable between subjects" in notes and "4 live latents of a model of white noise" in notes
    assert "more than there are" not in notes


def test_notes_say_what_is_not_known(summaries, latents):
    summaries["n_swaps"] = [44, 44, 44]
    summaries["error_shared"] = np.nan
    summaries["n_stories"] = 1
    del latents["noise"]
    notes = "\n".join(evidence_notes(summaries[:2], latents, [], BOUNDS, rate=0.05))
    assert "swaps of stories not known (there are 44; it takes 199)" in notes
    assert "± over stories: not known" in notes
    assert "which a model of white noise would tell: not known" in notes


def test_hearings_that_are_too_short_are_told_from_none(summaries, latents):
    summaries["n_hearings"] = [6, 6, 0]
    latents["matched"] = [table.assign(reliability_known=False) for table in latents["matched"]]
    notes = "\n".join(evidence_notes(summaries, latents, [], BOUNDS, rate=0.05))
    assert "matched: not known (6 hearings of repeated stories, which are too short for a shift)" in notes
    assert "noise: not known." in notes


def test_notes_name_experiments_that_were_asked_otherwise(summaries, latents):
    summaries.loc[2, "nuisances"] = ""
    notes = "\n".join(evidence_notes(summaries, latents, [], BOUNDS, rate=0.05))
    assert "Nuisances taken out: matched: words_2s, lm_row_norm; noise: none." in notes


def test_too_few_shifts_are_said_to_find_nothing(summaries, latents):
    # 49 shifts and 32 latents: 13 must reach the smallest p, in noise only 4 live.
    summaries["p_floor"], summaries["n_at_floor"] = 0.02, [1, 1, 13]
    for notes in (
        evidence_notes(summaries, latents, [], BOUNDS, rate=0.05),
        funnel_notes(summaries, latents, reported=0, rate=0.05),
        verdicts_notes(summaries, [], BOUNDS, rate=0.05),
    ):
        (note,) = (note for note in notes if "more than there are" in note)
        assert note.startswith("In noise that is more")


# Classes beside verdicts


def test_the_cross_table_adds_up_models(latents):
    table = verdicts_table({"matched": latents["matched"]}).set_index("class")
    assert table.columns.tolist() == ["experiment", "live latents", *LIVE_LABELS]
    assert table.index.tolist() == [
        *("shared", "brain-dominant", "lm-dominant", "between", "undefined"),
        "all",
    ]
    assert table["live latents"].tolist() == [3, 1, 2, 1, 0, 7]
    assert table.loc["shared", "shared"] == 3 and table.loc["brain-dominant", "silent"] == 1
    assert table.loc["between", "shared, mostly LM"] == 1
    assert table.loc["all", list(LIVE_LABELS)].sum() == 7
    notes = "\n".join(verdicts_notes(pd.DataFrame([summary_of("matched")]), ["brain"], BOUNDS, rate=0.05))
    assert "Counts of live latents of 1 model." in notes and "no latent has them: brain" in notes
    assert "smallest" not in notes and "0.82" in notes


def test_the_cross_table_has_every_brain_of_a_joint_model():
    table = verdicts_table({f"matched: {brain}": [latents_of("shared", "LM")] for brain in "AB"})
    assert table["experiment"].tolist() == ["matched: A"] * 6 + ["matched: B"] * 6


# The funnel


def test_the_funnel_has_counts_of_one_seed_and_means_of_all(latents):
    table = funnel_table(dict(zip((3, 5), latents["matched"], strict=True)), reported=5).set_index("step")
    assert table["|r| < 0.2"].tolist()[:6] == [2, 2, 2, 2, 2, 2]
    assert table["others"].tolist()[:6] == [1, 0, 0, 0, 0, 0]
    assert table["|r| < 0.2, mean over seeds"].tolist()[:6] == [1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert table["others, mean over seeds"].tolist()[:6] == [2, 1, 1, 1, 0.5, 0]
    assert table.loc["found again in most seeds"].isna().all()


def test_the_funnel_goes_on_where_it_is_known_what_is_found_again(latents):
    first, second = latents["matched"]
    known = {0: first.assign(found_again_in_most=[True, True, None, False]), 1: second}
    table = funnel_table(known, reported=0).set_index("step").loc["found again in most seeds"]
    assert (table["|r| < 0.2"], table["others"]) == (1, 0)
    # Of the other seed it is not known.
    assert table.filter(like="mean").isna().all()
    known[1] = second.assign(found_again_in_most=[True, True, True, True])
    table = funnel_table(known, reported=0).set_index("step").loc["found again in most seeds"]
    assert table["|r| < 0.2, mean over seeds"] == pytest.approx(1.5)


def test_the_funnel_needs_the_reported_seed(latents):
    with pytest.raises(InputError, match="Seed 7 is reported, but there are latents of 0 only"):
        funnel_table({0: latents["matched"][0]}, reported=7)


def test_the_funnels_notes_tell_where_r_has_its_zero(summaries, latents):
    notes = "\n".join(funnel_notes(summaries[:2], latents, reported=0, rate=0.05))
    assert "Counts of seed 0; means over 2 seeds." in notes and "is −0.20 here" in notes
    del latents["noise"]
    assert "is not known" in "\n".join(funnel_notes(summaries[:2], latents, reported=0, rate=0.05))


# Figures


def test_every_live_latent_is_a_point_of_its_verdict():
    table = latents_of("shared", "dead", "shared", "LM", "brain, spontaneous", "shared, mostly LM")
    figure, numbers = evidence_scatter(table, summary_of("matched", 3))
    assert numbers["latent"].tolist() == [0, 2, 3, 4, 5]
    assert numbers["verdict"].tolist() == [
        "shared",
        "shared",
        "LM",
        "brain, spontaneous",
        "shared, mostly LM",
    ]
    text = texts(figure)
    assert "shared (2)" in text and "LM (1)" in text and "shared, mostly LM (1)" in text
    assert "unclear" not in text
    assert "5 live latents, seed 3; 640 test TRs of 5 stories" in text and "smallest p 0.0017" in text
    assert "reliability of the brain's half over 5 hearings" in text
    drawn = {line.get_label(): line for line in figure.axes[0].lines if "(" in str(line.get_label())}
    chosen = table[table["verdict"].eq("shared") & table["qualifier"].eq("") & table["alive"]]
    np.testing.assert_allclose(
        drawn["shared (2)"].get_xydata(), chosen[["partialled_reliability", "agreement"]].to_numpy()
    )
    assert to_hex(drawn["LM (1)"].get_color()) != to_hex(drawn["shared (2)"].get_markeredgecolor())


def test_verdicts_are_told_apart_without_colours():
    assert set(MARKS) == set(LIVE_LABELS)
    assert len({(mark.marker, mark.filled) for mark in MARKS.values()}) == len(MARKS)


def test_the_contribution_stands_in_where_reliability_is_not_known(tmp_path):
    table = latents_of("shared", "brain", "LM", partialled_reliability=np.nan, reliability_known=False)
    figure, numbers = evidence_scatter(table, summary_of("matched", n_hearings=0))
    text = texts(figure)
    assert "contribution to the reconstruction of the brain" in text and "hearings" not in text
    points = np.concatenate(
        [line.get_xydata() for line in figure.axes[0].lines if "(" in str(line.get_label())]
    )
    assert sorted(points[:, 0]) == pytest.approx(sorted(table["contribution_brain"]))
    publish_figure(tmp_path / "f.pdf", figure, spelt_out(numbers), simulated=True)
    assert "\tnot known\t" in (tmp_path / "f.tsv").read_text()
    assert read_tsv(tmp_path / "f.tsv")["partialled_reliability"].isna().all()


def test_latents_that_cannot_be_drawn_are_counted():
    table = latents_of("shared", "LM", "LM", agreement=[0.5, np.nan, 0.1])
    figure, numbers = evidence_scatter(table, summary_of("matched"))
    assert len(numbers) == 3
    assert "not drawn, because they are not known: 1" in texts(figure) and "LM (2)" in texts(figure)


def bars(figure) -> list[list[float]]:
    return [[bar.get_width() for bar in side] for side in figure.axes[0].containers]


def test_the_funnels_bars_are_its_counts(latents):
    figure, numbers = funnel_figure({0: latents["matched"][0]}, summary_of("matched"), reported=0)
    assert numbers["|r| < 0.2"].tolist()[:6] == [1, 1, 1, 1, 1, 1]
    assert bars(figure) == [[-1.0] * 6 + [0.0], [3, 2, 2, 2, 1, 0, 0]]
    text = texts(figure)
    assert NOT_KNOWN in text and "4 live latents, seed 0" in text and "mean over" not in text
    assert figure.get_figwidth() == pytest.approx(SINGLE_COLUMN_CM / 2.54)
    # Both sides count up from 0.
    assert all("−" not in label.get_text() for label in figure.axes[0].get_xticklabels())


def test_the_funnel_marks_means_over_several_seeds(latents):
    figure, _ = funnel_figure(dict(enumerate(latents["matched"])), summary_of("matched"), reported=0)
    assert "black lines: mean over 2 seeds" in texts(figure)
    left, right = (
        [segment[0, 0] for segment in of.get_segments()[:6]] for of in figure.axes[0].collections[:2]
    )
    assert left == [-1.5] * 6 and right == [2, 1, 1, 1, 0.5, 0]


def test_figures_say_that_no_latent_can_be_found(latents):
    few = summary_of("matched", p_floor=0.02, n_at_floor=13)
    table = latents["matched"][0]
    for figure, _ in (evidence_scatter(table, few), funnel_figure({0: table}, few, reported=0)):
        assert "smallest p 0.02: none can agree, for 13 would have to" in texts(figure)


def test_a_model_without_live_latents_is_drawn_empty(tmp_path):
    dead = latents_of("dead", "dead")
    summary = summary_of("matched", live_latents=0, n_at_floor=0)
    for name, drawn in {
        "evidence": evidence_scatter(dead, summary),
        "funnel": funnel_figure({0: dead}, summary, reported=0),
    }.items():
        assert "0 live latents" in texts(drawn[0])
        publish_figure(tmp_path / f"{name}.pdf", *drawn, simulated=False)
