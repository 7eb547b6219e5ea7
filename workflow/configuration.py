"""Check the config before any job runs, and work out what it asks for."""

import json
from collections.abc import Mapping, Sequence
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
DS003020_STORIES = Path(__file__).parents[1] / "config" / "ds003020" / "stories.tsv"
DS003020_SUBJECTS = tuple(f"UTS{number:02}" for number in range(1, 10))
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
    # Words of a transcript are in lower case.
    config["themes"] = {theme: [word.lower() for word in words] for theme, words in config["themes"].items()}
    stories = _read_stories(Path(config["dataset"]["stories"]))
    _check_dataset(config, stories)
    _check_language_model(config["language_model"])
    _check_standing_experiments(config)
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
    if "propertyNames" in error.absolute_schema_path:
        where = f"a name in {where}"
    if error.validator == "additionalProperties" and "properties" in error.schema:
        known = list(error.schema["properties"])
        unknown = sorted(set(error.instance) - set(known))
        hint = _hint(unknown[0], known, f"known keys are {', '.join(known)}.")
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
    if error.validator == "pattern" and "must" in error.schema:
        return f"Config: {where} must {error.schema['must']}, not {error.instance!r}."
    return f"Config: {where} is not valid: {error.message}."


def _hint(name: str, known: Sequence[str], otherwise: str) -> str:
    close = get_close_matches(name, known)
    return f"did you mean {' or '.join(repr(match) for match in close)}?" if close else otherwise


