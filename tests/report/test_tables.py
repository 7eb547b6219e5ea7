import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.files import read_tsv, write_atomically, write_tsv
from brainlm.report.checks import Bar, bars_table
from brainlm.report.paper import Comparison, paper_comparison
from brainlm.report.tables import (
    prediction_table,
    scalings_without_partner,
    sensitivity_table,
    shares_table,
    table1,
    table2,
    theme_warnings,
)
from brainlm.report.write import format_value, formatted, write_table


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
            "agreement": [0.31, 0.02, np.nan],
            "density": [0.06, 0.03, 0.1],
        }
    )


@pytest.fixture
def passages():
    rows = [(0, 2, "b", 20.0, 1.5, "later"), (0, 1, "a", 10.0, 2.5, "first"), (1, 1, "a", 8.0, 1.0, "only")]
    return pd.DataFrame(rows, columns=["latent", "rank", "story", "time_s", "activation", "passage"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.08734, "0.087"),
        (-0.055, "−0.055"),
        (0.99961, "1.00"),
        (9.996, "10.0"),
        (21.34, "21.3"),
        (99.96, "100"),
        (95556.0, "95,556"),
        (95556, "95,556"),
        (0.0, "0.000"),
        (0.00012, "0.00012"),
        (3.4e-7, "3.4e−07"),
        (np.float32(0.5), "0.500"),
        (np.int64(-3), "−3"),
        (float("nan"), "–"),
        (None, "–"),
        (pd.NA, "–"),
        (True, "yes"),
        (np.False_, "no"),
        ("-1 | x", "-1 | x"),
    ],
)
def test_a_cell_is_formatted_for_reading(value, text):
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("value", "spec", "text"), [(-0.5, ".2f", "−0.50"), (1e-5, "g", "1e−05"), (2, ".1f", "2.0")]
)
def test_a_number_in_words_has_a_minus(value, spec, text):
    assert formatted(value, spec) == text


def test_table1_names_the_theme_only_if_it_is_above_its_null(latents):
    chosen = chosen_latents(
        (0, "shared", "food", 0.91, 0.7, 2, False), (1, "shared", "animals", 0.66, 0.7, 2, False)
    )
    table = table1(chosen, latents)
    expected = "latent r class interpretation AUC null(95%) agreement density"
    assert [name.replace(" ", "") for name in table.columns] == expected.split()
    assert table["interpretation"].tolist() == ["food", "not above its null (best theme: animals)"]
    assert table["r"].tolist() == [0.05, -0.12] and table["agreement"].tolist() == [0.31, 0.02]


def test_table1_gives_the_own_class_of_a_pinned_latent(latents):
    table = table1(chosen_latents((2, "shared", "food", 0.9, 0.7, 1, True)), latents)
    assert table["class"].tolist() == ["brain-dominant"]
    assert table["interpretation"].tolist() == ["food; latent set by hand"]


def test_a_class_without_live_latent_says_so(latents, passages):
    chosen = chosen_latents((-1, "lm-dominant", "food", np.nan, np.nan, 0, False))
    for table in (table1(chosen, latents), table2(chosen, latents, passages)):
        assert len(table) == 1 and table["latent"].isna().all()
        assert table["class"].tolist() == ["lm-dominant"]
        assert "no live latent" in table["interpretation"].iloc[0]


def test_a_theme_that_cannot_be_tested_is_not_called_a_missing_latent(latents):
    table = table1(chosen_latents((-1, "shared", "time", np.nan, np.nan, 2, False)), latents)
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


def test_the_paper_is_quoted_as_it_prints_its_numbers():
    rows = [
        Comparison("voxels", 95556, 7742),
        Comparison("mean correlation", 0.12, 0.0873, "r", "Figure 4"),
        Comparison("shared", "about a quarter", float("nan"), "%"),
    ]
    table = paper_comparison(rows)
    assert table["quantity"].tolist() == ["voxels", "mean correlation (r)", "shared (%)"]
    assert table["paper"].tolist() == ["95,556", "0.12", "about a quarter"]
    assert [format_value(value) for value in table["this run"]] == ["7,742", "0.087", "–"]
    assert table["note"].tolist() == ["", "Figure 4", ""]


def test_bars_are_met_in_their_direction():
    rows = [
        Bar("found", 0.9, 0.9, ">="),
        Bar("found", 0.89, 0.9, ">="),
        Bar("error", 12.5, 10, "<=", "%"),
        Bar("error", 10.0, 10, "<=", "%"),
        Bar("agreement", float("nan"), 0.1, ">=", note="later"),
    ]
    table = bars_table(rows)
    assert table.columns.tolist() == ["check", "result", "bar", "met", "note"]
    assert table["met"].tolist() == ["yes", "no", "no", "yes", "not measured"]
    assert table["bar"].tolist() == ["≥ 0.9", "≥ 0.9", "≤ 10", "≤ 10", "≥ 0.1"]
    assert table["check"].iloc[2] == "error (%)"


