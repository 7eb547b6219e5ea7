"""Equations as MathML, which browsers draw by themselves: without scripts, and without network."""

from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

log = getLogger(__name__)
converter = LatexToMathML(fancy_error=False)


def _mathml(node: nodes.math | nodes.math_block) -> str:
    try:
        return converter.convert_with_local_state(
            node.astext(), displaystyle=isinstance(node, nodes.math_block)
        )
    except LatexError as error:
        log.warning("%s in the formula %s", error, node.astext(), location=node)
        return ""


def _inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(_mathml(node))
    raise nodes.SkipNode


def _block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math") + _mathml(node) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Make `html_math_renderer = "mathml"` known."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
