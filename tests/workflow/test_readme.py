import re

import numpy as np
import pytest

from brainlm.scores.latents import CLASSES
from tests.docs.pages import blocks
from tiny_dataset import REPEATED_STORY, REPOSITORY, Workspace

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
HERE = {
    "results/demo": "results/tiny",
    "smollm2-135m-instruct/block15": "tiny-llama/block2",
    "riverferry": REPEATED_STORY,
}
"""What pages say of the demo, in the run of the tests."""


def here(code: str) -> str:
    for demo, tiny in HERE.items():
        code = code.replace(demo, tiny)
    return code


def test_the_example_encodes_a_story_in_under_ten_lines(tiny: Workspace, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    assert all(demo in code for demo in HERE)
    monkeypatch.chdir(tiny.folder)
    names: dict = {}
    exec(here(code), names)
    assert names["z"].shape == (len(names["brain"]), names["model"].n_latents)
    assert ((names["z"] != 0).sum(axis=1) <= names["model"].k).all() and np.abs(names["z"]).max() > 0
    classes = re.findall(r"'([a-z-]+)'", capsys.readouterr().out)
    assert len(classes) == names["model"].n_latents and set(classes) <= set(CLASSES)


@pytest.mark.parametrize(
    "block", [of for of in blocks() if of.mark.startswith("run")], ids=lambda block: block.page
)
def test_blocks_that_are_to_be_run_run(tiny: Workspace, monkeypatch, capsys, block):
    monkeypatch.chdir(tiny.folder)
    exec(here(block.code), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert targets == ["demo", "test"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_picture_and_linked_file_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (REPOSITORY / target).exists(), target


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150
