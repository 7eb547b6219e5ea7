import itertools
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy import sparse

from brainlm.cortex.subject import Cortex
from brainlm.errors import InputError
from brainlm.report.flatmaps import FlatmapPanel, decoder_flatmaps, voxel_flatmap
from brainlm.report.latents import agreement_scatter, relative_difference_histograms, snr_study
from brainlm.report.style import CLASS_COLORS, journal_style, new_figure, save_figure
from brainlm.report.training_curves import training_curves
from brainlm.scores.latents import CLASSES, classify


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


def texts(figure: Figure) -> str:
    return "\n".join(
        artist.get_text() for artist in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )


def histogram(*tables: pd.DataFrame, simulated=False) -> tuple[Figure, pd.DataFrame]:
    return relative_difference_histograms(
        {"matched": tables}, titles={"matched": "Matched stories"}, simulated=simulated
    )


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


def test_no_share_beyond_all_latents_has_a_tick():
    figure, _ = histogram(latent_table([0.95]))
    assert max(figure.axes[0].get_yticks()) == 100


def test_an_experiment_without_live_latents_is_drawn_empty(tmp_path):
    dead = latent_table([0.0, 0.5], alive=False)
    figure, numbers = histogram(dead)
    assert numbers["mean_share_percent"].isna().all()
    assert "0 of 2 latents live" in texts(figure)
    save_figure(figure, tmp_path / "dead", numbers, simulated=False)
    figure, numbers = agreement_scatter({"a": [dead]}, titles={"a": "A"}, simulated=False)
    assert numbers.empty
    save_figure(figure, tmp_path / "dead", numbers, simulated=False)


