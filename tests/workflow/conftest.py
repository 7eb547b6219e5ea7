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
    if run.returncode:
        # Every test that needs the run repeats this.
        errors = [line for line in run.stdout.splitlines() if "Error" in line]
        pytest.fail("\n".join([*errors, f"The whole output is in {folder}/terminal.txt"]), pytrace=False)
    return workspace
