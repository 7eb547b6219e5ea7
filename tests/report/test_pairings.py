import numpy as np
import pandas as pd
import pytest

from brainlm.report.pairings import pairings_table


def summaries(shares, source="brain") -> pd.DataFrame:
    return pd.DataFrame({"source": source, "share_shared": shares})


def test_p_counts_the_draws_that_do_as_well():
    controls = {"shuffled": summaries([0.1, 0.2, 0.3, 0.1]), "shifted": summaries([0.1, 0.05, 0.0, 0.2])}
    table = pairings_table(summaries([0.25]), controls).set_index("control")
    # A draw of 0.3 exceeds 0.25; none of the shifted ones does.
    assert table["p"].tolist() == [2 / 5, 1 / 5]
    assert table["draws"].tolist() == [4, 4]
    assert table["shared (%)"].tolist() == [25, 25]
    np.testing.assert_allclose(table["of draws, mean (%)"], [17.5, 8.75])
    assert table.loc["shifted", "of draws, range (%)"] == "0.0 to 20.0"


def test_a_draw_with_the_same_share_or_without_live_latents_does_as_well():
    table = pairings_table(summaries([0.25]), {"shuffled": summaries([0.25, np.nan, 0.0])})
    assert table["p"].tolist() == [pytest.approx(3 / 4)]


def test_every_brain_of_a_joint_model_is_compared_with_its_own_draws():
    matched = pd.concat([summaries([0.3], "one"), summaries([0.1], "two")])
    draws = pd.concat([summaries([0.2, 0.2], "one"), summaries([0.2, 0.2], "two")])
    table = pairings_table(matched, {"shuffled": draws}).set_index("source")
    assert table["p"].to_dict() == {"one": pytest.approx(1 / 3), "two": 1.0}
