"""Check the config before any job runs, and work out what it asks for."""

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

SCHEMA = Path(__file__).parent / "schemas" / "config.schema.yaml"
SPLITS = ("train", "validation", "test")
EXPERIMENT_SECTIONS = ("features", "normalization", "pairing", "crosscoder")
STANDING_EXPERIMENTS: dict[str, dict[str, Any]] = {
    "matched": {},
    "shuffled": {"pairing": {"brain_time": "permuted"}},
    "shifted": {"pairing": {"brain_time": "shifted"}},
}


class ConfigError(ValueError):
    """What is wrong with the config, in one sentence."""


@dataclass(frozen=True)
class Model:
    """One crosscoder to train."""

    subject: str
    experiment: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """A checked config and what follows from it."""

    config: dict[str, Any]
    """With all defaults filled in."""
    stories: dict[str, list[str]]
    """Split -> its stories, in the order of the stories table."""
    experiments: dict[str, dict[str, Any]]
    """Experiment -> its features, normalization, pairing and crosscoder sections, overrides applied."""
    feature_variants: dict[str, dict[str, Any]]
    """Name of a set of feature settings, e.g. "block15" -> the settings."""
    variant_of: dict[str, str]
    """Experiment -> the feature variant it uses."""
    models: list[Model]
    """Every crosscoder that is trained."""

    @property
    def all_stories(self) -> list[str]:
        """Stories of all splits."""
        return [story for split in SPLITS for story in self.stories[split]]


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The base with overrides applied, section by section; neither is changed."""
    merged = deepcopy(dict(base))
    for key, value in overrides.items():
        inner = merged.get(key)
        both_sections = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = merge(inner, value) if both_sections else deepcopy(value)
    return merged


def make_plan(config: Mapping[str, Any]) -> Plan:
    """Check a config and work out its stories, experiments and models.

    Raises
    ------
    ConfigError: in one sentence, the first thing that is wrong.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    config = _with_defaults(_with_types(config, schema), schema) if isinstance(config, Mapping) else config
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is not None:
        raise ConfigError(_sentence(error))
    stories = _read_stories(Path(config["dataset"]["stories"]))
    _check_dataset(config, stories)
    experiments = _resolve_experiments(config)
    for name, settings in experiments.items():
        _check_experiment(config, name, settings)
    _check_pinned(config["figures"]["pinned_latents"], experiments["matched"]["crosscoder"]["n_latents"])
    variants, variant_of = _feature_variants(config, experiments)
    return Plan(config, stories, experiments, variants, variant_of, _models(config))


def _with_types(value: Any, part: Mapping[str, Any]) -> Any:
    """The config with numbers where `snakemake --config 'crosscoder={k: 4}'` and YAML (1e-3) give text."""
    if isinstance(value, Mapping):
        named, others = part.get("properties", {}), part.get("additionalProperties") or {}
        return {key: _with_types(inner, named.get(key, others)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_types(item, part.get("items", {})) for item in value]
    types = {part["type"]} if isinstance(part.get("type"), str) else set(part.get("type", []))
    if isinstance(value, str) and types and "string" not in types:
        for parse in (int, float, yaml.safe_load):
            with suppress(ValueError, yaml.YAMLError):
                value = parse(value)
                break
    # JSON Schema takes 4.0 for an integer, Python does not.
    whole = isinstance(value, float) and value.is_integer() and "integer" in types
    return int(value) if whole else value


def _with_defaults(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    filled = deepcopy(dict(config))
    for key, part in schema.get("properties", {}).items():
        if "default" in part:
            default = deepcopy(part["default"])
            given = filled.get(key, default)
            both_sections = isinstance(default, dict) and isinstance(given, Mapping)
            filled[key] = merge(default, given) if both_sections else given
        if isinstance(filled.get(key), Mapping):
            filled[key] = _with_defaults(filled[key], part)
    return filled


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path) or "the config"
    if error.validator == "additionalProperties" and "properties" in error.schema:
        known = list(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))
        close = get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys are {', '.join(known)}."
        return f"Config: {where} has the unknown key '{unknown[0]}'; {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"Config: {where} lacks the key '{missing}'."
    if error.validator == "type":
        wanted = error.validator_value
        wanted = " or ".join(wanted) if isinstance(wanted, list) else wanted
        return f"Config: {where} must be of type {wanted}, not {error.instance!r}."
    if error.validator == "enum":
        return f"Config: {where} must be one of {', '.join(error.validator_value)}, not {error.instance!r}."
    return f"Config: {where} is not valid: {error.message}."


