import pytest
from tiny_dataset import (
    STORIES,
    Workspace,
    annotated_text,
    configuration,
    write_language_model,
    write_stories,
)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Workspace:
    """The whole workflow, run once. Tests read it and leave it as it is; `tiny.copy` is theirs to change."""
    folder = tmp_path_factory.mktemp("tiny")
    write_stories(folder / "stories")
    write_language_model(folder / "tiny-llama", [annotated_text(story) for story in STORIES])
    workspace = Workspace(folder, configuration(folder))
    run = workspace.snakemake()
    (folder / "terminal.txt").write_text(run.stdout)
    assert run.returncode == 0, run.stdout[-5000:]
    return workspace
