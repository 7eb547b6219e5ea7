import os
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from snakemake.common.configfile import load_configfile

from configuration import deviations, make_plan
from dataset_checks import ConfigError, manifest_of, read_manifest, read_transforms, require_space
from experiments import reading_models

# Threads that read stores would each keep the memory they once used: 0.2 GB of a training job.
os.environ.setdefault("MALLOC_ARENA_MAX", "1")


def paper_config():
    """The config of the paper; its paths are the repository's, wherever the workflow runs."""
    repository = Path(workflow.basedir).parent
    paper = load_configfile(repository / "config" / "paper.yaml")
    paper["dataset"]["stories"] = str(repository / paper["dataset"]["stories"])
    return paper


try:
    PLAN = make_plan(config)
    PAPER_PLAN = make_plan(paper_config())
    DATASET = PLAN.config["dataset"]
    RESULTS = f"{PLAN.config['results']}/{DATASET['name']}"
    ROOT = DATASET["root"] or f"{RESULTS}/ds003020"
    DERIVATIVE = f"{ROOT}/derivative"
    SIMULATED = DATASET["source"] == "simulated"
    TRANSFORMS = {} if SIMULATED else read_transforms(Path(DERIVATIVE, "subject_xfms.json"))
except ConfigError as error:
    # Of an exception Snakemake would also print where it comes from, which is no help here.
    sys.exit(str(error))

LM = PLAN.config["language_model"]["name"]
LM_SOURCE = PLAN.config["language_model"]["path_or_hub_id"]
LM_IS_GGUF = LM_SOURCE.endswith(".gguf")
STORIES = PLAN.all_stories
SETTINGS = PLAN.settings
SUBJECTS = PLAN.config["subjects"]
SEEDS = PLAN.config["seeds"]
REPORTED_SEED = SEEDS[0]
MODEL = f"{RESULTS}/{{subject}}/{{experiment}}/seed{{seed}}"
REPORTED = f"{RESULTS}/{{subject}}/matched/seed{REPORTED_SEED}"
ENVIRONMENT = "../../envs/brainlm.yaml"
TABLE = f"{RESULTS}/tables/{{subject}}"
FIGURE = f"{RESULTS}/figures/{{subject}}"


wildcard_constraints:
    subject="[A-Za-z0-9_-]+",
    story="[^/]+",
    experiment="[^/]+",
    variant="[^/]+",
    lm="[^/]+",
    seed="[0-9]+",


def story_files(pattern, stories=STORIES):
    """The pattern's path for each story; other wildcards stay as they are."""
    return [pattern.replace("{story}", story) for story in stories]


def stories_of(wildcards):
    """Split -> the subject's stories; some subjects have heard only some of them."""
    return PLAN.subject_stories[wildcards.subject]


def all_stories_of(wildcards):
    return [story for split in stories_of(wildcards).values() for story in split]


def responses_of(wildcards):
    pattern = f"{RESULTS}/responses/{wildcards.subject}/{{story}}.zarr"
    return story_files(pattern, all_stories_of(wildcards))


def features_of(wildcards):
    variant = PLAN.variant_of[wildcards.experiment]
    return story_files(f"{RESULTS}/features/{LM}/{variant}/{{story}}.zarr", all_stories_of(wildcards))


def baseline_features_of(wildcards):
    """The features that ridge regression sees."""
    pattern = f"{RESULTS}/features/{LM}/{{variant}}/{{story}}.zarr"
    return [
        path
        for variant in PLAN.baseline_variants
        for path in story_files(pattern.replace("{variant}", variant), all_stories_of(wildcards))
    ]


def test_responses_of(wildcards):
    return story_files(
        f"{RESULTS}/responses/{wildcards.subject}/{{story}}.zarr", stories_of(wildcards)["test"]
    )


def test_features_of(wildcards):
    """The features of the test stories that the matched models see."""
    pattern = f"{RESULTS}/features/{LM}/{PLAN.variant_of['matched']}/{{story}}.zarr"
    return story_files(pattern, stories_of(wildcards)["test"])


def model_file(model, name):
    """A file of one model."""
    return f"{RESULTS}/{model.subject}/{model.experiment}/seed{model.seed}/{name}"


def model_files(name, experiments=None, seed=None):
    """A function of a rule's wildcards: the file `name` of the subject's models, or of some of them."""

    def paths(wildcards):
        return [
            model_file(model, name)
            for model in PLAN.models
            if model.subject == wildcards.subject
            and (experiments is None or model.experiment in experiments)
            and (seed is None or model.seed == seed)
        ]

    return paths


def provenance_of(wildcards):
    """Where a model's data come from; kept in its file."""
    language_model = PLAN.config["language_model"]
    return {
        "dataset": {"name": DATASET["name"], "source": DATASET["source"]},
        "language_model": {key: language_model[key] for key in ("path_or_hub_id", "revision", "context")},
        "features": SETTINGS[wildcards.experiment]["features"],
    }