@pytest.mark.parametrize(("n", "grid"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3))])
def test_panels_are_lettered_and_those_of_a_row_share_the_y_axis(n, grid):
    latents = {f"e{i}": [latent_table(np.linspace(-1, 1, 10 + 10 * i))] for i in range(n)}
    figure, numbers = relative_difference_histograms(
        latents, titles={name: f"Title {name}" for name in latents}, simulated=False
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
    figure, numbers = agreement_scatter(
        {"matched": [table, table]}, titles={"matched": "Matched"}, simulated=False
    )
    assert numbers["latent"].tolist() == [0, 1, 2] * 2
    assert numbers["seed_index"].tolist() == [0] * 3 + [1] * 3
    assert "33.3 % of live, 50.0 % of shared" in texts(figure)


def training_log() -> pd.DataFrame:
    columns = ["loss", "auxiliary", "dead_latents", "negative_share"]
    columns += [
        f"{split}_{what}"
        for split in ("training", "validation")
        for what in ("squared_error", "explained_brain", "explained_gpt_2")
    ]
    return pd.DataFrame({"epoch": [1, 2], **{name: [2.0, 1.0] for name in columns}})


def test_training_curves_take_sources_from_the_log():
    figure, numbers = training_curves({0: training_log(), 7: training_log()}, simulated=False)
    assert numbers["seed"].tolist() == [0, 0, 7, 7]
    assert {"training_explained_gpt_2", "validation_explained_gpt_2", "dead_latents"} < set(numbers.columns)
    assert {"loss", "auxiliary", "negative_share"}.isdisjoint(numbers.columns)
    assert "gpt_2" in texts(figure)
    error_axes, explained_axes, dead_axes = figure.axes
    assert len(error_axes.lines) == 4 and len(explained_axes.lines) == 8 + 1 and len(dead_axes.lines) == 2


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
    assert "simulated data" in texts(figure)


@pytest.mark.parametrize("largest", [20000, 1, 0.5, 0.35, 0.051, 0.0024, 0.00049, 3e-6])
def test_a_colour_bar_has_labels_that_do_not_touch(cortex, largest):
    weights = np.array([-largest, 0.3 * largest, 0, largest])
    maps = decoder_flatmaps(cortex, [FlatmapPanel("x", weights)] * 3, colormap="RdBu_r", simulated=False)
    words = {"quantity": "q", "based_on": "b", "n_undefined": 0}
    value = voxel_flatmap(cortex, weights / 2, colormap="inferno", simulated=False, **words)
    for figure, _ in (maps, value):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        for axes in figure.axes:
            for bar in axes.child_axes:
                low, high = bar.get_xlim()
                labels = [
                    label.get_window_extent(canvas.get_renderer())
                    for tick, label in zip(bar.get_xticks(), bar.get_xticklabels(), strict=True)
                    if low <= tick <= high
                ]
                assert len(labels) >= 2
                for left, right in itertools.pairwise(labels):
                    assert left.x1 + 2 < right.x0


def test_training_curves_lie_below_no_legend_and_dead_latents_are_whole():
    log = pd.concat([training_log().assign(epoch=[n, n + 1], dead_latents=0) for n in (1, 3)])
    for logs in ({0: log}, {0: log.head(1)}, {0: log, 1: log.assign(dead_latents=2)}):
        figure, _ = training_curves(logs, simulated=False)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (legend,) = figure.legends
        box = legend.get_window_extent(canvas.get_renderer())
        assert box.count_overlaps([axes.get_window_extent() for axes in figure.axes]) == 0
        assert [text.get_text() for text in legend.get_texts()] == [
            "training",
            "validation",
            "brain",
            "gpt_2",
        ]
        dead_axes = figure.axes[2]
        assert (
            dead_axes.get_title(loc="left") == f"(c) Dead latents ({len(logs)} seed{'s' * (len(logs) > 1)})"
        )
        low, high = dead_axes.get_ylim()
        assert low < 0 and high >= 1
        ticks = [*dead_axes.get_yticks(), *dead_axes.get_xticks()]
        assert all(float(tick).is_integer() for tick in ticks)
        # A single epoch is a point, for no line can be drawn of it.
        one = len(logs) == 1 and len(logs[0]) == 1
        assert {line.get_marker() for line in dead_axes.lines} == {"." if one else "None"}


def test_undefined_fit_is_said_to_be():
    log = training_log()
    log[[name for name in log if "explained" in name]] = np.nan
    figure, _ = training_curves({0: log}, simulated=False)
    assert "undefined" in texts(figure)
    assert figure.axes[1].get_xlim() == figure.axes[0].get_xlim()


@pytest.fixture
def cortex():
    """Four voxels, each a 4 x 4 square of the flatmap."""
    pixels = np.arange(4 * 16)
    weights = sparse.csr_matrix((np.ones(64, np.float32), (pixels, pixels % 16 // 4)), shape=(64, 4))
    return Cortex(
        mask=np.ones((1, 2, 2), bool),
        pixel_of_voxel=weights,
        on_cortex=np.ones((4, 16), bool),
        curvature=np.ones((4, 16), np.float32),
        roi_outlines={},
        roi_labels={},
        voxel_rois={},
    )


def test_decoder_maps_have_symmetric_limits_of_their_own(cortex, tmp_path):
    panels = [
        FlatmapPanel("Latent 1", np.array([-3.0, 1, np.nan, 0])),
        FlatmapPanel("Latent 2", np.array([0.1, 0, 0, 0])),
        FlatmapPanel("Latent 3", np.full(4, np.nan)),
    ]
    figure, numbers = decoder_flatmaps(cortex, panels, colormap="RdBu_r", simulated=True)
    limits = [axes.images[-1].get_clim() for axes in figure.axes]
    assert all(low == -high for low, high in limits)
    assert limits[0][1] == pytest.approx(2.96) and limits[1][1] == pytest.approx(0.097)
    assert numbers.columns.tolist() == ["panel", "voxel", "weight"] and len(numbers) == 12
    # What is missing leaves no gap, and is named.
    assert texts(figure).count("decoder weight (normalized units)") == len(limits) == 2
    assert "3 voxels with weights\nLatent 3" in texts(figure)
    save_figure(figure, tmp_path / "maps", numbers, simulated=True)


def test_a_map_for_another_cortex_is_refused(cortex):
    with pytest.raises(InputError):
        decoder_flatmaps(cortex, [FlatmapPanel("x", np.zeros(5))], colormap="RdBu_r", simulated=False)


@pytest.mark.parametrize(
    ("correlation", "low"), [([0.1, 0.2, 0.5, np.nan], 0), ([-0.1, 0.2, 0.5, np.nan], -0.094)]
)
def test_correlation_map_starts_at_zero_unless_voxels_are_below(cortex, correlation, low):
    figure, numbers = voxel_flatmap(
        cortex,
        np.array(correlation),
        colormap="inferno",
        simulated=False,
        quantity="test correlation",
        based_on="1,291 test TRs",
        n_undefined=1,
    )
    assert figure.axes[0].images[-1].get_clim()[0] == pytest.approx(low)
    title = figure.axes[0].get_title(loc="left")
    mean = np.nanmean(correlation)
    assert title == f"Test correlation: mean {mean:.3f} over 3 voxels, 1 undefined; 1,291 test TRs"
    assert numbers.columns.tolist() == ["voxel", "test_correlation"] and len(numbers) == 4


def test_a_map_without_values_says_why(cortex):
    figure, _ = voxel_flatmap(
        cortex,
        np.full(4, np.nan),
        quantity="explainable variance",
        based_on="no test story was heard several times",
        colormap="inferno",
        simulated=False,
        n_undefined=4,
    )
    title = figure.axes[0].get_title(loc="left")
    assert title == "Explainable variance: 4 undefined; no test story was heard several times"


def test_files_of_simulated_data_say_so(tmp_path):
    for simulated in (True, False):
        figure, numbers = histogram(latent_table([0.0, 0.9]), simulated=simulated)
        save_figure(figure, tmp_path / "f", numbers, simulated=simulated)
        assert ("simulated data" in texts(figure)) == simulated
        assert (b"simulated data" in (tmp_path / "f.pdf").read_bytes()) == simulated
        with Image.open(tmp_path / "f.png") as image:
            assert (image.info.get("Description") == "simulated data") == simulated
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_pdf_fonts_are_truetype_and_without_date(tmp_path):
    figure, numbers = histogram(latent_table([0.0, 0.9]))
    save_figure(figure, tmp_path / "f.1", numbers, simulated=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.1.pdf", "f.1.png", "f.1.tsv"]
    pdf = (tmp_path / "f.1.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf
    assert len(pd.read_csv(tmp_path / "f.1.tsv", sep="\t")) == 20


_IN_ANOTHER_PROCESS = """
import sys
import matplotlib
from pathlib import Path
matplotlib.rcParams.update({"font.size": 20, "savefig.bbox": "tight", "font.family": "serif"})
from tests.report.test_latents import save_example
save_example(Path(sys.argv[1]))
"""


def save_example(stem: Path) -> None:
    frame = pd.DataFrame({"snr": [0.1, 1], "seed": 0, "metric": "found", "value": [0.2, 0.9], "bar": 0.8})
    figure, numbers = snr_study(frame)
    save_figure(figure, stem, numbers, simulated=True)


def test_bytes_do_not_depend_on_process_or_user_settings(tmp_path):
    save_example(tmp_path / "here" / "f")
    subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_PROCESS, str(tmp_path / "there" / "f")],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    for name in ("f.pdf", "f.png", "f.tsv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_the_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with journal_style():
        assert new_figure(8.5, 5, simulated=False).get_size_inches()[0] == pytest.approx(8.5 / 2.54)
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before
