"""Lay out pages by templates, with the libraries that the first page needs written into it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import itables.options
import numpy as np
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.colors import to_hex

from brainlm.cortex.flatmap import known_colormap
from brainlm.report.browser import course, drawings, regions
from brainlm.report.browser.index import NUMBERS, Count, Row
from brainlm.report.browser.pages import Page
from brainlm.report.browser.passages import SHADES
from brainlm.report.browser.run import Titles
from brainlm.report.evidence_figures import MARKS
from brainlm.report.style import SOURCE_COLORS

_PACKAGE = "brainlm.report.browser"
_GRADIENT_STEPS = 9
_VERDICT_COLUMN, _MAP_COLUMN = 3, 1
_TABLE = {
    "pageLength": 25,
    "lengthMenu": [25, 100, {"label": "all", "value": -1}],
    "order": [],
    "autoWidth": False,
    "columnControl": ["searchDropdown"],
    "columnDefs": [
        {"targets": _MAP_COLUMN, "orderable": False, "searchable": False, "columnControl": []},
        {"targets": _VERDICT_COLUMN, "columnControl": [["searchList"]]},
    ],
    "language": {"search": "Search names and passages:"},
}
"""Options of DataTables."""
_AS_THEY_ARE = "!$&'()*+,-./:;=?@[]^_`{|}~ "
"""In the address that holds the table's library: nothing that would end it, or the script that it is in."""
_CHART = {"actions": False, "renderer": "svg", "loader": {"target": "_self"}}
"""Options of Vega-Embed: a click opens a page where the plot was."""


def templates(titles: Titles) -> Environment:
    """The templates of all pages, which know whose pages they are; whatever they are given is text, not HTML."""
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "titles": titles,
        "course_plot": course,
        "strip_plot": drawings,
        "region_plot": regions,
        "verdict_colors": {verdict: mark.color for verdict, mark in MARKS.items()},
        "source_colors": SOURCE_COLORS,
        "shades": range(1, SHADES + 1),
        "gradient": _gradient(titles.colormap),
    }
    environment.filters["verdict_class"] = _css_class
    return environment


def contents_html(group: str, members: Sequence[str]) -> str:
    """The page that leads to the brains of a joint model."""
    environment = Environment(loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("brains.html").render(group=group, members=members)


def style_sheet(environment: Environment) -> str:
    """The style of all pages."""
    return environment.get_template("style.css").render()


def latent_html(environment: Environment, page: Page) -> str:
    """The page of a latent."""
    return environment.get_template("latent.html").render(page=page)


def index_html(
    environment: Environment,
    *,
    counts: Sequence[Count],
    extent: Sequence[str],
    chart: Mapping[str, Any],
    rows: Sequence[Row],
) -> str:
    """The first page, with all that it needs in it but the style and the maps."""
    bundle = Path(itables.options.dt_bundle)
    return environment.get_template("index.html").render(
        counts=counts,
        extent=extent,
        chart=chart,
        chart_options=_CHART,
        vega=vl_convert.javascript_bundle(),  # type: ignore[call-arg]  # its stub asks for what has a default
        rows=rows,
        numbers=[name for name, _ in NUMBERS.values()],
        table_options=_TABLE,
        datatables=quote(bundle.read_text(encoding="utf-8"), safe=_AS_THEY_ARE),
        datatables_style=bundle.with_suffix(".css").read_text(encoding="utf-8"),
    )


def _css_class(verdict: str) -> str:
    """A verdict as the name of a style."""
    return f"is-{verdict.lower().replace(', ', '-').replace(' ', '-')}"


def _gradient(colormap: str) -> str:
    """A colormap as CSS."""
    colours = known_colormap(colormap)(np.linspace(0, 1, _GRADIENT_STEPS))
    return f"linear-gradient(to right, {', '.join(map(to_hex, colours))})"
