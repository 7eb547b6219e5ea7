"""What all figures share: sizes, colours, letters, the mark of simulated data, and how they are saved."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brainlm.table_files import write_atomically, write_tsv

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
_SIMULATED = "simulated data"
_SIMULATED_STRIP_CM = 0.35

# DejaVu Sans comes with matplotlib: figures have the same letters, and bytes, on every machine.
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
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
    write_tsv(numbers, stem)
