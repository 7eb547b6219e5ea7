"""The local dataset of config/README.md: its tree is built, and the workflow runs on it with its config."""

import json
import re
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray
import yaml

from brainlm.files import read_tsv
from tiny_dataset import REPOSITORY, Workspace, write_language_model

# Snakemake marks the folders that its jobs write with a file of its own.
pytestmark = pytest.mark.filterwarnings("ignore:Object at .snakemake_timestamp is not recognized")

README = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## A local dataset\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)[1]
# Names that pandas and YAML would take for something else.
N_ROWS = {"forest": 80, "harbour": 74, "null": 70, "1e5": 62, "NA": 90}
SPLITS = {
    "forest": "train",
    "harbour": "train",
    "null": "train",
    "1e5": "validation",
    "NA": "test",
}
SUBJECT, EXPERIMENT, LM = "007", "nan", "smollm2-135m-instruct"
N_VOXELS, LOST_VOXEL = 15, 4
SENTENCE = (
    "We left the house don’t at Night and nan walked to the Harbour I was afraid and NA it was cold null"
)


def example() -> dict:
    """The config of the section, with a tiny language model and a tiny dictionary, and odd names."""
    config = yaml.safe_load(re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[1])
    config["language_model"] |= {"path_or_hub_id": "./tiny-llama", "blocks": [2]}
    config["features"]["block"] = 2
    config["subjects"] = [SUBJECT]
    config["experiments"] = {EXPERIMENT: {"crosscoder": {"k": 2}}}
    config["themes"] |= {"contraction": ["don't", "at night"], "zoo": ["zebra"]}
    config["crosscoder"] |= {"n_latents": 12, "k": 3, "k_aux": 4, "epochs": 3, "batch_size": 32}
    return config


def files_of_the_section() -> set[str]:
    """The files of the section's tree that are not optional, and the columns that this dataset brings."""
    lines = re.search(r"```\n(.*?)```", SECTION, re.DOTALL)[1].splitlines()
    needed = [line.split()[0] for line in lines if not line.endswith("optional") or "/nuisances/" in line]
    return {
        path.replace("<subject>", SUBJECT).replace("<story>", story) for path in needed for story in N_ROWS
    }


def stated_row_times(n_rows: int) -> np.ndarray:
    """(time,) s, by the formula that the section gives for its config."""
    first_s, tr_s = re.search(r"config below at .* = ([\d.]+) \+ ([\d.]+) i s\.", SECTION).groups()
    return float(first_s) + float(tr_s) * np.arange(n_rows)


def energy(story: str) -> np.ndarray:
    """(time,), a column that the dataset brings."""
    return np.sin(np.arange(N_ROWS[story]) + len(story))


def write_dataset(root: Path, config: dict) -> None:
    random = np.random.default_rng(0)
    derivative = root / "derivative"
    (derivative / "transcripts").mkdir(parents=True)
    (derivative / "nuisances").mkdir()
    (derivative / "preprocessed_data" / SUBJECT).mkdir(parents=True)
    trim = config["dataset"]["trim"]
    volumes = {story: n_rows + trim["first"] + trim["last"] for story, n_rows in N_ROWS.items()}
    (derivative / "respdict.json").write_text(json.dumps(volumes))
    lines = [f"{story}\t{split}\n" for story, split in SPLITS.items()]
    (root / "stories.tsv").write_text("story\tsplit\n" + "".join(lines))
    for story, n_volumes in volumes.items():
        end_s = n_volumes * config["dataset"]["tr_s"] - config["dataset"]["sound_onset_s"]
        onset_s = np.arange(0.25, end_s - 1, 0.4).round(3)
        transcript = pd.DataFrame(
            {
                "word": random.permutation(np.resize(SENTENCE.split(), onset_s.size)),
                "onset": onset_s,
                "offset": (onset_s + random.uniform(0.1, 0.4, onset_s.size)).round(3),
            }
        )
        path = derivative / "transcripts" / f"{story}.tsv"
        transcript.to_csv(path, sep="\t", index=False, encoding="utf-8-sig")
        pd.DataFrame({"energy": energy(story), "class": np.arange(N_ROWS[story])}).to_csv(
            derivative / "nuisances" / f"{story}.tsv", sep="\t", index=False
        )
        data = random.standard_normal((N_ROWS[story], N_VOXELS))
        if story == "1e5":
            data[7, LOST_VOXEL] = np.nan
        with h5py.File(derivative / "preprocessed_data" / SUBJECT / f"{story}.hf5", "w") as file:
            file["data"] = (data - data.mean(axis=0)) / data.std(axis=0)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Workspace:
    """The whole workflow, run once on the section's dataset with its config, in a folder as people name them."""
    folder, config = tmp_path_factory.mktemp("local") / "Étude du cerveau (ä, 2. Versuch)", example()
    root = folder / config["dataset"]["root"]
    write_dataset(root, config)
    write_language_model(folder / "tiny-llama", [SENTENCE.lower()])
    workspace, before = Workspace(folder, config), contents(root)
    run = workspace.snakemake()
    (folder / "terminal.txt").write_text(run.stdout)
    assert run.returncode == 0, run.stdout[-3000:]
    warnings = [line for line in run.stdout.splitlines() if line.startswith("Warning: ")]
    # The theme of which no word is heard, see below.
    assert [line for line in warnings if "'zoo'" not in line] == []
    assert contents(root) == before, "something was written into the dataset"
    return workspace


