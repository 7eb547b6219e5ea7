"""What all figures share: sizes, colours, letters, the mark of simulated data, and how they are published."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from brainlm.files import write_atomically, write_tsv
from brainlm.report.write import SIMULATED, files_of

CM_PER_INCH = 2.54
SINGLE_COLUMN_CM = 8.5
DOUBLE_COLUMN_CM = 17.5
PNG_DPI = 300

# Okabe & Ito's colours, which colour-blind readers tell apart.
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"

CLASS_COLORS = {"shared": GREEN, "brain-dominant": VERMILION, "lm-dominant": BLUE, "between": GREY}
SOURCE_COLORS = {"brain": VERMILION, "lm": BLUE}
OTHER_SOURCE_COLORS = (GREEN, ORANGE, PURPLE, SKY_BLUE)
SOURCE_LABELS = {"brain": "brain", "lm": "LM"}

SMALL_PT = 6
TITLE_PT = 7.5
_MARK_CM = 0.35
_TITLE_LINE_CM = 0.36
_CHARACTER_CM_PER_PT = 0.02
_WORDS_CM = 2.2
"""Height of a figure without a plot, at least: a strip of a line's height looks like a fault."""

# DejaVu Sans comes with matplotlib: figures have the same letters, and bytes, on every machine.
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": TITLE_PT,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.frameon": False,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "lines.linewidth": 0.8,
    "figure.labelsize": 7,
    "figure.constrained_layout.h_pad": 0.04,
    "figure.constrained_layout.w_pad": 0.04,
    "pdf.fonttype": 42,
}


@contextmanager
def journal_style() -> Iterator[None]:
    """The style of all figures, whatever the user's matplotlibrc; also a decorator."""
    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(width_cm: float, height_cm: float) -> Figure:
    """An empty figure."""
    return Figure(figsize=(width_cm / CM_PER_INCH, height_cm / CM_PER_INCH), layout="constrained")


def figure_of_words(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    text = wrapped(text, SINGLE_COLUMN_CM)
    figure = new_figure(SINGLE_COLUMN_CM, max(title_height_cm(text), _WORDS_CM))
    figure.text(0.5, 0.5, plain(text), ha="center", va="center", fontsize=TITLE_PT)
    return figure


def mark_simulated(figure: Figure) -> None:
    """Say in the top right corner that data are simulated, in a strip that is added above what the figure shows."""
    height = figure.get_figheight()
    marked_height = height + _MARK_CM / CM_PER_INCH
    figure.set_figheight(marked_height)
    if isinstance(layout := figure.get_layout_engine(), ConstrainedLayoutEngine):
        layout.set(rect=(0, 0, 1, height / marked_height))
    figure.text(
        0.995, 0.995, SIMULATED, ha="right", va="top", style="italic", fontsize=SMALL_PT, color="0.35"
    ).set_in_layout(False)


def wrapped(text: str, width_cm: float, size_pt: float = TITLE_PT) -> str:
    """In lines that fit into the width, besides the line breaks that the text has."""
    n_characters = int(width_cm / (_CHARACTER_CM_PER_PT * size_pt))
    return "\n".join(textwrap.fill(line, n_characters) for line in text.split("\n"))


def title_height_cm(title: str) -> float:
    """Room for a title of some lines."""
    return 0.3 + _TITLE_LINE_CM * (1 + title.count("\n"))


def lettered(titles: Sequence[str]) -> list[str]:
    """Titles of panels, "(a) …", "(b) …"; a single panel needs no letter."""
    if len(titles) == 1:
        return list(titles)
    return [f"({chr(ord('a') + position)}) {title}" for position, title in enumerate(titles)]


def add_titles(panels: Sequence[Axes], titles: Sequence[str], subtitles: Sequence[str] = ()) -> None:
    """Title the panels, lettered, with a line in grey below, or several."""
    n_lines = max((1 + subtitle.count("\n") for subtitle in subtitles), default=0)
    for axes, title in zip(panels, lettered(titles), strict=True):
        axes.set_title(plain(title), pad=5 + 7 * n_lines)
    for axes, subtitle in zip(panels, subtitles, strict=False):
        axes.annotate(
            subtitle,
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=SMALL_PT,
            color="0.35",
        )


def plain(text: str) -> str:
    """A text that holds names of the user's, for a figure: dollars would begin a formula."""
    return text.replace("$", r"\$")


@journal_style()
def publish_figure(path: Path | str, figure: Figure, numbers: pd.DataFrame, *, simulated: bool) -> None:
    """Write a figure as PDF (vector, TrueType fonts), PNG (300 dpi) and TSV (the numbers that it shows).

    The same figure gives the same bytes. A figure of simulated data is marked, and says so in the PDF's Subject and
    the PNG's Description.

    Parameters
    ----------
    path: any of the three, e.g. results/figure2.pdf; the others stand beside it.
    figure: as `new_figure` makes them, and not published before.
    numbers: tidy.

    Raises
    ------
    ValueError: the path ends in none of their extensions.
    """
    files = files_of(path, (".pdf", ".png", ".tsv"))
    name = files[".pdf"].stem
    pdf = {"Title": name, "Creator": "brainlm", "CreationDate": None}
    png = {"Title": name, "Software": "brainlm"}
    if simulated:
        mark_simulated(figure)
        pdf["Subject"] = png["Description"] = SIMULATED
    for extension, metadata in {".pdf": pdf, ".png": png}.items():
        content = io.BytesIO()
        figure.savefig(content, format=extension[1:], dpi=PNG_DPI, metadata=metadata)
        write_atomically(files[extension], content.getvalue())
    write_tsv(numbers, files[".tsv"])
