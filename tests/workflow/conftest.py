from pathlib import Path

import pytest
from filelock import FileLock

from tiny_dataset import (
    STORIES,
    Workspace,
    annotated_text,
    configuration,
    write_language_model,
    write_stories,
)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, worker_id) -> Workspace:
    """The whole workflow, run once. Tests read it and leave it as it is; `tiny.copy` is theirs to change."""
    # The folder that all of pytest's processes share.
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / "tiny"
    workspace = Workspace(folder, configuration(folder))
    with FileLock(shared / "tiny.lock"):
        if not folder.exists():
            run_once(workspace)
    output = (folder / "terminal.txt").read_text()
    if not (folder / "whole").exists():
        # Every test that needs the run repeats this.
        errors = [line for line in output.splitlines() if "Error" in line]
        pytest.fail("\n".join([*errors, f"The whole output is in {folder}/terminal.txt"]), pytrace=False)
    return workspace


def run_once(workspace: Workspace) -> None:
    """Write stories and language model, run the workflow, and mark what has gone well as whole."""
    folder: Path = workspace.folder
    write_stories(folder / "stories")
    write_language_model(folder / "tiny-llama", [annotated_text(story) for story in STORIES])
    run = workspace.snakemake()
    (folder / "terminal.txt").write_text(run.stdout)
    if run.returncode == 0:
        (folder / "whole").touch()
