"""A notebook that is kept as text, and run as Jupyter runs it: cell after cell, in a process of its own.

As a program: NOTEBOOK FOLDER NAME..., which leaves in the folder what each cell shows, and the values of some names.
"""

import ast
import contextlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from matplotlib.figure import Figure

REPOSITORY = Path(__file__).parents[2]
TUTORIALS = REPOSITORY / "docs" / "tutorials"


@dataclass(frozen=True)
class Block:
    """A block of code, and the comment that stands before it: `<!-- file: brainlm/scores/dwell.py -->`."""

    language: str
    content: str
    what: str = ""
    path: str = ""


@dataclass(frozen=True)
class Finished:
    """What is left of a notebook's run."""

    shown: list[str]
    """Cell after cell, what it printed."""
    figures: list[Path]
    """The figures that cells ended with, in order."""
    values: dict[str, Any]
    """Name -> value after the last cell."""

    @property
    def text(self) -> str:
        """All that was printed."""
        return "".join(self.shown)


def blocks(page: str) -> list[Block]:
    """The blocks of code of a page, in order."""
    found, comment = [], None
    for token in MarkdownIt().parse(page):
        if token.type == "fence":
            found.append(Block(token.info.strip(), token.content, *(comment.groups() if comment else ())))
        comment = re.match(r"<!-- (\w+): (\S+) -->", token.content) if token.type == "html_block" else None
    return found


def cells(page: str) -> list[str]:
    """The code of a notebook's cells, without what is said to Jupyter alone."""
    code = [block.content for block in blocks(page) if block.language.startswith("{code-cell}")]
    return [re.sub(r"^%.*\n", "", of_cell, flags=re.MULTILINE) for of_cell in code]


def run_notebook(
    name: str, folder: Path, keep: Sequence[str], replaced: Mapping[str, str] | None = None
) -> Finished:
    """Run a tutorial in a folder.

    Parameters
    ----------
    keep: names whose values are wanted.
    replaced: what stands once in the notebook -> what stands there instead, such as the folder of the results.
    """
    page = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
    for old, new in (replaced or {}).items():
        assert page.count(old) == 1, f"{name}.md does not say {old!r} once"
        page = page.replace(old, new)
    folder.mkdir()
    notebook, output = folder / f"{name}.md", folder / "output"
    output.mkdir()
    notebook.write_text(page, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, __file__, notebook, output, *keep],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-5000:]
    return Finished(
        shown=json.loads((output / "shown.json").read_text(encoding="utf-8")),
        figures=sorted(output.glob("*.png")),
        values=pickle.loads((output / "values.pickle").read_bytes()),
    )


def _run_cells(code: Sequence[str], output: Path) -> dict[str, Any]:
    """Run cells as Jupyter does; what they print, and the figures they end with, go to the folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for number, of_cell in enumerate(code):
        tree = ast.parse(of_cell)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            try:
                exec(compile(tree, f"<cell {number}>", "exec"), names)
                value = last and eval(compile(ast.Expression(last.value), f"<cell {number}>", "eval"), names)
            except BaseException as error:
                error.add_note(f"in this cell, which printed {printed.getvalue()!r}:\n{of_cell}")
                raise
        if isinstance(value, Figure):
            value.savefig(output / f"cell{number:02}.png", dpi=150)
        shown.append(printed.getvalue() + (f"{value!r}\n" if value is not None else ""))
    (output / "shown.json").write_text(json.dumps(shown), encoding="utf-8")
    return names


if __name__ == "__main__":
    notebook, output, *keep = sys.argv[1:]
    names = _run_cells(cells(Path(notebook).read_text(encoding="utf-8")), Path(output))
    Path(output, "values.pickle").write_bytes(pickle.dumps({name: names[name] for name in keep}))
