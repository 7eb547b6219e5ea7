import os
import re
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

from snakemake.common.configfile import load_configfile

from pipeline.code_changes import code_param, save_definitions, templates_param
from pipeline.config import deviations, make_plan, plan_of_any_dataset
from pipeline.datasets.layout import volumes_of_stories
from pipeline.errors import ConfigError
from pipeline.experiments import (
    STANDING_EXPERIMENTS,
    Model,
    reading_models,
    scaling_name,
    scaling_settings,
    story_batches,
)
from pipeline.failures import summary, watch_failures
from pipeline.feasibility import compared_subjects, doubtful, impossible, shown_partners
from pipeline.report_order import ALL_SUBJECTS, FIGURES, TABLES
from pipeline.sizes import (
    browser_gb,
    evidence_gb,
    language_model_gb,
    model_bytes,
    ridge_gb,
    run_sizes,
    scoring_gb,
    stored_bytes,
    training_gb,
    training_minutes,
    with_attempt,
)
from pipeline.recordings import describe_neighbours
from pipeline.scheduling import without_default_rate_limit
from pipeline.stories import describe_missing, read_stories
from pipeline.surroundings import settle

# A job's process, which reads this file as well, hands them on to the rule's script.
settle(os.environ)
# Threads that read stores would each keep the memory they once used: 0.2 GB of a training job.
os.environ.setdefault("MALLOC_ARENA_MAX", "1")


# Faults of the dataset are what one target asks for, and no job needs to find again what its run has found. Snakemake
# itself knows its targets only after it has read this file.
REFUSES = workflow.is_main_process and not {"check_dataset", "dataset_table"} & set(sys.argv)

try:
    PLAN = plan_of_any_dataset(config)
    PAPER_PLAN = make_plan(load_configfile(WORKFLOW.parent / "config" / "paper.yaml"))
    DATASET = PLAN.config["dataset"]
    LISTED_STORIES = read_stories(Path(DATASET["stories"]))
    MISSING_STORIES = describe_missing(LISTED_STORIES, PLAN.subject_stories)
    VOLUMES = {} if PLAN.faults else volumes_of_stories(DATASET, PLAN.segments)
    NEIGHBOURS = describe_neighbours(
        DATASET, PLAN.stories, PLAN.segments if VOLUMES else {}, VOLUMES, PLAN.feature_variants.values()
    )
    N_ROWS = PLAN.dataset.rows_of(PLAN.all_stories)
    FAULTS = [*PLAN.faults, *impossible(PLAN, N_ROWS)]
    if FAULTS and REFUSES:
        # Stories that are left out may be why too few are left.
        raise ConfigError("\n".join([*FAULTS, *MISSING_STORIES]))
except ConfigError as error:
    # Of an exception Snakemake would also print where it comes from, which is no help here.
    sys.exit(str(error))

FILES = PLAN.dataset
RESULTS, ROOT, DERIVATIVE = FILES.results, FILES.root, FILES.derivative
SIMULATED = FILES.is_simulated

# Of each subject, made together because they only set side by side what models have written.
GROUP_TABLES = ["shares", "evidence", "verdicts"]
COLLECTED_TABLES = [*GROUP_TABLES, "funnel", "sensitivity", "interpretations", "paper", *FILES.subject_tables]

# Where a job's process, which reads this file as well, keeps the records of its results and finds the dataset.
os.environ.update(BRAINLM_RESULTS=RESULTS, BRAINLM_DATASET=ROOT)
LM = PLAN.config["language_model"]["name"]
LM_SOURCE = PLAN.config["language_model"]["path_or_hub_id"]
LM_IS_GGUF = LM_SOURCE.endswith(".gguf")
STORIES = PLAN.all_stories
SETTINGS = PLAN.settings
SUBJECTS = PLAN.config["subjects"]
GROUPS = PLAN.config["groups"]
SEEDS = PLAN.config["seeds"]
REPORTED_SEED = SEEDS[0]
ENVIRONMENT = "../../envs/brainlm.yaml"


# What rules write as <name> in their paths.
pathvars:
    results=RESULTS,
    derivative=DERIVATIVE,
    logs="<results>/logs",
    figures="<results>/figures",
    tables="<results>/tables",
    model="<results>/{subject}/{experiment}/seed{seed}",
    reported=f"<results>/{{subject}}/matched/seed{REPORTED_SEED}",


wildcard_constraints:
    subject="[A-Za-z0-9_-]+",
    other="[A-Za-z0-9_-]+",
    story="[^/]+",
    experiment="[^/]+",
    variant="[^/]+",
    scaling="[a-z-]+_[a-z-]+",
    lm="[^/]+",
    seed="[0-9]+",


