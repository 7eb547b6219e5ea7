"""Check the config before any job runs, and work out what it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.datasets import dataset_of
from pipeline.datasets.base import Dataset
from pipeline.errors import ConfigError, hint
from pipeline.experiments import (
    ONE_SEED,
    STANDING_EXPERIMENTS,
    Model,
    Reading,
    leaves,
    models_of,
    resolve_experiments,
    resolve_pairings,
    resolve_readings,
    ridge_features,
    variant_name,
)
from pipeline.former_words import with_todays_words
from pipeline.name_checks import check_names, check_paths, check_themes
from pipeline.names import folded
from pipeline.paths import counted_from, with_shipped_files
from pipeline.recordings import Segment
from pipeline.schema import checked
from pipeline.settings import Config
from pipeline.stories import SPLITS, read_segments, read_stories, stories_of_groups

LM_SOURCE = "lm"
TRANSCRIPT_KEYS = ("non_words", "words_tier", "words_without_times")
"""Keys of the section `dataset` that say how transcripts are read."""


@dataclass(frozen=True)
class Plan:
    """A checked config and what follows from it."""

    config: dict[str, Any]
    """With all defaults filled in."""
    dataset: Dataset
    stories: dict[str, list[str]]
    """Split -> its stories, in the order of the stories table; those that any subject has."""
    subject_stories: dict[str, dict[str, list[str]]]
    """Subject or group -> split -> those of its stories to which the subject, or each member, has responses."""
    segments: dict[str, Segment]
    """Story -> where it lies in its recording's sound, for the stories of which the stories table says so."""
    experiments: dict[str, dict[str, Any]]
    """Experiment -> its features, normalization, pairing and crosscoder sections, overrides applied."""
    models: list[Model]
    """Every crosscoder that the figures and tables need."""
    readings: list[Reading]
    """Every way to read what the paper leaves open."""
    reading_experiments: dict[str, dict[str, Any]]
    """Like `experiments`: those that only the readings need."""
    pairing_experiments: dict[str, dict[str, dict[str, Any]]]
    """"shuffled" and "shifted" -> like `experiments`: other draws of the pairs."""
    feature_variants: dict[str, dict[str, Any]]
    """Name of a set of feature settings, e.g. "block15" -> the settings."""
    variant_of: dict[str, str]
    """Experiment, those of the readings included -> the feature variant it uses."""
    ridge_variants: list[str]
    """The feature variants that ridge regression sees, side by side."""
    faults: list[str]
    """Sentences on the dataset's files with which no run can begin."""
    former_words: list[str]
    """Sentences on words of the config that are now called otherwise."""

    @property
    def all_stories(self) -> list[str]:
        """Stories of all splits."""
        return [story for split in SPLITS for story in self.stories[split]]

    @property
    def all_texts(self) -> list[str]:
        """What the language model reads: recordings in place of their segments, and stories."""
        return list(dict.fromkeys(map(self.text_of, self.all_stories)))

    def text_of(self, story: str) -> str:
        """The recording whose transcript a story shares, or the story itself."""
        return (story in self.segments and self.segments[story].recording) or story

    def sound_onset_s(self, story: str) -> float:
        """Onset of the sound, s after the story's first volume."""
        return (
            self.segments[story].sound_onset_s
            if story in self.segments
            else self.dataset.sound_onset_s(story)
        )

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Like `experiments`, for all that may be trained."""
        return self.experiments | self.reading_experiments | _of_any_control(self.pairing_experiments)


def make_plan(config: Mapping[str, Any]) -> Plan:
    """Check a config and work out its stories, experiments and models.

    Raises
    ------
    ConfigError: in one sentence, the first thing that is wrong with the config; if nothing is, all that is wrong with
        the dataset's files, in a line each.
    """
    plan = plan_of_any_dataset(config)
    if plan.faults:
        raise ConfigError("\n".join(plan.faults))
    return plan


def plan_of_any_dataset(config: Mapping[str, Any]) -> Plan:
    """`make_plan` of a dataset whose files may have `Plan.faults`, as long as they leave each split a story."""
    former: list[str] = []
    if isinstance(config, Mapping):
        config, former = with_todays_words(config)
    given = config
    config = checked(Config, given)
    check_names(config)
    check_paths(config)
    check_themes(config["themes"])
    config["dataset"] = with_shipped_files(config["dataset"])
    stories = read_stories(Path(config["dataset"]["stories"]))
    segments = read_segments(Path(config["dataset"]["stories"]))
    dataset = dataset_of(config)
    faults = dataset.faults(stories, segments)
    config["dataset"] = dict(dataset.settled(given["dataset"]))
    try:
        subject_stories = dataset.stories_of_subjects(stories)
    except ConfigError as error:
        # Which may follow from the others.
        raise ConfigError("\n".join(faults) or str(error)) from None
    _check_groups(config)
    subject_stories |= stories_of_groups(config["groups"], subject_stories)
    stories = {
        split: [story for story in names if any(story in of[split] for of in subject_stories.values())]
        for split, names in stories.items()
    }
    _check_language_model(config["language_model"])
    _check_standing_experiments(config)
    experiments = resolve_experiments(config)
    for name, settings in experiments.items():
        _check_experiment(config, name, settings)
    _check_pinned(config["figures"]["pinned_latents"], experiments["matched"]["crosscoder"]["n_latents"])
    readings, added = resolve_readings(config, experiments)
    pairings = resolve_pairings(config, experiments)
    trained = experiments | added | _of_any_control(pairings)
    seen = {name: settings["features"] for name, settings in trained.items()}
    variant_of = {name: variant_name(config, features) for name, features in seen.items()}
    baseline = ridge_features(config, experiments["matched"])
    variants = {variant_name(config, features): features for features in [*seen.values(), *baseline]}
    return Plan(
        config=config,
        dataset=dataset,
        stories=stories,
        subject_stories=subject_stories,
        segments=segments,
        experiments=experiments,
        models=models_of(config),
        readings=readings,
        reading_experiments=added,
        pairing_experiments=pairings,
        feature_variants=variants,
        variant_of=variant_of,
        ridge_variants=[variant_name(config, features) for features in baseline],
        faults=faults,
        former_words=former,
    )


def _of_any_control(pairings: Mapping[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {name: settings for experiments in pairings.values() for name, settings in experiments.items()}


def _check_language_model(language_model: Mapping[str, Any]) -> None:
    source = language_model["path_or_hub_id"]
    # A hub name has one slash at most.
    is_path = source.startswith(("/", "./", "../", "~")) or source.endswith(".gguf") or source.count("/") > 1
    if is_path and not source.startswith("package:") and not _path_exists(source):
        raise ConfigError(
            f"Config: language_model.path_or_hub_id names {source}, which does not exist{counted_from(source)}."
        )
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


def _check_groups(config: Mapping[str, Any]) -> None:
    for group, members in config["groups"].items():
        if group in config["subjects"]:
            raise ConfigError(f"Config: the group '{group}' has the name of a subject; give it another.")
        for member in members:
            if member not in config["subjects"]:
                known = config["subjects"]
                otherwise = f"subjects are {', '.join(known)}."
                raise ConfigError(
                    f"Config: groups.{group} names '{member}', which is no subject; {hint(member, known, otherwise)}"
                )
        if LM_SOURCE in map(folded, members):
            raise ConfigError(
                f"Config: groups.{group} has a subject called '{LM_SOURCE}', which in a joint crosscoder is the "
                "language model."
            )


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
        for key in ("subjects", "seeds")[: 1 if name == ONE_SEED else 2]:
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
    subjects = [*config["subjects"], *config["groups"]]
    for key, known in (("subjects", subjects), ("seeds", config["seeds"])):
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
    roles_of: dict[int, str] = {}
    for role, latent in pinned.items():
        if latent in roles_of:
            raise ConfigError(
                f"Config: figures.pinned_latents names latent {latent} as {roles_of[latent]} and as {role}: no "
                "latent is shown twice."
            )
        roles_of[latent] = role


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

    def counts(stories: Mapping[str, list[str]]) -> str:
        return "/".join(str(len(stories[split])) for split in SPLITS)

    found = []
    if subject not in paper.config["subjects"]:
        found.append(f"subject {subject} (paper: {', '.join(paper.config['subjects'])})")
    here = plan.subject_stories[subject]
    if any(set(here[split]) != set(paper.stories[split]) for split in SPLITS):
        same_counts = counts(here) == counts(paper.stories)
        other = f"{counts(here)} (paper: {counts(paper.stories)})"
        found.append("stories " + ("of other splits than the paper's" if same_counts else other))
    found += describe(_input_settings(plan.config), _input_settings(paper.config))
    matched, shuffled = (
        describe(leaves(plan.experiments[name]), leaves(paper.experiments[name]))
        for name in ("matched", "shuffled")
    )
    return found + matched + [f"{entry} in shuffled" for entry in shuffled if entry not in matched]


def _input_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the values of responses and activations; which blocks are kept beside features.block does not."""
    keys = {
        "dataset": ("source", "tr_s", "sound_onset_s", "trim", *TRANSCRIPT_KEYS),
        "language_model": ("path_or_hub_id", "revision", "context"),
    }
    return leaves({section: {key: config[section][key] for key in keys[section]} for section in keys})