def test_no_comparisons_or_bars_give_empty_tables(tmp_path):
    for frame in (paper_comparison([]), bars_table([])):
        write_table(frame, tmp_path / "empty", title="Nothing", notes=[])
        assert (tmp_path / "empty.tsv").read_text() == "\t".join(frame.columns) + "\n"


def test_tsv_holds_the_data_and_reads_back(tmp_path):
    frame = pd.DataFrame(
        {
            "latent": pd.array([3, None], "Int64"),
            "r": [1 / 3, np.nan],
            "mixed": pd.Series([4, 0.25], dtype=object),
            "alive": [True, False],
            "passage": ['say "a\tb"', "naïve – 😀"],
        }
    )
    write_tsv(frame, tmp_path / "a.b")
    lines = (tmp_path / "a.b.tsv").read_text().splitlines()
    assert lines[2] == "n/a\tn/a\t0.25\tFalse\tnaïve – 😀"
    assert lines[1].startswith("3\t0.3333333\t4\tTrue\t")
    back = pd.read_csv(tmp_path / "a.b.tsv", sep="\t")
    assert back["passage"].tolist() == frame["passage"].tolist()
    assert np.isnan(back["r"].iloc[1])


NAMES = st.one_of(
    st.sampled_from(["NA", "null", "None", "nan", "NaN", "inf", "true", "007", "1e5", "n-a", "0x1", "1_000"]),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True),
)
ROWS = st.tuples(NAMES, NAMES, st.sampled_from(["", "n/a and NA", 'say "a\tb"', "naïve"]), st.booleans())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(rows=st.lists(ROWS, min_size=1, max_size=5), data=st.data())
def test_names_come_back_as_they_were_and_missing_numbers_are_missing(tmp_path_factory, rows, data):
    floats = st.one_of(st.just(np.nan), st.sampled_from([-0.25, 0.0, 1.0, 2.5, np.inf]))
    value = np.array(data.draw(st.lists(floats, min_size=len(rows), max_size=len(rows))))
    frame = pd.DataFrame(rows, columns=["subject", "story", "passage", "alive"])
    frame = frame.assign(seed=range(len(rows)), r=value, source=frame["subject"].to_numpy())
    folder = tmp_path_factory.mktemp("tables")
    frame.to_csv(folder / "of_a_script.tsv", sep="\t", index=False)
    write_tsv(frame, folder / "of_a_run")
    for name in ("of_a_script", "of_a_run"):
        back = read_tsv(folder / f"{name}.tsv")
        for column in ("subject", "story", "passage", "source", "alive", "seed"):
            assert back[column].tolist() == frame[column].tolist()
        np.testing.assert_array_equal(back["r"].to_numpy(float), value)
        assert len(list(back.groupby("source"))) == frame["source"].nunique()


def test_themes_for_which_nothing_can_be_found_are_named():
    n_heard = {"place": 3, "zoo": 0, "sea": 0, "the": 70}
    assert theme_warnings(n_heard, []) == []
    (sentence,) = theme_warnings(n_heard, ["zoo"])
    assert "No test story has a word of the theme 'zoo'," in sentence
    unheard, even = theme_warnings(n_heard, ["zoo", "sea", "the"])
    assert "of the themes 'zoo', 'sea'," in unheard
    assert "Words of the theme 'the' are heard before no test TR or before all alike" in even


def test_markdown_and_html_escape_what_they_would_interpret(tmp_path):
    frame = pd.DataFrame({"a|b": [1.5, np.nan], "passage": ["x | <b>*y*</b>\nz & `w`", "_"]})
    write_table(frame, tmp_path / "t", title="T <1>", notes=["n < 3 | m"])
    markdown = (tmp_path / "t.md").read_text().splitlines()
    assert markdown[0] == r"# T \<1\>"
    assert markdown[2] == r"| a\|b | passage |"
    assert markdown[3] == "| ---: | :--- |"
    assert markdown[4] == r"| 1.50 | x \| \<b\>\*y\*\</b\> z & \`w\` |"
    assert markdown[5] == r"| – | \_ |"
    assert markdown[-1] == r"- n \< 3 \| m"
    # Every row has as many cells as there are columns.
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in markdown[2:6]} == {3}

    page = (tmp_path / "t.html").read_text()
    assert "<title>T &lt;1&gt;</title>" in page
    assert "x | &lt;b&gt;*y*&lt;/b&gt;" in page and "<b>" not in page
    assert "<li>n &lt; 3 | m</li>" in page
    assert "http" not in page and "src=" not in page


def test_a_table_is_written_with_the_same_bytes_again(tmp_path, latents):
    for folder in ("one", "two"):
        write_table(latents, tmp_path / folder / "t", title="T", notes=["n"])
    names = ["t.html", "t.md", "t.tsv"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "x.tsv"
    write_atomically(path, b"a long first version")
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"
    assert list(path.parent.iterdir()) == [path]


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
    others += ("validation_explained_brain", "validation_explained_lm")
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
