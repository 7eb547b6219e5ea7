"""Figures of the brain, on the cortex and by region: what they show, their numbers and their words."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import sparse

from brainlm.cortex.subject import Cortex, save_cortex
from brainlm.cortex.voxels import save_voxel_table, voxel_table
from brainlm.errors import InputError
from brainlm.report.brain import DecoderPanel, draw_decoders, draw_voxels, read_anatomy
from brainlm.report.regions import LARGEST_ROIS
from brainlm.report.style import mark_simulated, publish_figure
from tests.report.figure_texts import texts


def table_of(rois: dict[str, range], n_voxels: int) -> pd.DataFrame:
    mask = np.ones((1, 1, n_voxels), bool)
    return voxel_table(mask, {name: np.array(members) for name, members in rois.items()})


def cortex_of(n_voxels: int) -> Cortex:
    """Each voxel is an upright strip, four pixels wide, of a flatmap twice as wide as high."""
    shape = (2 * n_voxels, 4 * n_voxels)
    pixels = np.arange(np.prod(shape))
    voxels = pixels % shape[1] // 4
    return Cortex(
        mask=np.ones((1, 1, n_voxels), bool),
        pixel_of_voxel=sparse.csr_matrix((np.ones(pixels.size, np.float32), (pixels, voxels))),
        on_cortex=np.ones(shape, bool),
        curvature=np.ones(shape, np.float32),
        roi_outlines={},
        roi_labels={},
        voxel_rois={},
    )


ALPHABET = table_of({"a": range(0, 3), "b": range(3, 8), "c": range(8, 9)}, 11)
ANATOMIES = [ALPHABET, table_of({}, 11), cortex_of(11)]


def drawn(anatomy: pd.DataFrame | Cortex, values, **changed) -> tuple[Figure, pd.DataFrame]:
    words = {"quantity": "test correlation", "based_on": "638 test TRs", "colormap": "inferno"}
    return draw_voxels(anatomy, np.asarray(values, float), **{**words, **changed})


def decoders(anatomy: pd.DataFrame | Cortex, *panels: DecoderPanel) -> tuple[Figure, pd.DataFrame]:
    return draw_decoders(anatomy, panels, colormap="RdBu_r")


def titles(figure: Figure) -> list[str]:
    return [place.get_suptitle().rstrip("\n") for place in figure.subfigs]


def shown(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def row_labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def points(axes: Axes) -> dict[str, float]:
    """Label of a row -> the value at its point."""
    at_height = {
        y: x for line in axes.lines if line.get_marker() == "o" for x, y in zip(*line.get_data(), strict=True)
    }
    return {label: at_height[y] for label, y in zip(row_labels(axes), axes.get_yticks(), strict=True)}


def intervals(axes: Axes) -> list[tuple[float, float]]:
    """Ends of the intervals, from the highest row to the lowest."""
    segments = np.array(axes.collections[0].get_segments())
    return [tuple(row) for row in segments[np.argsort(segments[:, 0, 1]), :, 0]]


# One value a voxel


def test_rois_have_medians_and_interquartile_ranges_the_highest_first():
    values = [1, 2, 30, 5, 6, 7, 8, 90, 4, 0, 100]
    figure, _ = drawn(ALPHABET, values)
    axes, histogram = shown(figure)
    assert points(axes) == {"b (5)": 7, "c (1)": 4, "a (3)": 2, "all voxels (11)": 6}
    assert intervals(axes) == [(6, 8), (4, 4), (1.5, 16), (3, 19)]
    # The axis is turned around: rows run downwards.
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert sum(bar.get_height() for bar in histogram.patches) == 11
    assert axes.get_xlabel() == histogram.get_xlabel() == "test correlation"


def test_numbers_are_the_values_as_they_came():
    values = np.array([0.1, np.nan, 0.3, *[0.2] * 8], np.float32)
    _, numbers = drawn(ALPHABET, values, quantity="explainable variance")
    assert numbers.columns.tolist() == ["voxel", "explainable_variance"]
    assert numbers["voxel"].tolist() == list(range(11))
    np.testing.assert_array_equal(numbers["explainable_variance"], values)


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_title_has_the_mean_and_the_number_of_undefined_voxels(anatomy):
    values = [0.1, 0.2, np.nan, *[0.3] * 8]
    figure, _ = drawn(anatomy, values)
    assert titles(figure) == ["Test correlation: mean 0.270 over 10 voxels, 1 undefined; 638 test TRs"]
    figure, _ = drawn(anatomy, [0.5] * 11)
    assert titles(figure) == ["Test correlation: mean 0.500 over 11 voxels; 638 test TRs"]


def test_undefined_voxels_are_neither_counted_nor_drawn():
    values = [1, np.nan, 3, *[np.nan] * 5, np.inf, 5, 6]
    figure, _ = drawn(ALPHABET, values)
    axes, histogram = shown(figure)
    assert points(axes) == {"a (2)": 2, "all voxels (4)": 4}
    assert sum(bar.get_height() for bar in histogram.patches) == 4
    assert "1 of 3 ROIs, the others have no values" in texts(figure)


def test_of_many_rois_the_largest_are_shown_and_the_rest_is_mentioned():
    n_rois = LARGEST_ROIS + 5
    rois = {f"r{n}": range(100 * n, 100 * n + n + 1) for n in range(n_rois)}
    figure, _ = drawn(table_of(rois, 100 * n_rois), np.arange(100 * n_rois)[::-1])
    labels = row_labels(shown(figure)[0])
    assert labels == [f"r{n} ({n + 1})" for n in range(5, n_rois)] + [f"all voxels ({100 * n_rois:,})"]
    assert "20 of 25 ROIs, those with most voxels" in texts(figure)
    figure, _ = drawn(ALPHABET, np.arange(11))
    assert " of 3 ROIs" not in texts(figure)


def test_long_names_lose_their_middle():
    figure, _ = drawn(table_of({"left ventral occipitotemporal cortex": range(2)}, 3), [1, 2, 3])
    (label, _) = row_labels(shown(figure)[0])
    assert label == "left ventral o…al cortex (2)"


def test_dollars_in_names_are_no_formulas():
    figure, numbers = drawn(table_of({r"$\broken$": range(2)}, 3), [1, 2, 3])
    FigureCanvasAgg(figure).draw()
    assert len(numbers) == 3


def test_without_rois_voxels_are_sorted_by_their_values():
    values = np.append(np.random.default_rng(0).permutation(np.linspace(-1, 3, 401)), np.nan)
    figure, _ = drawn(table_of({}, 402), values)
    axes, histogram = shown(figure)
    share_percent, curve = axes.lines[0].get_data()
    assert axes.get_xlabel() == "401 voxels, sorted (%)"
    assert axes.get_ylabel() == histogram.get_xlabel() == "test correlation"
    np.testing.assert_allclose(curve, -1 + 4 * share_percent / 100, atol=1e-12)
    assert share_percent[[0, -1]].tolist() == [0, 100]


@pytest.mark.parametrize("anatomy", ANATOMIES)
@pytest.mark.filterwarnings("error")
def test_without_values_there_is_only_the_title(anatomy, tmp_path):
    based_on = "no test story was heard several times"
    figure, numbers = drawn(anatomy, [np.nan] * 11, quantity="explainable variance", based_on=based_on)
    assert texts(figure).replace("\n", " ") == f"Explainable variance: 11 undefined; {based_on}"
    assert figure.axes == []
    # No strip of a line's height.
    assert np.divide(*figure.get_size_inches()) < 5
    assert numbers["explainable_variance"].isna().all()
    publish_figure(tmp_path / "empty.pdf", figure, numbers, simulated=False)


def test_a_single_value_is_drawn(tmp_path):
    figure, numbers = drawn(table_of({"a": range(1)}, 1), [0.5])
    assert points(shown(figure)[0]) == {"a (1)": 0.5, "all voxels (1)": 0.5}
    publish_figure(tmp_path / "single.pdf", figure, numbers, simulated=False)


# Decoder weights


def random_panels(n: int, n_voxels: int = 11) -> list[DecoderPanel]:
    weights = np.random.default_rng(n).standard_normal((n, n_voxels), dtype=np.float32)
    return [DecoderPanel(f"latent {i}, r = 0.{i}\nshared", of_latent) for i, of_latent in enumerate(weights)]


def test_decoder_panels_have_the_rois_of_their_latent():
    rising, falling = np.arange(11.0), -np.arange(11.0)
    rising[0] = np.nan
    figure, numbers = decoders(ALPHABET, DecoderPanel("up", rising), DecoderPanel("down", falling))
    assert titles(figure) == ["(a) up", "(b) down"]
    up, down = shown(figure)
    assert points(up) == {"c (1)": 8, "b (5)": 5, "a (2)": 1.5, "all voxels (10)": 5.5}
    assert points(down) == {"a (3)": -1, "b (5)": -5, "c (1)": -8, "all voxels (11)": -5}
    for axes in (up, down):
        low, high = axes.get_xlim()
        assert low == -high
        assert high >= 8
        assert axes.get_xlabel() == "decoder weight\n(normalized units)"
    assert numbers.columns.tolist() == ["panel", "voxel", "weight"]
    assert numbers["panel"].tolist() == ["up"] * 11 + ["down"] * 11
    assert numbers["voxel"].tolist() == [*range(11)] * 2
    np.testing.assert_array_equal(numbers["weight"], np.concatenate([rising, falling]))


def test_decoder_weights_without_rois_are_sorted():
    figure, _ = decoders(table_of({}, 3), DecoderPanel("x", np.array([0.5, np.nan, -0.5])))
    (axes,) = shown(figure)
    share_percent, curve = axes.lines[0].get_data()
    np.testing.assert_allclose(curve, -0.5 + share_percent / 100, atol=1e-12)
    assert axes.get_ylabel() == "decoder weight\n(normalized units)"
    assert titles(figure) == ["x"]


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_dollars_in_a_title_are_no_formula(anatomy, tmp_path):
    panel = DecoderPanel(r"shared, $\broken$ costs $5", np.linspace(-1, 1, 11))
    figure, numbers = decoders(anatomy, panel)
    publish_figure(tmp_path / "figure.pdf", figure, numbers, simulated=False)
    assert set(numbers["panel"]) == {panel.title}


@pytest.mark.parametrize("anatomy", ANATOMIES)
@pytest.mark.parametrize("n_latents", [0, 2])
@pytest.mark.filterwarnings("error")
def test_a_panel_without_a_latent_leaves_no_gap_but_is_named(anatomy, n_latents, tmp_path):
    panels = [*random_panels(n_latents), DecoderPanel("shared: no such latent", np.full(11, np.nan))]
    figure, numbers = decoders(anatomy, *panels)
    assert "shared: no such latent" in texts(figure)
    assert len(figure.axes) == len(figure.subfigs) == n_latents
    assert len(numbers) == 11 * len(panels)
    assert numbers["weight"].isna().sum() == 11
    publish_figure(tmp_path / "empty.pdf", figure, numbers, simulated=True)


@pytest.mark.parametrize(
    ("n_panels", "name", "columns"),
    [(1, "V1", 1), (2, "V1", 2), (3, "V1", 3), (4, "V1", 2), (5, "V1", 3), (3, "a very long name", 2)],
)
def test_panels_stand_in_rows(n_panels, name, columns):
    figure, _ = decoders(table_of({name: range(5)}, 11), *random_panels(n_panels))
    FigureCanvasAgg(figure).draw()
    assert len({round(place.bbox.x0) for place in figure.subfigs[:n_panels]}) == columns
    assert figure.get_size_inches()[0] * 2.54 == pytest.approx(8.5 if n_panels == 1 else 17.5)


def test_long_titles_are_wrapped_and_plots_of_a_row_aligned():
    long = (
        "latent 9, r = 0.61\nbrain-dominant, not above its null (best theme: colloquial); latent set by hand"
    )
    panels = [*random_panels(2), DecoderPanel(long, np.arange(11.0))]
    figure, numbers = decoders(ALPHABET, *panels)
    FigureCanvasAgg(figure).draw()
    tops = [axes.get_window_extent().y1 for axes in figure.axes]
    assert tops == pytest.approx([tops[0]] * 3, abs=1)
    assert titles(figure)[2].replace("\n", " ") == "(c) " + long.replace("\n", " ")
    assert numbers["panel"].iloc[-1] == long


def test_the_extreme_point_is_inside_the_frame_and_zero_is_marked():
    random = np.random.default_rng(3)
    table = table_of({name: [n] for n, name in enumerate("bca")}, 3)
    for values in ([0.3] * 3, [0.0] * 3, [-0.5, -0.4, -0.3], [0.91, 0.97, 0.94], random.standard_normal(3)):
        panel = DecoderPanel("x", np.array(values))
        for figure, _ in (
            drawn(table, values),
            decoders(table, panel),
            decoders(table_of({}, 3), panel),
            drawn(table_of({}, 3), values),
        ):
            axes = shown(figure)[0]
            FigureCanvasAgg(figure).draw()
            (points_line, *_) = [line for line in axes.lines if len(line.get_xdata()) == 3]
            frame = axes.get_window_extent()
            for x, y in axes.transData.transform(points_line.get_xydata()):
                assert frame.x0 + 1 < x < frame.x1 - 1 and frame.y0 + 1 < y < frame.y1 - 1
            at_zero = [line for line in axes.lines if [0, 0] in map(list, line.get_data())]
            assert len(at_zero) >= 1


def test_equal_rois_come_in_the_order_of_the_data():
    table = table_of({"c": [0], "a": [1], "b": [2]}, 3)
    figure, _ = drawn(table, [0.5, 0.5, 0.6])
    assert row_labels(shown(figure)[0]) == ["b (1)", "c (1)", "a (1)", "all voxels (3)"]
    # So do those that are chosen because more do not fit.
    names = [f"r{n:02}" for n in range(LARGEST_ROIS + 5)][::-1]
    figure, _ = drawn(table_of({name: [n] for n, name in enumerate(names)}, len(names)), [0.5] * len(names))
    assert row_labels(shown(figure)[0])[:-1] == [f"{name} (1)" for name in names[:LARGEST_ROIS]]
    assert "of equal ones the first in the data" in texts(figure)


@pytest.mark.parametrize("values", [[0.94, 0.93, 0.95, 0.91, 0.97, 0.94], [0.9] * 6, [0.94], [-0.3, 1.0]])
def test_few_voxels_are_counted_in_whole_numbers_on_an_axis_of_their_values(values):
    figure, _ = drawn(table_of({}, len(values)), values)
    histogram = shown(figure)[1]
    FigureCanvasAgg(figure).draw()
    assert all(float(tick).is_integer() for tick in histogram.get_yticks())
    assert sum(bar.get_height() for bar in histogram.patches) == len(values)
    low, high = histogram.get_xlim()
    assert low <= min(values) and max(values) <= high and high - low < 1.2 * (np.ptp(values) or 0.05)


def test_numbers_in_words_have_a_minus():
    figure, _ = drawn(ALPHABET, [-0.5] * 11)
    assert titles(figure) == ["Test correlation: mean −0.500 over 11 voxels; 638 test TRs"]
    figure, _ = drawn(table_of({}, 1), [-0.5])
    assert titles(figure) == ["Test correlation: mean −0.500 over 1 voxel; 638 test TRs"]


# Both


@pytest.mark.parametrize("n_rois", [0, 1, 30])
@pytest.mark.parametrize("name", ["V", "ctx_lh_G_and_S_transverse_frontopolar_"])
def test_nothing_is_cut_off_and_no_words_overlap(n_rois, name):
    table = table_of({f"{name}{n}": range(9 * n, 9 * n + 9) for n in range(n_rois)}, 300)
    values = np.random.default_rng(1).standard_normal(300)
    for figure, _ in (
        drawn(table, values, based_on="many words on what this is based on, " * 3),
        *(decoders(table, *random_panels(n, 300)) for n in (1, 2, 3)),
    ):
        assert_legible(figure)


@pytest.mark.parametrize("n_panels", [1, 2, 3])
def test_weights_of_any_size_have_an_axis_that_can_be_read(n_panels):
    # Names as long as three panels in a row allow.
    table = table_of({"n" * 14: range(3), "b": range(3, 8)}, 11)
    for largest in (20, 0.15, 0.051, 0.024, 0.011, 0.0019, 3e-6):
        weights = np.linspace(-largest, largest, 11)
        figure, _ = decoders(table, *[DecoderPanel("x", weights)] * n_panels)
        assert_legible(figure)
        assert all(len(axes.get_xticks()) >= 3 for axes in shown(figure))


def assert_legible(figure: Figure) -> None:
    """With the mark of simulated data, which must stand clear of all else."""
    mark_simulated(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    words = [word.get_window_extent(canvas.get_renderer()) for word in written(figure)]
    assert len(words) > 6
    for position, box in enumerate(words):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert box.padded(3, 0).count_overlaps(words[position + 1 :]) == 0


def written(figure: Figure) -> list[Text]:
    """All words that can be seen; labels of ticks beyond the ends of their axis cannot."""
    words = [text for place in (figure, *figure.subfigs) for text in place.texts]
    bars = [bar for axes in figure.axes for bar in axes.child_axes]
    for axes in [*shown(figure), *bars]:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            words += [axis.label, axis.offsetText]
            for tick, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
                if min(limits) <= tick <= max(limits):
                    words.append(label)
    return [word for word in words if word.get_text().strip()]


def test_values_of_other_voxels_are_refused():
    with pytest.raises(InputError, match="10 values, but the voxel table has 11 voxels"):
        drawn(ALPHABET, np.zeros(10))
    with pytest.raises(InputError, match="12 values, but the voxel table has 11 voxels"):
        decoders(ALPHABET, *random_panels(2, 12))
    with pytest.raises(InputError, match="10 voxels, but the subject's cortical mask has 11"):
        drawn(cortex_of(11), np.zeros(10))
    with pytest.raises(InputError, match="12 voxels, but the subject's cortical mask has 11"):
        decoders(cortex_of(11), *random_panels(2, 12))


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_voxels_without_weights_are_counted(anatomy):
    weights = np.append(np.linspace(-1, 1, 9), [np.nan] * 2)
    figure, _ = decoders(anatomy, DecoderPanel("x", weights))
    assert figure.get_supxlabel().startswith("9 voxels with weights, 2 undefined")
    figure, _ = decoders(anatomy, *random_panels(1))
    assert figure.get_supxlabel().partition("\n")[0] == "11 voxels with weights"


def test_the_cortex_is_read_or_the_table_of_voxels_if_there_is_none(tmp_path):
    cortex, voxels = tmp_path / "cortex.zarr", tmp_path / "voxels.tsv"
    save_cortex(cortex_of(11), cortex)
    save_voxel_table(ALPHABET, voxels)
    found = read_anatomy([str(cortex)], str(voxels), 11)
    assert isinstance(found, Cortex) and found.n_voxels == 11
    pd.testing.assert_frame_equal(read_anatomy([], str(voxels), 11), ALPHABET)


# On the cortex


@pytest.mark.parametrize("largest", [20000, 1, 0.5, 0.35, 0.051, 0.0024, 0.00049, 3e-6])
def test_a_colour_bar_has_labels_that_do_not_touch(largest):
    weights = np.array([-largest, 0.3 * largest, 0, largest])
    cortex = cortex_of(4)
    for figure, _ in (decoders(cortex, *[DecoderPanel("x", weights)] * 3), drawn(cortex, weights / 2)):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        assert any(axes.child_axes for axes in figure.axes)
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


def test_decoder_maps_have_symmetric_limits_of_their_own(tmp_path):
    panels = [
        DecoderPanel("Latent 1", np.array([-3.0, 1, np.nan, 0])),
        DecoderPanel("Latent 2", np.array([0.1, 0, 0, 0])),
        DecoderPanel("Latent 3", np.full(4, np.nan)),
    ]
    figure, numbers = decoders(cortex_of(4), *panels)
    limits = [axes.images[-1].get_clim() for axes in figure.axes]
    assert all(low == -high for low, high in limits)
    assert limits[0][1] == pytest.approx(2.96) and limits[1][1] == pytest.approx(0.097)
    assert numbers.columns.tolist() == ["panel", "voxel", "weight"] and len(numbers) == 12
    # What is missing leaves no gap, and is named.
    assert texts(figure).count("decoder weight (normalized units)") == len(limits) == 2
    assert "3 voxels with weights, 1 undefined\nLatent 3" in texts(figure)
    publish_figure(tmp_path / "maps.pdf", figure, numbers, simulated=True)


@pytest.mark.parametrize(
    ("correlation", "low"), [([0.1, 0.2, 0.5, np.nan], 0), ([-0.1, 0.2, 0.5, np.nan], -0.094)]
)
def test_correlation_map_starts_at_zero_unless_voxels_are_below(correlation, low):
    figure, numbers = drawn(cortex_of(4), correlation, based_on="1,291 test TRs")
    assert figure.axes[0].images[-1].get_clim()[0] == pytest.approx(low)
    title = f"Test correlation: mean {np.nanmean(correlation):.3f} over 3 voxels, 1 undefined; 1,291 test TRs"
    assert titles(figure) == [title]
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 3
    assert numbers.columns.tolist() == ["voxel", "test_correlation"] and len(numbers) == 4


@pytest.mark.parametrize("n_panels", [1, 2, 3, 4])
def test_nothing_is_cut_off_on_the_cortex_and_panels_that_are_even_in_number_stand_in_pairs(n_panels):
    cortex = cortex_of(11)
    long = (
        "latent 9, r = 0.61\nbrain-dominant, not above its null (best theme: colloquial); latent set by hand"
    )
    panels = [*random_panels(n_panels - 1), DecoderPanel(long, np.arange(11.0))]
    figure, _ = decoders(cortex, *panels, DecoderPanel("shared: no such latent", np.full(11, np.nan)))
    assert_legible(figure)
    assert len({round(place.bbox.x0) for place in figure.subfigs}) == 2 - n_panels % 2
    value, _ = drawn(cortex, np.arange(11), based_on="many words on what this is based on, " * 5)
    assert_legible(value)


def test_what_is_to_be_said_of_a_flatmap_stands_below_it():
    note, values = "Approximate flatmap: a test.", np.arange(11.0)
    approximate = replace(cortex_of(11), note=note)
    for figure, _ in (drawn(approximate, values), decoders(approximate, DecoderPanel("latent 7", values))):
        assert note in texts(figure)
    for figure, _ in (
        drawn(cortex_of(11), values),
        decoders(cortex_of(11), DecoderPanel("latent 7", values)),
    ):
        assert "pproximate" not in texts(figure)
