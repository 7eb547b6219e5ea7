"""A config is checked before any job runs: what is wrong is said in one sentence, and defaults are filled in."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from itertools import combinations, product
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.crosscoder.settings import TrainingSettings
from pipeline.config import deviations, make_plan
from pipeline.datasets import dataset_of
from pipeline.datasets.layout import read_transforms
from pipeline.datasets.openneuro import require_space
from pipeline.errors import ConfigError
from pipeline.experiments import reading_models
from pipeline.stories import describe_missing, missing_stories, read_stories

REPOSITORY = Path(__file__).parents[2]

STORIES = {"alpha": "train", "beta": "train", "gamma": "validation", "delta": "test", "omega": "test"}
STANDING = ["matched", "shuffled", "shifted", "noise"]


def write_stories(folder: Path, splits: dict[str, str] | list[tuple[str, str]]) -> str:
    pairs = splits.items() if isinstance(splits, dict) else splits
    path = folder / "stories.tsv"
    path.write_text("story\tsplit\n" + "".join(f"{story}\t{split}\n" for story, split in pairs))
    return str(path)


@pytest.fixture
def simulated(tmp_path) -> dict:
    """The shortest config of a simulated dataset that is accepted."""
    for story in STORIES:
        (tmp_path / f"{story}.txt").write_text("Once upon a time.")
    return {
        "dataset": {
            "name": "demo",
            "source": "simulated",
            "stories": write_stories(tmp_path, STORIES),
            "simulation": {"texts": str(tmp_path)},
        },
        "subjects": ["S1", "S2"],
        "language_model": {"name": "lm", "path_or_hub_id": "org/model", "blocks": [4, 8]},
        "features": {"block": 8},
    }


@pytest.fixture
def local(simulated, tmp_path) -> dict:
    """The shortest config of a local dataset that is accepted."""
    derivative = tmp_path / "data" / "derivative"
    for subject in simulated["subjects"]:
        (derivative / "preprocessed_data" / subject).mkdir(parents=True)
        for story in STORIES:
            (derivative / "preprocessed_data" / subject / f"{story}.hf5").write_text("")
    (derivative / "respdict.json").write_text(json.dumps(dict.fromkeys(STORIES, 100)))
    (derivative / "TextGrids").mkdir()
    for story in STORIES:
        (derivative / "TextGrids" / f"{story}.TextGrid").write_text("")
    dataset = {**simulated["dataset"], "source": "local", "root": str(tmp_path / "data")}
    del dataset["simulation"]
    return {**simulated, "dataset": dataset, "themes": {"place": ["house"]}}


def write_nuisances(derivative: Path, stories: Iterable[str], content: str = "") -> None:
    (derivative / "nuisances").mkdir()
    for story in stories:
        (derivative / "nuisances" / f"{story}.tsv").write_text(content)


@pytest.fixture
def openneuro(local) -> dict:
    """The shortest config of ds003020 that is accepted."""
    stories = str(REPOSITORY / "config" / "ds003020" / "stories.tsv")
    dataset = {"name": "openneuro", "source": "openneuro", "stories": stories}
    return {**local, "dataset": dataset, "subjects": ["UTS01", "UTS09"]}


def changed(config: dict, **changes) -> dict:
    """`crosscoder__k=4` changes one value of a section."""
    config = deepcopy(config)
    for path, value in changes.items():
        *sections, key = path.split("__")
        section = config
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    return config


def without(config: dict, path: str) -> dict:
    config = deepcopy(config)
    *sections, key = path.split(".")
    section = config
    for name in sections:
        section = section[name]
    del section[key]
    return config


def refusal(config) -> str:
    with pytest.raises(ConfigError) as caught:
        make_plan(config)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence[-1] in ".?"
    return sentence


def shipped(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / "config" / name).read_text())


# What is accepted


@pytest.mark.parametrize(("name", "n_stories"), [("config.yaml", 30), ("paper.yaml", 83)])
def test_shipped_configs_are_accepted(monkeypatch, name, n_stories):
    monkeypatch.chdir(REPOSITORY)
    plan = make_plan(shipped(name))
    assert len(plan.all_stories) == n_stories
    assert {"matched", "shuffled", "shifted"} <= set(plan.experiments)


def test_the_papers_config_holds_the_papers_values(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    plan = make_plan(shipped("paper.yaml"))
    assert {split: len(stories) for split, stories in plan.stories.items()} == {
        "train": 58,
        "validation": 8,
        "test": 17,
    }
    equal = {"source_weights": {"brain": 1.0, "lm": 1.0}}
    assert plan.config["crosscoder"] == vars(TrainingSettings()) | equal


def test_a_local_dataset_is_accepted(local):
    assert make_plan(local).config["dataset"]["root"] == local["dataset"]["root"]


def test_stories_keep_their_order_and_leave_out_unused_ones(simulated, tmp_path):
    pairs = [("omega", "train"), ("alpha", "test"), ("x", "unused"), ("x", "unused"), ("gamma", "validation")]
    write_stories(tmp_path, [*pairs, ("beta", "train")])
    plan = make_plan(simulated)
    assert plan.stories == {"train": ["omega", "beta"], "validation": ["gamma"], "test": ["alpha"]}
    assert plan.all_stories == ["omega", "beta", "gamma", "alpha"]


def test_a_story_may_be_called_null(simulated, tmp_path):
    (tmp_path / "null.txt").write_text("Nothing.")
    write_stories(tmp_path, {**STORIES, "null": "train"})
    assert "null" in make_plan(simulated).stories["train"]


def test_a_byte_order_mark_and_blanks_in_the_stories_table_do_not_matter(simulated):
    lines = ["story\tsplit ", *(f"{story} \t {split}  " for story, split in STORIES.items()), " \t ", "  "]
    for end in ("\n", "\r\n", "\t\n"):
        Path(simulated["dataset"]["stories"]).write_bytes(("\ufeff" + end.join([*lines, ""])).encode())
        assert make_plan(simulated).stories == {
            "train": ["alpha", "beta"],
            "validation": ["gamma"],
            "test": ["delta", "omega"],
        }


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps"])
def test_devices_of_pytorch_are_accepted(simulated, device):
    make_plan(changed(simulated, language_model__device=device))


def test_subjects_may_be_named_as_in_bids(simulated):
    assert make_plan(changed(simulated, subjects=["sub-01", "sub_2"])).config["subjects"] == [
        "sub-01",
        "sub_2",
    ]


def test_checking_leaves_the_config_as_it_is(simulated):
    before = deepcopy(simulated)
    make_plan(simulated)
    assert simulated == before


def test_numbers_given_as_text_become_numbers(simulated):
    # `snakemake --config 'crosscoder={k: 4}'` hands on text, and YAML takes 1e-3 for text.
    config = changed(
        simulated,
        crosscoder={"k": "4", "learning_rate": "1e-3", "relu": "true", "alpha": "0"},
        seeds=["0", "7"],
        features__delays_s=["2", "4.5"],
        language_model__context={"window_tokens": "null", "stride_tokens": "null"},
        experiments={"wide": {"crosscoder": {"n_latents": "2048"}, "seeds": ["7"]}},
    )
    config["subjects"] = ["7"]
    plan = make_plan(config)
    crosscoder = plan.config["crosscoder"]
    given = {key: crosscoder[key] for key in ("k", "learning_rate", "relu", "alpha")}
    assert given == {"k": 4, "learning_rate": 0.001, "relu": True, "alpha": 0}
    assert plan.config["seeds"] == [0, 7]
    assert plan.config["features"]["delays_s"] == [2, 4.5]
    assert plan.config["language_model"]["context"]["window_tokens"] is None
    assert plan.experiments["wide"]["crosscoder"]["n_latents"] == 2048
    assert plan.config["subjects"] == ["7"]


def test_whole_numbers_with_a_point_become_integers(simulated):
    k = make_plan(changed(simulated, crosscoder__k=4.0)).config["crosscoder"]["k"]
    assert (k, type(k)) == (4, int)


@pytest.mark.parametrize("value", [4, 4.0, "4", "4.0", "4e0"])
def test_a_whole_number_where_any_is_taken_stays_what_it_is(simulated, value):
    # 4 and 4.0 are two values to Snakemake, and two names of features.
    (delay,) = make_plan(changed(simulated, features__delays_s=[value])).config["features"]["delays_s"]
    assert (delay, type(delay)) == (4, int if value in (4, "4") and type(value) is not float else float)


def test_names_are_never_read_as_numbers(simulated):
    config = changed(simulated, subjects=["1", "2e3"], themes={"null": ["true", "1"]}, dataset__name="007")
    plan = make_plan(config)
    assert plan.config["subjects"] == ["1", "2e3"]
    assert (plan.config["themes"], plan.config["dataset"]["name"]) == ({"null": ["true", "1"]}, "007")


# Defaults


def test_defaults_are_filled_in(simulated):
    config = make_plan(simulated).config
    assert config["results"] == "results"
    assert config["dataset"]["root"] is None
    assert config["dataset"]["trim"] == {"first": 10, "last": 10}
    assert config["dataset"]["simulation"]["n_repeats"] == 5
    assert config["language_model"]["context"] == {"window_tokens": None, "stride_tokens": None}
    assert config["features"] == {
        "block": 8,
        "token_time": "spread",
        "unit": "token",
        "lanczos": {"window": 3, "normalize": False},
        "delays_s": [2, 4, 6, 8],
    }
    equal = {"source_weights": {"brain": 1.0, "lm": 1.0}}
    assert config["crosscoder"] == vars(TrainingSettings()) | equal
    assert config["seeds"] == [0]
    assert config["figures"]["pinned_latents"] == {}


def test_given_values_stand_beside_defaults(simulated):
    config = make_plan(
        changed(
            simulated,
            dataset__trim__first=5,
            features__lanczos__window=2,
            crosscoder__k=4,
            normalization__lm__standardize="center",
        )
    ).config
    assert config["dataset"]["trim"] == {"first": 5, "last": 10}
    assert config["features"]["lanczos"] == {"window": 2, "normalize": False}
    assert (config["crosscoder"]["k"], config["crosscoder"]["n_latents"]) == (4, 1024)
    assert config["normalization"] == {"brain": {"standardize": "none"}, "lm": {"standardize": "center"}}


def test_the_papers_settings_are_plain_values(monkeypatch):
    # As they stand they are inputs of Snakemake's jobs, which another order, type or number would run again.
    monkeypatch.chdir(REPOSITORY)
    config = make_plan(shipped("paper.yaml")).config
    assert repr(config["features"]) == (
        "{'token_time': 'spread', 'unit': 'token', 'lanczos': {'window': 3, 'normalize': False}, "
        "'delays_s': [2, 4, 6, 8], 'block': 16}"
    )
    assert repr(config["ridge"]) == (
        "{'delays': 'mean', 'n_folds': 5, 'penalties': {'lowest': 10.0, 'highest': 100000000.0, 'n': 15}, "
        "'batch_voxels': 2000}"
    )
    assert repr(config["scores"]) == "{'minimum_shift_s': 40, 'false_discovery_rate': 0.05}"
    assert repr(config["dataset"]["trim"]) == "{'first': 10, 'last': 10}"
    assert (
        repr(make_plan(shipped("config.yaml")).config["dataset"]["simulation"]["words_per_minute"]) == "145"
    )


def test_the_order_of_keys_makes_no_difference(simulated):
    config = changed(
        simulated, crosscoder={"k": 4, "n_latents": 8}, experiments={"a": {"seeds": [0], "pairing": {}}}
    )
    backwards = dict(reversed(config.items()))
    backwards["crosscoder"] = dict(reversed(config["crosscoder"].items()))
    backwards["experiments"] = {"a": dict(reversed(config["experiments"]["a"].items()))}
    assert repr(make_plan(backwards).config) == repr(make_plan(config).config)


def test_overrides_of_an_experiment_have_no_defaults(simulated):
    override = {"features": {"lanczos": {"window": 2}}, "crosscoder": {"source_weights": {"lm": 0.5}}}
    assert make_plan(changed(simulated, experiments__own=override)).config["experiments"] == {"own": override}


# What is refused


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"crosscoder__n_latent": 8}, ["crosscoder", "'n_latent'", "did you mean 'n_latents'?"]),
        ({"subject": ["S1"]}, ["'subject'", "did you mean 'subjects'?"]),
        ({"dataset__simulation__zzz": 1}, ["dataset.simulation", "'zzz'", "known keys are texts"]),
        ({"experiments__wide__crosscoder__kk": 2}, ["experiments.wide.crosscoder", "'kk'", "'k'"]),
        ({"experiments__wide__scores": {}}, ["experiments.wide", "'scores'"]),
        ({"crosscoder__k": "eight"}, ["crosscoder.k", "integer", "'eight'"]),
        ({"crosscoder__k": 2.5}, ["crosscoder.k", "integer", "2.5"]),
        ({"crosscoder__k": True}, ["crosscoder.k", "integer", "True"]),
        ({"crosscoder": None}, ["crosscoder", "object", "None"]),
        ({"subjects": "S1"}, ["subjects", "array", "'S1'"]),
        ({"language_model__revision": 3}, ["language_model.revision", "string or null", "3"]),
        ({"features__unit": "word"}, ["features.unit", "token, last_token, word_mean", "'word'"]),
        ({"pairing__brain_time": "random"}, ["pairing.brain_time", "matched", "shuffled", "'random'"]),
        ({"normalization__lm__standardize": "l2"}, ["normalization.lm.standardize", "none, center, zscore"]),
        ({"dataset__source": "remote"}, ["dataset.source", "local, openneuro, simulated", "'remote'"]),
        ({"crosscoder__k": 0}, ["crosscoder.k", "0", "minimum"]),
        ({"crosscoder__learning_rate": 0}, ["crosscoder.learning_rate", "0"]),
        ({"scores__false_discovery_rate": 1.5}, ["scores.false_discovery_rate", "1.5"]),
        ({"features__delays_s": []}, ["features.delays_s", "non-empty"]),
        ({"seeds": []}, ["seeds", "non-empty"]),
        ({"seeds": [1, 1]}, ["seeds", "unique"]),
        ({"subjects": []}, ["subjects", "non-empty"]),
        ({"subjects": ["S 1"]}, ["subjects.0 must consist of letters, digits, '-' and '_', not 'S 1'"]),
        ({"subjects": ["S.1"]}, ["subjects.0 must consist of letters", "'S.1'"]),
        ({"language_model__device": "gpu"}, ["language_model.device must be auto, cpu, cuda", "'gpu'"]),
        ({"language_model__device": "cuda:"}, ["language_model.device", "cuda:<number>", "'cuda:'"]),
        ({"experiments__wide__subjects": []}, ["experiments.wide.subjects", "non-empty"]),
        ({"experiments__wide__subjects": ["S1", "S1"]}, ["experiments.wide.subjects", "unique"]),
        ({"experiments__wide__seeds": []}, ["experiments.wide.seeds", "non-empty"]),
        ({"experiments__wide__seeds": [0, 0]}, ["experiments.wide.seeds", "unique"]),
        ({"dataset__name": "a/b"}, ["dataset.name", "'a/b'"]),
        ({"experiments": {"a b": {}}}, ["a name in experiments must consist of letters", "'a b'"]),
        ({"subjects": ["S1\n"]}, ["subjects.0 must consist of letters", r"'S1\n'"]),
        ({"subjects": ["Zoë"]}, ["subjects.0 must consist of letters from a to z, digits", "'Zoë'"]),
        ({"subjects": ["-1"]}, ["subjects.0 must begin with a letter or a digit, not '-1'"]),
        ({"subjects": ["_1"]}, ["subjects.0 must begin with a letter or a digit, not '_1'"]),
        ({"subjects": ["x" * 300]}, ["subjects.0 must be no longer than 80 bytes"]),
        ({"subjects": ["figures"]}, ["subjects.0 must not be 'figures'", "give it another"]),
        ({"subjects": ["S1", "Cortex"]}, ["subjects.1 must not be 'Cortex'"]),
        ({"subjects": ["planted"]}, ["subjects.0 must not be 'planted'"]),
        ({"subjects": ["s1", "S1"]}, ["subjects and groups have the names 's1' and 'S1'", "rename one"]),
        ({"groups": {"tables": ["S1", "S2"]}}, ["a name in groups must not be 'tables'"]),
        ({"groups": {"s2": ["S1", "S2"]}}, ["subjects and groups have the names 'S2' and 's2'"]),
        ({"dataset__name": ".."}, ["dataset.name must begin with a letter or a digit, not '..'"]),
        ({"dataset__name": "my data"}, ["dataset.name must consist of letters", "'my data'"]),
        ({"language_model__name": "org/model"}, ["language_model.name must consist of", "'org/model'"]),
        ({"experiments": {"wide: S1": {}}}, ["a name in experiments must consist of", "'wide: S1'"]),
        ({"experiments": {"{subject}": {}}}, ["a name in experiments must consist of", "'{subject}'"]),
        ({"experiments": {"Matched": {}}}, ["experiments have the names 'matched' and 'Matched'"]),
        ({"experiments": {"ridge.zarr": {}}}, ["a name in experiments must not be 'ridge.zarr'"]),
        (
            {"results": "of {subject}"},
            ["results must be a path in one line without braces", "'of {subject}'"],
        ),
        ({"results": "a\nb"}, ["results must be a path in one line", r"'a\nb'"]),
        ({"results": "~/results"}, ["results must not begin with '~'", "in full"]),
        ({"dataset__root": "/data/{x}"}, ["dataset.root must be a path", "'/data/{x}'"]),
        # Snakemake would read it as a folder of ours.
        ({"dataset__root": "/data/<logs>"}, ["dataset.root must be a path", "'/data/<logs>'"]),
        ({"dataset__simulation__texts": "{story}"}, ["dataset.simulation.texts must be a path", "braces"]),
        ({"language_model__path_or_hub_id": "./{x}"}, ["path_or_hub_id must be a path", "'./{x}'"]),
        ({"themes": {"a\tb": ["x"]}}, ["a name in themes must be text in one line without tabs"]),
        ({"themes": {" ": ["x"]}}, ["a name in themes must be text"]),
        ({"themes": {"place": ["house", " "]}}, ["themes.place has an empty word"]),
        (
            {"themes": {"place": ["house", "lexicon:vader"]}},
            ["Config: The theme 'place' names lexicon:vader"],
        ),
        ({"figures__pinned_latents__Shared": 1}, ["figures.pinned_latents", "'Shared'", "'shared'"]),
    ],
)
def test_unknown_keys_and_wrong_values_are_named(simulated, changes, parts):
    sentence = refusal(changed(simulated, **changes))
    assert [part for part in parts if part not in sentence] == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("subjects: [01, S2]", "subjects.0"),
        ("subjects: [1.0e+5]", "subjects.0"),
        ("subjects: [no]", "subjects.0"),
        ("subjects: [null]", "subjects.0"),
        ("subjects: [2024-01-31]", "subjects.0"),
        ("groups: {1: [S1, S2]}", "a name in groups"),
        ("groups: {both: [S1, 2]}", "groups.both.1"),
        ("experiments: {1: {}, a: {}}", "a name in experiments"),
        ("experiments: {2024-01-31: {}}", "a name in experiments"),
        ("experiments: {wide: {subjects: [01]}}", "experiments.wide.subjects.0"),
        ("themes: {on: [x]}", "a name in themes"),
        ("themes: {negative: [no, never]}", "themes.negative.0"),
    ],
)
def test_what_yaml_does_not_read_as_a_name_is_to_be_quoted(simulated, text, where):
    sentence = refusal({**simulated, **yaml.safe_load(text)})
    assert f"Config: {where} must be of type string" in sentence and "put it in quotes" in sentence


@pytest.mark.parametrize(
    "text",
    [
        "{1: x, zzz: y, results: here}",
        "{experiments: {wide: {1: x, zzz: y}}}",
        "{figures: {pinned_latents: {1: 2}}}",
    ],
)
def test_unknown_keys_need_not_be_text(simulated, text):
    assert "has the unknown key '1'" in refusal({**simulated, **yaml.safe_load(text)})


@pytest.mark.parametrize(
    "path",
    ["dataset", "dataset.name", "subjects", "language_model.blocks", "features.block"],
)
def test_missing_keys_are_named(simulated, path):
    assert f"lacks the key '{path.split('.')[-1]}'" in refusal(without(simulated, path))


def test_a_config_that_is_no_mapping_is_refused():
    assert "the config must be of type object" in refusal(["dataset"])


def test_k_above_n_latents_is_refused(simulated):
    sentence = refusal(changed(simulated, crosscoder={"k": 9, "n_latents": 8}))
    assert "k (9) exceeds n_latents (8)" in sentence


@pytest.mark.parametrize("override", [{"k": 1025}, {"n_latents": 63}])
def test_k_above_n_latents_by_an_experiments_override_is_refused(simulated, override):
    sentence = refusal(changed(simulated, experiments__odd__crosscoder=override))
    assert "experiment 'odd'" in sentence
    assert "exceeds n_latents" in sentence


def test_a_block_that_is_not_kept_is_refused(simulated):
    assert "block 9" in refusal(changed(simulated, features__block=9))
    sentence = refusal(changed(simulated, experiments__early__features__block=2))
    assert "experiment 'early' uses block 2" in sentence
    assert "4, 8" in sentence


@pytest.mark.parametrize(
    ("context", "parts"),
    [
        ({"window_tokens": 512}, ["both window_tokens and stride_tokens"]),
        ({"stride_tokens": 256}, ["both window_tokens and stride_tokens"]),
        ({"window_tokens": 100, "stride_tokens": 101}, ["stride_tokens (101)", "window_tokens (100)"]),
    ],
)
def test_a_context_window_needs_a_stride_within_it(simulated, context, parts):
    sentence = refusal(changed(simulated, language_model__context=context))
    assert "language_model.context" in sentence
    assert [part for part in parts if part not in sentence] == []


@pytest.mark.parametrize("role", ["shared", "uninterpretable"])
def test_pinning_a_latent_that_does_not_exist_is_refused(simulated, role):
    make_plan(changed(simulated, figures__pinned_latents={role: 1023}))
    sentence = refusal(changed(simulated, figures__pinned_latents={role: 1024}))
    assert f"figures.pinned_latents.{role} is 1024" in sentence


def test_a_latent_pinned_twice_is_refused(simulated):
    sentence = refusal(changed(simulated, figures__pinned_latents={"shared": 3, "lm-dominant": 3}))
    assert "names latent 3 as shared and as lm-dominant: no latent is shown twice" in sentence


@pytest.mark.parametrize(
    "source",
    ["/no/such/model", "./model", "../model", "~/no-such-model", "~no-such-user/m", "m.gguf", "a/b/c"],
)
def test_a_path_to_a_language_model_that_does_not_exist_is_refused(simulated, monkeypatch, tmp_path, source):
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "folder")
    sentence = refusal(changed(simulated, language_model__path_or_hub_id=source))
    assert f"path_or_hub_id names {source}, which does not exist" in sentence


@pytest.mark.parametrize("source", ["gpt2", "org/model", "package:llm/no-such.gguf", "./here", "here/x.gguf"])
def test_hub_names_packages_and_paths_that_exist_are_accepted(simulated, monkeypatch, tmp_path, source):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "x.gguf").write_text("")
    monkeypatch.chdir(tmp_path)
    make_plan(changed(simulated, language_model__path_or_hub_id=source))


# Stories


def test_a_stories_file_that_does_not_exist_is_refused(simulated):
    sentence = refusal(changed(simulated, dataset__stories="nowhere/stories.tsv"))
    assert "dataset.stories names nowhere/stories.tsv, which does not exist" in sentence


def test_a_folder_of_stories_is_refused(simulated, tmp_path):
    sentence = refusal(changed(simulated, dataset__stories=str(tmp_path)))
    assert f"dataset.stories names {tmp_path}, which is a folder" in sentence


@pytest.mark.parametrize(
    "content", [b"story,split\nalpha,train\n", b"", b"story\tsplit\n\xff\ttrain\n", b"story\nalpha\ttrain\n"]
)
def test_a_stories_file_without_its_columns_is_refused(simulated, content):
    Path(simulated["dataset"]["stories"]).write_bytes(content)
    assert "columns story and split" in refusal(simulated)


def test_an_unknown_split_is_refused(simulated, tmp_path):
    write_stories(tmp_path, {**STORIES, "alpha": "training"})
    assert "the split 'training'" in refusal(simulated)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_an_empty_split_is_refused(simulated, tmp_path, split):
    write_stories(tmp_path, {story: s if s != split else "unused" for story, s in STORIES.items()})
    assert f"no story in the split '{split}'" in refusal(simulated)


def test_a_story_in_two_splits_is_refused(simulated, tmp_path):
    write_stories(tmp_path, [*STORIES.items(), ("beta", "test")])
    sentence = refusal(simulated)
    assert "'beta'" in sentence
    assert "train and test" in sentence


@pytest.mark.parametrize(
    ("story", "fault"),
    [
        ("ses-1/forest", "must consist of letters, digits, '-', '_' and '.', not 'ses-1/forest'"),
        ("../evil", "must consist of letters"),
        ("x{story}", "must consist of letters"),
        ("the door", "must consist of letters"),
        ("it's", "must consist of letters"),
        ("a,b", "must consist of letters"),
        ("a=$HOME", "must consist of letters"),
        (".hidden", "must begin with a letter or a digit"),
        ("-rf", "must begin with a letter or a digit"),
        ("etc.", "must not end with a dot"),
        ("fore\u0302t", "must have its accents composed"),
        ("x" * 251, "must be no longer than 80 bytes"),
    ],
)
def test_a_storys_name_that_cannot_be_a_file_everywhere_is_refused(local, tmp_path, story, fault):
    sentence = refusal(changed(local, dataset__stories=write_stories(tmp_path, {**STORIES, story: "train"})))
    assert f"stories.tsv: the name of a story {fault}" in sentence and "rename its files" in sentence
    # What is not used may be called as it likes.
    make_plan(changed(local, dataset__stories=write_stories(tmp_path, {**STORIES, story: "unused"})))


def test_stories_that_some_disks_take_for_one_are_refused(simulated, tmp_path):
    write_stories(tmp_path, {**STORIES, "Alpha": "train"})
    assert "has the stories 'alpha' and 'Alpha', whose files some disks take for the same" in refusal(
        simulated
    )


@pytest.mark.parametrize(
    "place", ["TextGrids/{}.TextGrid", "preprocessed_data/S2/{}.hf5", "nuisances/{}.tsv"]
)
@pytest.mark.parametrize(("story", "written"), [("for\u00eat", "fore\u0302t"), ("forest", "Forest")])
def test_a_file_whose_name_is_written_a_little_otherwise_is_not_passed_over(
    local, tmp_path, place, story, written
):
    derivative = tmp_path / "data" / "derivative"
    config = changed(local, dataset__stories=write_stories(tmp_path, {**STORIES, story: "train"}))
    (derivative / "respdict.json").write_text(json.dumps(dict.fromkeys([*STORIES, story], 100)))
    for file in ("TextGrids/{}.TextGrid", "preprocessed_data/S1/{}.hf5", "preprocessed_data/S2/{}.hf5"):
        (derivative / file.format(story)).write_text("")
    write_nuisances(derivative, [*STORIES, story])
    make_plan(config)
    file = derivative / place.format(written)
    (derivative / place.format(story)).rename(file)
    if (derivative / place.format(story)).exists():
        pytest.skip("this disk takes both for one")
    sentence = refusal(config)
    assert f"{file} is not taken for the story '{story}'" in sentence and "rename it" in sentence


def test_a_story_without_a_text_is_refused(simulated, tmp_path):
    (tmp_path / "gamma.txt").unlink()
    assert "unknown story 'gamma': no gamma.txt in" in refusal(simulated)


@pytest.mark.parametrize("story", ["alpha", "gamma", "nobody"])
def test_only_a_test_story_can_be_repeated(simulated, story):
    make_plan(changed(simulated, dataset__simulation__repeated_story="delta"))
    sentence = refusal(changed(simulated, dataset__simulation__repeated_story=story))
    assert f"repeated_story '{story}' is not a test story" in sentence


# Sources of data


def test_a_simulated_dataset_needs_its_section(simulated):
    assert "simulated needs a section dataset.simulation" in refusal(without(simulated, "dataset.simulation"))


def test_a_simulated_dataset_is_never_written_over_another(simulated, tmp_path):
    make_plan(changed(simulated, dataset__root=None))
    sentence = refusal(changed(simulated, dataset__root=str(tmp_path)))
    assert "dataset.root must be null with dataset.source simulated" in sentence


@pytest.mark.parametrize("source", ["local", "openneuro"])
def test_other_datasets_do_not_take_the_section(local, source):
    config = changed(local, dataset__source=source, dataset__simulation={"texts": "."})
    assert f"{source} does not take a section dataset.simulation" in refusal(config)


@pytest.mark.parametrize("source", ["local", "openneuro"])
def test_themes_need_words_where_nothing_is_annotated(local, source):
    sentence = refusal(changed(local, dataset__source=source, themes={}))
    assert "themes needs at least one list of words" in sentence


def test_a_local_dataset_needs_a_root_with_its_folder(local, tmp_path):
    assert "needs dataset.root" in refusal(changed(local, dataset__root=None))
    assert f"{tmp_path}/derivative" in refusal(changed(local, dataset__root=str(tmp_path)))


def test_an_unknown_subject_of_a_local_dataset_is_refused(local):
    sentence = refusal(changed(local, subjects=["S1", "S9"]))
    assert "unknown subject 'S9'" in sentence
    assert "S1, S2" in sentence


def test_an_unknown_story_of_a_local_dataset_is_refused(local):
    Path(local["dataset"]["root"], "derivative", "TextGrids", "beta.TextGrid").unlink()
    sentence = refusal(local)
    assert "unknown story 'beta'" in sentence
    assert "TextGrids/beta.TextGrid" in sentence and "transcripts/beta.tsv" in sentence


def test_a_story_has_one_transcript_a_textgrid_or_a_table(local):
    derivative = Path(local["dataset"]["root"], "derivative")
    textgrid, table = derivative / "TextGrids" / "beta.TextGrid", derivative / "transcripts" / "beta.tsv"
    table.parent.mkdir()
    table.write_text("")
    sentence = refusal(local)
    assert f"The story 'beta' has two transcripts, {table} and {textgrid}: remove one" in sentence
    textgrid.unlink()
    make_plan(local)
    paths = [make_plan(local).dataset.transcript(story) for story in ("alpha", "beta")]
    assert paths == [str(derivative / "TextGrids" / "alpha.TextGrid"), str(table)]
    # What else may lie in a copy of ds003020 is not read.
    config = make_plan(local).config
    openneuro = dataset_of(config | {"dataset": config["dataset"] | {"source": "openneuro"}})
    assert openneuro.transcript("beta") == str(textgrid)


def test_all_stories_bring_columns_or_none_does(local, simulated):
    assert [make_plan(local).dataset.nuisances(story) for story in STORIES] == [[]] * 5
    derivative = Path(local["dataset"]["root"], "derivative")
    write_nuisances(derivative, STORIES)
    dataset = make_plan(local).dataset
    tables = {story: derivative / "nuisances" / f"{story}.tsv" for story in STORIES}
    assert {story: dataset.nuisances(story) for story in STORIES} == {
        story: [str(path)] for story, path in tables.items()
    }
    # Other datasets bring none, whatever lies there.
    openneuro = dataset_of(dataset.config | {"dataset": dataset.settings | {"source": "openneuro"}})
    assert openneuro.nuisances("beta") == make_plan(simulated).dataset.nuisances("beta") == []
    tables["omega"].unlink()
    tables["beta"].unlink()
    sentence = refusal(local)
    assert (
        f"{derivative / 'nuisances'} has tables of 3 stories, but none of beta, omega: add beta" in sentence
    )


def test_a_table_of_columns_that_was_not_downloaded_is_named(local):
    derivative = Path(local["dataset"]["root"], "derivative")
    write_nuisances(derivative, STORIES)
    table = derivative / "nuisances" / "gamma.tsv"
    table.unlink()
    table.symlink_to("../../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9c0f1b6a831c399e269772661")
    sentence = refusal(local)
    assert f"{table} has not been downloaded" in sentence and "datalad get" in sentence


def test_columns_that_do_not_fit_stop_a_run_at_its_start(local):
    derivative = Path(local["dataset"]["root"], "derivative")
    write_nuisances(derivative, STORIES, "pitch\n1\n2\n3\n")
    for story, content in {"beta": "pitch\n1\n2\n", "gamma": "words_4s\n1\n2\n3\n"}.items():
        (derivative / "nuisances" / f"{story}.tsv").write_text(content)
    plan = make_plan(local)
    faults = plan.dataset.start_faults(plan.subject_stories, plan.all_texts, dict.fromkeys(STORIES, 3))
    beta, gamma = [sentence for sentence in faults if "nuisances" in sentence]
    assert "beta.tsv, story 'beta': it has 2 lines of values, but the story's responses have 3" in beta
    assert "gamma.tsv, story 'gamma': its column 'words_4s' has the name of one that is computed" in gamma


@pytest.fixture
def segmented(local, tmp_path) -> dict:
    """The local dataset with beta and delta as segments of the recording talk."""
    place, tab = dict.fromkeys(("beta", "delta"), "-50\ttalk"), "\t"
    lines = [f"{story}\t{split}\t{place.get(story, tab)}\n" for story, split in STORIES.items()]
    (tmp_path / "stories.tsv").write_text("story\tsplit\tsound_onset_s\trecording\n" + "".join(lines))
    textgrids = tmp_path / "data" / "derivative" / "TextGrids"
    (textgrids / "beta.TextGrid").rename(textgrids / "talk.TextGrid")
    (textgrids / "delta.TextGrid").unlink()
    return local


def test_segments_share_the_recordings_transcript_and_have_their_own_onset(segmented):
    plan = make_plan(segmented)
    assert {story: plan.text_of(story) for story in STORIES} == {
        story: "talk" if story in ("beta", "delta") else story for story in STORIES
    }
    assert plan.all_texts.count("talk") == 1 and set(plan.all_texts) == {"alpha", "gamma", "omega", "talk"}
    assert [plan.sound_onset_s(story) for story in ("alpha", "beta")] == [10.0, -50.0]


def test_a_segment_with_a_transcript_of_its_own_is_refused(segmented, tmp_path):
    own = tmp_path / "data" / "derivative" / "TextGrids" / "delta.TextGrid"
    own.write_text("")
    sentence = refusal(segmented)
    assert "calls the story 'delta' a segment of the recording 'talk', whose transcript it shares" in sentence
    assert f"{own}: remove it, or leave" in sentence


def test_a_recording_has_one_transcript(segmented, tmp_path):
    derivative = tmp_path / "data" / "derivative"
    (derivative / "transcripts").mkdir()
    (derivative / "transcripts" / "talk.tsv").write_text("")
    assert "The recording 'talk' has two transcripts, " in refusal(segmented)
    for file in ("transcripts/talk.tsv", "TextGrids/talk.TextGrid"):
        (derivative / file).unlink()
    sentence = refusal(segmented)
    assert "the story 'beta' a segment of the recording 'talk', of which neither TextGrids/talk" in sentence


def test_a_sound_that_begins_after_its_segment_is_refused(segmented, tmp_path):
    table = tmp_path / "stories.tsv"
    table.write_text(table.read_text().replace("test\t-50", "test\t200"))
    assert "gives the story 'delta' the sound_onset_s 200, but its 100 volumes" in refusal(segmented)


def test_other_datasets_than_local_ones_have_no_segments(simulated, tmp_path):
    table = tmp_path / "stories.tsv"
    lines = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    text = "".join(f"{story}\t{split}\t{{onset}}\n" for story, split in lines)
    table.write_text("story\tsplit\tsound_onset_s\n" + text.format(onset=""))
    make_plan(simulated)
    table.write_text("story\tsplit\tsound_onset_s\n" + text.format(onset="3"))
    assert "only stories of dataset.source local have: leave out the columns" in refusal(simulated)


FILES_OF_A_DATASET = [
    "preprocessed_data/S2/delta.hf5",
    "TextGrids/beta.TextGrid",
    "transcripts/beta.tsv",
    "respdict.json",
    "subject_xfms.json",
    "pycortex-db/S2/transforms/S2_by_hand/mask_thick.nii.gz",
    "voxels/S2.tsv",
]


@pytest.fixture(params=FILES_OF_A_DATASET)
def file_of_local(request, local) -> Path:
    """A file of the local dataset, which its config check finds in order."""
    derivative = Path(local["dataset"]["root"], "derivative")
    (derivative / "subject_xfms.json").write_text('{"S2": "S2_by_hand"}')
    file = derivative / request.param
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_text("")
    if file.parent.name == "transcripts":
        (derivative / "TextGrids" / f"{file.stem}.TextGrid").unlink()
    make_plan(local)
    return file


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_was_not_downloaded_is_named(local, file_of_local, link):
    content = "../../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9c0f1b6a831c399e269772661"
    file_of_local.unlink()
    file_of_local.symlink_to(content) if link else file_of_local.write_text(f"{content}\n")
    sentence = refusal(local)
    assert f"{file_of_local} has not been downloaded" in sentence and "datalad get" in sentence


def test_a_file_without_permission_to_read_is_named(local, file_of_local, monkeypatch):
    opened = Path.open

    def open_or_deny(path, *arguments, **options):  # root, who may run this, would be let in
        if path == file_of_local:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_or_deny)
    sentence = refusal(local)
    assert f"{file_of_local} cannot be read: its permissions" in sentence and "chmod" in sentence


@pytest.mark.parametrize("folder", ["", "TextGrids", "preprocessed_data/S2", "pycortex-db/S2"])
def test_a_folder_without_permission_is_named(local, folder, monkeypatch):
    closed = Path(local["dataset"]["root"], "derivative", folder)
    (closed / "transforms").mkdir(parents=True, exist_ok=True)
    looked_up = os.stat

    def look_up_or_deny(path, *arguments, **options):  # root, who may run this, would be let in
        if closed in Path(path).parents:
            raise PermissionError(13, "Permission denied", str(path))
        return looked_up(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", look_up_or_deny)
    sentence = refusal(local)
    assert str(closed) in sentence and "those of its folder" in sentence


def test_a_local_dataset_needs_respdict(local):
    respdict = Path(local["dataset"]["root"], "derivative", "respdict.json")
    respdict.unlink()
    assert f"no file {respdict}" in refusal(local)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_files_may_be_of_windows_tools(local, encoding):
    derivative = Path(local["dataset"]["root"], "derivative")
    contents = {"respdict.json": dict.fromkeys(STORIES, 100), "subject_xfms.json": {"S2": "S2_by_hand"}}
    for name, content in contents.items():
        (derivative / name).write_text(json.dumps(content, indent=1), encoding=encoding)
    make_plan(local)
    assert read_transforms(derivative / "subject_xfms.json") == {"S2": "S2_by_hand"}


@pytest.mark.parametrize("content", [b"", b"{'alpha': 100}", b"[100]", b'{"alpha": 1', b"\xff\xfe{"])
def test_a_respdict_that_is_no_json_object_is_refused(local, content):
    respdict = Path(local["dataset"]["root"], "derivative", "respdict.json")
    respdict.write_bytes(content)
    sentence = refusal(local)
    assert (
        f"{respdict} must be a JSON object, story: number of volumes" in sentence and "write it" in sentence
    )


@pytest.mark.parametrize(
    ("volumes", "parts"),
    [
        (None, ["does not list the story 'beta'", "add the number of volumes", "unused in"]),
        ("100", ["gives the story 'beta' '100', but a whole number of volumes is needed"]),
        (100.5, ["gives the story 'beta' 100.5, but a whole number"]),
        (True, ["gives the story 'beta' True, but a whole number"]),
        (8, ["gives the story 'beta' 8 volumes, of which dataset.trim cuts off 7", "check both"]),
    ],
)
def test_a_respdict_without_volumes_for_a_story_is_refused(local, volumes, parts):
    local = changed(local, dataset__trim={"first": 4, "last": 3})
    respdict = Path(local["dataset"]["root"], "derivative", "respdict.json")
    of_story = {**dict.fromkeys(STORIES, 9), "beta": volumes}
    if volumes is None:
        del of_story["beta"]
    respdict.write_text(json.dumps(of_story))
    sentence = refusal(local)
    assert str(respdict) in sentence and [part for part in parts if part not in sentence] == []
    respdict.write_text(json.dumps({**of_story, "beta": 9}))
    make_plan(local)


@pytest.mark.parametrize(
    "name",
    [
        "preprocessed_data/UTS09/adollshouse.hf5",
        "TextGrids/adollshouse.TextGrid",
        "respdict.json",
        "subject_xfms.json",
        "pycortex-db/UTS01/transforms/UTS01_auto/mask_thick.nii.gz",
        "pycortex-db/UTS01/surfaces/flat_lh.gii",
    ],
)
@pytest.mark.parametrize("link", [False, True])
def test_a_copy_of_ds003020_may_lack_files_but_not_their_content(openneuro, tmp_path, name, link):
    copy = changed(openneuro, dataset__root=str(tmp_path / "copy"))
    make_plan(copy)
    content = "../.git/annex/objects/xx/yy/MD5E-s123--0cc175b9c0f1b6a831c399e269772661"
    file = tmp_path / "copy" / "derivative" / name
    file.parent.mkdir(parents=True)
    file.symlink_to(content) if link else file.write_text(content)
    assert f"{file} has not been downloaded" in refusal(copy)
    # Nothing is said of what the run does not use.
    file.rename(file.with_name(f"other-{file.name}"))
    make_plan(copy)


def test_the_respdict_of_a_copy_of_ds003020_is_checked_if_it_is_there(openneuro, tmp_path):
    copy = changed(openneuro, dataset__root=str(tmp_path / "copy"))
    respdict = tmp_path / "copy" / "derivative" / "respdict.json"
    respdict.parent.mkdir(parents=True)
    respdict.write_text('{"adollshouse": 251}')
    assert f"{respdict} does not list the story" in refusal(copy)


def test_stories_that_a_subject_lacks_are_left_out_of_its_splits(local, tmp_path):
    folder = Path(local["dataset"]["root"], "derivative", "preprocessed_data")
    pairs = [("alpha", "train"), ("beta", "train"), ("gamma", "validation"), ("delta", "test")]
    local = changed(local, dataset__stories=write_stories(tmp_path, pairs))
    (folder / "S2" / "beta.hf5").unlink()
    plan = make_plan(local)
    assert plan.subject_stories["S1"] == plan.stories
    assert plan.subject_stories["S2"] == {**plan.stories, "train": ["alpha"]}
    # A story that nobody has is read by nobody.
    (folder / "S1" / "beta.hf5").unlink()
    assert make_plan(local).stories["train"] == ["alpha"]


def test_a_subject_without_a_story_of_a_split_is_refused(local):
    folder = Path(local["dataset"]["root"], "derivative", "preprocessed_data", "S2")
    of_test = make_plan(local).stories["test"]
    for story in of_test:
        (folder / f"{story}.hf5").unlink()
    sentence = refusal(local)
    assert f"Subject 'S2' has responses to none of the {len(of_test)} stories of the split 'test'" in sentence
    make_plan(changed(local, subjects=["S1"]))


def test_a_subject_without_any_story_is_refused(local):
    for hdf5 in Path(local["dataset"]["root"], "derivative", "preprocessed_data", "S2").iterdir():
        hdf5.unlink()
    assert "Subject 'S2' has responses to none of the 2 stories of the split 'train'" in refusal(local)


def test_missing_stories_are_told_by_subject_and_split(local):
    folder = Path(local["dataset"]["root"], "derivative", "preprocessed_data", "S2")
    (folder / "omega.hf5").unlink()
    (folder / "beta.hf5").unlink()
    plan = make_plan(local)
    stories = read_stories(Path(local["dataset"]["stories"]))
    assert missing_stories(stories, plan.subject_stories) == {
        "S1": {"train": [], "validation": [], "test": []},
        "S2": {"train": ["beta"], "validation": [], "test": ["omega"]},
    }
    assert describe_missing(stories, plan.subject_stories) == [
        "S2 has no responses to 2 of 5 stories (1 train, 1 test), which are left out of its splits: beta, omega."
    ]


def test_a_story_that_nobody_has_is_missing_for_everybody(local):
    for subject in ("S1", "S2"):
        Path(local["dataset"]["root"], "derivative", "preprocessed_data", subject, "beta.hf5").unlink()
    stories = read_stories(Path(local["dataset"]["stories"]))
    missing = missing_stories(stories, make_plan(local).subject_stories)
    assert [missing[subject]["train"] for subject in ("S1", "S2")] == [["beta"], ["beta"]]


def test_many_missing_stories_are_counted_and_the_first_ones_named(openneuro):
    plan = make_plan(changed(openneuro, subjects=["UTS01", "UTS04"]))
    stories = read_stories(Path(openneuro["dataset"]["stories"]))
    (sentence,) = describe_missing(stories, plan.subject_stories)
    missing = missing_stories(stories, plan.subject_stories)["UTS04"]
    counts = {split: len(stories[split]) - len(plan.subject_stories["UTS04"][split]) for split in stories}
    assert {split: len(names) for split, names in missing.items()} == counts
    named = ", ".join(sorted(sum(missing.values(), []))[:10])
    n_missing = sum(counts.values())
    assert sentence == (
        f"UTS04 has no responses to {n_missing} of 83 stories ({counts['train']} train, {counts['validation']} "
        f"validation, {counts['test']} test), which are left out of its splits: {named} and {n_missing - 10} others."
    )


def test_no_missing_stories_need_no_sentence(simulated):
    plan = make_plan(simulated)
    assert describe_missing(plan.stories, plan.subject_stories) == []


@pytest.mark.parametrize(
    ("subject", "hint"),
    [("UTS3", "did you mean 'UTS03'"), ("uts03", "they are UTS01, UTS02"), ("UTS10", "did you mean")],
)
def test_a_subject_that_ds003020_lacks_is_refused(openneuro, subject, hint):
    make_plan(openneuro)
    sentence = refusal(changed(openneuro, subjects=["UTS01", subject]))
    assert f"'{subject}' is no subject of" in sentence and f"manifest.tsv; {hint}" in sentence


@pytest.mark.parametrize(
    ("story", "hint"),
    [
        ("adollhouse", "did you mean 'adollshouse'"),
        ("zzz", "it lists 84 stories."),
    ],
)
def test_a_story_that_ds003020_lacks_is_refused(openneuro, tmp_path, monkeypatch, story, hint):
    monkeypatch.chdir(tmp_path)
    pairs = [("adollshouse", "train"), ("alternateithicatom", "validation"), ("wheretheressmoke", "test")]
    make_plan(changed(openneuro, dataset__stories=write_stories(tmp_path, pairs)))
    stories = write_stories(tmp_path, [*pairs, (story, "train")])
    sentence = refusal(changed(openneuro, dataset__stories=stories))
    assert f"the story '{story}', which is not in" in sentence and hint in sentence


def test_subjects_of_ds003020_have_the_stories_that_the_manifest_lists(openneuro):
    plan = make_plan(changed(openneuro, subjects=["UTS01", "UTS04", "UTS09"]))
    counts = {subject: sum(map(len, splits.values())) for subject, splits in plan.subject_stories.items()}
    # 84, 26 and 54 files, of which one story is in no split.
    assert counts["UTS01"] == 83 and counts["UTS04"] in (25, 26) and counts["UTS09"] in (53, 54)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no file"),
        ("path\tsize\nx\t1\n", "has no column bytes, md5, s3_version"),
        (
            "path\tbytes\tmd5\ts3_version\nx\tmany\t0\tv\n",
            "line 2: a path within the dataset, a whole number of bytes",
        ),
        ("a\nb\tc\n", "has no column path, bytes"),
        ("", "has no column path, bytes"),
    ],
)
def test_a_manifest_that_is_none_is_refused(openneuro, tmp_path, content, fault):
    manifest = tmp_path / "manifest.tsv"
    if content is not None:
        manifest.write_text(content)
    sentence = refusal(changed(openneuro, dataset__manifest=str(manifest)))
    assert str(manifest) in sentence and fault in sentence


def test_space_is_needed_for_what_is_not_there_yet(tmp_path):
    manifest = {"a": 10**9, "b": 10**18, "c": 5}
    (tmp_path / "b").write_text("is there")
    require_space(["a", "b", "c"], manifest, tmp_path)
    with pytest.raises(ConfigError, match=r"1 files of 1000000000.0 GB.*disk has .* GB free"):
        require_space(["b"], manifest, tmp_path / "elsewhere")


def test_a_file_that_cannot_be_downloaded_has_to_be_there(tmp_path):
    (tmp_path / "a").write_text("is there")
    require_space(["a"], {}, tmp_path)
    with pytest.raises(ConfigError, match="b is needed, but neither in .* nor listed by dataset.manifest"):
        require_space(["a", "b"], {}, tmp_path)


def test_transforms_are_read_where_they_are_given(tmp_path):
    path = tmp_path / "subject_xfms.json"
    assert read_transforms(path) == {}
    path.write_text(json.dumps({"S1": "S1_by_hand"}))
    assert read_transforms(path) == {"S1": "S1_by_hand"}


@pytest.mark.parametrize("transform", ["../S2", "{subject}", "", "a b"])
def test_a_transform_that_is_no_name_is_refused(tmp_path, transform):
    path = tmp_path / "subject_xfms.json"
    path.write_text(json.dumps({"S1": transform}))
    with pytest.raises(ConfigError, match="subject_xfms.json: the transform of 'S1' must"):
        read_transforms(path)


@pytest.mark.parametrize("content", ["/annex/objects/MD5E-s1--0.json\n", "[]", '{"S1": 1}', ""])
def test_a_file_that_holds_no_transforms_is_refused(tmp_path, content):
    path = tmp_path / "subject_xfms.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"subject_xfms\.json must be a JSON object"):
        read_transforms(path)


@pytest.mark.parametrize(("key", "value"), [("subjects", "S3"), ("seeds", 5)])
def test_unknown_subjects_and_seeds_of_an_experiment_are_refused(simulated, key, value):
    sentence = refusal(changed(simulated, experiments__wide={key: [value]}))
    assert f"experiments.wide.{key} names {value}" in sentence


@pytest.mark.parametrize("name", STANDING)
@pytest.mark.parametrize(
    ("override", "key"),
    [
        ({"subjects": ["S1"]}, "subjects"),
        ({"pairing": {"brain_time": "noise"}}, "pairing.brain_time"),
        ({"pairing": {"brain_time": "matched", "seed": 1}}, "pairing.brain_time"),
    ],
)
def test_a_standing_experiment_is_what_its_name_says(simulated, name, override, key):
    sentence = refusal(changed(simulated, experiments={name: override}))
    assert f"experiments.{name}.{key} cannot be given" in sentence


def test_only_white_noise_may_have_seeds_of_its_own(simulated):
    for name in ("matched", "shuffled", "shifted"):
        sentence = refusal(changed(simulated, experiments={name: {"seeds": [0]}}))
        assert f"experiments.{name}.seeds cannot be given" in sentence
    plan = make_plan(changed(simulated, seeds=[0, 1, 2], experiments={"noise": {"seeds": [2, 1]}}))
    models = [(model.subject, model.seed) for model in plan.models if model.experiment == "noise"]
    assert sorted(models) == [("S1", 1), ("S1", 2), ("S2", 1), ("S2", 2)]


@pytest.mark.parametrize("brain_time", ["shuffled", "shifted", "noise"])
def test_matched_is_the_pairing_outside_experiments(simulated, brain_time):
    sentence = refusal(changed(simulated, pairing__brain_time=brain_time))
    assert f"pairing.brain_time must be matched, not '{brain_time}'" in sentence
    make_plan(changed(simulated, experiments__own__pairing__brain_time=brain_time))


# Experiments, feature variants and models


def test_the_standing_experiments_differ_in_pairing_alone(simulated):
    plan = make_plan(simulated)
    assert list(plan.experiments) == STANDING
    pairings = {name: settings.pop("pairing") for name, settings in plan.experiments.items()}
    assert {name: pairing["brain_time"] for name, pairing in pairings.items()} == {
        name: name for name in STANDING
    }
    assert all(plan.experiments[name] == plan.experiments["matched"] for name in STANDING)


def test_an_experiment_changes_what_it_names_and_nothing_else(simulated):
    overrides = {"features": {"lanczos": {"window": 2}}, "normalization": {"lm": {"standardize": "zscore"}}}
    plan = make_plan(changed(simulated, crosscoder__k=32, experiments__other=overrides))
    other, matched = plan.experiments["other"], plan.experiments["matched"]
    assert other["features"] == {**matched["features"], "lanczos": {"window": 2, "normalize": False}}
    assert other["normalization"] == {"brain": {"standardize": "none"}, "lm": {"standardize": "zscore"}}
    assert (other["pairing"], other["crosscoder"]) == (matched["pairing"], matched["crosscoder"])
    assert matched["features"]["lanczos"]["window"] == 3
    assert matched["crosscoder"]["k"] == 32


def test_a_standing_experiment_can_be_changed(simulated):
    plan = make_plan(
        changed(simulated, experiments__shuffled={"crosscoder": {"k": 2}, "pairing": {"seed": 3}})
    )
    assert plan.experiments["shuffled"]["crosscoder"]["k"] == 2
    assert plan.experiments["shuffled"]["pairing"]["seed"] == 3
    assert plan.experiments["shuffled"]["pairing"]["brain_time"] == "shuffled"
    assert plan.experiments["matched"]["crosscoder"]["k"] == 64


def test_experiments_with_the_same_features_share_a_variant(simulated):
    experiments = {
        "early": {"features": {"block": 4}},
        "early-again": {"features": {"block": 4, "unit": "token"}, "crosscoder": {"k": 8}},
        "words": {"features": {"unit": "word_mean"}},
    }
    plan = make_plan(changed(simulated, experiments=experiments))
    assert {name: plan.variant_of[name] for name in plan.experiments} == {
        **dict.fromkeys(STANDING, "block8"),
        **dict.fromkeys(["early", "early-again"], "block4"),
        "words": "block8-unit_word_mean",
    }


FEATURES = st.fixed_dictionaries(
    {},
    optional={
        "block": st.sampled_from([4, 8]),
        "unit": st.sampled_from(["token", "word_mean"]),
        "lanczos": st.fixed_dictionaries({}, optional={"window": st.sampled_from([2, 3])}),
        "delays_s": st.sampled_from([[2, 4, 6, 8], [4]]),
    },
)
NAMES = st.sampled_from(["a", "b", "a-b", "block4", "block8", "block4-a", "matched"])


@settings(max_examples=50, deadline=None)
@given(base=FEATURES, experiments=st.dictionaries(NAMES, FEATURES))
def test_different_features_never_share_a_folder(base, experiments):
    config = {
        "dataset": {
            "name": "openneuro",
            "source": "openneuro",
            "stories": str(REPOSITORY / "config" / "ds003020" / "stories.tsv"),
        },
        "subjects": ["UTS03"],
        "language_model": {"name": "lm", "path_or_hub_id": "org/model", "blocks": [4, 8]},
        "features": {"block": 8, **base},
        "experiments": {name: {"features": features} for name, features in experiments.items()},
        "themes": {"place": ["house"]},
    }
    plan = make_plan(config)
    for name, experiment in plan.experiments.items():
        assert plan.feature_variants[plan.variant_of[name]] == experiment["features"]
    assert all(a != b for a, b in combinations(plan.feature_variants.values(), 2))


def test_features_keep_their_folder_whatever_experiments_are_called(simulated):
    words = {"features": {"unit": "word_mean", "delays_s": [4, 6]}}
    folders = {
        make_plan(changed(simulated, experiments=experiments)).variant_of[name]
        for name, experiments in {
            "a": {"a": words},
            "b": {"first": {"features": {"block": 4}}, "b": words, "again": words},
        }.items()
    }
    assert folders == {"block8-unit_word_mean-delays_s_4_6"}


def test_a_long_list_of_delays_still_names_a_folder(simulated):
    delays_s = [number / 4 for number in range(60)]
    plan = make_plan(
        changed(
            simulated,
            experiments={
                "one": {"features": {"delays_s": delays_s}},
                "other": {"features": {"delays_s": delays_s[:-1]}},
                "huge": {"features": {"delays_s": [1e16]}},
            },
        )
    )
    variants = [plan.variant_of[name] for name in ("matched", "one", "other", "huge")]
    assert len(set(variants)) == 4
    assert all(re.fullmatch(r"[a-z0-9_.-]{1,90}", variant) for variant in variants)


@pytest.mark.parametrize(("delays", "expected"), [("mean", [[2, 4.5]]), ("fir", [[2], [4.5]])])
def test_the_baseline_sees_the_mean_of_delays_or_each_of_them(simulated, delays, expected):
    plan = make_plan(changed(simulated, features__delays_s=[2, 4.5], encoding={"delays": delays}))
    features = [plan.feature_variants[variant] for variant in plan.ridge_variants]
    assert [of["delays_s"] for of in features] == expected
    assert all({**of, "delays_s": [2, 4.5]} == plan.experiments["matched"]["features"] for of in features)


def test_readings_are_all_combinations_of_what_the_paper_leaves_open(simulated):
    plan = make_plan(simulated)
    assert len(plan.readings) == 3 * 2 * 4 * 2
    found = set()
    for reading in plan.readings:
        matched = plan.settings[reading.matched]
        features, standardize = matched["features"], matched["normalization"]
        assert matched["pairing"]["brain_time"] == "matched" and standardize["brain"] == standardize["lm"]
        found.add(
            (
                standardize["lm"]["standardize"],
                features["lanczos"]["normalize"],
                (features["unit"], features["token_time"]),
                matched["crosscoder"]["relu"],
            )
        )
        for seed, shuffled in enumerate(reading.shuffled):
            pairing = {"brain_time": "shuffled", "seed": seed}
            assert plan.settings[shuffled] == {**matched, "pairing": pairing}
    rules = {("token", "spread"), ("token", "midpoint"), ("last_token", "spread"), ("word_mean", "spread")}
    assert found == set(product(["none", "center", "zscore"], [False, True], rules, [False, True]))


def test_a_reading_that_the_config_trains_anyway_is_not_trained_twice(simulated):
    plan = make_plan(simulated)
    own = next(reading for reading in plan.readings if reading.matched == "matched")
    assert own.choices == {"scaling": "none", "Lanczos": "sum", "tokens": "spread", "TopK": "signed"}
    assert own.shuffled[0] == "shuffled" and own.shuffled[1] != "shuffled"
    assert not {name for name in plan.reading_experiments} & set(plan.experiments)
    assert all(model.experiment in plan.experiments for model in plan.models)


def test_every_permutation_of_a_reading_is_trained_once(simulated):
    plan = make_plan(changed(simulated, readings={"seeds": [5, 7], "permutations": [1, 2, 3]}))
    matched, shuffled = reading_models(plan.config, plan.readings[0], "S1")
    assert [(model.subject, model.seed) for model in matched] == [("S1", 5), ("S1", 7)]
    assert [model.seed for model in shuffled] == [5, 7, 5]
    assert [plan.settings[model.experiment]["pairing"]["seed"] for model in shuffled] == [1, 2, 3]


def test_an_experiment_cannot_take_the_name_of_a_reading(simulated):
    assert "'reading-mine' must not begin with" in refusal(
        changed(simulated, experiments={"reading-mine": {}})
    )


def test_models_are_all_subjects_seeds_and_experiments(simulated):
    plan = make_plan(changed(simulated, seeds=[3, 0]))
    expected = {
        (subject, experiment, seed)
        for subject in ("S1", "S2")
        for experiment in STANDING
        # One seed of white noise tells enough: the first, as the config has them.
        for seed in ([3, 0] if experiment != "noise" else [3])
    }
    models = [(model.subject, model.experiment, model.seed) for model in plan.models]
    assert len(models) == len(expected)
    assert set(models) == expected


def test_an_experiment_can_be_restricted_to_subjects_and_seeds(simulated):
    wide = {"crosscoder": {"n_latents": 2048}, "subjects": ["S2"], "seeds": [1]}
    plan = make_plan(changed(simulated, seeds=[0, 1], experiments__wide=wide))
    models = [(model.subject, model.seed) for model in plan.models if model.experiment == "wide"]
    assert models == [("S2", 1)]
    assert len(plan.models) == 3 * 2 * 2 + 2 + 1


# Groups


def test_a_group_is_trained_like_a_subject(simulated):
    plan = make_plan(changed(simulated, groups={"both": ["S1", "S2"]}, seeds=[0, 1]))
    models = {(m.experiment, m.seed) for m in plan.models if m.subject == "both"}
    assert models == {*product(["matched", "shuffled", "shifted"], [0, 1]), ("noise", 0)}
    only = changed(simulated, groups={"both": ["S1", "S2"]}, experiments={"own": {"subjects": ["both"]}})
    assert [m.subject for m in make_plan(only).models if m.experiment == "own"] == ["both"]


def test_a_group_has_the_stories_that_all_members_have(local, tmp_path):
    responses = tmp_path / "data" / "derivative" / "preprocessed_data"
    (responses / "S1" / "alpha.hf5").unlink()
    (responses / "S2" / "omega.hf5").unlink()
    plan = make_plan(changed(local, groups={"both": ["S2", "S1"]}))
    assert plan.subject_stories["both"] == {"train": ["beta"], "validation": ["gamma"], "test": ["delta"]}
    (responses / "S1" / "beta.hf5").unlink()
    (responses / "S1" / "alpha.hf5").write_text("")
    (responses / "S2" / "alpha.hf5").unlink()
    assert "groups.both have no story of the split 'train'" in refusal(
        changed(local, groups={"both": ["S1", "S2"]})
    )


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"S1": ["S1", "S2"]}, "the group 'S1' has the name of a subject"),
        ({"both": ["S1", "S3"]}, "groups.both names 'S3', which is no subject; "),
        ({"both": ["S1"]}, "groups.both is not valid"),
        ({"a b": ["S1", "S2"]}, "must consist of letters, digits"),
    ],
)
def test_a_group_that_cannot_be_is_refused(simulated, groups, expected):
    assert expected in refusal(changed(simulated, groups=groups))


def test_a_member_cannot_be_called_like_the_language_model(simulated):
    config = changed(simulated, subjects=["S1", "lm"], groups={"both": ["S1", "lm"]})
    assert "has a subject called 'lm'" in refusal(config)


# Deviations from the paper


@pytest.fixture
def paper(monkeypatch) -> dict:
    monkeypatch.chdir(REPOSITORY)
    return shipped("paper.yaml")


def deviations_from_the_paper(config: dict, subject: str = "UTS03") -> list[str]:
    return deviations(make_plan(config), make_plan(shipped("paper.yaml")), subject)


def test_the_paper_does_not_deviate_from_itself(paper):
    assert deviations_from_the_paper(paper) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"crosscoder__k": 8}, "crosscoder.k 8 (paper: 64)"),
        ({"experiments__matched__crosscoder__k": 8}, "crosscoder.k 8 (paper: 64)"),
        ({"experiments__shuffled__crosscoder__k": 8}, "crosscoder.k 8 (paper: 64) in shuffled"),
        ({"features__lanczos__window": 2}, "features.lanczos.window 2 (paper: 3)"),
        ({"features__delays_s": [4]}, "features.delays_s [4] (paper: [2, 4, 6, 8])"),
        ({"normalization__lm__standardize": "zscore"}, "normalization.lm.standardize zscore (paper: none)"),
        ({"dataset__trim__last": 5}, "dataset.trim.last 5 (paper: 10)"),
        (
            {"language_model__path_or_hub_id": "gpt2"},
            "language_model.path_or_hub_id gpt2 (paper: meta-llama/Llama-3.1-8B-Instruct)",
        ),
        (
            {"language_model__revision": "v2"},
            "language_model.revision v2 (paper: 0e9e39f249a16976918f6564b8830bc894c89659)",
        ),
    ],
)
def test_a_changed_setting_is_the_only_deviation(paper, changes, expected):
    assert deviations_from_the_paper(changed(paper, **changes)) == [expected]


def test_a_context_window_deviates(paper):
    context = {"window_tokens": 512, "stride_tokens": 256}
    assert deviations_from_the_paper(changed(paper, language_model__context=context)) == [
        "language_model.context.window_tokens 512 (paper: None)",
        "language_model.context.stride_tokens 256 (paper: None)",
    ]


def test_another_subject_deviates_and_a_further_one_does_not(paper):
    both = changed(paper, subjects=["UTS01", "UTS03"])
    assert deviations_from_the_paper(both) == []
    assert deviations_from_the_paper(both, "UTS01") == ["subject UTS01 (paper: UTS03)"]


def test_stories_of_other_splits_deviate(paper, tmp_path):
    lines = (REPOSITORY / "config" / "ds003020" / "stories.tsv").read_text().splitlines()[1:]
    splits = {story: split for story, _, split in (line.split("\t") for line in lines)}

    def deviations_with(**moved: str) -> list[str]:
        return deviations_from_the_paper(
            changed(paper, dataset__stories=write_stories(tmp_path, {**splits, **moved}))
        )

    assert deviations_with() == []
    assert deviations_with(adollshouse="unused") == ["stories 57/8/17 (paper: 58/8/17)"]
    swapped = deviations_with(adollshouse="test", adventuresinsayingyes="train")
    assert swapped == ["stories of other splits than the paper's"]


def test_the_order_of_the_stories_is_no_deviation(paper, tmp_path):
    header, *lines = (REPOSITORY / "config" / "ds003020" / "stories.tsv").read_text().splitlines()
    (tmp_path / "reversed.tsv").write_text("\n".join([header, *reversed(lines)]))
    assert deviations_from_the_paper(changed(paper, dataset__stories=str(tmp_path / "reversed.tsv"))) == []


def test_the_demo_names_its_subject_and_its_stories(paper):
    found = deviations(make_plan(shipped("config.yaml")), make_plan(paper), "SIM01")
    assert found[0] == "subject SIM01 (paper: UTS03)"
    assert re.fullmatch(r"stories \d+/\d+/\d+ \(paper: 58/8/17\)", found[1])
    assert "dataset.source simulated (paper: openneuro)" in found


def test_what_is_not_of_the_method_is_no_deviation(paper):
    other = changed(
        paper,
        results="elsewhere",
        dataset__root="/data",
        dataset__name="again",
        language_model__blocks=[8, 16],
        language_model__stories_per_job=1,
        language_model__device="cuda",
        language_model__dtype="bfloat16",
        experiments__wide__crosscoder__n_latents=4096,
        figures__flatmap_height=64,
        seeds=[1, 2],
    )
    assert deviations_from_the_paper(other) == []


# The workflow's use of it


def dry_run(folder: Path, config: dict, *arguments: str) -> subprocess.CompletedProcess:
    # Of the two training stories, which are too few for the five folds that are the default.
    config = {"ridge": {"n_folds": 2}, **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "workflow" / "Snakefile"),
        *("--directory", folder, "--configfile", folder / "config.yaml", "--dry-run", *arguments),
    ]
    return subprocess.run(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_a_wrong_config_prints_its_sentence_and_nothing_else(simulated, tmp_path):
    run = dry_run(tmp_path, changed(simulated, crosscoder__k=0))
    assert run.returncode == 1
    lines = [
        line for line in run.stdout.splitlines() if not line.startswith("Using workflow specific profile")
    ]
    assert lines == ["Config: crosscoder.k is not valid: 0 is less than the minimum of 1."]


def test_what_the_language_model_reads_at_once_does_not_depend_on_the_split(simulated, tmp_path):
    def batches(splits: dict[str, str]) -> list[str]:
        write_stories(tmp_path, splits)
        run = dry_run(tmp_path, changed(simulated, language_model__stories_per_job=2))
        assert run.returncode == 0, run.stdout[-3000:]
        found = re.findall(r"^rule (activations_\d):\n    input: (.*)$", run.stdout, re.MULTILINE)
        return sorted(found)

    before = batches(STORIES)
    assert len(before) == 3
    assert batches({**STORIES, "alpha": "test", "omega": "train"}) == before


@pytest.mark.parametrize("transforms", [None, {"sub-01": "sub-01_by_hand"}])
def test_the_transform_of_a_local_subject(local, tmp_path, transforms):
    derivative = tmp_path / "data" / "derivative"
    (derivative / "preprocessed_data" / "S1").rename(derivative / "preprocessed_data" / "sub-01")
    name = "sub-01_auto" if transforms is None else "sub-01_by_hand"
    mask = derivative / "pycortex-db" / "sub-01" / "transforms" / name / "mask_thick.nii.gz"
    mask.parent.mkdir(parents=True)
    mask.write_text("")
    if transforms is not None:
        (derivative / "subject_xfms.json").write_text(json.dumps(transforms))
    config = changed(local, subjects=["sub-01"])
    run = dry_run(
        tmp_path, config, "results/demo/responses/sub-01/alpha.zarr", "results/demo/cortex/sub-01.zarr"
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert f"respdict.json, {mask}\n" in run.stdout
    assert ("subject_xfms.json" in run.stdout) == (transforms is not None)


def test_a_simulated_cortex_comes_after_the_names_of_the_transforms(simulated, tmp_path):
    run = dry_run(tmp_path, simulated, "results/demo/cortex/S1.zarr")
    assert run.returncode == 0, run.stdout[-3000:]
    assert re.search(r"^(local)?rule simulate_transforms:", run.stdout, re.MULTILINE)


def test_names_that_look_like_something_else_run_through_the_whole_workflow(local, tmp_path):
    # And so do blanks and accents in folders.
    names = dict(zip(STORIES, ["NA", "null", "1e5", "for\u00eat", "猫"], strict=True))
    data = tmp_path / "mes données"
    (tmp_path / "data").rename(data)
    for story, name in names.items():
        for file in data.rglob(f"{story}.*"):
            file.rename(file.with_name(name + file.suffix))
    responses = data / "derivative" / "preprocessed_data"
    for subject, name in {"S1": "NA", "S2": "007"}.items():
        (responses / subject).rename(responses / name)
    (data / "derivative" / "respdict.json").write_text(json.dumps(dict.fromkeys(names.values(), 100)))
    config = changed(
        local,
        results="mes résultats",
        dataset__root=str(data),
        dataset__stories=write_stories(tmp_path, {name: STORIES[story] for story, name in names.items()}),
        subjects=["NA", "007"],
        groups={"None": ["NA", "007"]},
        experiments={"nan": {"crosscoder": {"k": 2}}, "true": {"features": {"delays_s": [4]}}},
        themes={"null": ["don't", "at night"], "$5 | <b>": ["night"]},
    )
    run = dry_run(tmp_path, config)
    assert run.returncode == 0, run.stdout[-3000:]
    assert "mes résultats/demo/features/lm/block8-delays_s_4/猫.zarr" in run.stdout
    assert "mes résultats/demo/None/nan/seed0/crosscoder.safetensors" in run.stdout
    assert "wildcards: subject=007, experiment=true, seed=0" in run.stdout


def test_pairings_add_draws_of_the_pairs_to_both_controls_and_to_no_figure(simulated):
    plan = make_plan(simulated | {"pairings": 2, "pairing": {"seed": 5}})
    assert {control: list(names) for control, names in plan.pairing_experiments.items()} == {
        control: [f"{control}-pairing{number}" for number in (1, 2)] for control in ("shuffled", "shifted")
    }
    for control, draws in plan.pairing_experiments.items():
        base = plan.experiments[control]
        for number, drawn in enumerate(draws.values(), 1):
            assert drawn["pairing"] == base["pairing"] | {"seed": 5 + number}
            assert drawn | {"pairing": None} == base | {"pairing": None}
            assert plan.variant_of[f"{control}-pairing{number}"] == plan.variant_of[control]
    assert not {model.experiment for model in plan.models} & {"shuffled-pairing1", "shifted-pairing1"}
    assert make_plan(simulated).pairing_experiments == {"shuffled": {}, "shifted": {}}


def test_an_experiment_cannot_be_called_like_a_draw_of_the_pairs(simulated):
    config = simulated | {"pairings": 1, "experiments": {"shifted-pairing1": {"crosscoder": {"k": 4}}}}
    with pytest.raises(ConfigError, match="'shifted-pairing1' has the name of one that `pairings` adds"):
        make_plan(config)
