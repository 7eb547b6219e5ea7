"""What a config's experiments are, which features each needs, and how the paper may be read."""

import hashlib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any

from pipeline.errors import ConfigError

EXPERIMENT_SECTIONS = ("features", "normalization", "pairing", "crosscoder")
STANDING_EXPERIMENTS: dict[str, dict[str, Any]] = {
    "matched": {},
    "shuffled": {"pairing": {"brain_time": "shuffled"}},
    "shifted": {"pairing": {"brain_time": "shifted"}},
    "noise": {"pairing": {"brain_time": "noise"}},
}
PERMUTED = ("shuffled", "shifted")
"""Those that differ from draw to draw of the pairs."""
ONE_SEED = "noise"
"""The standing experiment of which one seed tells enough: the r of white noise hardly moves."""
READING_PREFIX = "reading-"
LONGEST_VARIANT = 90
"""Bytes: with a story's name and the language model's it makes one name of a file, see `names.LONGEST_NAME`."""


@dataclass(frozen=True)
class Model:
    """One crosscoder to train."""

    subject: str
    experiment: str
    seed: int


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper leaves open, as experiments."""

    choices: dict[str, str]
    """Open point -> what is chosen, in words."""
    matched: str
    """The experiment that is trained with every seed."""
    shuffled: list[str]
    """Experiments that differ in the permutation, each trained with one seed."""


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The base with overrides applied, section by section; neither is changed."""
    merged = deepcopy(dict(base))
    for key, value in overrides.items():
        inner = merged.get(key)
        both_sections = isinstance(value, Mapping) and isinstance(inner, Mapping)
        merged[key] = merge(inner, value) if both_sections else deepcopy(value)
    return merged


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Nested sections as one mapping of dotted keys."""
    if not isinstance(value, Mapping):
        return {".".join(path): value}
    inner = (leaves(part, (*path, key)) for key, part in value.items())
    return {key: leaf for part in inner for key, leaf in part.items()}


def resolve_experiments(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Experiment -> its features, normalization, pairing and crosscoder sections, overrides applied."""
    base = _base(config)
    overrides = merge(STANDING_EXPERIMENTS, config["experiments"])
    return {
        name: merge(base, {key: value for key, value in override.items() if key in EXPERIMENT_SECTIONS})
        for name, override in overrides.items()
    }


def models_of(config: Mapping[str, Any]) -> list[Model]:
    """Every crosscoder that the figures and tables need; a group is trained like a subject."""
    all_subjects = [*config["subjects"], *config["groups"]]
    return [
        Model(subject, experiment, seed)
        for experiment in merge(STANDING_EXPERIMENTS, config["experiments"])
        for subject in config["experiments"].get(experiment, {}).get("subjects", all_subjects)
        for seed in config["experiments"].get(experiment, {}).get("seeds", _seeds(config, experiment))
    ]


def _seeds(config: Mapping[str, Any], experiment: str) -> list[int]:
    return config["seeds"][:1] if experiment == ONE_SEED else config["seeds"]


def variant_name(config: Mapping[str, Any], features: Mapping[str, Any]) -> str:
    """Name of a set of feature settings: the block, and what else differs from the config's own section.

    Different settings have different names, so that their results never share a folder; the name does not depend
    on the experiment that asks for them.
    """
    base = leaves(config["features"])
    differing = [
        f"-{key.rpartition('.')[2]}_{_in_a_name(value)}"
        for key, value in leaves(features).items()
        if key != "block" and value != base[key]
    ]
    name = f"block{features['block']}" + "".join(differing)
    if len(name) <= LONGEST_VARIANT:
        return name
    # A long list of delays would make a name that no disk takes.
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: LONGEST_VARIANT - 13]}-{digest}"


def scaling_name(normalization: Mapping[str, Any]) -> str:
    """Name of a section `normalization`, e.g. "brain-none_lm-zscore"."""
    return "_".join(f"{source}-{normalization[source]['standardize']}" for source in ("brain", "lm"))


def scaling_settings(name: str) -> dict[str, dict[str, str]]:
    """The section `normalization` that has a name."""
    pairs = (part.split("-") for part in name.split("_"))
    return {source: {"standardize": standardize} for source, standardize in pairs}


