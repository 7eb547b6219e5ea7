"""How far runs lie from the paper."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.report.paper import (
    PAPER_NUMBERS,
    Comparison,
    ReadingResults,
    distance_table,
    grouped_deviations,
    interval,
    paper_comparison,
)
from brainlm.report.write import format_value


def summaries(brain: float, lm: float, *shared: float) -> pd.DataFrame:
    return pd.DataFrame(
        {"test_correlation_brain": brain, "test_correlation_lm": lm, "share_shared": list(shared)}
    )


def reading(name: str, matched: pd.DataFrame, shuffled: pd.DataFrame) -> ReadingResults:
    return ReadingResults({"scaling": name, "TopK": "signed"}, matched, shuffled)


def test_the_papers_numbers_are_at_no_distance_from_it():
    exact = reading("exact", summaries(0.44, 0.52, 0.24, 0.24), summaries(0, 0, 0.04, 0.04))
    paper, found = distance_table([exact]).to_dict("records")
    assert paper["scaling"] == "paper"
    for number in PAPER_NUMBERS:
        assert found[number.name] == pytest.approx(paper[number.name])
        assert found[f"± {number.name}"] == pytest.approx(0, abs=1e-9)
    assert found["distance (points)"] == pytest.approx(0, abs=1e-9)


def test_a_point_is_a_hundredth_of_a_correlation_or_a_percent_of_a_share():
    for matched, shuffled in (
        (summaries(0.46, 0.52, 0.24), summaries(0, 0, 0.04)),
        (summaries(0.44, 0.50, 0.24), summaries(0, 0, 0.04)),
        (summaries(0.44, 0.52, 0.26), summaries(0, 0, 0.04)),
        (summaries(0.44, 0.52, 0.24), summaries(0, 0, 0.02)),
    ):
        distances = distance_table([reading("one", matched, shuffled)])["distance (points)"]
        assert distances.tolist() == pytest.approx([0, 2 / 2])


def test_the_nearest_reading_comes_first_and_one_without_a_share_last():
    shuffled = summaries(0, 0, 0.04)
    table = distance_table(
        [
            reading("no live latents", summaries(0.44, 0.52, np.nan), shuffled),
            reading("far", summaries(0.1, 0.1, 0.9), shuffled),
            reading("near", summaries(0.4, 0.5, 0.2), shuffled),
        ]
    )
    assert table["scaling"].tolist() == ["paper", "near", "far", "no live latents"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.lists(st.just(np.nan), max_size=2))
def test_the_interval_is_that_of_students_t_test(values, undefined):
    mean, half_width = interval([*undefined, *values])
    assert mean == pytest.approx(np.mean(values))
    if np.ptp(values) > 1e-6:
        low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_one_run_has_no_interval():
    mean, half_width = interval([0.3])
    assert mean == 0.3 and np.isnan(half_width)
    assert np.isnan(interval([])).all()


def test_deviations_are_grouped_and_none_is_lost():
    found = [
        "subject sub-01 (paper: UTS03)",
        "stories 3/1/1 (paper: 58/8/17)",
        "dataset.tr_s 1.5 (paper: 2.0)",
        "language_model.revision None (paper: 0e9e)",
        "features.block 2 (paper: 16)",
        "crosscoder.k 8 (paper: 64) in shuffled",
    ]
    data, model, settings = grouped_deviations(found)
    assert data == f"Deviations from the paper in the data (3): {'; '.join(found[:3])}."
    assert model == f"Deviations from the paper in the language model (1): {found[3]}."
    assert settings == f"Deviations from the paper in the settings (2): {'; '.join(found[4:])}."
    assert grouped_deviations(found[3:4]) == [model]
    assert grouped_deviations([]) == ["Deviations from the paper: none."]


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
