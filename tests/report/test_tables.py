"""The tables of a run: what stands in them."""

import numpy as np
import pandas as pd
import pytest

from brainlm.report.tables import (
    prediction_table,
    scalings_without_partner,
    sensitivity_table,
    shares_table,
    shown_shares,
    table1,
    table2,
    theme_warnings,
    with_unknown_spelt_out,
)

NAMES = pd.DataFrame({"latent": [0, 1, 2], "name": ["bread, soup", "", "cat"]})


def chosen_latents(*rows: tuple) -> pd.DataFrame:
    columns = ["latent", "class", "theme", "auc", "null_95", "n_candidates", "pinned"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def latents():
    return pd.DataFrame(
        {
            "latent": [0, 1, 2],
            "r": [0.05, -0.12, 0.9],
            "class": ["shared", "shared", "brain-dominant"],
            "verdict": ["shared", "shared", "artefact"],
            "qualifier": ["", "mostly LM", np.nan],
            "agreement": [0.31, 0.02, np.nan],
            "density": [0.06, 0.03, 0.1],
        }
    )


@pytest.fixture
def passages():
    rows = [(0, 2, "b", 20.0, 1.5, "later"), (0, 1, "a", 10.0, 2.5, "first"), (1, 1, "a", 8.0, 1.0, "only")]
    return pd.DataFrame(rows, columns=["latent", "rank", "story", "time_s", "activation", "passage"])


def test_table1_names_the_theme_only_if_it_is_above_its_null(latents):
    chosen = chosen_latents(
        (0, "shared", "food", 0.91, 0.7, 2, False), (1, "shared", "animals", 0.66, 0.7, 2, False)
    )
    table = table1(chosen, latents, NAMES)
    expected = "latent r class verdict name interpretation AUC null(95%) agreement density"
    assert [name.replace(" ", "") for name in table.columns] == expected.split()
    assert table["interpretation"].tolist() == ["food", "not above its null (best theme: animals)"]
    assert table["verdict"].tolist() == ["shared", "shared, mostly LM"]
    assert table["name"].tolist() == ["bread, soup", "no name"]
    assert table["r"].tolist() == [0.05, -0.12] and table["agreement"].tolist() == [0.31, 0.02]


def test_table1_gives_the_own_class_of_a_pinned_latent(latents):
    table = table1(chosen_latents((2, "shared", "food", 0.9, 0.7, 1, True)), latents, NAMES)
    assert table["class"].tolist() == ["brain-dominant"]
    assert table["interpretation"].tolist() == ["food; latent set by hand"]


def test_a_class_without_live_latent_says_so(latents, passages):
    chosen = chosen_latents((-1, "lm-dominant", "food", np.nan, np.nan, 0, False))
    for table in (table1(chosen, latents, NAMES), table2(chosen, latents, passages)):
        assert len(table) == 1 and table["latent"].isna().all()
        assert table["class"].tolist() == ["lm-dominant"]
        assert "no live latent" in table["interpretation"].iloc[0]


def test_a_theme_that_cannot_be_tested_is_not_called_a_missing_latent(latents):
    table = table1(chosen_latents((-1, "shared", "time", np.nan, np.nan, 2, False)), latents, NAMES)
    assert "cannot be tested" in table["interpretation"].iloc[0]


def test_table2_lists_passages_best_first_and_keeps_latents_without_any(latents, passages):
    chosen = chosen_latents(
        (2, "brain-dominant", "places", 0.9, 0.7, 1, False), (0, "shared", "food", 0.9, 0.7, 2, False)
    )
    table = table2(chosen, latents, passages)
    columns = ["latent", "class", "interpretation", "story", "time_s", "activation", "passage"]
    assert table.columns.tolist() == columns
    assert table["latent"].tolist() == [2, 0, 0]
    assert table["passage"].isna().tolist() == [True, False, False]
    assert table["passage"].tolist()[1:] == ["first", "later"]


def test_themes_for_which_nothing_can_be_found_are_named():
    n_heard = {"place": 3, "zoo": 0, "sea": 0, "the": 70}
    assert theme_warnings(n_heard, []) == []
    (sentence,) = theme_warnings(n_heard, ["zoo"])
    assert "No test story has a word of the theme 'zoo'," in sentence
    unheard, even = theme_warnings(n_heard, ["zoo", "sea", "the"])
    assert "of the themes 'zoo', 'sea'," in unheard
    assert "Words of the theme 'the' are heard before no test TR or before all alike" in even


def model_rows() -> pd.DataFrame:
    """Summaries: two seeds of matched and shuffled under z-scoring, one of both without scaling."""
    columns = ["experiment", "seed", "standardize_brain", "standardize_lm", "brain_time"]
    rows = [
        ("matched", 0, "zscore", "zscore", "matched"),
        ("matched", 1, "zscore", "zscore", "matched"),
        ("shuffled", 0, "zscore", "zscore", "shuffled"),
        ("mixed", 0, "none", "zscore", "matched"),
        ("mixed-shuffled", 0, "none", "zscore", "shuffled"),
        ("alone", 0, "center", "center", "matched"),
    ]
    frame = pd.DataFrame(rows, columns=columns)
    shares = np.arange(len(frame)) / 10
    numbers = {name: shares for name in ("share_shared", "share_brain-dominant", "share_lm-dominant")}
    others = ("live_latents", "share_agreeing", "test_correlation_brain", "training_correlation_brain")
    others += ("test_correlation_lm", "training_correlation_lm")
    others += ("validation_explained_brain", "validation_explained_lm", "r0")
    numbers |= {
        name: shares / 2 for name in ("verified_shared", "verified_brain-dominant", "verified_lm-dominant")
    }
    return frame.assign(**numbers, **{name: 10 + shares for name in others})


def test_shares_are_percentages_and_means_over_seeds():
    table = shares_table(model_rows()).set_index("experiment")
    assert table.index.tolist() == ["matched", "shuffled", "mixed", "mixed-shuffled", "alone"]
    assert table.loc["matched", "shared (%)"] == pytest.approx(5) and table.loc["matched", "seeds"] == 2
    assert table.loc["mixed", "scaling (brain / LM)"] == "none / zscore"
    assert table.loc["shuffled", "live latents"] == pytest.approx(10.2)


def test_shares_have_the_variance_explained_in_validation():
    table = shares_table(model_rows().assign(validation_explained_brain=[-0.3, -0.1, 0, 0, 0, 0.2]))
    table = table.set_index("experiment")
    assert table.loc["matched", "brain variance explained, validation"] == pytest.approx(-0.2)
    assert table.loc["alone", "brain variance explained, validation"] == pytest.approx(0.2)
    assert table.loc["mixed", "LM variance explained, validation"] == pytest.approx(10.3)


def test_what_is_verified_of_a_class_stands_in_its_cell():
    rows = model_rows().assign(verified_shared=[0.02, 0.04, np.nan, np.nan, np.nan, 0.5], r0=0.125)
    numbers = shares_table(rows)
    shown = shown_shares(numbers).set_index("experiment")
    assert shown.loc["matched", "shared (verified) (%)"] == "5.0 (3.0)"
    assert shown.loc["alone", "shared (verified) (%)"] == "50.0 (50.0)"
    assert shown.loc["mixed", "shared (verified) (%)"].endswith(" (not known)")
    assert shown.loc["matched", "r0"] == pytest.approx(0.125)
    said = with_unknown_spelt_out(numbers).set_index("experiment")
    assert said.loc["mixed", "shared, verified (%)"] == "not known"
    assert said.loc["matched", ["shared, verified (%)", "shared (%)"]].tolist() == pytest.approx([3, 5])
    assert not [name for name in shown if "verified (%)" in name]
    assert numbers.set_index("experiment").loc["matched", "shared, verified (%)"] == pytest.approx(3)


def test_sensitivity_sets_matched_beside_shuffled_for_each_scaling():
    rows = model_rows()
    table = sensitivity_table(rows[rows["seed"] == 0]).set_index("scaling (brain / LM)")
    # What has no partner is not left out in silence.
    assert table.index.tolist() == ["zscore / zscore", "none / zscore", "center / center"]
    assert table.loc["center / center", "shared, matched (%)"] == pytest.approx(50)
    assert table.loc["center / center", table.columns.str.contains("shuffled")].isna().all()
    assert table.drop("center / center").notna().all(axis=None)
    assert scalings_without_partner(rows) == ["center / center"]
    # White noise is compared with nothing, and classes of no live latent are no gap.
    assert scalings_without_partner(rows.assign(brain_time="noise", share_shared=np.nan)) == []
    assert table.loc["zscore / zscore", "shared, matched (%)"] == 0
    assert table.loc["zscore / zscore", "shared, shuffled (%)"] == pytest.approx(20)
    assert table.loc["none / zscore", "LM-dominant, matched (%)"] == pytest.approx(30)


def test_predictions_are_told_from_fits():
    of = {
        ("brain", "lm"): [0.2, 0.4, np.nan],
        ("lm", "brain"): [0.1],
        ("lm", "lm"): [0.8],
        ("both", "brain"): [0.5],
    }
    table = prediction_table(
        {pair: np.array(values) for pair, values in of.items()}, np.array([0.3, np.nan, 0.1])
    )
    assert table["given"].tolist() == ["brain", "lm", "lm", "both"]
    assert table["kind"].tolist() == ["prediction", "prediction", "fit", "fit"]
    np.testing.assert_allclose(table["crosscoder"], [0.3, 0.1, 0.8, 0.5])
    # Ridge predicts the brain from the LM, and nothing else.
    np.testing.assert_allclose(table["ridge"], [np.nan, 0.2, np.nan, np.nan])
    assert table["columns"].tolist() == [2, 1, 1, 1]