def store(local: Workspace, *path: str) -> xarray.Dataset:
    return xarray.open_zarr(local.results.joinpath(*path), consolidated=False)


def transcript(local: Workspace, story: str) -> pd.DataFrame:
    path = local.folder / "mydata" / "derivative" / "transcripts" / f"{story}.tsv"
    return pd.read_csv(path, sep="\t", keep_default_na=False, encoding="utf-8-sig")


def test_the_dataset_has_the_files_of_the_section(local):
    assert set(contents(local.folder / "mydata")) == files_of_the_section()


def test_figures_and_tables_are_there(local):
    for figure, kind in product(("figure2", "figure3", "figure4"), ("pdf", "png", "tsv")):
        assert (local.results / "figures" / SUBJECT / f"{figure}.{kind}").stat().st_size > 0
    for name in ("table1", "table2", "shares", "predictions", "interpretations", "paper"):
        table = pd.read_csv(local.results / "tables" / SUBJECT / f"{name}.tsv", sep="\t")
        assert len(table) > 0


def test_names_stand_in_the_tables_as_they_are(local):
    experiments = ["matched", "shuffled", "shifted", "noise", EXPERIMENT]
    assert read_tsv(local.results / "tables" / SUBJECT / "shares.tsv")["experiment"].tolist() == experiments
    of_models = read_tsv(local.results / "figures" / "subjects.tsv")
    assert set(of_models["subject"]) == {SUBJECT} and set(of_models["experiment"]) == set(experiments)
    models = read_tsv(local.results / "tables" / "provenance.tsv")
    assert models["experiment"].tolist() == experiments and set(models["subject"]) == {SUBJECT}
    passages = (local.results / SUBJECT / "matched" / "seed0" / "passages.tsv").read_text().splitlines()[1:]
    assert passages and all(line.split("\t")[2] == "NA" for line in passages)
    shown = read_tsv(local.results / "tables" / SUBJECT / "table2.tsv")
    assert set(shown["story"][shown["activation"].notna()]) == {"NA"}


def test_a_theme_of_which_no_word_is_heard_is_said(local):
    sentence = "No test story has a word of the theme 'zoo', for which no latent can be found"
    assert f"{SUBJECT}: {sentence}" in (local.folder / "terminal.txt").read_text()
    assert sentence in (local.results / "tables" / SUBJECT / "interpretations.md").read_text()
    told = transcript(local, "NA")
    # What is said after the last row is heard in none.
    words = told["word"].str.lower()[told["onset"] < stated_row_times(N_ROWS["NA"])[-1]]
    at_night = (words == "at") & (words.shift(-1) == "night")
    ranked = read_tsv(local.results / "tables" / SUBJECT / "interpretations.tsv").groupby("theme")["n_heard"]
    assert ranked.first()["zoo"] == 0
    assert ranked.first()["contraction"] == (words == "don’t").sum() + 2 * at_night.sum()


@pytest.mark.parametrize("story", N_ROWS)
def test_words_are_those_of_the_table(local, story):
    given = transcript(local, story)
    words = pd.read_csv(local.results / "words" / f"{story}.tsv", sep="\t", keep_default_na=False)
    assert words["word"].tolist() == [word.lower() for word in given["word"]]
    np.testing.assert_array_equal(words["onset_s"], given["onset"])
    np.testing.assert_array_equal(words["offset_s"], given["offset"])
    tokens = store(local, "activations", LM, f"{story}.zarr")["token_text"].values
    assert "".join(tokens).replace(" ", "") == "".join(given["word"]).lower()


