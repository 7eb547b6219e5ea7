"""The table of config/README.md and the JSON schema of configs say what is declared, and what a plan holds."""

import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from brainlm.scores.choice import ROLES
from pipeline.config import make_plan
from pipeline.reference import MARKS, README, SCHEMA, entries, json_schema, readme


def shipped(name: str) -> dict:
    return yaml.safe_load((README.parent / name).read_text(encoding="utf-8"))


def test_the_table_and_the_schema_are_those_of_the_settings():
    told = "run `make reference` after a change of settings"
    assert README.read_text(encoding="utf-8") == readme(), told
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema(), told


def documented_keys() -> dict[str, str]:
    """Key -> its default as the table of config/README.md has it."""
    table = README.read_text(encoding="utf-8").partition(MARKS[0])[2].partition(MARKS[1])[0]
    rows = re.findall(r"^\| `([^`]+)` \|(?: `(.+?)`)? \| .+ \|$", table, re.MULTILINE)
    assert len(rows) == len(table.splitlines()) - 2 and len(dict(rows)) == len(rows)
    return dict(rows)


def test_every_key_is_documented():
    assert list(documented_keys()) == [key for key, *_ in entries()]
    assert [key for key, _, meaning in entries() if not re.fullmatch(r"[A-Z`].*\.(\*\*)?", meaning)] == []


def test_documented_defaults_are_those_of_a_plan(monkeypatch):
    monkeypatch.chdir(README.parents[1])
    given = shipped("config.yaml")
    kept = {"dataset": ("name", "source", "stories"), "language_model": ("name", "path_or_hub_id", "blocks")}
    shortest = {section: {key: given[section][key] for key in keys} for section, keys in kept.items()}
    shortest["dataset"]["simulation"] = {"texts": given["dataset"]["simulation"]["texts"]}
    shortest |= {"subjects": given["subjects"], "features": {"block": given["features"]["block"]}}
    config = make_plan(shortest).config
    for key, documented in documented_keys().items():
        if "<" not in key:
            value, is_given = config, shortest
            for name in key.split("."):
                value = value[name]
                is_given = is_given.get(name, {}) if isinstance(is_given, dict) else {}
            assert (documented == "") == (is_given != {}), key
            assert documented == "" or yaml.safe_load(documented) == value, key


@pytest.mark.parametrize("name", ["config.yaml", "paper.yaml"])
def test_editors_accept_the_shipped_configs(name):
    assert list(Draft202012Validator(json_schema()).iter_errors(shipped(name))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": ["S1"]},
        {"crosscoder": {"k": 0}},
        {"pairing": {"brain_time": "random"}},
        {"experiments": {"own": {"crosscoder": {"kk": 1}}}},
        {"figures": {"pinned_latents": {"Shared": 1}}},
    ],
)
def test_editors_mark_what_is_wrong(wrong):
    assert len(list(Draft202012Validator(json_schema()).iter_errors(shipped("paper.yaml") | wrong))) == 1


def test_an_experiments_keys_are_the_sections_without_defaults():
    parts = json_schema()["$defs"]
    for name in ("Features", "Crosscoder"):
        whole, some = parts[name], parts[f"Partial{name}"]
        assert list(whole["properties"]) == list(some["properties"])
        assert "required" not in some and not any("default" in part for part in some["properties"].values())


def test_roles_that_can_be_pinned_are_those_that_are_shown():
    roles = json_schema()["$defs"]["Figures"]["properties"]["pinned_latents"]
    assert tuple(roles["propertyNames"]["enum"]) == ROLES
    meaning = next(meaning for key, _, meaning in entries() if key == "figures.pinned_latents.<role>")
    assert [role for role in ROLES if f"`{role}`" not in meaning] == []
