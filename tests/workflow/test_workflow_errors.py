"""What a scientist reads when something is wrong with the data, the model or the config: one clear sentence."""

import json
import re
import shutil

import h5py
import numpy as np
import pytest

from brainlm.data.words import load_words
from brainlm.textgrid.tiers import read_words, write_textgrid
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
    """The run fails, leaves no target and says why; so does the end of the failed job's log, if there is one."""
    run = workspace.snakemake(target)
    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    said = [line for line in run.stdout.splitlines() if all(part in line for part in sentence)]
    assert said, run.stdout[-3000:]
    assert not (workspace.folder / target).exists()
    if log:
        lines = (workspace.results / "logs" / log).read_text().splitlines()
        assert not [line for line in lines if "Traceback" in line]
        assert all(part in lines[-1] for part in sentence)


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
    assert {"figure2", "figure3", "figure4", "table1", "tables"} <= rules
    assert not rules & {"cortex", "planted", "checks"}
    run = local.snakemake(RESPONSES)
    assert run.returncode == 0, run.stdout[-3000:]


def test_a_run_ends_with_what_failed_and_why_and_does_the_rest(local, hdf5):
    edit_data(hdf5, np.zeros_like)
    # With what the Makefile leaves out of Snakemake's own messages.
    run = local.snakemake(RESPONSES, WORDS, "--quiet", "host", "rules", "reason")
    assert run.returncode != 0
    at_the_end = run.stdout[run.stdout.index("1 job failed; all that does not depend on it was done.") :]
    assert f"responses_{SUBJECT}_0: " in at_the_end and hdf5.name in at_the_end
    assert f"logs/responses/{SUBJECT}/0.log" in at_the_end
    assert (local.folder / WORDS).exists()


@pytest.mark.parametrize(("kept", "fault"), [(0, "is empty"), (0.5, "is truncated or damaged")])
def test_truncated_hdf5_file(local, hdf5, kept, fault):
    content = hdf5.read_bytes()
    hdf5.write_bytes(content[: int(kept * len(content))])
    assert_stops(local, RESPONSES, str(hdf5), fault, "download it again")


def test_hdf5_file_without_data(local, hdf5):
    with h5py.File(hdf5, "r+") as file:
        file.move("data", "responses")
    sentence = f"{hdf5} has no dataset `data`", "is it a file of derivative/preprocessed_data?"
    assert_stops(local, RESPONSES, *sentence)


def test_hdf5_file_with_rows_of_nan(local, hdf5):
    def lose_two_rows(data):
        data[[3, 8]] = np.nan
        return data

    edit_data(hdf5, lose_two_rows)
    sentence = f"{hdf5} has 2 rows (TRs) in which no voxel is finite: 3, 8", "leave the story out"
    assert_stops(local, RESPONSES, *sentence, log=f"responses/{SUBJECT}/0.log")


def test_hdf5_file_with_the_wrong_number_of_rows(local, hdf5):
    with h5py.File(hdf5) as file:
        n_rows = len(file["data"])
    edit_data(hdf5, lambda data: data[:-3])
    expected = f"{hdf5} has {n_rows - 3} rows (TRs), but {n_rows} are expected"
    assert_stops(local, RESPONSES, expected)


def test_voxels_that_do_not_fit_the_mask(local, hdf5):
    with h5py.File(hdf5) as file:
        n_voxels = file["data"].shape[1]
    # Voxels that differ between a subject's stories are seen before any job.
    for file in hdf5.parent.iterdir():
        edit_data(file, lambda data: data[:, 1:])
    run = local.snakemake(RESPONSES)
    assert run.returncode != 0
    expected = f"{hdf5} has {n_voxels - 1:,} voxels, but the subject's cortical mask has {n_voxels:,}"
    assert f"Error in responses_{SUBJECT}_0: {expected}" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (local.folder / RESPONSES).exists()


# The config's check looks at what the files hold too, one by one in tests/test_configuration.py.
def test_a_file_that_was_not_downloaded_stops_the_run_before_any_job(local, textgrid):
    textgrid.write_text("/annex/objects/MD5E-s123--0cc175b9c0f1b6a831c399e269772661.TextGrid\n")
    assert_stops(local, RESPONSES, f"{textgrid} has not been downloaded", "datalad get")
    assert not local.results.exists()


def test_a_mask_that_is_a_link_into_an_empty_annex_is_not_passed_over(local, hdf5):
    transforms = local.folder / "data" / "derivative" / "pycortex-db" / SUBJECT / "transforms"
    (mask,) = transforms.rglob("mask_thick.nii.gz")
    mask.unlink()
    mask.symlink_to("../../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9.nii.gz")
    assert_stops(local, RESPONSES, f"{mask} has not been downloaded", "datalad get")


def test_a_story_that_respdict_lacks(local):
    respdict = local.folder / "data" / "derivative" / "respdict.json"
    volumes = json.loads(respdict.read_text())
    del volumes[STORY]
    respdict.write_text(json.dumps(volumes))
    assert_stops(
        local, RESPONSES, f"{respdict} does not list the story '{STORY}'", "add the number of volumes"
    )


def test_a_transcript_that_is_no_textgrid(local, textgrid):
    textgrid.write_text("")
    sentence = f"{textgrid} is not a Praat TextGrid", "save it as a text file"
    assert_stops(local, WORDS, *sentence, log="words/0.log")


