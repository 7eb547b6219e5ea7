"""The library's packages hand on what others call, and none of them loads what only some of their users need."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.reference import entries

REPOSITORY = Path(__file__).parents[1]

PACKAGES = (
    "brainlm",
    *(
        f"brainlm.{name}"
        for name in [
            "cortex",
            "crosscoder",
            "data",
            "data.bids",
            "lm",
            "report",
            "rows",
            "scores",
            "scores.evidence",
            "simulation",
            "textgrid",
        ]
    ),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_hands_on_what_it_names(package):
    module = importlib.import_module(package)
    assert module.__doc__ and module.__all__
    for name in module.__all__:
        assert getattr(module, name).__name__ == name


@pytest.mark.parametrize(
    "statement",
    [
        "import brainlm",
        "import brainlm.crosscoder.settings, brainlm.rows.choices",
        "from brainlm.rows import *",
        "from brainlm.report import *",
        "from brainlm.cortex import *",
        "from brainlm.scores import agreement, classify, latent_table, pearson, relative_difference, shift_test",
        "import brainlm.scores.stability, brainlm.scores.interpretation, brainlm.scores.ceiling",
        "from brainlm.scores.evidence import *",
        "from brainlm.textgrid import read_words; from brainlm.resample import lanczos; import brainlm.store",
    ],
)
def test_torch_is_not_imported_by_what_does_not_compute_with_it(statement):
    program = f"{statement}\nimport sys\nprint('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_no_message_of_the_library_names_a_key_of_the_workflows_config():
    keys = re.compile(rf"\b({'|'.join(map(re.escape, dotted_keys()))})\b")
    found = {}
    for path in (REPOSITORY / "brainlm").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docstrings and (named := keys.findall(node.value)):
                found[f"{path.relative_to(REPOSITORY)}:{node.lineno}"] = named
    assert found == {}


def dotted_keys() -> set[str]:
    """Keys of a config that stand in a section, and sections that do, such as "dataset.trim"."""
    keys = [re.sub(r"\.<.*", "", key).split(".") for key, *_ in entries()]
    return {".".join(parts[:n]) for parts in keys for n in range(2, len(parts) + 1)}
