"""The whole workflow on a tiny dataset: what each kind of file holds, computed again by other means."""

import base64
import html
import json
import re
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
import xarray
from PIL import Image

from brainlm.cortex.subject import load_cortex
from brainlm.cortex.voxels import read_voxel_table, rois_of
from brainlm.crosscoder.model import Crosscoder
from brainlm.files import NOT_KNOWN, read_tsv
from brainlm.rows.codes import load_codes
from brainlm.scores.evidence.verdict import LABELS, labels
from pipeline.cost import cost_in
from pipeline.provenance import difference, load_record, read_record, record_files
from tiny_dataset import (
    EXPERIMENTS,
    REPEATED_STORY,
    SPLITS,
    STORIES,
    SUBJECT,
    Workspace,
    annotated_text,
    spoken_words,
)

# Snakemake marks the folders that its jobs write with a file of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

DELAYS_S = [2, 4, 6, 8]
STANDING = ["matched", "shuffled", "shifted", "noise"]
FIGURES = ["figure2", "figure3", "figure4", "agreement", "evidence", "funnel", "training_curves", "ceiling"]
SUBJECT_TABLES = [
    "table1",
    "table2",
    "interpretations",
    "shares",
    "evidence",
    "verdicts",
    "funnel",
    "predictions",
    "sensitivity",
    "paper",
    "planted",
]
TABLES = [f"{SUBJECT}/{name}" for name in SUBJECT_TABLES] + ["checks", "subjects", "verdict_shares"]
ROLES = ["uninterpretable", "shared", "brain-dominant", "lm-dominant"]


def table(path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


def dataset(path) -> xarray.Dataset:
    return xarray.open_zarr(path, consolidated=False)


def story_words(tiny: Workspace, story: str) -> pd.DataFrame:
    return pd.read_csv(tiny.results / "words" / f"{story}.tsv", sep="\t", keep_default_na=False)


def story_bold(tiny: Workspace, story: str) -> np.ndarray:
    return dataset(tiny.results / "responses" / SUBJECT / f"{story}.zarr")["bold"].values


def story_lm(tiny: Workspace, story: str, block: int = 2) -> np.ndarray:
    return dataset(tiny.results / "features" / "tiny-llama" / f"block{block}" / f"{story}.zarr")[
        "features"
    ].values


def split_rows(tiny: Workspace, split: str, block: int = 2) -> dict[str, np.ndarray]:
    """Raw rows of a split's stories, one after the other."""
    stories = SPLITS[split]
    return {
        "brain": np.concatenate([story_bold(tiny, story) for story in stories]),
        "lm": np.concatenate([story_lm(tiny, story, block) for story in stories]),
    }


def crosscoder(tiny: Workspace, experiment: str = "matched") -> Crosscoder:
    return Crosscoder.load(tiny.model(experiment) / "crosscoder.safetensors")


def column_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)])


def agreement(model: Crosscoder, rows: dict[str, np.ndarray]) -> np.ndarray:
    normalized = model.normalize(rows)
    return column_correlations(*(model.project(source, normalized[source]).numpy() for source in rows))


# The dataset and its words


@pytest.mark.parametrize("story", STORIES)
def test_words_are_those_of_the_text(tiny, story):
    words = story_words(tiny, story)
    text = re.sub(r"</?\w+>", " ", annotated_text(story))
    assert words["word"].tolist() == spoken_words(text)


