import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError

from configuration import ConfigError, deviations, make_plan

try:
    PLAN = make_plan(config)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

DATASET = PLAN.config["dataset"]
RESULTS = f"{PLAN.config['results']}/{DATASET['name']}"
DERIVATIVE = f"{DATASET['root'] or RESULTS + '/ds003020'}/derivative"
SIMULATED = DATASET["source"] == "simulated"
LM = PLAN.config["language_model"]["name"]
STORIES = PLAN.all_stories
SUBJECTS = PLAN.config["subjects"]
SEEDS = PLAN.config["seeds"]
REPORTED_SEED = SEEDS[0]
MODEL = f"{RESULTS}/{{subject}}/{{experiment}}/seed{{seed}}"
REPORTED = f"{RESULTS}/{{subject}}/matched/seed{REPORTED_SEED}"
ENVIRONMENT = "../../envs/brainlm.yaml"


wildcard_constraints:
    subject="[A-Za-z0-9]+",
    story="[^/]+",
    experiment="[^/]+",
    variant="[^/]+",
    lm="[^/]+",
    seed="[0-9]+",


def story_files(pattern, stories=STORIES):
    """The pattern's path for each story; other wildcards stay as they are."""
    return [pattern.replace("{story}", story) for story in stories]


def responses_of(wildcards):
    return story_files(f"{RESULTS}/responses/{wildcards.subject}/{{story}}.zarr")


def features_of(wildcards):
    variant = PLAN.variant_of[wildcards.experiment]
    return story_files(f"{RESULTS}/features/{LM}/{variant}/{{story}}.zarr")


def model_files(name, experiments=None):
    """A function of a rule's wildcards: the file `name` of every model of the subject, or of some experiments."""

    def paths(wildcards):
        return [
            f"{RESULTS}/{model.subject}/{model.experiment}/seed{model.seed}/{name}"
            for model in PLAN.models
            if model.subject == wildcards.subject and (experiments is None or model.experiment in experiments)
        ]

    return paths


def has_cortex(subject):
    """Whether the dataset has a pycortex subject, so that flatmaps can be drawn."""
    return DATASET["source"] != "local" or Path(DERIVATIVE, "pycortex-db", subject).is_dir()


def training_threads(wildcards):
    # Small models train fastest side by side, large ones alone.
    return 1 if SIMULATED else workflow.cores


def figures():
    """Every figure, as PDF."""
    names = ["figure2", "training", "agreement"]
    flatmaps = ["figure3", "figure4"]
    return [
        f"{RESULTS}/figures/{subject}/{name}.pdf"
        for subject in SUBJECTS
        for name in names + (flatmaps if has_cortex(subject) else [])
    ]


def tables():
    """Every table, as TSV."""
    names = ["table1", "table2", "shares", "paper"] + (["planted"] if SIMULATED else [])
    paths = [f"{RESULTS}/tables/{subject}/{name}.tsv" for subject in SUBJECTS for name in names]
    return paths + ([f"{RESULTS}/tables/checks.tsv"] if SIMULATED else [])


onsuccess:
    shell(f"test ! -f {RESULTS}/tables/checks.md || cat {RESULTS}/tables/checks.md")