def story_files(pattern, stories=STORIES):
    """The pattern's path for each story; other wildcards stay as they are."""
    return [pattern.replace("{story}", story) for story in stories]


def batches(stories):
    """Stories whose short work one job does; each keeps its own results."""
    return story_batches(stories, PLAN.config["language_model"]["stories_per_job"])


def stories_of(wildcards):
    """Split -> the subject's stories; some subjects have heard only some of them."""
    return PLAN.subject_stories[wildcards.subject]


def all_stories_of(wildcards):
    return [story for split in stories_of(wildcards).values() for story in split]


def responses_of(wildcards):
    """The responses to all stories of a subject, or of each member of a group."""
    return [
        path
        for member in GROUPS.get(wildcards.subject, [wildcards.subject])
        for path in story_files(f"{RESULTS}/responses/{member}/{{story}}.zarr", all_stories_of(wildcards))
    ]


def first_responses_of(wildcards):
    """The responses to one story, which have a column for each voxel as all others do."""
    return f"{RESULTS}/responses/{wildcards.subject}/{all_stories_of(wildcards)[0]}.zarr"


def features_of(wildcards):
    return story_files(
        f"{RESULTS}/features/{LM}/{wildcards.variant}/{{story}}.zarr", all_stories_of(wildcards)
    )


def sources_list(subject, variant):
    """The list of the stores that hold a subject's rows."""
    return f"{RESULTS}/{subject}/sources/{variant}.json"


def sources_of(wildcards):
    return sources_list(wildcards.subject, PLAN.variant_of[wildcards.experiment])


def matched_sources_of(wildcards):
    return sources_list(wildcards.subject, PLAN.variant_of["matched"])


def ridge_sources_of(wildcards):
    """The features that ridge regression sees may be several."""
    return [sources_list(wildcards.subject, variant) for variant in PLAN.ridge_variants]


def normalization_of(wildcards):
    """What an experiment shares with all that have the same features and scaling."""
    experiment = wildcards.experiment
    folder = f"{RESULTS}/{wildcards.subject}/normalization/{PLAN.variant_of[experiment]}"
    return f"{folder}/{scaling_name(SETTINGS[experiment]['normalization'])}.zarr"


def scaling_of(wildcards):
    """A param: how sources are scaled."""
    return scaling_settings(wildcards.scaling)


def test_responses_of(wildcards):
    return story_files(
        f"{RESULTS}/responses/{wildcards.subject}/{{story}}.zarr", stories_of(wildcards)["test"]
    )


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


def subjects_files(name, experiments=None):
    """The file `name` of all subjects' models, or of some experiments'; groups are left out."""
    return [
        model_file(model, name)
        for model in PLAN.models
        if model.subject in SUBJECTS and (experiments is None or model.experiment in experiments)
    ]


def summaries_of_draws(control):
    """The summaries of models that differ from a control in the draw of the pairs."""
    return [
        f"<results>/{{subject}}/{experiment}/seed{REPORTED_SEED}/summary.tsv"
        for experiment in PLAN.pairing_experiments[control]
    ]


def compared_models(name):
    """A function of two subjects: the file `name` of all their matched models."""

    def paths(wildcards):
        return [
            f"{RESULTS}/{subject}/matched/seed{seed}/{name}"
            for subject in dict.fromkeys([wildcards.subject, wildcards.other])
            for seed in SEEDS
        ]

    return paths


def comparisons_with(subject):
    """The comparisons in which latents of the subject are looked for."""
    return [pair for pair in compared_subjects(PLAN.config) if subject in pair]


def comparisons_of(wildcards):
    """Which latents were found again, in all comparisons with the subject."""
    return [
        f"{RESULTS}/comparisons/{subject}/{other}.latents.tsv"
        for subject, other in comparisons_with(wildcards.subject)
    ]


def evidence_of_compared(wildcards):
    """The evidence of all models that are compared with the subject's."""
    subjects = dict.fromkeys(name for pair in comparisons_with(wildcards.subject) for name in pair)
    return [f"{RESULTS}/{name}/matched/seed{seed}/evidence.tsv" for name in subjects for seed in SEEDS]


def group_members(wildcards):
    """The members of a group; none of a subject."""
    return GROUPS.get(wildcards.subject, [])


def chosen_of(wildcards):
    """The latents that figures and tables show, of a subject; of a group they show none."""
    model = Model(wildcards.subject, "matched", REPORTED_SEED)
    return [] if wildcards.subject in GROUPS else model_file(model, "chosen.tsv")


