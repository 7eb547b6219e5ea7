"""What a scientist reads when something is wrong with the data, the model or the config: one clear sentence."""

import shutil

import h5py
import pytest

from tiny_dataset import STORIES, SUBJECT, Workspace

STORY = STORIES[0]
RESPONSES = f"results/local/responses/{SUBJECT}/{STORY}.zarr"
WORDS = f"results/local/words/{STORY}.tsv"


@pytest.fixture
def local(tiny, tmp_path) -> Workspace:
    """A local dataset: a copy of the simulated one."""
    shutil.copytree(tiny.results / "ds003020", tmp_path / "data")
    return Workspace(tmp_path, tiny.config).changed(
        dataset__name="local",
        dataset__source="local",
        dataset__root=f"{tmp_path}/data",
        dataset__simulation=None,
        themes={"place": ["house"]},
    )


@pytest.fixture
def hdf5(local):
    return local.folder / "data" / "derivative" / "preprocessed_data" / SUBJECT / f"{STORY}.hf5"


@pytest.fixture
def textgrid(local):
    return local.folder / "data" / "derivative" / "TextGrids" / f"{STORY}.TextGrid"


def assert_stops(workspace: Workspace, target: str, *sentence: str, log: str | None = None) -> None:
    """The run fails, leaves no target and says why; the log of the failed job, if there is one, is one line."""
    run = workspace.snakemake(target)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    said = [line for line in run.stdout.splitlines() if all(part in line for part in sentence)]
    assert said, run.stdout[-3000:]
    assert not (workspace.folder / target).exists()
    if log:
        lines = (workspace.results / "logs" / log).read_text().splitlines()
        assert len(lines) == 1
        assert all(part in lines[0] for part in sentence)


def edit_data(hdf5, edit) -> None:
    with h5py.File(hdf5, "r+") as file:
        data = file["data"][:]
        del file["data"]
        file["data"] = edit(data)


def test_a_local_dataset_gives_the_responses_of_its_hdf5_file(local):
    # The other tests here change one thing each; without a change the same target is made.
    run = local.snakemake(RESPONSES)
    assert run.returncode == 0, run.stdout[-3000:]
    assert (local.folder / RESPONSES / "bold").is_dir()


def test_a_local_dataset_without_a_cortex_goes_without_its_mask_and_flatmaps(local):
    shutil.rmtree(local.folder / "data" / "derivative" / "pycortex-db")
    rules = {job.rule for job in local.pending()}
    assert {"figure2", "table1", "shares"} <= rules
    assert not rules & {"cortex", "figure3", "figure4", "ceiling_figure", "planted", "checks"}
    run = local.snakemake(RESPONSES)
    assert run.returncode == 0, run.stdout[-3000:]


def test_truncated_hdf5_file(local, hdf5):
    content = hdf5.read_bytes()
    hdf5.write_bytes(content[: len(content) // 2])
    log = f"responses/{SUBJECT}/{STORY}.log"
    assert_stops(local, RESPONSES, str(hdf5), "is truncated or damaged", "download it again", log=log)


def test_hdf5_file_with_the_wrong_number_of_rows(local, hdf5):
    with h5py.File(hdf5) as file:
        n_rows = len(file["data"])
    edit_data(hdf5, lambda data: data[:-3])
    expected = f"{hdf5} has {n_rows - 3} rows (TRs), but {n_rows} are expected"
    assert_stops(local, RESPONSES, expected, log=f"responses/{SUBJECT}/{STORY}.log")


def test_voxels_that_do_not_fit_the_mask(local, hdf5):
    with h5py.File(hdf5) as file:
        n_voxels = file["data"].shape[1]
    edit_data(hdf5, lambda data: data[:, 1:])
    run = local.snakemake(RESPONSES)
    assert run.returncode != 0
    expected = f"{hdf5} has {n_voxels - 1:,} voxels, but the subject's cortical mask has {n_voxels:,}"
    assert f"Error in responses: {expected}" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (local.folder / RESPONSES).exists()


def test_textgrid_that_was_not_downloaded(local, textgrid):
    textgrid.write_text("/annex/objects/MD5E-s123--0cc175b9c0f1b6a831c399e269772661.TextGrid\n")
    assert_stops(local, WORDS, str(textgrid), "has not been downloaded", log=f"words/{STORY}.log")


def test_textgrid_that_is_a_link_into_an_empty_annex(local, textgrid):
    textgrid.unlink()
    textgrid.symlink_to("../../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9.TextGrid")
    assert_stops(local, WORDS, str(textgrid), "has not been downloaded")


def test_missing_textgrid(local, textgrid):
    textgrid.unlink()
    assert_stops(local, WORDS, f"unknown story '{STORY}': no TextGrid in")


def test_hdf5_file_that_is_missing(local, hdf5):
    hdf5.unlink()
    assert_stops(local, RESPONSES, str(hdf5))


def test_unknown_subject(local):
    changed = local.changed(subjects=["UTS03"])
    assert_stops(changed, WORDS, "unknown subject 'UTS03'", f"has {SUBJECT}.")


def test_language_model_folder_that_does_not_exist(local):
    nowhere = f"{local.folder}/no-such-model"
    changed = local.changed(language_model__path_or_hub_id=nowhere)
    assert_stops(changed, WORDS, f"path_or_hub_id names {nowhere}, which does not exist")


def test_language_model_of_a_package_that_is_not_installed(tiny, tmp_path):
    workspace = tiny.copy(tmp_path)
    store = workspace.results / "activations" / "tiny-llama" / f"{STORY}.zarr"
    shutil.rmtree(store)
    changed = workspace.changed(language_model__path_or_hub_id="package:no_such_package/model")
    target = str(store.relative_to(tmp_path))
    sentence = "The Python package 'no_such_package'", "is not installed."
    assert_stops(changed, target, *sentence, log="activations/tiny-llama/0.log")


def test_test_stories_that_are_too_short_for_a_null(tiny, tmp_path):
    workspace = tiny.copy(tmp_path)
    target = workspace.model() / "latents.tsv"
    target.unlink()
    assert_stops(
        workspace.changed(scores__minimum_shift_s=1000),
        str(target.relative_to(tmp_path)),
        "test TRs leave no circular shift of at least 500 TRs",
        "lower scores.minimum_shift_s",
        log=f"scores/{SUBJECT}/matched/seed0.log",
    )


def test_a_bad_config_stops_before_any_job(local):
    assert_stops(
        local.changed(crosscoder__k=13), RESPONSES, "in experiment 'matched' k (13) exceeds n_latents (12)"
    )
    assert not local.results.exists()


def test_a_model_that_does_not_fit_into_memory_is_not_begun(tiny, tmp_path):
    workspace = tiny.copy(tmp_path).changed(crosscoder__n_latents=10**9)
    model = workspace.model() / "crosscoder.safetensors"
    model.unlink()
    assert_stops(
        workspace, str(model.relative_to(tmp_path)), "Error in train", "GB of memory", "n_latents", "is free"
    )
