"""The library's packages hand on what others call, and none of them loads what only some of their users need."""

import importlib
import subprocess
import sys

import pytest

PACKAGES = (
    "brainlm",
    *(
        f"brainlm.{name}"
        for name in [
            "cortex",
            "crosscoder",
            "data",
            "lm",
            "report",
            "rows",
            "scores",
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
        "from brainlm.rows import *",
        "from brainlm.report import *",
        "from brainlm.cortex import *",
        "from brainlm.scores import agreement, classify, latent_table, pearson, relative_difference, shift_test",
        "import brainlm.scores.stability, brainlm.scores.interpretation, brainlm.scores.ceiling",
        "from brainlm.textgrid import read_words; from brainlm.resample import lanczos; import brainlm.store",
    ],
)
def test_torch_is_not_imported_by_what_does_not_compute_with_it(statement):
    program = f"{statement}\nimport sys\nprint('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
