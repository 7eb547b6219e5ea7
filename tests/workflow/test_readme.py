import re

import numpy as np

from brainlm.scores.latents import CLASSES
from tiny_dataset import REPEATED_STORY, REPOSITORY, Workspace

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_example_encodes_a_story_in_under_ten_lines(tiny: Workspace, monkeypatch, capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    for demo, here in {
        "results/demo": "results/tiny",
        "smollm2-135m-instruct/block15": "tiny-llama/block2",
        "riverferry": REPEATED_STORY,
    }.items():
        assert demo in code
        code = code.replace(demo, here)
    monkeypatch.chdir(tiny.folder)
    names: dict = {}
    exec(code, names)
    assert names["z"].shape == (len(names["brain"]), names["model"].n_latents)
    assert ((names["z"] != 0).sum(axis=1) <= names["model"].k).all() and np.abs(names["z"]).max() > 0
    classes = re.findall(r"'([a-z-]+)'", capsys.readouterr().out)
    assert len(classes) == names["model"].n_latents and set(classes) <= set(CLASSES)


def test_the_two_commands_are_targets_of_the_makefile():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_picture_and_linked_file_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (REPOSITORY / target).exists(), target
