"""What all figures share: sizes, colours, letters, the mark of simulated data, and how they are saved."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brainlm.files import beside, write_atomically, write_tsv
from brainlm.report.write import formatted

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
CLASS_LABELS = {"shared": "shared", "brain-dominant": "brain-dominant", "lm-dominant": "LM-dominant"}
SOURCE_COLORS = {"brain": VERMILION, "lm": BLUE}
OTHER_SOURCE_COLORS = (GREEN, ORANGE, PURPLE, SKY_BLUE)
SOURCE_LABELS = {"brain": "brain", "lm": "LM"}

SMALL_PT = 6
TITLE_PT = 7.5
_SIMULATED = "simulated data"
_SIMULATED_STRIP_CM = 0.35
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


def new_figure(width_cm: float, height_cm: float, *, simulated: bool) -> Figure:
    """An empty figure; one of simulated data says so in its top right corner."""
    strip_cm = _SIMULATED_STRIP_CM if simulated else 0.0
    height_cm += strip_cm
    figure = Figure(figsize=(width_cm / CM_PER_INCH, height_cm / CM_PER_INCH), layout="constrained")
    if simulated:
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - strip_cm / height_cm))
        figure.text(
            0.995, 0.995, _SIMULATED, ha="right", va="top", style="italic", fontsize=SMALL_PT, color="0.35"
        ).set_in_layout(False)
    return figure


def figure_of_words(text: str, *, simulated: bool) -> Figure:
    """A figure that says why there is nothing to draw."""
    text = wrapped(text, SINGLE_COLUMN_CM)
    figure = new_figure(SINGLE_COLUMN_CM, max(title_height_cm(text), _WORDS_CM), simulated=simulated)
    figure.text(0.5, 0.5, plain(text), ha="center", va="center", fontsize=TITLE_PT)
    return figure


def wrapped(text: str, width_cm: float, size_pt: float = TITLE_PT) -> str:
    """In lines that fit into the width, besides the line breaks that the text has."""
    n_characters = int(width_cm / (_CHARACTER_CM_PER_PT * size_pt))
    return "\n".join(textwrap.fill(line, n_characters) for line in text.split("\n"))


def title_height_cm(title: str) -> float:
    """Room for a title of some lines."""
    return 0.3 + _TITLE_LINE_CM * (1 + title.count("\n"))


def draw_distribution(axes: Axes, values: np.ndarray, quantity: str) -> None:
    """The histogram of voxels' values, (voxel,) and finite, with their mean."""
    # Few voxels in many bins are a comb.
    n_bins = int(np.clip(np.ceil(2 * np.sqrt(values.size)), 5, 40))
    low, high = values.min(), values.max()
    if low == high:
        # Alone, a value would stand in the middle of an axis 1 wide: a correlation of 0.9 on one that ends at 1.4.
        half_width = 0.02 * abs(float(low)) or 0.02
        low, high = low - half_width, high + half_width
    axes.hist(values, bins=n_bins, range=(low, high), color=GREY, edgecolor="white", linewidth=0.3)
    axes.axvline(values.mean(), color="black", linewidth=0.6, linestyle=(0, (3, 2)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel(quantity)
    axes.set_ylabel("voxels")


def voxel_title(values: np.ndarray, quantity: str, based_on: str, n_undefined: int) -> str:
    """What is shown of (voxel,) values, of which those that are not finite have nothing to show."""
    finite = values[np.isfinite(values)]
    described = [f"{n_undefined:,} undefined"] * (n_undefined > 0)
    if finite.size:
        voxels = "voxel" if finite.size == 1 else "voxels"
        described.insert(0, f"mean {formatted(finite.mean(), '.3f')} over {finite.size:,} {voxels}")
    return f"{quantity.capitalize()}: {', '.join(described)}; {based_on}"


def add_titles(panels: Sequence[Axes], titles: Sequence[str], subtitles: Sequence[str] = ()) -> None:
    """Title the panels "(a) …", "(b) …", with a line in grey below; a single panel needs no letter."""
    for position, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        letter = f"({chr(ord('a') + position)}) " if len(panels) > 1 else ""
        axes.set_title(letter + plain(title), pad=12 if subtitles else 5)
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
def save_figure(figure: Figure, stem: Path, numbers: pd.DataFrame, *, simulated: bool) -> None:
    """Write <stem>.pdf (vector, TrueType fonts), <stem>.png (300 dpi) and <stem>.tsv (the numbers shown).

    The same figure gives the same bytes. Figures of simulated data say so in the PDF's Subject and the PNG's
    Description.

    Parameters
    ----------
    stem: path without extension, e.g. results/figure2.
    numbers: what the figure shows, tidy.
    """
    pdf = {"Title": stem.name, "Creator": "brainlm", "CreationDate": None}
    png = {"Title": stem.name, "Software": "brainlm"}
    if simulated:
        pdf["Subject"] = png["Description"] = _SIMULATED
    for extension, metadata in {"pdf": pdf, "png": png}.items():
        content = io.BytesIO()
        figure.savefig(content, format=extension, dpi=PNG_DPI, metadata=metadata)
        write_atomically(stem.with_name(f"{stem.name}.{extension}"), content.getvalue())
    write_tsv(numbers, beside(stem, ".tsv"))
