"""Figure of training: its curves, its numbers and its legend."""

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from brainlm.report.training_curves import training_curves
from tests.report.figure_texts import texts


def training_log() -> pd.DataFrame:
    columns = ["loss", "auxiliary", "dead_latents", "negative_share"]
    columns += [
        f"{split}_{what}"
        for split in ("training", "validation")
        for what in ("squared_error", "explained_brain", "explained_gpt_2")
    ]
    return pd.DataFrame({"epoch": [1, 2], **{name: [2.0, 1.0] for name in columns}})


def test_training_curves_take_sources_from_the_log():
    figure, numbers = training_curves({0: training_log(), 7: training_log()})
    assert numbers["seed"].tolist() == [0, 0, 7, 7]
    assert {"training_explained_gpt_2", "validation_explained_gpt_2", "dead_latents"} < set(numbers.columns)
    assert {"loss", "auxiliary", "negative_share"}.isdisjoint(numbers.columns)
    assert "gpt_2" in texts(figure)
    error_axes, explained_axes, dead_axes = figure.axes
    assert len(error_axes.lines) == 4 and len(explained_axes.lines) == 8 + 1 and len(dead_axes.lines) == 2


def test_training_curves_lie_below_no_legend_and_dead_latents_are_whole():
    log = pd.concat([training_log().assign(epoch=[n, n + 1], dead_latents=0) for n in (1, 3)])
    for logs in ({0: log}, {0: log.head(1)}, {0: log, 1: log.assign(dead_latents=2)}):
        figure, _ = training_curves(logs)
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
    figure, _ = training_curves({0: log})
    assert "undefined" in texts(figure)
    assert figure.axes[1].get_xlim() == figure.axes[0].get_xlim()