def test_nothing_is_odd_about_words_and_recordings(tiny):
    lines = (tiny.folder / "terminal.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("Warning: ")] == []


@pytest.mark.parametrize("story", STORIES)
def test_words_follow_each_other_at_the_wanted_rate(tiny, story):
    words = story_words(tiny, story)
    assert (words["offset_s"] > words["onset_s"]).all()
    assert (words["onset_s"].to_numpy()[1:] >= words["offset_s"].to_numpy()[:-1]).all()
    seconds_a_word = words["offset_s"].iloc[-1] / len(words)
    assert 60 / seconds_a_word == pytest.approx(90, rel=0.03)


@pytest.mark.parametrize("story", STORIES)
def test_annotations_are_the_spans_of_the_text(tiny, story):
    annotations = pd.read_csv(
        tiny.results / "simulation" / "annotations.tsv", sep="\t", keep_default_na=False
    )
    annotations = annotations[annotations["story"] == story]
    for theme in ("place", "negative", "colloquial"):
        spans = re.findall(rf"<{theme}>(.*?)</{theme}>", annotated_text(story), re.DOTALL)
        in_theme = annotations.loc[annotations["theme"] == theme, "word"]
        assert in_theme.tolist() == spoken_words(" ".join(spans))


@pytest.mark.parametrize("story", STORIES)
def test_the_simulated_recording_lasts_for_the_whole_story(tiny, story):
    n_trs = json.loads((tiny.derivative / "respdict.json").read_text())[story]
    end_of_speech_s = 10 + story_words(tiny, story)["offset_s"].iloc[-1]
    assert 2 * n_trs > end_of_speech_s


# Brain responses


@pytest.mark.parametrize("story", STORIES)
def test_responses_are_the_hdf5_file_with_labels(tiny, story):
    responses = dataset(tiny.results / "responses" / SUBJECT / f"{story}.zarr")
    with h5py.File(tiny.derivative / "preprocessed_data" / SUBJECT / f"{story}.hf5") as file:
        data = file["data"][:]
    assert responses["bold"].dims == ("time", "voxel")
    assert responses["bold"].dtype == np.float32
    np.testing.assert_array_equal(responses["bold"].values, data.astype(np.float32))
    np.testing.assert_array_equal(responses["voxel"].values, np.arange(data.shape[1]))
    assert responses["valid"].values.all()


@pytest.mark.parametrize("story", STORIES)
def test_response_rows_begin_eleven_seconds_into_the_story(tiny, story):
    times_s = dataset(tiny.results / "responses" / SUBJECT / f"{story}.zarr")["time"].values
    n_trs = json.loads((tiny.derivative / "respdict.json").read_text())[story]
    assert len(times_s) >= 20
    np.testing.assert_array_equal(times_s, 11 + 2 * np.arange(n_trs - 20))


def test_responses_have_a_column_for_each_voxel_of_the_mask(tiny):
    path = tiny.derivative / "pycortex-db" / SUBJECT / "transforms" / f"{SUBJECT}_auto" / "mask_thick.nii.gz"
    n_voxels = int((nibabel.load(path).get_fdata() > 0).sum())
    assert {story_bold(tiny, story).shape[1] for story in STORIES} == {n_voxels}


def test_only_the_repeated_story_has_repeats_and_its_response_is_their_mean(tiny):
    stores = {story: dataset(tiny.results / "responses" / SUBJECT / f"{story}.zarr") for story in STORIES}
    assert [story for story, store in stores.items() if "repeats" in store] == [REPEATED_STORY]
    repeated = stores[REPEATED_STORY]
    assert repeated["repeats"].dims == ("repeat", "time", "voxel")
    assert repeated.sizes["repeat"] == 3
    np.testing.assert_allclose(repeated["repeats"].mean("repeat"), repeated["bold"], atol=1e-5)
    assert repeated["repeats"].std("repeat").values.mean() > 0.1


# The language model


@pytest.mark.parametrize("story", STORIES)
def test_tokens_joined_are_the_story(tiny, story):
    activations = dataset(tiny.results / "activations" / "tiny-llama" / f"{story}.zarr")
    words = story_words(tiny, story)
    assert activations["hidden"].dims == ("block", "token", "hidden")
    assert activations["hidden"].dtype == np.float32
    assert activations["block"].values.tolist() == [1, 2]
    assert "".join(activations["token_text"].values) == " ".join(words["word"])


@pytest.mark.parametrize("story", STORIES)
def test_tokens_carry_the_times_of_their_words(tiny, story):
    activations = dataset(tiny.results / "activations" / "tiny-llama" / f"{story}.zarr")
    words = story_words(tiny, story)
    word_of_token = activations["word_index"].values
    assert sorted(set(word_of_token)) == list(range(len(words)))
    for number, text in zip(word_of_token, activations["token_text"].values, strict=True):
        assert text.strip() in words["word"][number]
    for edge in ("onset_s", "offset_s"):
        expected = words[edge].to_numpy()[word_of_token]
        np.testing.assert_array_equal(activations[f"word_{edge}"].values, expected)


def test_activations_are_those_of_the_whole_model(tiny):
    story = STORIES[0]
    folder = tiny.config["language_model"]["path_or_hub_id"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    text = " ".join(story_words(tiny, story)["word"])
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    with torch.inference_mode():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        first, last = states[1][0, 1:].numpy(), states[2][0, 1:]
    hidden = dataset(tiny.results / "activations" / "tiny-llama" / f"{story}.zarr")["hidden"]
    np.testing.assert_allclose(hidden.sel(block=hidden["block"] == 1)[0], first, rtol=1e-3, atol=1e-4)
    # Transformers gives the last block after the model's final norm.
    normed = model.model.norm(torch.tensor(hidden.values[1])).detach()
    np.testing.assert_allclose(normed, last, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("story", STORIES)
def test_features_are_the_mean_of_delayed_lanczos_resamplings(tiny, story, block):
    activations = dataset(tiny.results / "activations" / "tiny-llama" / f"{story}.zarr")
    onset_s, offset_s = activations["word_onset_s"].values, activations["word_offset_s"].values
    token_s = np.empty(len(onset_s))
    for number in set(activations["word_index"].values):
        tokens = np.flatnonzero(activations["word_index"].values == number)
        parts = (np.arange(len(tokens)) + 0.5) / len(tokens)
        token_s[tokens] = onset_s[tokens] + parts * (offset_s - onset_s)[tokens]

    features = dataset(tiny.results / "features" / "tiny-llama" / f"block{block}" / f"{story}.zarr")
    weights = 0
    for delay_s in DELAYS_S:
        x = (features["time"].values[:, None] - delay_s - token_s) / 2
        weights = weights + np.where(np.abs(x) <= 3, np.sinc(x) * np.sinc(x / 3), 0) / len(DELAYS_S)
    expected = weights @ activations["hidden"].values[block - 1].astype(float)

    assert features["features"].dims == ("time", "hidden")
    assert features["features"].dtype == np.float32
    np.testing.assert_allclose(features["features"], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("story", STORIES)
def test_features_and_responses_have_the_same_times(tiny, story):
    responses = dataset(tiny.results / "responses" / SUBJECT / f"{story}.zarr")
    features = dataset(tiny.results / "features" / "tiny-llama" / "block2" / f"{story}.zarr")
    np.testing.assert_array_equal(features["time"].values, responses["time"].values)


# Normalization and training


def normalization(tiny, experiment: str) -> Path:
    """What the experiment's model was trained with."""
    variant = "block1" if experiment == "first-block" else "block2"
    lm = "center" if experiment == "first-block" else "none"
    return tiny.results / SUBJECT / "normalization" / variant / f"brain-zscore_lm-{lm}.zarr"


@pytest.mark.parametrize(("experiment", "block"), [("matched", 2), ("first-block", 1)])
@pytest.mark.parametrize("source", ["brain", "lm"])
def test_training_rows_have_mean_norm_one(tiny, experiment, block, source):
    store = normalization(tiny, experiment)
    group = xarray.open_zarr(store, group=source, consolidated=False)
    raw = split_rows(tiny, "train", block)[source].astype(float)
    rows = (raw[:, group["kept"].values] - group["offset"].values) / group["scale"].values
    rows /= group.attrs["mean_norm"]
    assert np.linalg.norm(rows, axis=1).mean() == pytest.approx(1, rel=1e-4)


def test_each_source_is_scaled_as_its_experiment_says(tiny):
    def scaling(experiment: str, source: str) -> xarray.Dataset:
        store = normalization(tiny, experiment)
        return xarray.open_zarr(store, group=source, consolidated=False)

    brain, lm = split_rows(tiny, "train")["brain"], split_rows(tiny, "train", block=1)["lm"]
    np.testing.assert_allclose(scaling("matched", "brain")["offset"], brain.mean(0), atol=1e-5)
    np.testing.assert_allclose(scaling("matched", "brain")["scale"], brain.std(0), rtol=1e-4)
    assert not scaling("matched", "lm")["offset"].values.any()
    np.testing.assert_allclose(scaling("first-block", "lm")["offset"], lm.mean(0), rtol=1e-3, atol=1e-4)
    for experiment in ("matched", "first-block"):
        assert (scaling(experiment, "lm")["scale"].values == 1).all()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_crosscoder_file_holds_the_model_that_was_asked_for(tiny, experiment):
    model = crosscoder(tiny, experiment)
    asked = tiny.config["crosscoder"]
    assert (model.n_latents, model.k) == (asked["n_latents"], asked["k"])
    assert model.widths == {"brain": story_bold(tiny, STORIES[0]).shape[1], "lm": 32}
    assert model.provenance["seed"] == 0
    assert model.provenance["experiment"] == experiment
    assert model.provenance["stories"] == SPLITS
    assert asked.items() <= model.provenance["settings"].items()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_training_has_one_line_an_epoch_and_its_loss_falls(tiny, experiment):
    training = table(tiny.model(experiment) / "training.tsv")
    sources = [
        f"{split}_explained_{source}" for split in ("training", "validation") for source in ("brain", "lm")
    ]
    columns = {"epoch", "loss", "auxiliary", "dead_latents", "negative_share", *sources}
    assert set(training) == columns | {"training_squared_error", "validation_squared_error"}
    assert training["epoch"].tolist() == [1, 2, 3]
    assert np.isfinite(training).all(axis=None)
    assert training["loss"].is_monotonic_decreasing


def test_training_again_gives_the_same_bytes(tiny, tmp_path):
    workspace = tiny.copy(tmp_path)
    files = [workspace.model() / name for name in ("crosscoder.safetensors", "training.tsv")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    run = workspace.snakemake(files[0].relative_to(tmp_path))
    assert run.returncode == 0, run.stdout[-3000:]
    assert [file.read_bytes() for file in files] == before


# Latents and scores


@pytest.mark.parametrize("name", ["found_again", "found_in_seeds"])
def test_one_model_alone_has_no_latents_to_find_again(tiny, name):
    found = table(tiny.results / SUBJECT / f"{name}.tsv")
    assert found.columns[:3].tolist() == ["subject", "seed", "latent"] and found.empty


@pytest.mark.parametrize("split", SPLITS)
def test_latents_are_what_the_model_encodes_from_raw_rows(tiny, split):
    codes = load_codes(tiny.model() / "codes.zarr", split)
    assert list(codes) == SPLITS[split]
    for story, code in codes.items():
        expected = crosscoder(tiny).encode({"brain": story_bold(tiny, story), "lm": story_lm(tiny, story)})
        assert (np.count_nonzero(expected, axis=1) <= 3).all()
        np.testing.assert_allclose(code.activation, expected, atol=1e-5)


def test_the_latents_store_names_its_stories_and_splits(tiny):
    latents = dataset(tiny.model() / "codes.zarr")
    assert latents["story"].values.tolist() == STORIES
    assert latents["split"].values.tolist() == [split for split, names in SPLITS.items() for _ in names]
    assert latents["value"].dims == latents["latent"].dims == ("time", "active")
    lengths = [len(story_bold(tiny, story)) for story in STORIES]
    np.testing.assert_array_equal(latents["story_number"], np.repeat(np.arange(len(STORIES)), lengths))
    expected_s = np.concatenate([11 + 2 * np.arange(length) for length in lengths])
    np.testing.assert_array_equal(latents["time_s"], expected_s)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_r_and_class_follow_from_the_weights(tiny, experiment):
    model, latents = crosscoder(tiny, experiment), table(tiny.model(experiment) / "latents.tsv")
    brain, lm = (np.linalg.norm(model.weights[source].numpy(), axis=0) for source in ("brain", "lm"))
    r = (brain - lm) / np.maximum(brain, lm)
    np.testing.assert_allclose(latents["r"], r, atol=1e-6)
    for value, name in zip(r, latents["class"], strict=True):
        if name == "between":
            assert 0.2 <= abs(value) <= 0.5
        else:
            assert name == (
                "shared" if abs(value) < 0.2 else "brain-dominant" if value > 0 else "lm-dominant"
            )
    np.testing.assert_array_equal(latents["alive"], model.alive)


@pytest.mark.parametrize(("experiment", "block"), [("matched", 2), ("first-block", 1)])
def test_agreement_and_density_are_those_of_the_matched_test_rows(tiny, experiment, block):
    model, latents = crosscoder(tiny, experiment), table(tiny.model(experiment) / "latents.tsv")
    rows = split_rows(tiny, "test", block)
    np.testing.assert_allclose(latents["agreement"], agreement(model, rows), atol=1e-4)
    np.testing.assert_allclose(latents["density"], (model.encode(rows) != 0).mean(axis=0), atol=1e-9)


def test_shuffled_pairs_other_brain_rows_in_one_random_order(tiny):
    model, latents = crosscoder(tiny, "shuffled"), table(tiny.model("shuffled") / "latents.tsv")
    rows = split_rows(tiny, "test")
    order = np.random.default_rng(0).permutation(len(rows["brain"]))
    shuffled = {**rows, "brain": rows["brain"][order]}
    np.testing.assert_allclose(latents["agreement"], agreement(model, shuffled), atol=1e-4)
    np.testing.assert_allclose(latents["density"], (model.encode(shuffled) != 0).mean(axis=0), atol=1e-9)
    assert np.abs(latents["agreement"] - agreement(model, rows)).max() > 0.1


def test_shifted_turns_the_brain_rows_around_in_a_circle(tiny):
    model, latents = crosscoder(tiny, "shifted"), table(tiny.model("shifted") / "latents.tsv")
    rows = split_rows(tiny, "test")
    n_rows = len(rows["brain"])
    fits = [
        shift
        for shift in range(n_rows)
        if np.allclose(
            latents["agreement"],
            agreement(model, {**rows, "brain": np.roll(rows["brain"], shift, axis=0)}),
            atol=1e-4,
        )
    ]
    assert len(fits) == 1
    assert n_rows // 4 <= fits[0] <= n_rows - n_rows // 4


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_summary_counts_the_live_latents(tiny, experiment):
    summary = table(tiny.model(experiment) / "summary.tsv")
    latents = table(tiny.model(experiment) / "latents.tsv")
    assert len(summary) == 1
    row, live = summary.iloc[0], latents[latents["alive"]]
    shares = row.filter(regex="^share_(?!agreeing)")
    assert len(shares) == 5
    assert shares.sum() == pytest.approx(1)
    for name, share in shares.items():
        assert share == pytest.approx((live["class"] == name.removeprefix("share_")).mean())
    assert row["live_latents"] == len(live)
    assert row["share_agreeing"] == pytest.approx(live["agreement_significant"].mean())
    assert row["test_trs"] == sum(len(story_bold(tiny, story)) for story in SPLITS["test"])
    assert row["training_trs"] == sum(len(story_bold(tiny, story)) for story in SPLITS["train"])


def test_summaries_name_their_model(tiny):
    named = ["subject", "experiment", "seed", "brain_time", "standardize_brain", "standardize_lm"]
    rows = [table(tiny.model(name) / "summary.tsv")[named].iloc[0].tolist() for name in EXPERIMENTS]
    # pandas would read "none" as it is, but not "None" or "NA".
    assert rows == [
        [SUBJECT, "matched", 0, "matched", "zscore", "none"],
        [SUBJECT, "shuffled", 0, "shuffled", "zscore", "none"],
        [SUBJECT, "shifted", 0, "shifted", "zscore", "none"],
        [SUBJECT, "noise", 0, "noise", "zscore", "none"],
        [SUBJECT, "first-block", 0, "matched", "zscore", "center"],
    ]


@pytest.mark.parametrize(("split", "name"), [("test", "test"), ("train", "training")])
@pytest.mark.parametrize("source", ["brain", "lm"])
def test_correlations_compare_each_column_with_its_reconstruction(tiny, split, name, source):
    model, raw = crosscoder(tiny), split_rows(tiny, split)
    reconstruction = model.decode(model.encode(raw))
    expected = column_correlations(raw[source], reconstruction[source])
    stored = dataset(tiny.model() / "correlations.zarr")[f"{source}_{name}"]
    assert stored.dims == ({"brain": "voxel", "lm": "hidden"}[source],)
    np.testing.assert_allclose(stored, expected, atol=1e-4)
    summary = table(tiny.model() / "summary.tsv").iloc[0]
    assert summary[f"{name}_correlation_{source}"] == pytest.approx(np.nanmean(expected), abs=1e-4)


@pytest.mark.parametrize("source", ["brain", "lm"])
def test_correlations_are_also_given_for_each_test_story(tiny, source):
    model = crosscoder(tiny)
    correlations = dataset(tiny.model() / "correlations.zarr")
    assert correlations["test_story"].values.tolist() == SPLITS["test"]
    for story, stored in zip(SPLITS["test"], correlations[f"{source}_test_by_story"].values, strict=True):
        raw = {"brain": story_bold(tiny, story), "lm": story_lm(tiny, story)}
        expected = column_correlations(raw[source], model.decode(model.encode(raw))[source])
        np.testing.assert_allclose(stored, expected, atol=1e-4)


# Evidence

ASKED = ["agreement", "agreement_null_99", "agreement_p_shift", "agreement_p_swap", "agreement_p"]
ASKED += ["agreement_significant", "shift_agreement_significant", "swaps_known"]
ASKED += ["plain_agreement", "plain_agreement_p", "plain_agreement_significant", "nuisance_loss"]
ASKED += [f"contribution_{source}{end}" for source in ("brain", "lm") for end in ("", "_low", "_high")]
ASKED += ["contributes_brain", "contributes_lm", "q"]
RELIABILITY = [
    f"{kind}reliability{end}" for kind in ("", "partialled_") for end in ("", "_p", "_significant")
]
ASKED += [*RELIABILITY, "reliability_known", "partialled_reliability_known", "agreement_at_ceiling"]
ASKED += ["total_variation", "slice_share", "slice_jumps"]


def evidence(tiny: Workspace, experiment: str = "matched") -> pd.DataFrame:
    return read_tsv(tiny.model(experiment) / "evidence.tsv")


def unmixed(model: Crosscoder, source: str, raw: np.ndarray) -> np.ndarray:
    """The least-squares code of live latents, from one source's raw rows."""
    w = model.weights[source].numpy().astype(float)[:, model.alive]
    gram = w.T @ w
    ridge = 0.3 * np.mean(np.diag(gram)) * np.eye(len(gram))
    return model.normalization[source].apply(raw).astype(float) @ w @ np.linalg.inv(gram + ridge)


@pytest.mark.parametrize("experiment", STANDING)
def test_every_standing_experiments_latents_have_all_columns_and_a_verdict(tiny, experiment):
    found, latents = evidence(tiny, experiment), table(tiny.model(experiment) / "latents.tsv")
    known = ["latent", "source", "r", "class", "alive", "density"]
    assert set(found) == {*known, "active", *ASKED, "verdict", "qualifier", "reason"}
    for name in ("latent", "class", "alive"):
        assert found[name].tolist() == latents[name].tolist()
    np.testing.assert_allclose(found[["r", "density"]], latents[["r", "density"]])
    np.testing.assert_array_equal(found["verdict"] == "dead", ~found["alive"])
    assert set(labels(found)) <= set(LABELS)
    assert found.loc[~found["alive"], ASKED].isna().all(axis=None)
    # In the file it is spelt out.
    written = pd.read_csv(tiny.model(experiment) / "evidence.tsv", sep="\t", dtype=str, keep_default_na=False)
    assert (written[ASKED] == "not known")[~found["alive"]].all(axis=None)
    # One validation and two test stories have too few swaps.
    assert (written["agreement_p_swap"] == "not known").all()
    live = found[found["alive"]]
    assert live[["agreement_p", "contribution_brain", "total_variation"]].notna().all(axis=None)
    # A brain of white noise has heard nothing.
    assert live["reliability_known"].eq(experiment != "noise").all()
    assert live[RELIABILITY].notna().all(axis=None) == (experiment != "noise")


def test_only_standing_experiments_are_asked(tiny):
    assert not (tiny.model("first-block") / "evidence.tsv").exists()


def test_agreement_is_that_of_unmixed_projections_without_nuisances(tiny):
    model, found = crosscoder(tiny), evidence(tiny)
    held_out = [*SPLITS["test"], *SPLITS["validation"]]
    stores = [tiny.results / "features" / "tiny-llama" / "block2" / f"{story}.zarr" for story in held_out]
    nuisances = np.concatenate([dataset(store)["nuisances"] for store in stores])
    design = np.column_stack(
        [np.ones(len(nuisances)), (nuisances - nuisances.mean(axis=0)) / nuisances.std(axis=0)]
    )
    plain, partialled = [], []
    for source in ("brain", "lm"):
        test, validation = (
            unmixed(model, source, split_rows(tiny, split)[source]) for split in ("test", "validation")
        )
        fit = np.linalg.lstsq(design, np.concatenate([test, validation]))[0]
        plain.append(test)
        partialled.append(test - design[: len(test)] @ fit)
    live = model.alive
    np.testing.assert_allclose(found["plain_agreement"][live], column_correlations(*plain), atol=1e-4)
    np.testing.assert_allclose(found["agreement"][live], column_correlations(*partialled), atol=1e-4)
    assert np.abs(found["agreement"] - found["plain_agreement"]).max() > 0.01


@pytest.mark.parametrize("source", ["brain", "lm"])
def test_a_contribution_is_what_a_reconstruction_lacks_without_the_latent(tiny, source):
    model, found, raw = crosscoder(tiny), evidence(tiny), split_rows(tiny, "test")
    rows, z = model.normalization[source].apply(raw[source]).astype(float), model.encode(raw).astype(float)
    w = model.weights[source].numpy().astype(float)
    total, error = np.square(rows - rows.mean(axis=0)).sum(), np.square(rows - z @ w.T).sum()
    for latent in np.flatnonzero(model.alive):
        without = z * (np.arange(model.n_latents) != latent)
        expected = 100 * (np.square(rows - without @ w.T).sum() - error) / total
        assert found[f"contribution_{source}"][latent] == pytest.approx(expected, abs=1e-3)


def test_reliability_is_that_of_the_hearings_of_the_repeated_story(tiny):
    model, found = crosscoder(tiny), evidence(tiny)
    repeats = dataset(tiny.results / "responses" / SUBJECT / f"{REPEATED_STORY}.zarr")["repeats"].values
    hearings = np.stack([unmixed(model, "brain", hearing) for hearing in repeats])
    n, of_mean, of_each = len(hearings), hearings.mean(axis=0).var(axis=0), hearings.var(axis=1).mean(axis=0)
    expected = (n * of_mean / of_each - 1) / (n - 1)
    np.testing.assert_allclose(found["reliability"][model.alive], expected, atol=1e-4)


@pytest.mark.parametrize("experiment", STANDING)
def test_the_summary_of_evidence_counts_verdicts(tiny, experiment):
    (summary,) = read_tsv(tiny.model(experiment) / "evidence_summary.tsv").to_dict("records")
    found = evidence(tiny, experiment)
    live = labels(found)[found["alive"]]
    assert (summary["subject"], summary["experiment"], summary["source"]) == (SUBJECT, experiment, "brain")
    for label in LABELS[1:]:
        assert summary[f"share_{label}"] == pytest.approx((live == label).mean())
    n_rows = len(split_rows(tiny, "test")["lm"])
    n_shifts = n_rows - 2 * 5 + 1
    assert (summary["n_rows"], summary["n_shifts"]) == (n_rows, n_shifts)
    assert summary["p_floor"] == pytest.approx(1 / (1 + n_shifts))
    assert summary["n_hearings"] == (3 if experiment != "noise" else 0)
    names = dataset(tiny.results / "features" / "tiny-llama" / "block2" / f"{STORIES[0]}.zarr")["nuisance"]
    assert summary["nuisances"] == ", ".join(names.values)


# Passages and interpretations


def test_passages_are_the_words_of_the_eight_seconds_before_a_maximum(tiny):
    passages = table(tiny.model() / "passages.tsv")
    codes = load_codes(tiny.model() / "codes.zarr", "test")
    assert len(passages) > 0
    for row in passages.itertuples():
        words = story_words(tiny, row.story)
        overlaps = (words["offset_s"] > row.time_s - 8) & (words["onset_s"] < row.time_s)
        assert row.passage.split() == words.loc[overlaps, "word"].tolist()
        activation = codes[row.story].activation[:, row.latent]
        assert row.activation == pytest.approx(activation.max())
        assert codes[row.story].time_s[activation.argmax()] == row.time_s


def test_passages_are_ranked_with_one_of_a_story_for_a_latent(tiny):
    passages = table(tiny.model() / "passages.tsv")
    for _, rows in passages.groupby("latent"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["activation"].is_monotonic_decreasing
        assert rows["story"].is_unique
        assert len(rows) <= tiny.config["passages"]["n_passages"]


def test_the_best_latents_of_every_class_are_named_for_every_theme(tiny):
    interpretations = table(tiny.model() / "interpretations.tsv")
    latents = table(tiny.model() / "latents.tsv")
    classes, themes = ["shared", "brain-dominant", "lm-dominant"], ["colloquial", "negative", "place"]
    groups = interpretations.groupby(["class", "theme"], sort=False)
    assert list(groups.groups) == [(name, theme) for name in classes for theme in themes]
    live = latents[latents["alive"]]
    for (name, _), rows in groups:
        candidates = live.loc[live["class"] == name, "latent"].tolist()
        assert (rows["n_candidates"] == len(candidates)).all()
        assert rows["rank"].tolist() == list(range(1, max(1, min(3, len(candidates))) + 1))
        if candidates:
            assert set(rows["latent"]) <= set(candidates)
            assert rows["latent"].is_unique
            assert rows["auc"].is_monotonic_decreasing
            assert rows["auc"].between(0, 1).all() and rows["null_95"].between(0, 1).all()
        else:
            assert rows["latent"].tolist() == [-1]


def test_the_auc_of_an_interpretation_compares_moments_inside_and_outside_its_theme(tiny):
    annotations = pd.read_csv(
        tiny.results / "simulation" / "annotations.tsv", sep="\t", keep_default_na=False
    )
    codes = load_codes(tiny.model() / "codes.zarr", "test")
    interpretations = table(tiny.model() / "interpretations.tsv")
    tested = interpretations[interpretations["latent"] >= 0]
    assert len(tested) > 0
    for row in tested.itertuples():
        share, activation = [], []
        for story, code in codes.items():
            words = story_words(tiny, story)
            in_theme = (annotations.loc[annotations["story"] == story, "theme"] == row.theme).to_numpy()
            for time_s, values in zip(code.time_s, code.activation, strict=True):
                heard = ((words["offset_s"] > time_s - 8) & (words["onset_s"] < time_s)).to_numpy()
                share.append(in_theme[heard].mean() if heard.any() else 0)
                activation.append(values[row.latent])
        share, activation = np.array(share), np.array(activation)
        inside, outside = activation[share > 0.5], activation[share <= 0.5]
        above = (inside[:, None] > outside).mean() + 0.5 * (inside[:, None] == outside).mean()
        assert row.auc == pytest.approx(above, abs=1e-6)


def test_one_latent_of_each_role_is_chosen(tiny):
    chosen, latents = table(tiny.model() / "chosen.tsv"), evidence(tiny, "matched")
    interpretations = table(tiny.model() / "interpretations.tsv")
    assert chosen["role"].tolist() == ROLES
    assert not chosen["pinned"].any()
    for row in chosen[chosen["latent"] >= 0].itertuples():
        latent = latents.iloc[row.latent]
        assert latent["alive"]
        expected_class = "brain-dominant" if row.role == "uninterpretable" else row.role
        assert row[3] == latent["class"] == expected_class
    proofs = {
        "shared": {"shared"},
        "brain-dominant": {"brain, story-driven", "brain, spontaneous", "brain", "shared, mostly brain"},
        "lm-dominant": {"LM", "shared, mostly LM"},
    }
    called = (latents["verdict"] + ", " + latents["qualifier"]).str.removesuffix(", ")
    for role in ROLES[1:]:
        of_class = latents["alive"] & (latents["class"] == role)
        verified = set(latents.loc[of_class & called.isin(proofs[role]), "latent"])
        agreeing = set(latents.loc[of_class & (latents["agreement_significant"] == True), "latent"])  # noqa: E712
        picked = chosen.set_index("role").loc[role]
        best = interpretations[interpretations["class"] == role]
        if verified:
            assert picked["latent"] in verified and picked["n_candidates"] == len(verified)
        elif agreeing and role == "shared":
            assert picked["latent"] in agreeing and picked["n_candidates"] == len(agreeing)
        elif (best["latent"] >= 0).any():
            best = best.loc[best["auc"].idxmax()]
            assert (picked["latent"], picked["theme"]) == (best["latent"], best["theme"])


def test_word_lists_stand_for_themes_where_nothing_is_annotated(tiny, tmp_path):
    local = tiny.copy(tmp_path).changed(
        dataset__source="local",
        dataset__root=f"results/{tiny.config['dataset']['name']}/ds003020",
        dataset__simulation=None,
        themes={"house": ["house", "garden", "room"], "I": ["i", "me", "my"]},
    )
    target = local.model() / "interpretations.tsv"
    target.unlink()
    run = local.snakemake("--rerun-triggers", "mtime", "--", target.relative_to(tmp_path))
    assert run.returncode == 0, run.stdout[-3000:]
    assert set(table(target)["theme"]) == {"house", "I"}
    chosen = table(target.with_name("chosen.tsv"))
    assert set(chosen.loc[chosen["latent"] >= 0, "theme"]) <= {"house", "I"}


# What was planted


@pytest.mark.parametrize("experiment", ["matched", "shuffled"])
def test_every_planted_feature_is_matched_to_a_live_latent(tiny, experiment):
    planted = table(tiny.model(experiment) / "planted.tsv")
    latents = table(tiny.model(experiment) / "latents.tsv")
    assert (planted["experiment"] == experiment).all()
    kinds = dict(zip(planted["feature"], planted["kind"], strict=True))
    assert kinds == {
        "place": "shared",
        "negative": "shared",
        "lm 1": "shared",
        "lm 2": "shared",
        "words": "word rate",
        "letters": "word rate",
        "melody 1": "story-driven",
        "lm-only 1": "LM-only",
        "events 1": "spontaneous",
        "stripes 1": "stripes",
        "stripes 2": "stripes",
    }
    own = latents.iloc[planted["latent"]].reset_index(drop=True)
    assert own["alive"].all()
    for column in ("r", "agreement"):
        np.testing.assert_allclose(planted[column], own[column])
    np.testing.assert_array_equal(planted["found"], planted["test_correlation"] > planted["null_99"])
    np.testing.assert_array_equal(planted["well_found"], planted["test_correlation"] >= 0.5)
    assert planted.loc[planted["kind"] == "LM-only", "map_correlation"].isna().all()


def test_planted_correlations_are_those_with_the_simulated_time_courses(tiny):
    planted, model = table(tiny.model() / "planted.tsv"), crosscoder(tiny)
    simulated = dataset(tiny.results / "simulation" / f"{SUBJECT}.zarr")
    number = {name: i for i, name in enumerate(simulated["feature"].values)}
    ends = dict(zip(simulated["story"].values, np.cumsum(simulated["n_rows"].values), strict=True))
    n_rows = dict(zip(simulated["story"].values, simulated["n_rows"].values, strict=True))
    weights = model.weights["brain"].numpy()
    read_from_brain = model.project("brain", model.normalize(split_rows(tiny, "test"))["brain"]).numpy()
    for row in planted.itertuples():
        courses = {
            story: simulated["time_courses"].values[
                ends[story] - n_rows[story] : ends[story], number[row.feature]
            ]
            for story in STORIES
        }
        for split, expected in (("train", row.training_correlation), ("test", row.test_correlation)):
            codes = load_codes(tiny.model() / "codes.zarr", split)
            course = np.concatenate([courses[story] for story in codes])
            activation = np.concatenate([code.activation[:, row.latent] for code in codes.values()])
            assert np.corrcoef(course, activation)[0, 1] == pytest.approx(expected, abs=1e-4)
        in_brain = np.corrcoef(course, read_from_brain[:, row.latent])[0, 1]
        assert in_brain == pytest.approx(row.brain_correlation, abs=1e-4)
        if row.kind != "LM-only":
            map_correlation = np.corrcoef(
                simulated["maps"].values[number[row.feature]], weights[:, row.latent]
            )
            assert map_correlation[0, 1] == pytest.approx(row.map_correlation, abs=1e-4)


def test_the_simulated_signal_has_the_wanted_ratio_to_noise(tiny):
    simulated = dataset(tiny.results / "simulation" / f"{SUBJECT}.zarr")
    # The repeated story's course is a mean over hearings, and so weaker than what was heard each time.
    once = np.repeat(simulated["story"].values, simulated["n_rows"].values) != REPEATED_STORY
    variance = (simulated["time_courses"].values[once] @ simulated["maps"].values).var(axis=0)
    assert variance[variance > 0].mean() == pytest.approx(1, rel=0.15)


# Figures and tables


@pytest.mark.parametrize("name", [*(f"{SUBJECT}/{name}" for name in FIGURES), "subjects", "verdict_shares"])
def test_figures_come_as_pdf_png_and_numbers_and_say_that_data_are_simulated(tiny, name):
    stem = tiny.results / "figures" / name
    pdf = stem.with_suffix(".pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"simulated data" in pdf
    with Image.open(stem.with_suffix(".png")) as image:
        assert image.text["Description"] == "simulated data"
        assert min(image.size) > 300
        assert len(image.convert("RGB").getcolors(maxcolors=2**24)) > 10
    assert len(table(stem.with_suffix(".tsv"))) > 0


def test_figure_2_shows_every_experiment_and_all_live_latents(tiny):
    numbers = table(tiny.results / "figures" / SUBJECT / "figure2.tsv")
    shares = numbers.groupby("experiment", sort=False)["mean_share_percent"].sum()
    assert shares.index.tolist() == EXPERIMENTS
    np.testing.assert_allclose(shares, 100, rtol=1e-5)
    for experiment in EXPERIMENTS:
        latents = table(tiny.model(experiment) / "latents.tsv")
        r = latents.loc[latents["alive"], "r"]
        edges = np.round(np.arange(-1, 1.01, 0.1), 10)
        expected = 100 * np.histogram(r, edges)[0] / len(r)
        shown = numbers.loc[numbers["experiment"] == experiment, "mean_share_percent"]
        np.testing.assert_allclose(shown, expected, rtol=1e-5)
    verified = numbers.groupby("experiment")["mean_verified_percent"].sum(min_count=1)
    assert verified[STANDING].notna().all() and np.isnan(verified["first-block"])
    assert (numbers["mean_verified_percent"].fillna(0) <= numbers["mean_share_percent"] + 1e-6).all()
    noise = evidence(tiny, "noise")
    r0 = numbers.groupby("experiment")["r0"].first()
    np.testing.assert_allclose(r0[STANDING], noise.loc[noise["alive"], "r"].median(), rtol=1e-5)


def test_figure_3_shows_the_decoder_weights_of_the_chosen_latents(tiny):
    numbers = table(tiny.results / "figures" / SUBJECT / "figure3.tsv")
    chosen = table(tiny.model() / "chosen.tsv").iloc[:3]
    weights = crosscoder(tiny).weights["brain"].numpy()
    panels = list(numbers.groupby("panel", sort=False))
    assert len(panels) == 3
    for (title, panel), row in zip(panels, chosen.itertuples(), strict=True):
        assert row.role in title and (row.latent < 0 or "(verdict: " in title)
        expected = weights[:, row.latent] if row.latent >= 0 else np.full(len(panel), np.nan)
        np.testing.assert_allclose(panel["weight"], expected, rtol=1e-5)


def test_figure_4_shows_the_test_correlation_of_every_voxel(tiny):
    numbers = table(tiny.results / "figures" / SUBJECT / "figure4.tsv")
    stored = dataset(tiny.model() / "correlations.zarr")["brain_test"].values
    np.testing.assert_allclose(numbers["test_correlation"], stored, rtol=1e-5)


@pytest.mark.parametrize("name", TABLES)
def test_tables_come_as_data_text_and_page_and_say_that_data_are_simulated(tiny, name):
    stem = tiny.results / "tables" / name
    data = table(stem.with_suffix(".tsv"))
    markdown, page = (stem.with_suffix(suffix).read_text() for suffix in (".md", ".html"))
    assert len(data) > 0
    for text in (markdown, page):
        assert "simulated" in text.lower()
    assert sum(line.startswith("|") for line in markdown.splitlines()) == len(data) + 2
    assert page.count("<tr>") == len(data) + 1
    assert not re.search(r"""(src|href)=["']?http""", page)


def test_table_1_has_a_row_for_each_class(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "table1.tsv")
    chosen = table(tiny.model() / "chosen.tsv").iloc[1:].reset_index(drop=True)
    assert rows["class"].tolist() == ROLES[1:]
    np.testing.assert_array_equal(rows["latent"].fillna(-1), chosen["latent"])
    verdicts = evidence(tiny, "matched").set_index("latent")["verdict"]
    for row in rows.dropna(subset="latent").itertuples():
        assert row.verdict.startswith(verdicts[row.latent])


def test_table_2_has_the_passages_of_the_latents_of_table_1(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "table2.tsv").dropna(subset="latent")
    passages = table(tiny.model() / "passages.tsv")
    latents = table(tiny.results / "tables" / SUBJECT / "table1.tsv")["latent"].dropna()
    assert len(rows) > 0
    for latent in latents:
        expected = passages.loc[passages["latent"] == latent, "passage"].tolist()
        assert rows.loc[rows["latent"] == latent, "passage"].tolist() == expected


def test_the_table_of_shares_has_every_experiment(tiny):
    shares = table(tiny.results / "tables" / SUBJECT / "shares.tsv").set_index("experiment")
    assert shares.index.tolist() == EXPERIMENTS
    for experiment in EXPERIMENTS:
        summary = table(tiny.model(experiment) / "summary.tsv").iloc[0]
        assert shares.loc[experiment, "shared (%)"] == pytest.approx(100 * summary["share_shared"], abs=1e-4)
        expected = pytest.approx(summary["test_correlation_brain"], abs=1e-5)
        assert shares.loc[experiment, "brain correlation, test"] == expected
    for experiment in STANDING:
        found = evidence(tiny, experiment)
        live = found[found["alive"]]
        proven = (live["class"] == "shared") & (live["verdict"] == "shared") & (live["qualifier"] == "")
        assert float(shares.loc[experiment, "shared, verified (%)"]) == pytest.approx(
            100 * proven.mean(), abs=1e-4
        )
    assert shares.loc["first-block", ["shared, verified (%)", "r0"]].tolist() == ["not known"] * 2


def test_evidence_is_told_of_every_standing_experiment(tiny):
    stem = tiny.results / "tables" / SUBJECT / "evidence"
    evidence = table(stem.with_suffix(".tsv")).set_index("experiment")
    assert evidence.index.tolist() == STANDING
    noise = table(tiny.model("noise") / "evidence.tsv")
    np.testing.assert_allclose(evidence["r0"], noise.loc[noise["alive"], "r"].median(), rtol=1e-5)
    for experiment, row in evidence.iterrows():
        summary = table(tiny.model(experiment) / "evidence_summary.tsv").iloc[0]
        assert row["shared (%)"] == pytest.approx(100 * summary["share_shared"], abs=1e-4)
        assert row["whole-model p, lowest"] == pytest.approx(summary["whole_model_p"])
    for word in ("words_2s", "mostly nuisance where nuisances take more than 0.4", "3 hearings", "r0"):
        assert word in stem.with_suffix(".html").read_text()


def test_classes_verdicts_and_steps_count_the_same_latents(tiny):
    latents = table(tiny.model() / "evidence.tsv")
    live = latents[latents["alive"]]
    folder = tiny.results / "tables" / SUBJECT
    counts = table(folder / "verdicts.tsv").set_index("class")
    for name, row in counts.drop(index="all").iterrows():
        assert row["live latents"] == (live["class"] == name).sum()
    assert counts.loc["all", "LM"] == (live["verdict"] == "LM").sum()
    steps = table(folder / "funnel.tsv").set_index("step")
    assert float(steps.loc["live", "|r| < 0.2"]) == counts.loc["shared", "live latents"]
    assert steps.loc["found again in most seeds"].tolist() == 4 * ["not known"]
    assert table(tiny.results / "figures" / SUBJECT / "funnel.tsv").equals(steps.reset_index())
    points = table(tiny.results / "figures" / SUBJECT / "evidence.tsv")
    assert points["latent"].tolist() == live["latent"].tolist()


def test_predictions_from_one_source_are_those_of_the_saved_model(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "predictions.tsv").set_index(["given", "predicted"])
    model, raw = crosscoder(tiny), split_rows(tiny, "test")
    for (given, predicted), row in rows.iterrows():
        inputs = raw if given == "both" else {given: raw[given]}
        decoded = model.decode(model.encode(inputs))[predicted]
        kept = model.normalization[predicted].kept
        expected = np.nanmean(column_correlations(raw[predicted][:, kept], decoded[:, kept]))
        assert row["crosscoder"] == pytest.approx(expected, abs=1e-4)
        assert row["kind"] == ("prediction" if given not in ("both", predicted) else "fit")
    assert len(rows) == 6
    ridge = dataset(tiny.results / SUBJECT / "ridge.zarr")["correlation"].values
    assert rows.loc[("lm", "brain"), "ridge"] == pytest.approx(np.nanmean(ridge), abs=1e-5)
    assert rows["ridge"].notna().sum() == 1


def test_the_ceiling_is_that_of_the_repeated_story(tiny):
    ceiling = dataset(tiny.results / SUBJECT / "ceiling.zarr")
    repeats = dataset(tiny.results / "responses" / SUBJECT / f"{REPEATED_STORY}.zarr")["repeats"].values
    pairs = [(0, 1), (0, 2), (1, 2)]
    # Each hearing is z-scored: what they share is their mean correlation.
    for voxel in range(0, repeats.shape[2], 50):
        expected = np.mean([np.corrcoef(repeats[a, :, voxel], repeats[b, :, voxel])[0, 1] for a, b in pairs])
        assert ceiling["explainable_variance"].values[voxel] == pytest.approx(expected, abs=1e-5)
    row = table(tiny.results / SUBJECT / "ceiling.tsv").iloc[0]
    assert (row["story"], row["n_repeats"]) == (REPEATED_STORY, 3)
    assert 0 < row["planted_explainable_variance"] < 1
    page = (tiny.results / "tables" / SUBJECT / "predictions.md").read_text()
    assert f"3 hearings of '{REPEATED_STORY}'" in page


def test_the_paper_stands_beside_this_run_with_what_was_set_otherwise(tiny):
    stem = tiny.results / "tables" / SUBJECT / "paper"
    rows = table(stem.with_suffix(".tsv"))
    summary = table(tiny.model() / "summary.tsv").iloc[0]
    assert rows["paper"].tolist() == ["0.44", "0.52", "24", "4", "bimodal"]
    assert rows["this run"][0] == pytest.approx(summary["test_correlation_brain"], abs=1e-5)
    page = stem.with_suffix(".html").read_text()
    for deviation in (
        "crosscoder.k 3 (paper: 64)",
        "dataset.source simulated (paper: openneuro)",
        "subject SIM01 (paper: UTS03)",
        "stories 3/1/2 (paper: 58/8/17)",
    ):
        assert deviation in page
    assert "crosscoder.alpha" not in page
    assert "no flatmaps" not in page


def test_every_voxel_stands_in_a_table_with_its_place_and_values(tiny):
    voxels = table(tiny.results / "tables" / SUBJECT / "voxels.tsv")
    cortex = load_cortex(tiny.results / "cortex" / f"{SUBJECT}.zarr")
    assert voxels["voxel"].tolist() == list(range(cortex.n_voxels))
    assert cortex.mask.transpose()[tuple(voxels[["i", "j", "k"]].to_numpy().T)].all()
    correlation = dataset(tiny.model() / "correlations.zarr")["brain_test"]
    np.testing.assert_allclose(voxels["correlation"], correlation, atol=1e-6)
    named = rois_of(read_voxel_table(tiny.results / "voxels" / f"{SUBJECT}.tsv", cortex.n_voxels))
    expected = {roi: sorted(members) for roi, members in cortex.voxel_rois.items() if members.size}
    assert {roi: members.tolist() for roi, members in named.items()} == expected


def test_regions_have_the_means_of_their_voxels_and_the_weights_of_live_latents(tiny):
    folder = tiny.results / "tables" / SUBJECT
    voxels, rois, latents = (table(folder / f"{name}.tsv") for name in ("voxels", "rois", "latent_rois"))
    everything = rois.set_index("roi").loc["all voxels"]
    assert everything["n voxels"] == len(voxels)
    assert everything["correlation mean"] == pytest.approx(voxels["correlation"].mean(), abs=1e-5)
    assert everything["explainable variance n finite"] == voxels["explainable_variance"].notna().sum()
    live = table(tiny.model() / "latents.tsv").query("alive")
    assert sorted(latents["latent"].unique()) == live["latent"].tolist()
    whole = latents[latents["roi"] == "all voxels"].set_index("latent")
    rms = live.set_index("latent")["brain_norm"] / np.sqrt(whole["n_voxels"])
    np.testing.assert_allclose(whole["rms_weight"], rms, rtol=1e-4)


def test_the_table_of_interpretations_has_what_was_interpreted(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "interpretations.tsv")
    expected = table(tiny.model() / "interpretations.tsv")
    np.testing.assert_array_equal(rows["latent"].fillna(-1), expected["latent"])
    np.testing.assert_allclose(rows["auc"], expected["auc"], rtol=1e-5)


def test_the_table_of_scalings_sets_matched_beside_shuffled(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "sensitivity.tsv")
    # The experiment first-block has a scaling of its own, but was not run shuffled.
    assert rows["scaling (brain / LM)"].tolist() == ["zscore / none", "zscore / center"]
    assert rows["shared, shuffled (%)"].isna().tolist() == [False, True]
    for experiment in ("matched", "shuffled"):
        share = table(tiny.model(experiment) / "summary.tsv")["share_shared"][0]
        assert rows[f"shared, {experiment} (%)"][0] == pytest.approx(100 * share, abs=1e-4)


def test_the_table_of_planted_features_is_that_of_the_matched_model(tiny):
    rows = table(tiny.results / "tables" / SUBJECT / "planted.tsv")
    expected = table(tiny.model() / "planted.tsv")
    pd.testing.assert_frame_equal(rows, expected, rtol=1e-5)


def test_checks_are_all_there_and_end_what_the_terminal_shows(tiny):
    checks = table(tiny.results / "tables" / "checks.tsv").set_index("check")
    assert len(checks) == 17
    assert set(checks["met"]) <= {"yes", "no", "not measured"}
    # This run has no such experiment.
    assert checks.filter(like="initial norm", axis=0)["met"].tolist() == ["not measured"]
    assert checks["met"].isin(["yes", "no"]).sum() >= 6
    terminal = (tiny.folder / "terminal.txt").read_text()
    assert (tiny.results / "tables" / "checks.md").read_text() in terminal


# The run as a whole


def test_every_result_has_a_record_of_where_it_comes_from(tiny):
    records = [load_record(file) for file in record_files(tiny.results)]
    assert [sentence for record in records if (sentence := difference(record, tiny.results))] == []
    record = read_record(tiny.model() / "crosscoder.safetensors", tiny.results)
    assert record["device"] == "cpu" and record["seed"] == 0
    assert record["params"]["crosscoder"]["k"] == tiny.config["crosscoder"]["k"]
    assert record["params"]["code"].startswith("code ")
    assert record["versions"]["torch"] == torch.__version__
    # A model's rows are those of the stores that a list names, with the digests that their own records hold.
    listed = f"{SUBJECT}/sources/block2.json"
    assert listed in record["inputs"] and len(record["inputs"]) <= 5
    of_list = read_record(tiny.results / listed, tiny.results)["inputs"]
    responses = {f"responses/{SUBJECT}/{story}.zarr" for story in STORIES}
    assert {path for path in of_list if path.startswith("responses/")} == responses
    of_stores = json.loads((tiny.results / listed).read_text())["brain"]["stores"]
    assert {of["digest"] for of in of_stores.values()} == {of_list[path] for path in responses}
    models = table(tiny.results / "tables" / "provenance.tsv")
    assert models["experiment"].tolist() == EXPERIMENTS


def test_nothing_is_left_unfinished(tiny):
    leftovers = [*tiny.results.rglob("*.partial"), *tiny.results.rglob("checkpoint*")]
    assert [str(path) for path in leftovers] == []
    assert [path.name for path in (tiny.results / "cortex").iterdir()] == [f"{SUBJECT}.zarr"]


def test_every_log_of_a_job_says_nothing_of_errors(tiny):
    logs = {path: path.read_text() for path in tiny.results.glob("logs/**/*.log")}
    rules = {path.relative_to(tiny.results / "logs").parts[0] for path in logs}
    assert {"words", "responses", "features", "train", "scores", "figure3", "table1"} <= rules
    for path, text in logs.items():
        assert "Traceback" not in text, path
        assert cost_in(path).wall_s > 0, path
    training = logs[tiny.results / "logs" / "train" / SUBJECT / "matched" / "seed0.log"]
    # What it will take is said before the rows are loaded; lines are whole, without a bar that overwrites itself.
    assert 0 < training.index("GB of memory") < training.index("training rows")
    assert "s an epoch" in training and "s left" in training and "\r" not in training


def page_text(tiny: Workspace, name: str) -> str:
    """What a page of the browser says, without its scripts."""
    text = (tiny.results / "browser" / SUBJECT / name).read_text()
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_every_live_latent_has_a_page_with_its_verdict_name_and_map(tiny):
    folder = tiny.results / "browser" / SUBJECT
    evidence, names = (read_tsv(tiny.model() / f"{name}.tsv") for name in ("evidence", "names"))
    live = evidence[evidence["alive"]]
    assert {path.name for path in folder.glob("*.html")} == {
        "index.html",
        *(f"{n}.html" for n in live["latent"]),
    }
    for latent, verdict in zip(live["latent"], labels(live), strict=True):
        text = page_text(tiny, f"{latent}.html")
        name = names.loc[names["latent"] == latent, "name"].item()
        assert f"Latent {latent} {'no name' if name in ('', NOT_KNOWN) else name} {verdict} " in text
        assert "seed 0" in text and "simulated data" in text
        with Image.open(folder / "maps" / f"{latent}.png") as picture:
            assert picture.width in (256, 512)


def test_pages_tell_what_was_said_when_a_latent_was_most_active(tiny):
    passages = read_tsv(tiny.model() / "passages.tsv")
    assert len(passages)
    for row in passages.itertuples():
        # A page's passages begin earlier.
        assert row.passage in page_text(tiny, f"{row.latent}.html")


def test_the_weights_of_chosen_latents_can_be_downloaded_as_a_volume(tiny):
    folder = tiny.results / "browser" / SUBJECT / "weights"
    chosen = read_tsv(tiny.model() / "chosen.tsv")["latent"]
    assert {path.name for path in folder.glob("*.nii.gz")} == {f"{n}.nii.gz" for n in chosen if n >= 0}
    model = crosscoder(tiny)
    places = read_voxel_table(
        tiny.results / "voxels" / f"{SUBJECT}.tsv", model.normalization["brain"].kept.size
    )
    for latent in chosen[chosen >= 0]:
        image = nibabel.load(folder / f"{latent}.nii.gz").get_fdata()
        weights = image[tuple(places[["i", "j", "k"]].to_numpy(int).T)]
        kept = model.normalization["brain"].kept
        np.testing.assert_allclose(weights[kept], model.weights["brain"][:, latent], rtol=1e-6)
        assert np.isnan(weights[~kept]).all() and np.isfinite(image).sum() == kept.sum()


def test_nothing_is_written_outside_the_working_directory(tiny):
    # Snakemake keeps copies of a workflow's sources in the home folder; nothing else is written there.
    files = [path.relative_to(tiny.folder / "home") for path in (tiny.folder / "home").rglob("*")]
    strangers = [path for path in files if path.is_file() and path.parts[:2] != (".cache", "snakemake")]
    assert strangers == []
    assert list((tiny.folder / "temporary").iterdir()) == []


def test_the_report_holds_every_figure_and_table_and_needs_no_network(tiny, tmp_path):
    run = tiny.snakemake("--report", tmp_path / "report.html", scratch=tmp_path)
    assert run.returncode == 0, run.stdout[-3000:]
    report = (tmp_path / "report.html").read_text()
    pages = [tiny.results / "figures" / SUBJECT / f"{name}.png" for name in FIGURES]
    pages += [tiny.results / "tables" / f"{name}.html" for name in TABLES]
    missing = [page.name for page in pages if base64.b64encode(page.read_bytes()).decode() not in report]
    assert missing == []
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)\s*=\s*[\"']?(https?:)?//", report)
    assert "simulated brains" in report
    assert "picked by the rule" in report  # figure 3's caption