def ridge_features(config: Mapping[str, Any], matched: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sets of features that ridge regression sees: the crosscoder's, or one for each delay."""
    features = matched["features"]
    if config["ridge"]["delays"] == "mean":
        return [features]
    return [merge(features, {"delays_s": [delay]}) for delay in features["delays_s"]]


def _in_a_name(value: Any) -> str:
    if isinstance(value, list):
        return "_".join(_in_a_name(item) for item in value)
    # 1e+16 is 1e16; names have no plus.
    return str(value).lower().replace("+", "")


def resolve_pairings(
    config: Mapping[str, Any], experiments: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Control -> experiments that differ from it in the permutation, or the shift, alone: their names and settings.

    Raises
    ------
    ConfigError: an experiment of the config has a name that is reserved for these.
    """
    seed = config["pairing"]["seed"]
    added = {
        control: {
            f"{control}-pairing{number}": merge(experiments[control], {"pairing": {"seed": seed + number}})
            for number in range(1, config["pairings"] + 1)
        }
        for control in PERMUTED
    }
    taken = next((name for names in added.values() for name in names if name in experiments), None)
    if taken:
        raise ConfigError(
            f"Config: the experiment '{taken}' has the name of one that `pairings` adds; rename it."
        )
    return added


def resolve_readings(
    config: Mapping[str, Any], experiments: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Reading], dict[str, dict[str, Any]]]:
    """Every combination of the points that the paper leaves open, and the experiments that these add.

    A combination that an experiment of the config has already is that experiment.

    Raises
    ------
    ConfigError: an experiment of the config has a name that is reserved for these.
    """
    reserved = next((name for name in experiments if name.startswith(READING_PREFIX)), None)
    if reserved:
        raise ConfigError(
            f"Config: the experiment '{reserved}' must not begin with '{READING_PREFIX}', as those of `readings` do."
        )
    base, points, added = _base(config), config["readings"], {}

    def experiment(name: str, settings: dict[str, Any]) -> str:
        known = next((known for known, same in experiments.items() if same == settings), None)
        if known is None:
            added[name] = settings
        return known or name

    readings = []
    for standardize, normalize, tokens, relu in product(
        *(points[key] for key in ("standardize", "lanczos_normalize", "tokens", "relu"))
    ):
        token_rule = {"token_time": tokens} if tokens in ("spread", "midpoint") else {"unit": tokens}
        overrides = {
            "features": {"unit": "token", **token_rule, "lanczos": {"normalize": normalize}},
            "normalization": {"brain": {"standardize": standardize}, "lm": {"standardize": standardize}},
            "crosscoder": {"relu": relu},
        }
        matched = merge(base, overrides)
        choices = {
            "scaling": standardize,
            "Lanczos": "mean" if normalize else "sum",
            "tokens": tokens.replace("_", " "),
            "TopK": "ReLU" if relu else "signed",
        }
        name = READING_PREFIX + "-".join(choices.values()).replace(" ", "_")
        shuffled = [
            experiment(
                f"{name}-shuffled{seed}",
                merge(matched, {"pairing": {"brain_time": "shuffled", "seed": seed}}),
            )
            for seed in points["permutations"]
        ]
        readings.append(Reading(choices, experiment(name, matched), shuffled))
    return readings, added


def reading_models(
    config: Mapping[str, Any], reading: Reading, subject: str
) -> tuple[list[Model], list[Model]]:
    """The matched and the shuffled models of a reading; permutations go through the seeds in turn."""
    seeds = config["readings"]["seeds"]
    matched = [Model(subject, reading.matched, seed) for seed in seeds]
    shuffled = [
        Model(subject, experiment, seeds[number % len(seeds)])
        for number, experiment in enumerate(reading.shuffled)
    ]
    return matched, shuffled


def story_batches(stories: Iterable[str], size: int) -> list[list[str]]:
    """Stories in batches of at most `size`, by the digests of their names.

    A story that is added or leaves changes its own batch, which may be cut in two or joined with its neighbour, and
    no other: too large a batch is halved by the next bit of its stories' digests.
    """
    return _halved(sorted(stories), size, n_bits=0)


def _halved(stories: list[str], size: int, n_bits: int) -> list[list[str]]:
    if len(stories) <= size:
        return [stories] if stories else []
    halves: tuple[list[str], list[str]] = ([], [])
    for story in stories:
        digest = int.from_bytes(hashlib.blake2b(story.encode()).digest())
        halves[digest >> n_bits & 1].append(story)
    return [batch for half in halves for batch in _halved(half, size, n_bits + 1)]


def _base(config: Mapping[str, Any]) -> dict[str, Any]:
    return {section: config[section] for section in EXPERIMENT_SECTIONS}
