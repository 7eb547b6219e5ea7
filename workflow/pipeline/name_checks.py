"""Check the names and paths of a config, which end up in places that do not take every character."""

from collections.abc import Mapping
from typing import Any

from brainlm.errors import InputError
from brainlm.scores.lexica import check_lexica
from pipeline.errors import ConfigError
from pipeline.experiments import STANDING_EXPERIMENTS
from pipeline.names import (
    RESULT_FOLDERS,
    SIMULATED_RESULTS,
    SUBJECT_RESULTS,
    folded,
    is_label,
    look_alikes,
    name_fault,
)


def check_names(config: Mapping[str, Any]) -> None:
    """Check that results, a cluster's jobs and tables can carry the names; stories are checked with their table."""
    people = [(f"subjects.{number}", subject) for number, subject in enumerate(config["subjects"])]
    people += [("a name in groups", group) for group in config["groups"]]
    experiments = [("a name in experiments", experiment) for experiment in config["experiments"]]
    others = [(f"{section}.name", config[section]["name"]) for section in ("dataset", "language_model")]
    of_people = RESULT_FOLDERS | (SIMULATED_RESULTS if config["dataset"]["source"] == "simulated" else set())
    for named, marks, reserved in (
        (people, "-_", of_people),
        (experiments, "-_.", SUBJECT_RESULTS),
        (others, "-_.", frozenset()),
    ):
        for where, name in named:
            if fault := name_fault(name, marks=marks):
                raise ConfigError(f"Config: {where} {fault}.")
            if folded(name) in reserved:
                raise ConfigError(
                    f"Config: {where} must not be '{name}', as other results of a run are called: give it another."
                )
    for where, names in (
        ("subjects and groups", [name for _, name in people]),
        ("experiments", [*STANDING_EXPERIMENTS, *config["experiments"]]),
    ):
        if alike := look_alikes(names):
            raise ConfigError(
                f"Config: {where} have the names '{alike[0]}' and '{alike[1]}', whose folders some disks take for "
                "the same: rename one of them."
            )


def check_paths(config: Mapping[str, Any]) -> None:
    """Check that Snakemake takes the paths for paths."""
    dataset, source = config["dataset"], config["language_model"]["path_or_hub_id"]
    keys = ("root", "raw", "transcripts", "atlas")
    paths = {"results": config["results"]} | {f"dataset.{key}": dataset[key] for key in keys}
    paths["dataset.simulation.texts"] = dataset.get("simulation", {}).get("texts")
    for key, path in {**paths, "language_model.path_or_hub_id": source}.items():
        if path is not None and (set("{}<>") & set(path) or not is_label(path)):
            raise ConfigError(
                f"Config: {key} must be a path in one line without braces and angle brackets, which Snakemake takes "
                f"for wildcards and for folders of its own, not {path!r}."
            )
    for key, path in paths.items():
        if path is not None and path.startswith("~"):
            raise ConfigError(
                f"Config: {key} must not begin with '~', as {path!r} does: write the folder in full."
            )


def check_themes(themes: Mapping[str, list[str]]) -> None:
    """Check that themes can stand in tables, that none of their words is empty, and that their lexica are there."""
    for theme, words in themes.items():
        if not is_label(theme):
            raise ConfigError(
                f"Config: a name in themes must be text in one line without tabs, not {theme!r}."
            )
        if not all(word.strip() for word in words):
            raise ConfigError(f"Config: themes.{theme} has an empty word: remove it.")
        try:
            check_lexica(theme, words)
        except InputError as error:
            raise ConfigError(f"Config: {error}") from None