def _read_stories(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        raise ConfigError(f"Config: dataset.stories names {path}, which does not exist.")
    if not path.is_file():
        raise ConfigError(f"Config: dataset.stories names {path}, which is a folder; it must be a table.")
    table = pd.DataFrame()
    # What pandas cannot read is a ValueError: an empty file, text that is no UTF-8, lines of different length.
    with suppress(ValueError):
        table = pd.read_csv(
            path, sep="\t", dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    table.columns = table.columns.astype(str).str.strip()
    if not {"story", "split"} <= set(table.columns):
        raise ConfigError(f"{path} must be a tab-separated table with columns story and split.")
    table = table[["story", "split"]].fillna("").apply(lambda column: column.str.strip())
    table = table[(table != "").any(axis=1)]
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
    if simulated and dataset["root"] is not None:
        raise ConfigError(
            "Config: dataset.root must be null with dataset.source simulated, which would write over the dataset "
            f"in {dataset['root']}."
        )
    if not simulated and not config["themes"]:
        raise ConfigError(
            "Config: themes needs at least one list of words; only a simulated dataset has annotated spans."
        )
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
    if dataset["source"] == "openneuro":
        _check_ds003020(config, listed)
    if dataset["source"] == "local":
        _check_local_tree(config, listed)


def _check_language_model(language_model: Mapping[str, Any]) -> None:
    source = language_model["path_or_hub_id"]
    # A hub name has one slash at most.
    is_path = source.startswith(("/", "./", "../", "~")) or source.endswith(".gguf") or source.count("/") > 1
    if is_path and not source.startswith("package:") and not _path_exists(source):
        raise ConfigError(f"Config: language_model.path_or_hub_id names {source}, which does not exist.")
    window, stride = (language_model["context"][key] for key in ("window_tokens", "stride_tokens"))
    if (window is None) != (stride is None):
        raise ConfigError(
            "Config: language_model.context needs both window_tokens and stride_tokens, or neither."
        )
    if window is not None and stride > window:
        raise ConfigError(
            f"Config: language_model.context.stride_tokens ({stride}) exceeds window_tokens ({window})."
        )


def _path_exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except RuntimeError:  # the home of an unknown user
        return False


def _check_ds003020(config: Mapping[str, Any], listed: set[str]) -> None:
    for subject in config["subjects"]:
        if subject not in DS003020_SUBJECTS:
            otherwise = f"they are {DS003020_SUBJECTS[0]} to {DS003020_SUBJECTS[-1]}."
            raise ConfigError(
                f"Config: '{subject}' is no subject of ds003020; {_hint(subject, DS003020_SUBJECTS, otherwise)}"
            )
    known = pd.read_csv(DS003020_STORIES, sep="\t", dtype=str, keep_default_na=False)["story"].tolist()
    for story in sorted(listed - set(known)):
        otherwise = f"{DS003020_STORIES} lists its {len(known)} stories."
        raise ConfigError(
            f"{config['dataset']['stories']} names the unknown story '{story}' of ds003020; "
            f"{_hint(story, known, otherwise)}"
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
    textgrids = {story: derivative / "TextGrids" / f"{story}.TextGrid" for story in sorted(listed)}
    hdf5_files = {
        (subject, story): derivative / "preprocessed_data" / subject / f"{story}.hf5"
        for subject in config["subjects"]
        for story in textgrids
    }
    respdict = derivative / "respdict.json"
    for file in (respdict, *textgrids.values(), *hdf5_files.values()):
        if file.is_symlink() and not file.exists():
            raise ConfigError(f"{file} has not been downloaded: run `datalad get` or `git annex get` on it.")
    if not respdict.exists():
        raise ConfigError(
            f"Config: dataset.root has no file {respdict}, the number of volumes of each story."
        )
    for story, textgrid in textgrids.items():
        if not textgrid.exists():
            raise ConfigError(
                f"{config['dataset']['stories']} names the unknown story '{story}': no TextGrid in {derivative}."
            )
    for (subject, story), hdf5 in hdf5_files.items():
        if not hdf5.exists():
            raise ConfigError(
                f"{hdf5} does not exist; drop the subject '{subject}' or mark the story '{story}' as unused."
            )


def read_transforms(path: Path) -> dict[str, str]:
    """Subject -> its pycortex transform, from ds003020's subject_xfms.json; empty if there is no such file.

    Raises
    ------
    ConfigError: the file holds something else.
    """
    if not path.exists():
        return {}
    transforms = None
    with suppress(ValueError):
        transforms = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(transforms, dict) or not all(isinstance(name, str) for name in transforms.values()):
        raise ConfigError(
            f"{path} must be a JSON object, subject: transform; `datalad get` it if it is only a pointer."
        )
    return transforms


def _resolve_experiments(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    base = {section: config[section] for section in EXPERIMENT_SECTIONS}
    overrides = merge(STANDING_EXPERIMENTS, config["experiments"])
    return {
        name: merge(base, {key: value for key, value in override.items() if key in EXPERIMENT_SECTIONS})
        for name, override in overrides.items()
    }


def _check_standing_experiments(config: Mapping[str, Any]) -> None:
    """They are what their names say, and are trained for every subject and seed: the tables need them."""
    brain_time = config["pairing"]["brain_time"]
    if brain_time != "matched":
        raise ConfigError(
            f"Config: pairing.brain_time must be matched, not '{brain_time}', outside experiments: give it in "
            "an experiment of its own."
        )
    for name in STANDING_EXPERIMENTS:
        only = config["experiments"].get(name, {})
        if "brain_time" in only.get("pairing", {}):
            raise ConfigError(
                f"Config: experiments.{name}.pairing.brain_time cannot be given: it is what the name says."
            )
        for key in ("subjects", "seeds"):
            if key in only:
                raise ConfigError(
                    f"Config: experiments.{name}.{key} cannot be given: the figures and tables need this "
                    f"experiment for all {key}."
                )


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


def deviations(plan: Plan, paper: Plan, subject: str) -> list[str]:
    """In what a subject's results are not made as the paper's, e.g. "crosscoder.k 8 (paper: 64)".

    Settings are those of `matched`, and those of `shuffled` that deviate there alone: the two experiments
    whose numbers the paper gives.
    """

    def describe(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
        return [
            f"{key} {value} (paper: {there.get(key)})"
            for key, value in here.items()
            if value != there.get(key)
        ]

    def counts(of: Plan) -> str:
        return "/".join(str(len(of.stories[split])) for split in SPLITS)

    found = []
    if subject not in paper.config["subjects"]:
        found.append(f"subject {subject} (paper: {', '.join(paper.config['subjects'])})")
    if any(set(plan.stories[split]) != set(paper.stories[split]) for split in SPLITS):
        same_counts = counts(plan) == counts(paper)
        other = (
            "of other splits than the paper's" if same_counts else f"{counts(plan)} (paper: {counts(paper)})"
        )
        found.append(f"stories {other}")
    found += describe(_input_settings(plan.config), _input_settings(paper.config))
    matched, shuffled = (
        describe(_leaves(plan.experiments[name]), _leaves(paper.experiments[name]))
        for name in ("matched", "shuffled")
    )
    return found + matched + [f"{entry} in shuffled" for entry in shuffled if entry not in matched]


def _input_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the values of responses and activations; which blocks are kept beside features.block does not."""
    keys = {
        "dataset": ("source", "tr_s", "sound_onset_s", "trim"),
        "language_model": ("path_or_hub_id", "revision", "context"),
    }
    return _leaves({section: {key: config[section][key] for key in keys[section]} for section in keys})


def _leaves(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {".".join(path): value}
    inner = (_leaves(part, (*path, key)) for key, part in value.items())
    return {key: leaf for part in inner for key, leaf in part.items()}
