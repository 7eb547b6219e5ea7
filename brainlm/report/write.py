"""Write tables for programs (TSV), text (Markdown) and browsers (HTML), and numbers for readers."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from brainlm.files import NOT_KNOWN, write_atomically, write_tsv

MISSING = "–"
SIMULATED = "simulated data"
"""What all tables and figures of such data say."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ margin: 1.5em; color: #222; background: #fff;
       font: 14px/1.4 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", sans-serif; }}
table {{ border-collapse: collapse; border-top: 2px solid #222; border-bottom: 2px solid #222; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: 0.6em; }}
th, td {{ padding: 0.35em 1.4em 0.35em 0; text-align: left; vertical-align: top; max-width: 32em; }}
th:last-child, td:last-child {{ padding-right: 0; }}
th {{ border-bottom: 1px solid #222; vertical-align: bottom; }}
tbody tr + tr td {{ border-top: 1px solid #e4e4e4; }}
td.short, td.number {{ white-space: nowrap; }}
.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
ul {{ margin: 0.9em 0 0; padding-left: 1.2em; max-width: 62em; color: #555; font-size: 13px; }}
</style>
</head>
<body>
<table>
<caption>{title}</caption>
<thead>
{head}
</thead>
<tbody>
{body}
</tbody>
</table>
{notes}</body>
</html>
"""


def publish_table(
    path: Path | str,
    frame: pd.DataFrame,
    *,
    title: str,
    notes: Sequence[str],
    simulated: bool,
    data: pd.DataFrame | None = None,
) -> None:
    """Write a table as TSV (the data only), Markdown and HTML (a page that needs no network).

    In Markdown and HTML numbers have three significant digits and missing values are "–"; the title of a table of
    simulated data says so.

    Parameters
    ----------
    path: any of the three, e.g. results/table1.tsv; the others stand beside it.
    frame: the table, without its index.
    notes: sentences below the table.
    data: what the TSV holds instead, where cells of the table say several numbers at once.

    Raises
    ------
    ValueError: the path ends in none of their extensions.
    """
    files = files_of(path, (".tsv", ".md", ".html"))
    title = f"{title} ({SIMULATED})" if simulated else title
    write_tsv(frame if data is None else data, files[".tsv"])
    write_atomically(files[".md"], _markdown(frame, title, notes).encode())
    write_atomically(files[".html"], _html(frame, title, notes).encode())


def files_of(path: Path | str, extensions: Sequence[str]) -> dict[str, Path]:
    """Extension -> file of something that is published as several files, of which one is known.

    Raises
    ------
    ValueError: the path ends in none of the extensions.
    """
    path = Path(path)
    if path.suffix not in extensions:
        raise ValueError(f"{path} does not end in {', '.join(extensions[:-1])} or {extensions[-1]}")
    # Only the last of several extensions is replaced: names may have dots in them.
    return {extension: path.with_suffix(extension) for extension in extensions}


def spelt_out(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of evidence with "not known" in place of missing values, the others as they are."""
    cells = frame.astype(object)
    return cells.where(cells.notna(), NOT_KNOWN)


def markdown_table(frame: pd.DataFrame) -> str:
    """A table in Markdown, with cells as `format_value` writes them, without a line break at its end."""
    rules = ["---:" if _is_numeric(frame[name]) else ":---" for name in frame.columns]
    rows = [frame.columns, *frame.itertuples(index=False)]
    cells = [[escape_markdown(format_value(value)) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [cells[0], rules, *cells[1:]])


def markdown_list(sentences: Sequence[str]) -> str:
    """A list in Markdown, an item a line, without a line break at its end."""
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)


def escape_markdown(text: str) -> str:
    """A text in one line that Markdown shows as it is."""
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", " ".join(text.split()))


def format_value(value: object) -> str:
    """A cell for reading: three significant digits for floats, thousands separated, "–" if missing."""
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace("-", "−")
    if isinstance(value, float | np.floating):
        return _format_float(float(value)).replace("-", "−")
    return str(value)


def formatted(value: float, spec: str) -> str:
    """A number within a text, e.g. formatted(-0.5, ".2f"), with a minus (U+2212), not a hyphen; "–" if missing."""
    return MISSING if _is_missing(value) else format(value, spec).replace("-", "−")


def percent(share: float) -> str:
    """A share within a text, e.g. "12.5 %"."""
    return MISSING if _is_missing(share) else f"{formatted(100 * share, '.1f')} %"


def number_of(count: int, thing: str) -> str:
    """E.g. "1 voxel" or "1,200 voxels"."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def with_unit(name: str, unit: str) -> str:
    """The name of a quantity, with its unit in parentheses if it has one."""
    return f"{name} ({unit})" if unit else name


def _format_float(value: float) -> str:
    size = abs(value)
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 0 < size < 1e-3:
        return f"{value:.2g}"
    # Decimals are those of the rounded value: 9.996 is 10.0, not 10.00.
    decimals = 3 if size < 0.9995 else 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:,.{decimals}f}"


def _html_class(column: pd.Series) -> str:
    if _is_numeric(column):
        return ' class="number"'
    # Browsers would break "brain-dominant" at its hyphen to give more room to long sentences.
    return ' class="short"' if column.map(format_value).str.len().max() <= 20 else ""


def _is_numeric(column: pd.Series) -> bool:
    values = column[column.notna() & ~column.isin([NOT_KNOWN])]
    return all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in values)


def _markdown(frame: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    listed = [markdown_list(notes)] if notes else []
    return "\n\n".join([f"# {escape_markdown(title)}", markdown_table(frame), *listed]) + "\n"


def _html(frame: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    attributes = [_html_class(frame[name]) for name in frame.columns]

    def row(values: Sequence[object], tag: str) -> str:
        cells = [
            f"<{tag}{attribute}>{html.escape(format_value(value))}</{tag}>"
            for value, attribute in zip(values, attributes, strict=True)
        ]
        return "<tr>" + "".join(cells) + "</tr>"

    listed = "".join(f"<li>{html.escape(note)}</li>\n" for note in notes)
    return _PAGE.format(
        title=html.escape(title),
        head=row(frame.columns, "th"),
        body="\n".join(row(values, "td") for values in frame.itertuples(index=False)),
        notes=f"<ul>\n{listed}</ul>\n" if notes else "",
    )


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value))
