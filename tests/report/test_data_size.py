"""The study of data sizes: seeds pooled, and drawn."""

import numpy as np
import pandas as pd
import pytest

from brainlm.report.data_size import data_size_figure, data_size_numbers, data_size_table
from brainlm.report.style import publish_figure
from tests.report.figure_texts import texts

TEST_TRS = (80, 320)


def cell(rows: int, trs: int, seed: int, **changes) -> dict[str, float]:
    found = 2 * rows
    return {
        "rows_a_latent": rows,
        "test_trs": trs,
        "seed": seed,
        "planted": 40,
        "found": found,
        "shared_found": rows,
        "called_shared": rows // 2 if trs == 320 else 0,
        "well_found": found + 4,
        "right": found,
        "live_shifted": 50,
        "shared_shifted": seed,
        "whole_model_p": (1 + seed) / trs,
        "whole_model_p_shifted": 0.04 + 0.02 * seed,
        "whole_model_floor": 1 / trs,
        "p_floor": 2 / trs,
        "n_at_floor": 1000 // trs + seed,
    } | changes


@pytest.fixture
def cells() -> pd.DataFrame:
    # In no order: pooling must not depend on it.
    return pd.DataFrame(
        [cell(rows, trs, seed) for seed in (2, 0, 1) for rows in (15, 6) for trs in reversed(TEST_TRS)]
    )


def test_shares_are_of_all_seeds_together(cells):
    cells.loc[(cells["seed"] == 0) & (cells["rows_a_latent"] == 6), ["shared_found", "called_shared"]] = 0
    numbers = data_size_numbers(cells).set_index(["rows_a_latent", "test_trs"])
    assert numbers.index.tolist() == [(6, 80), (6, 320), (15, 80), (15, 320)]
    assert (numbers["models"] == 3).all()
    few = numbers.loc[(6, 320)]
    # Not the mean of a seed's shares: one seed has found none, and so has no share.
    assert few["shared_found"] == 12 and few["called_shared_percent"] == pytest.approx(50)
    assert few["found_percent"] == pytest.approx(100 * 12 / 40)
    assert few["right_percent"] == pytest.approx(75)
    assert few["shared_shifted_percent"] == pytest.approx(100 * 3 / 150)


def test_p_is_the_median_with_its_range_and_the_floors_are_told(cells):
    numbers = data_size_numbers(cells).set_index(["rows_a_latent", "test_trs"])
    some = numbers.loc[(15, 80)]
    assert (some["whole_model_p_lowest"], some["whole_model_p"], some["whole_model_p_highest"]) == (
        pytest.approx(1 / 80),
        pytest.approx(2 / 80),
        pytest.approx(3 / 80),
    )
    assert some["significant"] == 3 and some["significant_shifted"] == 1
    assert some["whole_model_floor"] == pytest.approx(1 / 80) and some["p_floor"] == pytest.approx(2 / 80)
    assert some["n_at_floor"] == 14


def test_a_share_of_nothing_is_missing_and_is_drawn_as_nothing(cells, tmp_path):
    none = cells.assign(shared_found=0, called_shared=0)
    numbers = data_size_numbers(none)
    assert numbers["called_shared_percent"].isna().all()
    assert (data_size_table(numbers)["shared ones called shared (%)"] == "– (0 of 0)").all()
    figure, drawn = data_size_figure(none)
    assert drawn.loc[drawn["panel"] == "called_shared_percent", "value"].isna().all()
    publish_figure(tmp_path / "none.pdf", figure, drawn, simulated=True)


def test_the_table_says_of_how_many(cells):
    table = data_size_table(data_size_numbers(cells))
    first = table.iloc[0]
    assert first["rows a latent"] == 6 and first["test TRs"] == 80
    assert first["features found (%)"] == "30 (36 of 120)"
    assert first["latents called shared, shifted (%)"] == "2 (3 of 150)"
    assert first["whole-model p"] == "0.013 to 0.037"
    assert first["p < 0.05, shifted"] == "1 of 3"


def test_panels_are_lines_over_test_trs_and_what_is_found_over_rows(cells):
    figure, numbers = data_size_figure(cells)
    shared, right, p, found = figure.axes
    assert all(axes.get_xscale() == "log" for axes in figure.axes) and p.get_yscale() == "log"
    assert shared.get_title(loc="left").startswith("(a)") and found.get_title(loc="left").startswith("(d)")
    pooled = data_size_numbers(cells)
    for axes, column in (
        (shared, "called_shared_percent"),
        (right, "right_percent"),
        (p, "whole_model_p"),
    ):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for rows in (6, 15):
            wanted = pooled[pooled["rows_a_latent"] == rows]
            np.testing.assert_allclose(lines[str(rows)].get_ydata(), wanted[column])
            # Symbols of several lines stand beside each other.
            np.testing.assert_allclose(lines[str(rows)].get_xdata(), TEST_TRS, rtol=0.1)
    floor = next(line for line in p.get_lines() if line.get_label() == "smallest p there can be")
    np.testing.assert_allclose(floor.get_ydata(), [1 / 80, 1 / 320])
    shifted = next(line for line in p.get_lines() if "shifted" in line.get_label())
    np.testing.assert_allclose(shifted.get_ydata(), cells["whole_model_p_shifted"])
    black = next(line for line in found.get_lines() if line.get_color() == "black")
    np.testing.assert_allclose(black.get_xydata(), [(6, 30), (15, 75)])
    text = texts(figure)
    assert "n = 18, 45" in text and "n = 48, 102" in text and "median of 3 seeds" in text
    assert "n = 120" in text


def test_the_numbers_are_what_is_drawn(cells):
    _, numbers = data_size_figure(cells)
    assert set(numbers["panel"]) == {
        *(
            "called_shared_percent",
            "right_percent",
            "whole_model_p",
            "whole_model_p_shifted",
            "found_percent",
        ),
    }
    shared = numbers[numbers["panel"] == "called_shared_percent"]
    assert len(shared) == 4 + len(cells) and shared["seed"].isna().sum() == 4
    # What is found is told once, of the largest test set.
    assert set(numbers.loc[numbers["panel"] == "found_percent", "test_trs"]) == {320}
    assert numbers.loc[numbers["panel"] == "whole_model_p", "n"].isna().all()
    one = shared[(shared["seed"] == 1) & (shared["rows_a_latent"] == 15) & (shared["test_trs"] == 320)]
    assert one["value"].item() == pytest.approx(100 * 7 / 15) and one["n"].item() == 15