def found_again_of(wildcards):
    """Which of a subject's latents are found again; a group's are looked for nowhere."""
    return [] if wildcards.subject in GROUPS else f"{RESULTS}/{wildcards.subject}/found_again.tsv"


def partners_of(wildcards):
    """The models whose maps the browser shows beside a subject's."""
    return [
        model_file(model, "crosscoder.safetensors")
        for model in shown_partners(PLAN.config, wildcards.subject)
    ]


def subjects_shown_to(wildcards):
    """A subject or a group's members, and the subjects of models whose maps are shown beside."""
    brains = group_members(wildcards) or [wildcards.subject]
    partners = shown_partners(PLAN.config, wildcards.subject)
    return list(dict.fromkeys([*brains, *(model.subject for model in partners)]))


def voxels_shown_to(wildcards):
    return [f"{RESULTS}/voxels/{subject}.tsv" for subject in subjects_shown_to(wildcards)]


def cortices_shown_to(wildcards):
    return [
        path
        for subject in subjects_shown_to(wildcards)
        for path in cortex_store(SimpleNamespace(subject=subject))
    ]


def provenance_of(wildcards):
    """Where a model's data come from; kept in its file."""
    language_model = PLAN.config["language_model"]
    return {
        "dataset": {"name": DATASET["name"], "source": DATASET["source"]},
        "language_model": {key: language_model[key] for key in ("path_or_hub_id", "revision", "context")},
        "features": SETTINGS[wildcards.experiment]["features"],
    }


def no_flatmaps(wildcards):
    """A sentence on why no flatmaps can be drawn; "" if they can."""
    return FILES.why_no_flatmaps(wildcards.subject)


def cortex_store(wildcards):
    """The cortex that figures are drawn on, if there is one."""
    return [f"{RESULTS}/cortex/{wildcards.subject}.zarr"] * (not no_flatmaps(wildcards))


def voxels_of_brains(wildcards):
    """Where the voxels of a subject lie, or of each member of a group."""
    members = GROUPS.get(wildcards.subject, [wildcards.subject])
    return [f"{RESULTS}/voxels/{member}.tsv" for member in members]


def cortex_kind(wildcards):
    return FILES.cortex_kind(wildcards.subject)


def atlas_files(wildcards):
    return FILES.atlas(wildcards.subject)


def mask_in_mm(wildcards):
    """The mask whose affine says where voxels lie; pycortex's tables have no such columns."""
    return FILES.mask_inputs(wildcards.subject) if cortex_kind(wildcards) == "mni" else []


def own_voxel_table(wildcards):
    return FILES.own_voxels(wildcards.subject)


def code_of(script):
    """A param that changes with the code that a rule script runs, so that its jobs run again."""

    # Per job, so that the process of a job digests no script but its own.
    def code(wildcards):
        return code_param(script)

    return code


def section_of(name):
    """A param: a section of the settings of the wildcards' experiment."""

    def section(wildcards):
        return SETTINGS[wildcards.experiment][name]

    return section


def variant_of(wildcards):
    """The feature settings of a variant."""
    return PLAN.feature_variants[wildcards.variant]


def memory(gigabytes):
    """A rule's mem_mb: a number of GB, or a function of its wildcards that gives it; a retry asks for more."""

    def mem_mb(wildcards, attempt):
        return with_attempt(gigabytes(wildcards) if callable(gigabytes) else gigabytes, attempt)

    return mem_mb


def needs(gigabytes, minutes):
    """The resources of a rule; a retry asks for more of both."""

    def runtime(wildcards, attempt):
        return minutes * attempt

    return {"mem_mb": memory(gigabytes), "runtime": runtime}


def gpus(device):
    """How many GPUs a job asks a cluster for; on one machine nothing follows from it."""
    return 0 if device == "cpu" else 1


RESPONSE_BYTES = FILES.response_bytes()
SIZES = {
    subject: run_sizes(PLAN.subject_stories[subject], GROUPS.get(subject, [subject]), RESPONSE_BYTES)
    for subject in [*SUBJECTS, *GROUPS]
}


def writes(n_bytes):
    """A rule's resource for `snakemake plan`: what its results take, a number or a function of its wildcards.

    Without it, and where the sizes of the responses are not known, what such jobs have written before tells.
    """
    return {"written_bytes": n_bytes} if RESPONSE_BYTES else {}


def response_bytes_of(subject, stories):
    """Bytes of the HDF5 files of a subject's stories."""
    return sum(RESPONSE_BYTES.get((subject, story), 0) for story in stories)


def bytes_to_fetch(wildcards):
    return FILES.bytes_to_fetch(wildcards.file)


