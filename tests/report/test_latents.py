"""Figures of latents: what they show, their numbers and their words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from brainlm.report.latents import agreement_scatter, relative_difference_histograms, snr_study
from brainlm.report.style import CLASS_COLORS, publish_figure
from brainlm.scores.latents import CLASSES, classify
from tests.report.figure_texts import texts


def latent_table(r, alive=True, agreement=0.0, significant=False) -> pd.DataFrame:
    r = np.asarray(r, float)
    return pd.DataFrame(
        {
            "latent": np.arange(r.size),
            "r": r,
            "class": classify(r),
            "alive": np.broadcast_to(alive, r.shape),
            "agreement": np.broadcast_to(agreement, r.shape),
            "agreement_significant": np.broadcast_to(significant, r.shape),
        }
    )


def judged(table: pd.DataFrame, *verified: int) -> pd.DataFrame:
    """The same, with verdicts that bear out the class of some latents alone."""
    proof = {"shared": "shared", "brain-dominant": "brain, spontaneous", "lm-dominant": "LM"}
    proven = table["latent"].isin(verified)
    return table.assign(verdict=np.where(proven, table["class"].map(proof), "unclear"), qualifier="")


def histogram(*tables: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    return relative_difference_histograms({"matched": tables}, titles={"matched": "Matched stories"})


def test_histogram_shares_are_of_live_latents():
    r = [-0.95, -0.05, 0.05, 0.07, 0.95, 0.3]
    figure, numbers = histogram(latent_table(r, alive=[True, True, True, True, False, True]))
    share = numbers.set_index("bin_low")["mean_share_percent"]
    assert len(share) == 20 and share.sum() == pytest.approx(100)
    assert share[0.9] == 0 and share[0.0] == pytest.approx(40) and share[0.3] == pytest.approx(20)
    assert numbers["sd_share_percent"].isna().all()
    text = texts(figure)
    assert "5 of 6 latents live, 1 seed" in text
    assert "shared\n60.0 %" in text and "LM-dominant\n20.0 %" in text and "brain-dominant\n0.0 %" in text


def test_histogram_averages_seeds_not_latents():
    few, many = latent_table([0.0, 0.9], alive=[True, False]), latent_table([0.9] * 10)
    _, numbers = histogram(few, many)
    share = numbers.set_index("bin_low")
    assert share.loc[0.0, "mean_share_percent"] == pytest.approx(50)
    assert share.loc[0.9, "mean_share_percent"] == pytest.approx(50)
    assert share.loc[0.9, "sd_share_percent"] == pytest.approx(100 / np.sqrt(2))


def test_live_latents_without_r_are_counted_and_mentioned():
    figure, numbers = histogram(latent_table([0.05, np.nan]))
    assert numbers["mean_share_percent"].sum() == pytest.approx(50)
    assert "1 without r" in texts(figure)


def test_r_of_exactly_one_and_minus_one_is_in_the_outermost_bins():
    _, numbers = histogram(latent_table([-1.0, 1.0]))
    assert numbers["mean_share_percent"].iloc[[0, -1]].tolist() == [50, 50]


def test_the_verified_part_of_a_bar_stands_out_and_is_counted():
    table = judged(latent_table([0.0, 0.05, 0.05, 0.95, -0.95]), 1, 4)
    figure, numbers = histogram(table)
    shares = numbers.set_index("bin_low")[["mean_share_percent", "mean_verified_percent"]]
    assert shares.loc[0.0].tolist() == pytest.approx([60, 20])
    assert shares.loc[0.9].tolist() == pytest.approx([20, 0])
    assert shares.loc[-1.0].tolist() == pytest.approx([20, 20])
    text = texts(figure)
    assert "shared\n60.0 %\n✓ 20.0 %" in text and "brain-dominant\n20.0 %\n✓ 0.0 %" in text
    assert "✓ in full colour: with a verdict" in text
    pale, full = figure.axes[0].containers[:2]
    assert pale[10].get_height() == pytest.approx(60) and full[10].get_height() == pytest.approx(20)
    assert pale[10].get_alpha() < full[10].get_alpha()


def test_without_verdicts_nothing_is_said_of_what_is_verified():
    figure, numbers = histogram(latent_table([0.0, 0.95]))
    assert numbers["mean_verified_percent"].isna().all() and numbers["r0"].isna().all()
    assert "✓" not in texts(figure) and "r₀" not in texts(figure)


def test_r0_is_that_of_white_noise_and_stands_where_verdicts_do():
    latents = {
        "matched": [judged(latent_table([0.0, 0.95]), 0)],
        "noise": [judged(latent_table([0.3, 0.4, 0.5, -0.9], alive=[True, True, True, False]))],
        "wide": [latent_table([0.0])],
    }
    figure, numbers = relative_difference_histograms(latents, titles={name: name for name in latents})
    r0 = numbers.groupby("experiment", sort=False)["r0"].first()
    assert r0["matched"] == r0["noise"] == pytest.approx(0.4) and np.isnan(r0["wide"])
    marked = [[text.get_text() for text in axes.texts].count("r₀") for axes in figure.axes]
    assert marked == [1, 1, 0]


def test_no_share_beyond_all_latents_has_a_tick():
    figure, _ = histogram(latent_table([0.95]))
    assert max(figure.axes[0].get_yticks()) == 100


def test_an_experiment_without_live_latents_is_drawn_empty(tmp_path):
    dead = latent_table([0.0, 0.5], alive=False)
    figure, numbers = histogram(dead)
    assert numbers["mean_share_percent"].isna().all()
    assert "0 of 2 latents live" in texts(figure)
    publish_figure(tmp_path / "dead.pdf", figure, numbers, simulated=False)
    figure, numbers = agreement_scatter({"a": [dead]}, titles={"a": "A"})
    assert numbers.empty
    publish_figure(tmp_path / "dead.pdf", figure, numbers, simulated=False)


@pytest.mark.parametrize(("n", "grid"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))])
def test_panels_are_lettered_and_those_of_a_row_share_the_y_axis(n, grid):
    latents = {f"e{i}": [latent_table(np.linspace(-1, 1, 10 + 10 * i))] for i in range(n)}
    figure, numbers = relative_difference_histograms(
        latents, titles={name: f"Title {name}" for name in latents}
    )
    assert figure.axes[0].get_gridspec().get_geometry() == grid
    limits = {(axes.get_subplotspec().rowspan.start, axes.get_ylim()) for axes in figure.axes}
    assert len(limits) == grid[0] and len(figure.axes) == n
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[-1] == (f"({'abcde'[n - 1]}) Title e{n - 1}" if n > 1 else "Title e0")
    assert numbers["experiment"].unique().tolist() == list(latents)


def test_bars_have_the_colours_of_their_classes():
    figure, _ = histogram(latent_table([0.0]))
    bars = figure.axes[0].containers[0]
    assert len(bars) == 20
    drawn = [tuple(bar.get_facecolor()) for bar in bars]
    assert len(set(drawn)) == 4 and drawn[0] == drawn[4] and drawn[8] == drawn[11] and drawn[15] == drawn[19]
    assert set(CLASS_COLORS) == set(CLASSES) - {"undefined"}


def test_agreement_numbers_and_shares_are_of_live_latents():
    r, significant = [0.0, 0.1, 0.9, 0.05], [True, False, False, True]
    table = latent_table(r, [True, True, True, False], [0.4, 0.1, np.nan, 0.9], significant)
    figure, numbers = agreement_scatter({"matched": [table, table]}, titles={"matched": "Matched"})
    assert numbers["latent"].tolist() == [0, 1, 2] * 2
    assert numbers["seed_index"].tolist() == [0] * 3 + [1] * 3
    assert "33.3 % of live, 50.0 % of shared" in texts(figure)


def test_snr_study_has_a_panel_and_a_bar_for_each_metric():
    rows = [
        (snr, seed, metric, 10 * snr + seed, bar)
        for snr in (1.0, 0.1)
        for seed in (0, 2)
        for metric, bar in (("found", 0.8), ("error", np.nan))
    ]
    figure, numbers = snr_study(pd.DataFrame(rows, columns=["snr", "seed", "metric", "value", "bar"]))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["(a) found", "(b) error"]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["bar"]
    found = numbers[numbers["metric"] == "found"]
    assert found["snr"].tolist() == [0.1, 1.0] and found["mean"].tolist() == [2, 11]
    assert found["n_seeds"].tolist() == [2, 2] and found["bar"].tolist() == [0.8, 0.8]