def _read_stories(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        raise ConfigError(f"Config: dataset.stories names {path}, which does not exist.")
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    missing = {"story", "split"} - set(table.columns)
    if missing:
        raise ConfigError(f"{path} must be a tab-separated table with columns story and split.")
    unknown = sorted(set(table["split"]) - {*SPLITS, "unused"})
    if unknown:
        raise ConfigError(
            f"{path} has the split '{unknown[0]}'; splits are train, validation, test and unused."
        )
    used = table[table["split"] != "unused"]
    for story, rows in used.groupby("story"):
        if len(rows) > 1:
            splits = " and ".join(rows["split"])
            raise ConfigError(
                f"{path} lists the story '{story}' more than once ({splits}); a story belongs to one split."
            )
    stories = {split: used.loc[used["split"] == split, "story"].tolist() for split in SPLITS}
    empty = [split for split in SPLITS if not stories[split]]
    if empty:
        raise ConfigError(f"{path} has no story in the split '{empty[0]}'.")
    return stories


def _check_dataset(config: Mapping[str, Any], stories: Mapping[str, list[str]]) -> None:
    dataset = config["dataset"]
    simulated = dataset["source"] == "simulated"
    if simulated != ("simulation" in dataset):
        word = "needs" if simulated else "does not take"
        raise ConfigError(f"Config: dataset.source {dataset['source']} {word} a section dataset.simulation.")
    listed = {story for split in stories.values() for story in split}
    if simulated:
        texts = Path(dataset["simulation"]["texts"])
        absent = sorted(story for story in listed if not (texts / f"{story}.txt").exists())
        if absent:
            raise ConfigError(
                f"{dataset['stories']} names the unknown story '{absent[0]}': no {absent[0]}.txt in {texts}."
            )
        repeated = dataset["simulation"]["repeated_story"]
        if repeated is not None and repeated not in stories["test"]:
            raise ConfigError(f"Config: dataset.simulation.repeated_story '{repeated}' is not a test story.")
    if dataset["source"] == "local":
        _check_local_tree(config, listed)
    if not simulated and not config["themes"]:
        raise ConfigError(
            "Config: themes needs at least one list of words; only a simulated dataset has annotated spans."
        )
    window, stride = (config["language_model"]["context"][key] for key in ("window_tokens", "stride_tokens"))
    if (window is None) != (stride is None):
        raise ConfigError(
            "Config: language_model.context needs both window_tokens and stride_tokens, or neither."
        )
    if window is not None and stride > window:
        raise ConfigError(
            f"Config: language_model.context.stride_tokens ({stride}) exceeds window_tokens ({window})."
        )


def _check_local_tree(config: Mapping[str, Any], listed: set[str]) -> None:
    if config["dataset"]["root"] is None:
        raise ConfigError(
            "Config: dataset.source local needs dataset.root, the folder that holds derivative/."
        )
    derivative = Path(config["dataset"]["root"]) / "derivative"
    if not derivative.is_dir():
        raise ConfigError(f"Config: dataset.root has no folder {derivative}.")
    for subject in config["subjects"]:
        if not (derivative / "preprocessed_data" / subject).is_dir():
            known = sorted(path.name for path in (derivative / "preprocessed_data").glob("*"))
            raise ConfigError(
                f"Config: unknown subject '{subject}'; {derivative} has {', '.join(known) or 'none'}."
            )
    for story in sorted(listed):
        textgrid = derivative / "TextGrids" / f"{story}.TextGrid"
        if textgrid.is_symlink() and not textgrid.exists():
            raise ConfigError(
                f"{textgrid} has not been downloaded: run `datalad get` or `git annex get` on it."
            )
        if not textgrid.exists():
            raise ConfigError(
                f"{config['dataset']['stories']} names the unknown story '{story}': no TextGrid in {derivative}."
            )


def _resolve_experiments(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    base = {section: config[section] for section in EXPERIMENT_SECTIONS}
    overrides = merge(STANDING_EXPERIMENTS, config["experiments"])
    return {
        name: merge(base, {key: value for key, value in override.items() if key in EXPERIMENT_SECTIONS})
        for name, override in overrides.items()
    }


def _check_experiment(config: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> None:
    crosscoder = settings["crosscoder"]
    if crosscoder["k"] > crosscoder["n_latents"]:
        raise ConfigError(
            f"Config: in experiment '{name}' k ({crosscoder['k']}) exceeds n_latents ({crosscoder['n_latents']})."
        )
    block, blocks = settings["features"]["block"], config["language_model"]["blocks"]
    if block not in blocks:
        raise ConfigError(
            f"Config: experiment '{name}' uses block {block}, but language_model.blocks keeps only "
            f"{', '.join(map(str, blocks))}."
        )
    only = config["experiments"].get(name, {})
    if name in STANDING_EXPERIMENTS and "subjects" in only:
        raise ConfigError(
            f"Config: experiments.{name}.subjects cannot be given: the tables of every subject need this experiment."
        )
    for key, known in (("subjects", config["subjects"]), ("seeds", config["seeds"])):
        unknown = [value for value in only.get(key, []) if value not in known]
        if unknown:
            raise ConfigError(
                f"Config: experiments.{name}.{key} names {unknown[0]}, which is not among {key} "
                f"({', '.join(map(str, known))})."
            )


def _check_pinned(pinned: Mapping[str, int], n_latents: int) -> None:
    for role, latent in pinned.items():
        if latent >= n_latents:
            raise ConfigError(
                f"Config: figures.pinned_latents.{role} is {latent}, but the latents are 0 to {n_latents - 1}."
            )


def _feature_variants(
    config: Mapping[str, Any], experiments: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    # A variant that differs from the base in more than its block carries the name of the first experiment
    # that asks for it, so that results of different settings never share a folder.
    variants: dict[str, dict[str, Any]] = {}
    variant_of = {}
    for experiment, settings in experiments.items():
        features = settings["features"]
        same = [name for name, known in variants.items() if known == features]
        plain = merge(config["features"], {"block": features["block"]}) == features
        name = same[0] if same else f"block{features['block']}" + ("" if plain else f"-{experiment}")
        variants[name] = features
        variant_of[experiment] = name
    return variants, variant_of


def _models(config: Mapping[str, Any]) -> list[Model]:
    return [
        Model(subject, experiment, seed)
        for experiment in merge(STANDING_EXPERIMENTS, config["experiments"])
        for subject in config["experiments"].get(experiment, {}).get("subjects", config["subjects"])
        for seed in config["experiments"].get(experiment, {}).get("seeds", config["seeds"])
    ]


def deviations(config: Mapping[str, Any], paper: Mapping[str, Any]) -> list[str]:
    """Every setting of the method in which a config differs from the paper's, e.g. "crosscoder.k 8 (64)"."""
    sections = ("dataset", "subjects", "language_model", "features", "normalization", "pairing", "crosscoder")
    not_of_the_method = {"root", "name", "stories", "simulation", "device", "dtype", "stories_per_job"}

    def leaves(value: Any, path: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            return {".".join(path): value}
        inner = (leaves(v, (*path, k)) for k, v in value.items() if k not in not_of_the_method)
        return {key: leaf for part in inner for key, leaf in part.items()}

    here, there = (
        {key: leaf for section in sections for key, leaf in leaves(which[section], (section,)).items()}
        for which in (config, paper)
    )
    return [
        f"{key} {value} (paper: {there.get(key)})" for key, value in here.items() if value != there.get(key)
    ]
