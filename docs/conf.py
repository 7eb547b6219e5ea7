"""How Sphinx makes the site of these pages: `make docs`."""

import sys
from importlib.util import find_spec
from pathlib import Path

from brainlm import __version__

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "docs" / "extensions"))

project = "Brain-LM crosscoder"
version = release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "equations", "plain_docstrings", "repository_pages"]
exclude_patterns = ["_build", "extensions"]

# Markdown: formulas as GitHub writes them, and links to headings.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
myst_update_mathjax = False
html_math_renderer = "mathml"

# Tutorials take minutes and have their pictures beside them; a test runs every cell.
nb_execution_mode = "off"

# The library: what packages hand on, in the order in which they name it, under the names by which it is imported.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 90
add_module_names = False

html_theme = "furo"
html_title = project
# Not every machine has a font for formulas; STIX Two Math (SIL Open Font License) comes with a package.
FORMULAS = Path(find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
html_static_path = ["_static", str(FORMULAS)]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
