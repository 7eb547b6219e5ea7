"""What holds over subjects and seeds."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from brainlm.report.subjects import across_subjects_figure, across_subjects_table, shown_across_subjects


@pytest.fixture
def summaries() -> pd.DataFrame:
    models = [
        (subject, experiment, seed)
        for experiment in ("matched", "shuffled")
        for subject in ("S1", "S2")
        for seed in (0, 1)
    ] + [("S1", "one", 0)]
    frame = pd.DataFrame(models, columns=["subject", "experiment", "seed"])
    random = np.random.default_rng(0)
    for name in ("share_shared", "share_brain-dominant", "share_lm-dominant", "share_agreeing"):
        frame[name] = random.uniform(0, 1, len(frame))
    for name in ("shared", "brain-dominant", "lm-dominant"):
        frame[f"verified_{name}"] = frame[f"share_{name}"] / 2
    frame["r0"] = np.where(frame["subject"] == "S1", 0.1, 0.3)
    # Of an experiment that nobody asked for evidence nothing is known.
    frame.loc[frame["experiment"] == "one", ["r0", *frame.filter(like="verified_")]] = np.nan
    for source in ("brain", "lm"):
        frame[f"test_correlation_{source}"] = random.uniform(-1, 1, len(frame))
    return frame


def test_each_experiment_has_its_mean_and_standard_deviation_over_all_models(summaries):
    table = across_subjects_table(summaries).set_index("experiment")
    assert table.index.tolist() == ["matched", "shuffled", "one"]
    assert table["subjects"].tolist() == [2, 2, 1] and table["models"].tolist() == [4, 4, 1]
    for experiment in ("matched", "shuffled"):
        of_models = summaries[summaries["experiment"] == experiment]
        shares = 100 * of_models["share_shared"]
        assert table.loc[experiment, "shared (%)"] == pytest.approx(shares.mean())
        assert table.loc[experiment, "± shared (%)"] == pytest.approx(np.std(shares, ddof=1))
        correlation = of_models["test_correlation_lm"]
        assert table.loc[experiment, "LM correlation, test"] == pytest.approx(correlation.mean())
    assert table.loc["matched", "shared, verified (%)"] == pytest.approx(
        table.loc["matched", "shared (%)"] / 2
    )
    assert table.loc["matched", "r0"] == pytest.approx(0.2)
    assert np.isnan(table.loc["one", "r0"]) and np.isnan(table.loc["one", "LM-dominant, verified (%)"])
    assert np.isnan(table.loc["one", "± shared (%)"])
    assert table.loc["one", "agreeing (%)"] == pytest.approx(100 * summaries["share_agreeing"].iloc[-1])


def test_for_reading_mean_and_deviation_stand_in_one_cell(summaries):
    numbers = across_subjects_table(summaries).set_index("experiment")
    shown = shown_across_subjects(across_subjects_table(summaries)).set_index("experiment")
    mean, deviation = (numbers.loc["matched", name] for name in ("LM-dominant (%)", "± LM-dominant (%)"))
    assert shown.loc["matched", "LM-dominant (%)"] == f"{mean:.1f} ± {deviation:.1f}"
    assert shown.loc["one", "LM-dominant (%)"] == f"{numbers.loc['one', 'LM-dominant (%)']:.1f}"
    of_it = "of it verified: LM-dominant (%)"
    assert shown.loc["one", [of_it, "r0"]].tolist() == ["not known"] * 2
    assert shown.loc["matched", "r0"] == "0.20 ± 0.12"
    assert shown["models"].tolist() == [4, 4, 1]


def test_the_figure_shows_every_model_and_says_how_many_there_are(summaries):
    figure, numbers = across_subjects_figure(summaries)
    shown = numbers[(numbers["quantity"] == "LM-dominant (%)") & (numbers["experiment"] == "matched")]
    expected = 100 * summaries.loc[summaries["experiment"] == "matched", "share_lm-dominant"]
    np.testing.assert_allclose(shown["value"], expected)
    shares, correlations = figure.axes
    assert shares.get_title(loc="left") == "(a) Class shares (2 subjects, 2 seeds)"
    assert [label.get_text() for label in shares.get_yticklabels()] == ["matched", "shuffled", "one"]
    points = [line for line in shares.lines if line.get_marker() in "os" and len(line.get_xdata())]
    assert sum(len(line.get_xdata()) for line in points) == 3 * len(summaries)


def test_what_is_verified_of_a_class_is_marked_where_it_is_known(summaries):
    def diamonds(frame: pd.DataFrame) -> list[float]:
        figure, _ = across_subjects_figure(frame)
        marked = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "D"]
        in_legend = [
            text.get_text() for text in figure.legends[0].get_texts() if "verified" in text.get_text()
        ]
        assert bool(in_legend) == bool(marked)
        return marked

    matched = summaries[summaries["experiment"] == "matched"]
    columns = [f"verified_{name}" for name in ("shared", "brain-dominant", "lm-dominant")]
    assert diamonds(matched) == pytest.approx((100 * matched[columns].mean()).tolist())
    assert len(diamonds(summaries)) == 6 and diamonds(summaries.tail(1)) == []


def test_a_single_model_has_no_spread(summaries):
    figure, numbers = across_subjects_figure(summaries.tail(1))
    assert figure.axes[0].get_title(loc="left") == "(a) Class shares (1 subject, 1 seed)"
    assert set(numbers["subject"]) == {"S1"}


def many(n_subjects: int, summaries: pd.DataFrame) -> pd.DataFrame:
    """Models whose mean correlation plus s.d. exceeds 1."""
    subjects = [f"sub-{n:02}" for n in range(n_subjects)]
    frame = pd.concat([summaries.tail(1).assign(subject=subject) for subject in subjects], ignore_index=True)
    correlation = np.where(np.arange(n_subjects) % 4, 1.0, 0.5)
    return frame.assign(
        test_correlation_brain=correlation, test_correlation_lm=-correlation, share_shared=correlation
    )


def test_the_spread_ends_where_the_scale_does(summaries):
    figure, _ = across_subjects_figure(many(8, summaries))
    shares, correlations = figure.axes
    for axes, low, high in ((shares, 0, 100), (correlations, -1, 1)):
        reach = np.array([segment for lines in axes.collections for segment in lines.get_segments()])[..., 0]
        assert low <= reach.min() and reach.max() <= high
        assert np.isclose(reach.max(), high)
        assert axes.get_xlim()[0] <= reach.min() and reach.max() <= axes.get_xlim()[1]


@pytest.mark.parametrize("n_subjects", [1, 3, 27])
def test_legends_lie_on_no_point_and_tell_apart_what_they_name(summaries, n_subjects):
    figure, _ = across_subjects_figure(many(n_subjects, summaries))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    panels = [axes.get_window_extent() for axes in figure.axes]
    for legend in legends:
        assert legend.get_window_extent(canvas.get_renderer()).count_overlaps(panels) == 0
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    handles = [handle.get_marker() for handle in figure.legends[0].legend_handles]
    assert len(set(handles)) == len(handles)
    assert ("sub-00" in names) == (n_subjects < 27)


def test_models_without_a_value_leave_an_axis_of_the_scale(summaries):
    empty = summaries.tail(1).assign(test_correlation_brain=np.nan, test_correlation_lm=np.nan)
    figure, _ = across_subjects_figure(empty)
    assert figure.axes[1].get_xlim() == (-1, 1)
