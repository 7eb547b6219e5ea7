"""Jobs that read many stories depend on one list of their stores."""

import shutil

from tiny_dataset import STORIES, SUBJECT


def test_a_removed_store_is_named_with_the_command_that_makes_it_and_made_again_trains_nothing(
    tiny, tmp_path
):
    workspace = tiny.copy(tmp_path)
    store = workspace.results / "responses" / SUBJECT / f"{STORIES[0]}.zarr"
    shutil.rmtree(store)
    path, listed = str(store.relative_to(workspace.folder)), f"results/tiny/{SUBJECT}/sources/block2.json"
    latents = workspace.model() / "latents.tsv"
    latents.unlink()

    run = workspace.snakemake(latents.relative_to(workspace.folder))
    assert run.returncode != 0 and "Traceback" not in run.stdout
    (sentence,) = [line for line in run.stdout.splitlines() if line.startswith("Error in scores: ")]
    assert sentence.startswith(f"Error in scores: {path}, which {listed} lists, is missing")
    assert f"run `snakemake {path} {listed}`" in sentence

    run = workspace.snakemake(path, listed)
    assert run.returncode == 0, run.stdout[-3000:]
    # The same bytes, newer: the list was looked at, and is what it was.
    target = latents.relative_to(workspace.folder)
    assert [job.rule for job in workspace.pending(target)] == ["scores"]
    run = workspace.snakemake(target)
    assert run.returncode == 0, run.stdout[-3000:]
    assert latents.read_bytes() == (tiny.model() / "latents.tsv").read_bytes()