def model_bytes_of(wildcards):
    return model_bytes(SIZES[wildcards.subject], SETTINGS[wildcards.experiment]["crosscoder"])


def normalization_gb(wildcards):
    """One story at a time, in float64, with temporary copies."""
    return 1 + 10 * SIZES[wildcards.subject].largest_story


def training_of(wildcards):
    return training_gb(SIZES[wildcards.subject], SETTINGS[wildcards.experiment]["crosscoder"])


def training_time(wildcards, attempt):
    """A job that dies at its time limit goes on from its checkpoint when it is tried again."""
    gpu = gpus(PLAN.config["training"]["device"]) > 0
    crosscoder = SETTINGS[wildcards.experiment]["crosscoder"]
    return training_minutes(SIZES[wildcards.subject], crosscoder, gpu) * attempt


def scoring_of(wildcards):
    experiment = getattr(wildcards, "experiment", "matched")
    return scoring_gb(SIZES[wildcards.subject], SETTINGS[experiment]["crosscoder"])


def evidence_of(wildcards):
    return evidence_gb(SIZES[wildcards.subject], SETTINGS[wildcards.experiment]["crosscoder"])


def browsing_of(wildcards):
    n_partners = len(shown_partners(PLAN.config, wildcards.subject))
    return browser_gb(SIZES[wildcards.subject], SETTINGS["matched"]["crosscoder"], n_partners)


def ridge_of(wildcards):
    return ridge_gb(SIZES[wildcards.subject])


def lm_gb(wildcards):
    """The language model's weights, and what it writes of a story."""
    return 2 + language_model_gb(LM_SOURCE)


def figures():
    """Every figure, as PDF."""
    of_any = ["figure2", "training_curves", "agreement"]
    of_subject = ["evidence", "funnel", "figure3", "figure4", "ceiling"]
    return [
        f"{RESULTS}/figures/{subject}/{name}.pdf"
        for subject in [*SUBJECTS, *GROUPS]
        for name in of_any + of_subject * (subject in SUBJECTS)
    ] + [f"{RESULTS}/figures/stability.pdf"] * bool(compared_subjects(PLAN.config))


def tables():
    """Every table, as TSV."""
    names = ["table1", "table2", "predictions", "rois", *COLLECTED_TABLES]
    paths = [f"{RESULTS}/tables/{subject}/{name}.tsv" for subject in SUBJECTS for name in names]
    paths += [f"{RESULTS}/{subject}/found_again.tsv" for subject in SUBJECTS]
    paths += [f"{RESULTS}/tables/{group}/{name}.tsv" for group in GROUPS for name in GROUP_TABLES]
    paths += [f"{RESULTS}/tables/{subject}/latents.tsv" for subject in [*SUBJECTS, *GROUPS]]
    paths += [
        f"{RESULTS}/tables/{subject}/pairings.tsv"
        for subject in [*SUBJECTS, *GROUPS]
        if PLAN.config["pairings"]
    ]
    paths += [
        f"{RESULTS}/tables/{name}.tsv"
        for name in ("subjects", "verdict_shares", "provenance", *FILES.run_tables)
    ]
    return paths


def words_of_training_stories(wildcards):
    return story_files(f"{RESULTS}/words/{{story}}.tsv", stories_of(wildcards)["train"])


def browsers():
    """The pages of the latents of every subject and group."""
    return [f"{RESULTS}/browser/{subject}" for subject in [*SUBJECTS, *GROUPS]]


def words_of_test_stories(wildcards):
    return story_files(f"{RESULTS}/words/{{story}}.tsv", stories_of(wildcards)["test"])


def reported(path, kind, name, subject):
    """A file for the report, with the caption report/<kind>/<name>.rst."""
    place = {"figures": FIGURES, "tables": TABLES}[kind][name]
    return report(
        path,
        caption=f"../report/{kind}/{name}.rst",
        category=place.category,
        subcategory=subject,
        labels=place.labels(subject),
    )


def figure_files(name, folder="<figures>/{subject}", subject="{subject}"):
    """A figure's PDF and numbers, and its PNG for the report."""
    stem = f"{folder}/{name}"
    return [f"{stem}.pdf", reported(f"{stem}.png", "figures", name, subject), f"{stem}.tsv"]


def table_files(name, folder="<tables>/{subject}", subject="{subject}"):
    """A table as TSV and Markdown, and as a page for the report."""
    stem = f"{folder}/{name}"
    return [f"{stem}.tsv", f"{stem}.md", reported(f"{stem}.html", "tables", name, subject)]


def transform_of(wildcards):
    return FILES.transform(wildcards.subject)


