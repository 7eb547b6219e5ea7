"""Tables as files, and how cells and numbers are written."""

import re

import numpy as np
import pandas as pd
import pytest

from brainlm.report.checks import bars_table
from brainlm.report.paper import paper_comparison
from brainlm.report.write import format_value, formatted, number_of, percent, publish_table, spelt_out

TABLE = pd.DataFrame({"latent": [0, 1], "class": ["shared", "brain-dominant"], "agreement": [0.31, np.nan]})


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
    ("value", "spec", "text"),
    [(-0.5, ".2f", "−0.50"), (1e-5, "g", "1e−05"), (2, ".1f", "2.0"), (np.nan, ".2f", "–")],
)
def test_a_number_in_words_has_a_minus(value, spec, text):
    assert formatted(value, spec) == text


def test_shares_and_counts_are_written_as_words_need_them():
    assert [percent(share) for share in (0.125, 0, 1, np.nan)] == ["12.5 %", "0.0 %", "100.0 %", "–"]
    assert [number_of(n, "voxel") for n in (0, 1, 2, 1200)] == [
        "0 voxels",
        "1 voxel",
        "2 voxels",
        "1,200 voxels",
    ]


def test_markdown_and_html_escape_what_they_would_interpret(tmp_path):
    frame = pd.DataFrame({"a|b": [1.5, np.nan], "passage": ["x | <b>*y*</b>\nz & `w`", "_"]})
    publish_table(tmp_path / "t.tsv", frame, title="T <1>", notes=["n < 3 | m"], simulated=False)
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


@pytest.mark.parametrize("simulated", [True, False])
def test_a_table_of_simulated_data_says_so_in_its_title(tmp_path, simulated):
    publish_table(tmp_path / "t.tsv", TABLE, title="Latents", notes=[], simulated=simulated)
    title = "Latents (simulated data)" if simulated else "Latents"
    assert (tmp_path / "t.md").read_text().startswith(f"# {title}\n")
    page = (tmp_path / "t.html").read_text()
    assert f"<title>{title}</title>" in page and f"<caption>{title}</caption>" in page
    assert "simulated" not in (tmp_path / "t.tsv").read_text()


@pytest.mark.parametrize("known", ["sub-01.v1.tsv", "sub-01.v1.md", "sub-01.v1.html"])
def test_names_of_tables_may_have_dots(tmp_path, known):
    publish_table(tmp_path / known, TABLE, title="T", notes=[], simulated=False)
    names = ["sub-01.v1.html", "sub-01.v1.md", "sub-01.v1.tsv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    with pytest.raises(ValueError, match=r"sub-01\.v1 does not end in \.tsv, \.md or \.html"):
        publish_table(tmp_path / "sub-01.v1", TABLE, title="T", notes=[], simulated=False)


def test_a_table_is_written_with_the_same_bytes_again(tmp_path):
    for folder in ("one", "two"):
        publish_table(tmp_path / folder / "t.tsv", TABLE, title="T", notes=["n"], simulated=False)
    names = ["t.html", "t.md", "t.tsv"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_table_without_rows_has_its_header(tmp_path):
    for frame in (paper_comparison([]), bars_table([])):
        publish_table(tmp_path / "empty.tsv", frame, title="Nothing", notes=[], simulated=False)
        assert (tmp_path / "empty.tsv").read_text() == "\t".join(frame.columns) + "\n"


def test_a_table_for_reading_may_differ_from_its_data(tmp_path):
    shown = pd.DataFrame({"share": ["23.4 (21.9 to 25.0)"], "n": ["not known"]})
    data = spelt_out(pd.DataFrame({"share": [23.4], "lowest": [21.9], "n": pd.array([pd.NA], "Int64")}))
    publish_table(tmp_path / "t.tsv", shown, title="T", notes=[], simulated=False, data=data)
    assert (tmp_path / "t.tsv").read_text() == "share\tlowest\tn\n23.4\t21.9\tnot known\n"
    assert "| 23.4 (21.9 to 25.0) | not known |" in (tmp_path / "t.md").read_text()


def test_numbers_are_on_the_right_where_some_are_not_known(tmp_path):
    frame = spelt_out(pd.DataFrame({"step": ["live", "found"], "n": pd.array([9, pd.NA], "Int64")}))
    publish_table(tmp_path / "t.tsv", frame, title="T", notes=[], simulated=False)
    assert "| :--- | ---: |" in (tmp_path / "t.md").read_text()