def test_a_fault_in_a_table_of_words(local, textgrid):
    textgrid.unlink()
    table = textgrid.parents[1] / "transcripts" / f"{STORY}.tsv"
    table.parent.mkdir()
    table.write_text("word\tonset\toffset\nonce\t0.5\t0.8\nupon\t0,9\t1\n")
    sentence = f"{table}, line 3: the onset '0,9' is no number", "give seconds"
    assert_stops(local, WORDS, *sentence, log="words/0.log")


def test_transcripts_of_other_clocks_and_aligners(local, textgrid):
    folder = textgrid.parent
    words = {story: read_words(folder / f"{story}.TextGrid") for story in STORIES}
    in_milliseconds, of_mfa, truncated, of_phones = STORIES[:4]

    textgrid.unlink()
    table = folder.parent / "transcripts" / f"{in_milliseconds}.tsv"
    table.parent.mkdir()
    given = words[in_milliseconds]
    given.assign(onset=1000 * given["onset_s"], offset=1000 * given["offset_s"]).to_csv(table, sep="\t")

    # As MFA writes them: words before phones, and labels of its own for silence and unknown words.
    labelled = {story: of.rename(columns={"word": "label"}) for story, of in words.items()}
    spoken = labelled[of_mfa]["label"].where(labelled[of_mfa].index != 3, "<unk>")
    phones = labelled[of_mfa].assign(label="AH0")
    duration_s = words[of_mfa]["offset_s"].iloc[-1]
    tiers = {"words": labelled[of_mfa].assign(label=spoken), "phones": phones}
    write_textgrid(folder / f"{of_mfa}.TextGrid", tiers, duration_s)
    half = labelled[truncated].iloc[: len(labelled[truncated]) // 2]
    write_textgrid(folder / f"{truncated}.TextGrid", {"phone": half, "word": half}, duration_s=1000)
    as_phones = labelled[of_phones].assign(label="AH0")
    write_textgrid(folder / f"{of_phones}.TextGrid", {"phone": as_phones, "word": as_phones}, duration_s=1000)

    model = local.results / SUBJECT / "matched" / "seed0" / "crosscoder.safetensors"
    run = local.snakemake(model.relative_to(local.folder))

    assert run.returncode != 0
    assert "Traceback" not in run.stdout
    n_words = len(words[in_milliseconds])
    where = (
        f"{table}, story '{in_milliseconds}': {n_words} of {n_words} words begin after the recording's end"
    )
    assert re.search(
        rf"^Error in features_0: {re.escape(where)} .*milliseconds\?", run.stdout, re.MULTILINE
    ), run.stdout[-3000:]
    features = local.results / "features" / "tiny-llama" / "block2"
    assert not features.exists() or not list(features.iterdir())
    assert not model.parent.exists()

    read = load_words(local.results / "words" / f"{of_mfa}.tsv")
    assert read["word"].tolist() == words[of_mfa]["word"].drop(3).tolist()
    log = (local.results / "logs" / "words" / "0.log").read_text()
    assert "words are read from its tier 1, 'words'" in log
    assert "dropped because they stand in brackets: <unk>" in log

    warned = [line for line in run.stdout.splitlines() if line.startswith("Warning: ")]
    assert len(warned) == 2
    (line,) = [line for line in warned if f"{truncated}.TextGrid, story '{truncated}': " in line]
    assert "rows (TRs) have no word" in line
    (line,) = [line for line in warned if f"{of_phones}.TextGrid has " in line]
    assert "look like phones" in line
    for rule in ("features/tiny-llama/block2", "words"):
        log = (local.results / "logs" / rule / "0.log").read_text()
        assert any(line.removeprefix("Warning: ") in log for line in warned)


def test_the_config_chooses_the_tier_and_the_labels_that_are_no_words(local, textgrid):
    tier = read_words(textgrid).rename(columns={"word": "label"})
    other = tier.assign(label="sil")
    write_textgrid(textgrid, {"words A": other, "phones": other, "words B": tier}, duration_s=1000)
    sentence = f"{textgrid} has 2 tiers that may hold the words: 'words A', 'words B'.", "words_tier"
    assert_stops(local, WORDS, *sentence, log="words/0.log")
    # No other story has such a tier.
    chosen = local.changed(
        dataset__words_tier="words A", dataset__non_words=["[]"], language_model__stories_per_job=1
    )
    run = chosen.snakemake(WORDS)
    assert run.returncode == 0, run.stdout[-3000:]
    assert set(load_words(local.folder / WORDS)["word"]) == {"sil"}
    # Neither another clock nor other features read transcripts again.
    other_clock = chosen.changed(dataset__tr_s=1.9, dataset__sound_onset_s=9, features__delays_s=[2])
    assert not [job for job in other_clock.pending(WORDS) if job.rule.startswith("words")]
    pending = chosen.changed(dataset__non_words=["sp"]).pending(WORDS)
    assert [job for job in pending if job.rule.startswith("words")]


def test_missing_textgrid(local, textgrid):
    textgrid.unlink()
    assert_stops(
        local, WORDS, f"unknown story '{STORY}': neither TextGrids/{STORY}.TextGrid nor transcripts/"
    )


def test_hdf5_file_that_is_missing(local, hdf5):
    # A subject's stories are those to which there are responses.
    hdf5.unlink()
    assert_stops(local.changed(ridge__n_folds=2), RESPONSES, "No rule to produce", RESPONSES)


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
        "lower the minimum shift",
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