@pytest.mark.parametrize("story", N_ROWS)
def test_rows_lie_where_the_section_says(local, story):
    responses = store(local, "responses", SUBJECT, f"{story}.zarr")
    features = store(local, "features", LM, "block2", f"{story}.zarr")
    times_s = stated_row_times(N_ROWS[story])
    np.testing.assert_allclose(responses["time"], times_s, atol=1e-9)
    np.testing.assert_allclose(features["time"], times_s, atol=1e-9)
    assert responses["bold"].shape == (N_ROWS[story], N_VOXELS)
    assert features["features"].shape[0] == N_ROWS[story]


def test_features_are_what_the_tokens_say_before_those_times(local):
    tokens = store(local, "activations", LM, "forest.zarr")
    features = store(local, "features", LM, "block2", "forest.zarr")["features"].values
    given, word = transcript(local, "forest"), tokens["word_index"].values
    # Tokens lie evenly in their word's interval.
    position = np.array([np.sum(word[:index] == of_word) for index, of_word in enumerate(word)])
    share = (position + 0.5) / np.bincount(word)[word]
    onset_s, offset_s = given["onset"].to_numpy()[word], given["offset"].to_numpy()[word]
    token_times_s = onset_s + share * (offset_s - onset_s)
    expected = np.zeros(features.shape)
    for row, time_s in enumerate(stated_row_times(N_ROWS["forest"])):
        for delay_s in (2, 4, 6, 8):
            x = (time_s - delay_s - token_times_s) / 1.5
            weights = np.where(np.abs(x) <= 3, np.sinc(x) * np.sinc(x / 3), 0)
            expected[row] += weights @ tokens["hidden"].values[0] / 4
    np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("story", N_ROWS)
def test_nuisances_stand_beside_the_features(local, story):
    found = store(local, "features", LM, "block2", f"{story}.zarr")
    names = [f"{what}_{delay_s}s" for what in ("words", "letters") for delay_s in (2, 4, 6, 8)]
    names += ["story_position", "onset_20s", "onset_60s", "lm_row_norm", "energy", "class"]
    assert found["nuisances"].dims == ("time", "nuisance") and found["nuisance"].values.tolist() == names
    given, times_s = transcript(local, story), stated_row_times(N_ROWS[story])
    x = (times_s[:, None] - 6 - (given["onset"] + given["offset"]).to_numpy() / 2) / 1.5
    weights = np.where(np.abs(x) <= 3, np.sinc(x) * np.sinc(x / 3), 0)
    n_letters = given["word"].str.replace("’", "").str.len()
    expected = {
        "words_6s": weights.sum(axis=1),
        "letters_6s": weights @ n_letters.to_numpy(),
        "story_position": times_s / given["offset"].max(),
        "onset_20s": np.exp(-times_s / 20),
        "lm_row_norm": np.sqrt((found["features"].values.astype(float) ** 2).sum(axis=1)),
        "energy": energy(story),
        "class": np.arange(N_ROWS[story]),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found["nuisances"].sel(nuisance=name), values, rtol=1e-6, atol=1e-9)


def test_features_are_made_again_where_a_column_has_changed(local):
    path = local.folder / "mydata" / "derivative" / "nuisances" / "forest.tsv"
    content = path.read_text()
    path.write_text(content.replace("\t7\n", "\t7.5\n"))
    try:
        pending = local.pending(f"results/mydata/features/{LM}/block2/forest.zarr")
        assert [job.rule for job in pending] == ["features_0"]
        path.unlink()
        run = local.snakemake("--dry-run")
        assert run.returncode == 1 and "but none of forest: add forest.tsv" in run.stdout
    finally:
        path.write_text(content)


def test_a_voxel_that_is_not_finite_in_one_story_is_left_out_and_counted(local):
    valid = {story: store(local, "responses", SUBJECT, f"{story}.zarr")["valid"].values for story in N_ROWS}
    assert np.flatnonzero(~valid["1e5"]).tolist() == [LOST_VOXEL]
    assert all(valid[story].all() for story in N_ROWS if story != "1e5")
    log = (local.results / "logs" / "responses" / SUBJECT / "0.log").read_text()
    assert "n_invalid_voxels 1" in log
    (log,) = [
        path.read_text() for path in (local.results / "logs" / "normalization" / SUBJECT).rglob("*.log")
    ]
    assert re.search(r"brain .*n_excluded 1,", log)
    correlations = store(local, SUBJECT, "matched", "seed0", "correlations.zarr")["brain_test"].values
    assert np.flatnonzero(np.isnan(correlations)).tolist() == [LOST_VOXEL]
