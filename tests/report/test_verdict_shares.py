"""Verdicts over subjects and seeds."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from brainlm.errors import InputError
from brainlm.report.verdict_shares import (
    AFTER_TURNS,
    FILLS,
    IN_MOST_SEEDS,
    OVER_STORIES,
    long_verdicts,
    shared_in_most_seeds,
    shown_verdict_shares,
    verdict_shares_figure,
    verdict_shares_table,
)
from brainlm.scores.evidence.tallies import LIVE_LABELS
from tests.report.figure_texts import texts


def summaries(n_subjects: int = 2, n_seeds: int = 3) -> pd.DataFrame:
    """Of matched and shuffled models: some latents are shared, others not, in matched ones."""
    rows = []
    for experiment in ("matched", "shuffled"):
        for subject in range(n_subjects):
            for seed in range(n_seeds):
                shared = (0.2 + 0.1 * seed) * (experiment == "matched")
                of = dict.fromkeys(LIVE_LABELS, 0.0) | {
                    "shared": shared,
                    "LM": 0.25,
                    "unclear": 0.75 - shared,
                }
                rows.append(
                    {
                        "experiment": experiment,
                        "subject": f"S{subject}",
                        "seed": seed,
                        **{f"share_{label}": share for label, share in of.items()},
                        "error_shared": 0.05,
                        "shifted_share_agreeing": 0.01 * seed,
                        "shared_in_most_seeds": shared / 2 if experiment == "matched" else np.nan,
                    }
                )
    return pd.DataFrame(rows)


LATENTS = pd.DataFrame(
    {
        "latent": range(6),
        "alive": [True, True, True, True, True, False],
        "verdict": ["shared", "shared", "shared", "LM", "shared", "dead"],
        "qualifier": ["", "", "", "", "mostly LM", ""],
    }
)


def found(n_seeds: int, *n_same: float) -> pd.DataFrame:
    return pd.DataFrame({"latent": range(len(n_same)), "n_seeds": n_seeds, "n_same_verdict": n_same})


def test_shared_in_most_seeds_asks_for_the_headline_here_and_in_more_than_half_of_the_others():
    assert shared_in_most_seeds(LATENTS, found(2, 2, 1, 2, 2, 2, 0)) == pytest.approx(2 / 5)
    assert shared_in_most_seeds(LATENTS, found(3, 2, 1, 0, 3, 3, 0)) == pytest.approx(1 / 5)
    assert shared_in_most_seeds(LATENTS, found(1, 0, 0, 0, 1, 1, 1)) == 0


def test_without_another_seed_it_is_not_known():
    for nothing in (found(0, *6 * [np.nan]), found(2).astype({"latent": int})):
        assert np.isnan(shared_in_most_seeds(LATENTS, nothing))
    assert np.isnan(shared_in_most_seeds(LATENTS.assign(alive=False), found(2, *6 * [2])))


def test_latents_that_were_not_looked_for_are_refused():
    with pytest.raises(InputError, match="Latent 3 was not looked for"):
        shared_in_most_seeds(LATENTS, found(2, 2, 1, 2))


def test_the_table_has_means_and_extremes_over_models():
    table = verdict_shares_table(summaries()).set_index("experiment")
    assert table.index.tolist() == ["matched", "shuffled"]
    matched = table.loc["matched"]
    assert (matched["subjects"], matched["models"]) == (2, 6)
    expected = {
        "shared (%)": 30,
        "shared (%), lowest": 20,
        "shared (%), highest": 40,
        f"{OVER_STORIES} (%)": 5,
        f"{AFTER_TURNS} (%)": 1,
        f"{IN_MOST_SEEDS} (%)": 15,
        "LM (%)": 25,
        "unclear (%)": 45,
    }
    assert {name: matched[name] for name in expected} == pytest.approx(expected)
    assert np.isnan(table.loc["shuffled", f"{IN_MOST_SEEDS} (%)"])
    # All verdicts together are all live latents.
    assert matched[[f"{label} (%)" for label in LIVE_LABELS]].sum() == pytest.approx(100)


def test_for_reading_ranges_stand_in_the_cells_and_what_is_never_given_is_left_out():
    shown = shown_verdict_shares(verdict_shares_table(summaries())).set_index("experiment")
    assert shown["shared (%)"].tolist() == ["30.0 (20.0 to 40.0)", "0.0"]
    assert shown[f"{IN_MOST_SEEDS} (%)"].tolist() == ["15.0 (10.0 to 20.0)", "not known"]
    assert "LM (%)" in shown and "artefact (%)" not in shown
    assert not [name for name in shown if "lowest" in name]


def test_what_is_not_known_of_one_model_is_not_known_of_their_mean():
    models = summaries()
    models.loc[0, "error_shared"] = np.nan
    table = verdict_shares_table(models).set_index("experiment")
    assert table[f"{OVER_STORIES} (%)"].isna().tolist() == [True, False]


def test_bars_hold_all_live_latents_and_points_every_model():
    figure, numbers = verdict_shares_figure(summaries())
    bars, points = figure.axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["matched, S0", "matched, S1", "shuffled, S0", "shuffled, S1"]
    ends = {}
    for bar in bars.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert ends == pytest.approx(dict.fromkeys(range(4), 100))
    of_models = [line for line in points.lines if line.get_marker() == "o"]
    assert sorted(np.concatenate([line.get_xdata() for line in of_models])) == pytest.approx(
        sorted(100 * summaries()["share_shared"])
    )
    pd.testing.assert_frame_equal(numbers, long_verdicts(summaries()))
    # Verdicts that no latent has are not in the legend.
    assert "LM" in texts(figure).splitlines() and "artefact" not in texts(figure)


def test_every_verdict_has_a_look_of_its_own():
    assert set(FILLS) == set(LIVE_LABELS)
    assert len(set(FILLS.values())) == len(FILLS)


@pytest.mark.parametrize(("n_subjects", "n_seeds", "n_rows"), [(1, 1, 2), (9, 2, 18), (27, 1, 2)])
def test_legends_lie_on_no_panel_however_many_subjects_there_are(n_subjects, n_seeds, n_rows):
    models = summaries(n_subjects, n_seeds)
    if n_seeds == 1:
        models["shared_in_most_seeds"] = np.nan
    figure, _ = verdict_shares_figure(models)
    assert len(figure.axes[0].get_yticklabels()) == n_rows
    assert ("most seeds" in texts(figure)) == (n_seeds > 1)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (legend,) = figure.legends
    panels = [axes.get_window_extent() for axes in figure.axes]
    assert legend.get_window_extent(canvas.get_renderer()).count_overlaps(panels) == 0
    # Within the page, too.
    extent = legend.get_window_extent(canvas.get_renderer())
    assert extent.x0 >= 0 and extent.y0 >= 0 and extent.x1 <= figure.bbox.x1
