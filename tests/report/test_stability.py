"""The figure of latents found again: what it draws, its numbers and its words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from brainlm.report.stability import stability_figure
from brainlm.report.style import CLASS_COLORS, mark_simulated, publish_figure

FOUND = {"shared": 60.0, "brain-dominant": 100.0, "lm-dominant": 40.0, "between": 0.0}


def direction(a: str, b: str, *, n_rows: int = 638, **changed) -> pd.DataFrame:
    """As `brainlm.scores.stability.compare_models` gives for one direction; models are "<subject>.<seed>"."""
    (subject_a, seed_a), (subject_b, seed_b) = a.split("."), b.split(".")
    rows = [
        {
            "comparison": "seeds" if subject_a == subject_b else "subjects",
            "subject_a": subject_a,
            "seed_a": int(seed_a),
            "subject_b": subject_b,
            "seed_b": int(seed_b),
            "n_rows": n_rows,
            "class": name,
            "n_live": 20,
            "n_found": int(found / 5),
            "found_percent": found,
            "chance_percent": 1.0,
            "mean_correlation": 0.5,
            "n_same_class": 0,
            "same_class_percent": np.nan,
        }
        for name, found in FOUND.items()
    ]
    return pd.DataFrame(rows).assign(**changed)


def pair(a: str, b: str, **changed) -> pd.DataFrame:
    return pd.concat([direction(a, b, **changed), direction(b, a, **changed)], ignore_index=True)


def texts(figure: Figure) -> str:
    return "\n".join(
        artist.get_text() for artist in figure.findobj(lambda artist: hasattr(artist, "get_text"))
    )


def points(axes: Axes) -> dict[tuple[float, ...], list[float]]:
    """Colour -> heights of its points."""
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    return {to_rgba(line.get_color()): list(line.get_ydata()) for line in lines}


def levels(axes: Axes) -> list[tuple[float, float]]:
    """Mean and chance level of each class, from left to right."""
    heights = [collection.get_segments()[0][0][1] for collection in axes.collections]
    return list(zip(heights[::2], heights[1::2], strict=True))


def tick_labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


BOTH = pd.concat([pair("A.0", "A.1"), pair("A.0", "B.1")], ignore_index=True)


def test_seeds_and_subjects_have_a_panel_each():
    figure, _ = stability_figure(BOTH)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["(a) Found again with another seed", "(b) Found again in another subject"]
    assert figure.axes[0].get_ylabel() == "latents found again (%)"
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()


@pytest.mark.parametrize(
    ("comparisons", "title"),
    [
        (pair("A.0", "A.1"), "Found again with another seed"),
        (pair("A.0", "B.0"), "Found again in another subject"),
    ],
)
def test_one_subject_or_one_seed_makes_a_single_panel(comparisons, title):
    figure, numbers = stability_figure(comparisons)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [title]
    assert figure.get_size_inches()[0] < stability_figure(BOTH)[0].get_size_inches()[0]
    pd.testing.assert_frame_equal(numbers, comparisons)


def test_every_direction_is_a_point_in_the_colour_of_its_class():
    comparisons = pd.concat([direction("A.0", "A.1"), direction("A.1", "A.0")])
    comparisons.loc[comparisons["class"] == "shared", "found_percent"] = [60.0, 70.0]
    figure, _ = stability_figure(comparisons)
    drawn = points(figure.axes[0])
    assert drawn[to_rgba(CLASS_COLORS["shared"])] == [60, 70]
    assert drawn[to_rgba(CLASS_COLORS["brain-dominant"])] == [100, 100]
    assert drawn[to_rgba(CLASS_COLORS["between"])] == [0, 0]


def test_means_and_chance_levels_are_over_directions_that_have_latents():
    comparisons = pair("A.0", "A.1")
    shared = comparisons["class"] == "shared"
    comparisons.loc[shared, "found_percent"] = [50.0, np.nan]
    comparisons.loc[shared, "chance_percent"] = [2.0, np.nan]
    comparisons.loc[comparisons["class"] == "between", "chance_percent"] = [1.0, 3.0]
    figure, _ = stability_figure(comparisons)
    assert levels(figure.axes[0]) == [(50, 2), (100, 1), (40, 1), (0, 2)]


def test_points_at_either_end_are_inside_the_axes():
    figure, _ = stability_figure(BOTH)
    low, high = figure.axes[0].get_ylim()
    assert low < 0 and high > 100


def test_number_of_latents_and_correlation_stand_below_each_class():
    comparisons = pair("A.0", "A.1", n_live=1024)
    shared = comparisons["class"] == "shared"
    comparisons.loc[shared, "n_live"] = [7, 8]
    comparisons.loc[shared, "mean_correlation"] = [0.7, 0.8]
    figure, _ = stability_figure(comparisons)
    labels = tick_labels(figure.axes[0])
    assert labels[0] == "shared\n7.5 latents\ncorr. 0.75"
    assert labels[2] == "LM-dominant\n1,024 latents\ncorr. 0.50"


@pytest.mark.filterwarnings("error")
def test_a_class_without_latents_is_drawn_empty(tmp_path):
    comparisons = pair("A.0", "A.1")
    missing = comparisons["class"] == "between"
    comparisons.loc[missing, ["n_live", "n_found"]] = 0
    comparisons.loc[missing, ["found_percent", "chance_percent", "mean_correlation"]] = np.nan
    figure, numbers = stability_figure(comparisons)
    assert tick_labels(figure.axes[0])[-1] == "between\n0 latents\ncorr. –"
    publish_figure(tmp_path / "stability.pdf", figure, numbers, simulated=False)
    assert "n/a" in (tmp_path / "stability.tsv").read_text()


@pytest.mark.parametrize(
    ("comparisons", "words"),
    [
        (pair("A.0", "A.1"), "1 pair of models, both ways; 638 test TRs"),
        (
            pd.concat([pair("A.0", "A.1"), pair("B.0", "B.1", n_rows=5376)]),
            "2 pairs of models, both ways; 638 to 5,376 test TRs",
        ),
    ],
)
def test_pairs_and_trs_are_stated(comparisons, words):
    assert words in texts(stability_figure(comparisons)[0])


def test_numbers_are_those_of_the_panels_in_order():
    mixed = pd.concat([pair("A.0", "B.1"), pair("A.0", "A.1")], ignore_index=True)
    _, numbers = stability_figure(mixed)
    pd.testing.assert_frame_equal(numbers, BOTH)


@pytest.mark.parametrize("comparisons", [BOTH, pair("A.0", "A.1")])
def test_nothing_is_written_outside_the_figure_or_over_something_else(comparisons):
    figure, _ = stability_figure(comparisons.assign(n_live=1023.5))
    mark_simulated(figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    labels = [label for axes in figure.axes for label in axes.get_xticklabels()]
    boxes = [label.get_window_extent(renderer) for label in labels]
    for left, right in zip(boxes, boxes[1:], strict=False):
        assert left.x1 < right.x0
    note = figure.findobj(lambda artist: hasattr(artist, "get_text") and "━" in artist.get_text())[0]
    written = note.get_window_extent(renderer)
    assert written.y1 < min(box.y0 for box in boxes)
    for box in (*boxes, written):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1


FEW = "60 test TRs leave no null (at $5)."


def not_compared(a: str, b: str, reason: str = FEW) -> pd.DataFrame:
    """As `brainlm.scores.stability.compare_pairs` gives for a pair with too little in common."""
    return direction(a, b)[:1].iloc[:, :5].assign(not_compared=reason)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("comparisons", "n_drawn"),
    [
        (not_compared("A.0", "A.1"), 0),
        (pd.concat([not_compared("A.0", "A.1"), not_compared("A.0", "B.1")]), 0),
        (pd.concat([not_compared("A.0", "A.1"), pair("A.0", "B.1")]), 1),
        (pd.concat([pair("A.0", "A.1"), not_compared("A.0", "B.1")]), 1),
    ],
)
def test_a_panel_of_which_nothing_could_be_compared_says_why(tmp_path, comparisons, n_drawn):
    figure, numbers = stability_figure(comparisons.reset_index(drop=True))
    drawn = [axes for axes in figure.axes if axes.axison]
    assert len(drawn) == n_drawn
    for axes in figure.axes:
        words = " ".join(text.get_text().replace("\n", " ") for text in axes.texts)
        assert (FEW.replace("$", r"\$") in words) is (axes not in drawn)
        assert ("not compared" in words) is (axes not in drawn)
    assert [axes.get_ylabel() for axes in drawn] == ["latents found again (%)"] * n_drawn
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for axes in drawn:
        assert {"0", "100"} <= {label.get_text() for label in axes.get_yticklabels() if label.get_visible()}
    for text in (text for axes in figure.axes for text in axes.texts):
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    publish_figure(tmp_path / "stability.pdf", figure, numbers, simulated=False)
    assert FEW in (tmp_path / "stability.tsv").read_text()


def test_pairs_that_could_not_be_compared_are_counted_beside_the_others():
    reasons = [f"Reason {number}." for number in range(3)]
    some = [not_compared("C.0", "C.1", reason) for reason in reasons]
    figure, _ = stability_figure(pd.concat([pair("A.0", "A.1"), *some], ignore_index=True))
    assert "1 pair of models, both ways; 638 test TRs; 3 not compared" in texts(figure)
    figure, numbers = stability_figure(pd.concat(some, ignore_index=True))
    assert "Reason 1." in texts(figure) and "And 1 more for other pairs" in texts(figure)
    assert numbers["not_compared"].tolist() == reasons
