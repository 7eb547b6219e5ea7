"""What all figures share: their style, the mark of simulated data, and their files."""

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

from brainlm.cortex.voxels import unnamed_voxels
from brainlm.report.brain import draw_voxels
from brainlm.report.latents import snr_study
from brainlm.report.style import figure_of_words, journal_style, mark_simulated, new_figure, publish_figure
from tests.report.figure_texts import texts


def example() -> tuple[Figure, pd.DataFrame]:
    frame = pd.DataFrame({"snr": [0.1, 1], "seed": 0, "metric": "found", "value": [0.2, 0.9], "bar": 0.8})
    return snr_study(frame)


def with_subfigures() -> tuple[Figure, pd.DataFrame]:
    return draw_voxels(unnamed_voxels(9), np.arange(9.0), quantity="q", based_on="9 TRs", colormap="inferno")


def of_words() -> tuple[Figure, pd.DataFrame]:
    return figure_of_words("There is nothing to draw."), pd.DataFrame()


@pytest.mark.parametrize("draw", [example, with_subfigures, of_words])
@pytest.mark.parametrize("simulated", [True, False])
def test_figures_and_files_of_simulated_data_say_so(tmp_path, draw, simulated):
    figure, numbers = draw()
    publish_figure(tmp_path / "f.pdf", figure, numbers, simulated=simulated)
    assert ("simulated data" in texts(figure)) == simulated
    assert (b"simulated data" in (tmp_path / "f.pdf").read_bytes()) == simulated
    with Image.open(tmp_path / "f.png") as image:
        assert (image.info.get("Description") == "simulated data") == simulated
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("draw", [example, with_subfigures])
def test_the_mark_stands_above_all_else_which_keeps_its_size(draw):
    figures = [draw()[0] for _ in range(2)]
    mark_simulated(figures[1])
    heights = []
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        heights.append([axes.get_window_extent().height for axes in figure.axes])
    (mark,) = [text for text in figures[1].texts if text.get_text() == "simulated data"]
    bottom = mark.get_window_extent(canvas.get_renderer()).y0
    assert all(axes.get_tightbbox(canvas.get_renderer()).y1 < bottom for axes in figures[1].axes)
    np.testing.assert_allclose(heights[0], heights[1], atol=0.5)


def test_pdf_fonts_are_truetype_and_without_date(tmp_path):
    publish_figure(tmp_path / "f.pdf", *example(), simulated=False)
    pdf = (tmp_path / "f.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf and b"CreationDate" not in pdf
    assert len(pd.read_csv(tmp_path / "f.tsv", sep="\t")) == 2


@pytest.mark.parametrize("known", ["f.1.pdf", "f.1.png", "f.1.tsv"])
def test_names_of_figures_may_have_dots(tmp_path, known):
    publish_figure(tmp_path / known, *example(), simulated=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.1.pdf", "f.1.png", "f.1.tsv"]
    with pytest.raises(ValueError, match=r"f\.1 does not end in \.pdf, \.png or \.tsv"):
        publish_figure(tmp_path / "f.1", *example(), simulated=False)


_IN_ANOTHER_PROCESS = """
import sys
import matplotlib
import numpy as np
matplotlib.rcParams.update({"font.size": 20, "savefig.bbox": "tight", "font.family": "serif"})
from brainlm.report.style import publish_figure
from tests.report.test_style import example
publish_figure(sys.argv[1], *example(), simulated=True)
"""


def test_bytes_do_not_depend_on_process_or_user_settings(tmp_path):
    publish_figure(tmp_path / "here" / "f.pdf", *example(), simulated=True)
    subprocess.run(
        [sys.executable, "-c", _IN_ANOTHER_PROCESS, str(tmp_path / "there" / "f.pdf")],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    for name in ("f.pdf", "f.png", "f.tsv"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_the_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with journal_style():
        assert new_figure(8.5, 5).get_size_inches()[0] == pytest.approx(8.5 / 2.54)
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before