def has_cortex(subject):
    """Whether the dataset has a pycortex subject, so that flatmaps can be drawn."""
    return DATASET["source"] != "local" or Path(DERIVATIVE, "pycortex-db", subject).is_dir()


def flatmaps_drawn(wildcards):
    return has_cortex(wildcards.subject)


def training_threads(wildcards):
    # Small models train fastest side by side, large ones alone.
    return 1 if SIMULATED else workflow.cores


def figures():
    """Every figure, as PDF."""
    names = ["figure2", "training", "agreement"]
    flatmaps = ["figure3", "figure4", "ceiling"]
    return [
        f"{RESULTS}/figures/{subject}/{name}.pdf"
        for subject in SUBJECTS
        for name in names + (flatmaps if has_cortex(subject) else [])
    ]


def tables():
    """Every table, as TSV."""
    names = ["table1", "table2", "interpretations", "shares", "predictions", "sensitivity", "paper"] + (
        ["planted"] if SIMULATED else []
    )
    paths = [f"{RESULTS}/tables/{subject}/{name}.tsv" for subject in SUBJECTS for name in names]
    return paths + ([f"{RESULTS}/tables/checks.tsv"] if SIMULATED else [])


def words_of_test_stories(wildcards):
    return story_files(f"{RESULTS}/words/{{story}}.tsv", stories_of(wildcards)["test"])


def figure_files(name):
    """A figure's PDF and numbers, and its PNG for the report, with the caption report/<name>.rst."""
    stem = f"{FIGURE}/{name}"
    png = report(
        f"{stem}.png",
        caption=f"../report/{name}.rst",
        category="Figures",
        labels={"figure": name, "subject": "{subject}"},
    )
    return [f"{stem}.pdf", png, f"{stem}.tsv"]


def table_files(name, folder=TABLE, subject="{subject}"):
    """A table as TSV and Markdown, and as a page for the report, with the caption report/<name>.rst."""
    stem = f"{folder}/{name}"
    page = report(
        f"{stem}.html",
        caption=f"../report/{name}.rst",
        category="Tables",
        labels={"table": name, "subject": subject},
    )
    return [f"{stem}.tsv", f"{stem}.md", page]


def transform_of(wildcards):
    """The subject's pycortex transform; ds003020's subject_xfms.json lacks UTS09, named like the others."""
    return TRANSFORMS.get(wildcards.subject, f"{wildcards.subject}_auto")


def transform_files():
    """What says how transforms are called; a local dataset may lack it."""
    path = f"{DERIVATIVE}/subject_xfms.json"
    return [path] if DATASET["source"] != "local" or Path(path).exists() else []


def mask_path(wildcards):
    """The mask that the number of voxels is checked against; empty if the dataset has none."""
    transforms = f"{DERIVATIVE}/pycortex-db/{wildcards.subject}/transforms"
    path = f"{transforms}/{transform_of(wildcards)}/mask_thick.nii.gz"
    return path if DATASET["source"] != "local" or Path(path).exists() else ""


def mask_files(wildcards):
    """What has to be there for the mask to be."""
    path = mask_path(wildcards)
    return [f"{DERIVATIVE}/pycortex-db/{wildcards.subject}" if SIMULATED else path] if path else []


def cortex_files(wildcards):
    """What pycortex needs of a subject."""
    folder = f"{DERIVATIVE}/pycortex-db/{wildcards.subject}"
    if DATASET["source"] != "openneuro":
        return [folder]
    surfaces = [f"surfaces/{kind}_{side}.gii" for kind in ("flat", "pia", "wm") for side in ("lh", "rh")]
    transform = [
        f"transforms/{transform_of(wildcards)}/{name}"
        for name in ("matrices.xfm", "reference.nii.gz", "mask_thick.nii.gz")
    ]
    return [f"{folder}/{file}" for file in [*surfaces, *transform, "overlays.svg"]]


def lm_batches():
    """Stories that one job reads with the language model, the same ones in whichever splits they are."""
    size, stories = PLAN.config["language_model"]["stories_per_job"], sorted(STORIES)
    return [stories[start : start + size] for start in range(0, len(stories), size)]


def reading_summaries(wildcards):
    """The summaries of all models that the readings compare."""
    return [
        model_file(model, "summary.tsv")
        for reading in PLAN.readings
        for models in reading_models(PLAN.config, reading, wildcards.subject)
        for model in models
    ]


def readings_of(wildcards):
    """Each reading's choices and experiments."""
    return [asdict(reading) for reading in PLAN.readings]


def deviations_of(wildcards):
    """In what the subject's results are not made as the paper's."""
    return deviations(PLAN, PAPER_PLAN, wildcards.subject)


onsuccess:
    shell(f"test ! -f {RESULTS}/tables/checks.md || cat {RESULTS}/tables/checks.md")