def mask_inputs(wildcards):
    return [] if wildcards.subject in GROUPS else FILES.mask_inputs(wildcards.subject)


def mask_path(wildcards):
    return "" if wildcards.subject in GROUPS else FILES.mask(wildcards.subject)


def cortex_files(wildcards):
    return FILES.cortex_inputs(wildcards.subject)


def transcript_file(story):
    """The transcript of a story, or of the recording that it is a segment of."""
    return FILES.transcript(PLAN.text_of(story))


def words_source(story):
    """Where a story's words come from, for sentences about them: the same wherever the dataset lies."""
    in_table = story in PLAN.segments
    return {
        "text": PLAN.text_of(story),
        "transcript": FILES.from_root(transcript_file(story)),
        "sound_onset_name": (
            "its sound_onset_s in dataset.stories" if in_table else FILES.sound_onset_name(story)
        ),
    }


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


def model_settings():
    """What of the config decides which models there are."""
    sections = ("dataset", "subjects", "groups", "language_model", "features", "normalization", "pairing")
    return {name: PLAN.config[name] for name in (*sections, "crosscoder", "experiments", "seeds")}


def missing_stories_of(wildcards):
    """A sentence on the stories that the subject lacks, if there are any."""
    return [sentence for sentence in MISSING_STORIES if sentence.startswith(f"{wildcards.subject} ")]


def deviations_of(wildcards):
    """In what the subject's results are not made as the paper's."""
    return deviations(PLAN, PAPER_PLAN, wildcards.subject)


def heard_stories():
    """Subject, story, split, transcript and responses of every row of the table, whether the files are there or not."""
    return [
        (subject, story, split, transcript_file(story), FILES.responses(subject, story))
        for subject in SUBJECTS
        for split, stories in LISTED_STORIES.items()
        for story in stories
    ]


def listed_stories():
    return [story for stories in LISTED_STORIES.values() for story in stories]


def masks_of_subjects():
    return {subject: FILES.mask(subject) for subject in SUBJECTS}


def nuisance_tables():
    """Story -> the table of columns that a dataset brings beside its responses."""
    return {story: path for story in listed_stories() for path in FILES.nuisances(story)}


def checked_files():
    """What is there and can be read; of a dataset that the workflow writes, all of it, if nothing stands in the way."""
    files = [
        path
        for subject, story, split, *of_story in heard_stories()
        for path in of_story
        if not FILES.is_written or story in PLAN.subject_stories[subject][split]
    ]
    files = [FILES.respdict, *dict.fromkeys(files), *nuisance_tables().values()]
    if SIMULATED:
        return [*files, *map(FILES.pycortex_folder, SUBJECTS)]
    if FILES.is_written and not FAULTS:
        return [*files, *filter(None, masks_of_subjects().values())]
    return [path for path in [*files, *masks_of_subjects().values()] if path and os.access(path, os.R_OK)]


def foresees():
    """Whether this run only asks what another would take; known when all of the workflow has been read."""
    targets = workflow.dag_settings.targets
    return bool(targets) and all(target == "plan" or target.endswith("_plan") for target in targets)


def planning_faults():
    """Sentences on options that leave no place for the plan beside the jobs that they ask for."""
    settings = workflow.dag_settings
    given = {
        "--forcerun": settings.forcerun,
        "--until": settings.until,
        "--omit-from": settings.omit_from,
        "--batch": settings.batch,
    }
    return [
        f"{option} cannot be combined with the target plan: type `PYTHONPATH={planning_path()} python -m pipeline.forecast` "
        "with all options instead of `snakemake plan`."
        for option, value in given.items()
        if value
    ]


def planning_options(wildcards):
    """The options with which this Snakemake reads its config and chooses jobs."""
    given = {
        "--configfile": workflow.overwrite_configfiles,
        "--config": workflow.config_settings.config_args or [],
    }
    options = [text for option, values in given.items() if values for text in (option, *map(str, values))]
    flags = {
        "--forceall": workflow.dag_settings.forceall,
        "--replace-workflow-config": workflow.config_settings.replace_workflow_config,
    }
    return [
        "--snakefile",
        workflow.main_snakefile,
        *options,
        *(flag for flag, given in flags.items() if given),
    ]


def planning_path():
    """Where the planning process finds the workflow's modules, the library and what this process may find."""
    own = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.pathsep.join([str(WORKFLOW), str(WORKFLOW.parent), *own])


def planning_cores():
    """The cores of this machine that a run may use; of one that a cluster's jobs are handed from, all of them."""
    settings = workflow.resource_settings
    return settings.cores or settings.local_cores or os.cpu_count()
