"""After a change of the config only what depends on it runs again; and the shipped configs make a whole plan."""

import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from brainlm.scores.choice import ROLES
from tiny_dataset import EXPERIMENTS, SPLITS, SUBJECT, Workspace, jobs, run_snakemake

MODELS = len(EXPERIMENTS)
# What was planted is only asked of the reported experiment and of its control.
AFTER_TRAINING = {
    **dict.fromkeys(["train", "scores"], MODELS),
    "planted": 2,
    # Of the experiments that always exist.
    "evidence": 4,
    **dict.fromkeys(["passages", "interpretations", "names"], 1),
    **dict.fromkeys(["figure2", "figure3", "figure4", "agreement", "training_curves"], 1),
    **dict.fromkeys(["evidence_figure", "funnel"], 1),
    **dict.fromkeys(["table1", "table2", "tables", "predictions", "checks"], 1),
    **dict.fromkeys(["rois", "browser", "subjects", "verdict_shares", "provenance"], 1),
}
# White noise is asked once.
NEW_SEED = {
    **dict.fromkeys(["train", "scores"], MODELS - 1),
    "planted": 2,
    "evidence": 3,
    "names": 1,
    **dict.fromkeys(["figure2", "agreement", "funnel", "training_curves"], 1),
    **dict.fromkeys(["tables", "checks", "subjects", "verdict_shares", "provenance"], 1),
    **dict.fromkeys(["comparisons", "stability", "found_again", "browser"], 1),
}
# What only a new language model, or what it reads, makes out of date: the simulated brain is driven by it.
AFTER_READING = AFTER_TRAINING | {
    "activations_0": 1,
    "simulate_features": 1,
    "simulate_responses": 1,
    # All stories in one job, for each of the two layers.
    **dict.fromkeys(["features_0", "sources", "normalization"], 2),
    f"responses_{SUBJECT}_0": 1,
    **dict.fromkeys(["ridge", "ceiling", "ceiling_figure", "voxels"], 1),
}


def counts(pending) -> dict[str, int]:
    return dict(Counter(job.rule for job in pending))


def test_nothing_runs_again_without_a_change(tiny):
    assert tiny.pending() == []


def test_how_a_model_is_trained_makes_no_model_out_of_date(tiny):
    assert tiny.changed(training__checkpoint_minutes=1, training__device="cpu").pending() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"crosscoder__k": 4}, AFTER_TRAINING),
        ({"crosscoder__learning_rate": 0.001}, AFTER_TRAINING),
        ({"language_model__revision": "another"}, AFTER_READING),
        # Another layer for one experiment, whose features and their normalization are there already.
        (
            {"experiments": {"first-block": {"features": {"block": 2}}}},
            {
                **dict.fromkeys(["train", "scores", "figure2", "agreement"], 1),
                **dict.fromkeys(["tables", "subjects", "checks", "provenance"], 1),
            },
        ),
        (
            {"features__delays_s": [2, 4]},
            AFTER_TRAINING | {"features_0": 2, "sources": 2, "normalization": 2, "ridge": 1},
        ),
        # The simulated brain is driven by the language model, whatever its features are scaled to.
        (
            {"normalization__brain__standardize": "center"},
            AFTER_TRAINING | {"normalization": 2},
        ),
        (
            {"evidence": {"nuisance_loss": 0.5}},
            {
                "evidence": 4,
                **dict.fromkeys(["interpretations", "figure2", "figure3", "evidence_figure", "funnel"], 1),
                **dict.fromkeys(["table1", "table2", "tables", "subjects", "verdict_shares", "checks"], 1),
                "browser": 1,
            },
        ),
        ({"ridge__batch_voxels": 500}, {"ridge": 1, "predictions": 1}),
        ({"figures__weight_colormap": "PiYG"}, {"figure3": 1, "browser": 1}),
        ({"figures__correlation_colormap": "viridis"}, {"figure4": 1, "ceiling_figure": 1}),
        ({"passages__n_passages": 1}, {"passages": 1, "table2": 1, "browser": 1}),
        (
            {"figures__pinned_latents": {"shared": 0}},
            dict.fromkeys(["interpretations", "tables", "figure3", "table1", "table2", "browser"], 1),
        ),
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_change_runs_what_depends_on_it(tiny, change, expected):
    assert counts(tiny.changed(**change).pending()) == expected


def test_a_new_seed_adds_its_own_jobs_and_the_summaries(tiny):
    pending = tiny.changed(seeds=[0, 1]).pending()
    assert counts(pending) == NEW_SEED
    assert {job.wildcards["seed"] for job in pending if "seed" in job.wildcards} == {"1"}


def test_a_new_subject_adds_its_own_jobs_and_the_summary_of_all_subjects(tiny):
    pending = tiny.changed(subjects=[SUBJECT, "SIM02"]).pending()
    assert counts(pending) == AFTER_TRAINING | {
        "simulate_anatomy": 1,
        "simulate_transforms": 1,
        "simulate_responses": 1,
        "cortex": 1,
        "responses_SIM02_0": 1,
        **dict.fromkeys(["sources", "normalization"], 2),
        "ridge": 1,
        **dict.fromkeys(["ceiling", "ceiling_figure", "voxels", "comparisons", "stability"], 1),
        # Of both subjects, whose latents are looked for in each other, and what shows how many are found.
        **dict.fromkeys(["found_again", "funnel", "tables", "browser"], 2),
    }
    others = {job.rule for job in pending if "SIM02" not in job.wildcards.values()}
    # Whose name says whose they are.
    others.remove("responses_SIM02_0")
    assert others == {
        *("checks", "simulate_transforms", "subjects", "verdict_shares", "stability", "provenance"),
        *("found_again", "funnel", "tables", "browser"),
    }


def test_a_new_experiment_adds_its_own_model_and_the_summaries(tiny):
    pending = tiny.changed(experiments__unpaired={"pairing": {"brain_time": "noise"}}).pending()
    assert counts(pending) == {
        "train": 1,
        "scores": 1,
        "figure2": 1,
        "agreement": 1,
        "tables": 1,
        "subjects": 1,
        "checks": 1,
        "provenance": 1,
    }
    assert {job.wildcards["experiment"] for job in pending if "experiment" in job.wildcards} == {"unpaired"}


def test_a_story_that_is_moved_from_training_to_test_trains_again_and_is_not_read_again(tiny, tmp_path):
    lines = (tiny.folder / "stories" / "stories.tsv").read_text().splitlines()
    moved = SPLITS["train"][0]
    table = tmp_path / "stories.tsv"
    table.write_text("\n".join(f"{moved}\ttest" if line.startswith(moved) else line for line in lines))
    # Of the two training stories that are left no three folds can be made.
    pending = counts(tiny.changed(dataset__stories=str(table), ridge__n_folds=2).pending())
    assert not {"words_0", "activations_0", "features_0", "simulate_features"} & set(pending)
    assert pending["train"] == MODELS and pending["normalization"] == 2
    assert pending["passages"] == pending["predictions"] == 1


def why(workspace: Workspace, *arguments: str) -> list[str]:
    """What `make why` prints."""
    command = [sys.executable, "-m", "pipeline.why", "--configfile", workspace.config_file()]
    run = subprocess.run(
        [*command, "--directory", workspace.folder, *arguments],
        capture_output=True,
        text=True,
        cwd=workspace.folder,
        env=os.environ | {"PYTHONPATH": str(workspace.repository / "workflow")},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()


def test_why_says_what_has_changed_and_for_which_jobs(tiny):
    assert why(tiny) == ["Nothing is to be done."]
    experiments = ", ".join(sorted(EXPERIMENTS))
    (trained, following) = why(tiny.changed(crosscoder__k=4, crosscoder__alpha=0.5))
    rest = f"experiment {experiments}; seed 0): alpha 0.03125 → 0.5; k 3 → 4"
    assert trained == f"train ({MODELS} jobs: subject {SUBJECT}; {rest}"
    assert following.startswith("and what follows from these: ") and f"scores ({MODELS})" in following
    # Several params of a job at once, which Snakemake joins by commas.
    (trained, *_) = why(tiny.changed(crosscoder__k=4, pairing__seed=1))
    assert trained.startswith(f"train ({MODELS} jobs: ") and trained.endswith("seed 0): k 3 → 4; seed 0 → 1")
    lines = why(tiny.changed(passages__span_s=6))
    assert f"passages (subject={SUBJECT}, experiment=matched, seed=0): span_s 8 → 6" in lines
    tiny.config_file()


# Edits of the code, in a copy of the repository


@pytest.fixture
def clone(tiny, tmp_path) -> Workspace:
    """The results of `tiny`, beside a fresh copy of the workflow and the library."""
    return tiny.copy(tmp_path / "run").with_own_repository(tmp_path / "repository")


def edit(workspace: Workspace, file: str, old: str, new: str) -> None:
    path = workspace.repository / file
    text = path.read_text()
    assert text.count(old) == 1, f"{file} has changed: the test needs another edit"
    path.write_text(text.replace(old, new))


def test_results_that_are_copied_beside_a_fresh_clone_are_up_to_date(clone):
    for text in (clone.folder / "stories").glob("*.txt"):
        text.touch()
    assert clone.pending() == []


def test_bookkeeping_re_runs_nothing(clone):
    """How jobs log, fail and record where their results come from, and the version's number, change no result."""
    version = clone.repository / "brainlm" / "__init__.py"
    version.write_text(re.sub('__version__ = ".*"', '__version__ = "99.0"', version.read_text()))
    assert "99.0" in version.read_text()
    edit(clone, "workflow/pipeline/provenance.py", 'FOLDER = "provenance"\n', 'FOLDER = "origins"\n')
    edit(clone, "brainlm/errors.py", "class InputError(ValueError):", "class InputError(Exception):")
    edit(clone, "brainlm/files.py", '".partial")\n    try:', '".unfinished")\n    try:')
    edit(clone, "workflow/scripts/job.py", '"the job failed"', '"this job failed"')
    assert clone.pending() == []


def test_a_docstring_and_a_comment_re_run_nothing(clone):
    edit(
        clone,
        "brainlm/scores/latents.py",
        "Share of each class among the live latents",
        "How many of each class",
    )
    path = clone.repository / "brainlm" / "crosscoder" / "objective.py"
    path.write_text(f"# A comment.\n\n{path.read_text()}")
    assert clone.pending() == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("brainlm/crosscoder/objective.py", "scale = 2 / n_rows", "scale = 4 / n_rows", AFTER_TRAINING),
        ("brainlm/report/tables.py", 'seeds": summaries.groupby', 'runs": summaries.groupby', {"tables": 1}),
        (
            "brainlm/cortex/flatmap.py",
            "LIMIT_PERCENTILE = 99\n",
            "LIMIT_PERCENTILE = 98\n",
            dict.fromkeys(["figure3", "figure4", "ceiling_figure", "browser"], 1),
        ),
        (
            "workflow/scripts/passages.py",
            "from job import logged\n",
            "from job import logged\n\nprint()\n",
            {"passages": 1, "table2": 1, "browser": 1},
        ),
        ("brainlm/report/browser/templates/base.html", "All latents", "Every latent", {"browser": 1}),
        ("brainlm/crosscoder/objective.py", "def gram_step(", "_UNUSED = 0\n\n\ndef gram_step(", {}),
    ],
    ids=["the loss", "a table", "a figure", "a script", "a template", "what nobody uses"],
)
def test_an_edit_of_code_runs_what_uses_it(clone, file, old, new, expected):
    edit(clone, file, old, new)
    assert counts(clone.pending()) == expected


def test_why_names_the_definition_that_has_changed(clone):
    edit(clone, "brainlm/crosscoder/objective.py", "scale = 2 / n_rows", "scale = 4 / n_rows")
    (trained, *_) = why(clone)
    assert trained.startswith(f"train ({MODELS} jobs: ")
    assert trained.endswith(": code: brainlm.crosscoder.objective:gram_step")


def test_a_pinned_latent_is_shown(tiny, tmp_path):
    pinned = tiny.copy(tmp_path).changed(
        figures__pinned_latents={role: 7 + n for n, role in enumerate(ROLES)}
    )
    chosen = pinned.model() / "chosen.tsv"
    run = pinned.snakemake(chosen.relative_to(tmp_path))
    assert run.returncode == 0, run.stdout[-3000:]
    rows = [line.split("\t") for line in chosen.read_text().splitlines()[1:]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        (role, str(7 + n), "True") for n, role in enumerate(ROLES)
    ]


# The configs that come with the workflow, from the repository's root


def plan(tmp_path, *arguments) -> list:
    # Results that lie in the repository must not change what is pending.
    run = run_snakemake("--dry-run", "--nolock", *arguments, "--config", f"results={tmp_path}/results")
    assert run.returncode == 0, run.stdout[-3000:]
    return jobs(run.stdout)


def test_the_papers_config_makes_a_whole_plan_without_data(tmp_path):
    pending = plan(tmp_path, "--configfile", "config/paper.yaml")
    trained = sorted(job.wildcards["experiment"] for job in pending if job.rule == "train")
    assert trained == ["matched", "noise", "shifted", "shuffled"]
    assert {job.wildcards["subject"] for job in pending if "subject" in job.wildcards} == {"UTS03"}
    n = counts(pending)
    assert n["fetch"] == 83 + 83 + 2 + 10  # TextGrids, responses, two JSON files, the pycortex subject
    # 83 stories, ten at most to a job.
    for rule in ("words", "activations", "features", "responses_UTS03"):
        assert sum(n[f"{rule}_{batch}"] for batch in range(9)) == 9
    assert n["figure3"] == n["figure4"] == n["table1"] == n["table2"] == 1
    assert "checks" not in n


def test_without_a_configfile_the_demo_is_planned(tmp_path):
    pending = plan(tmp_path)
    assert {job.wildcards["subject"] for job in pending if "subject" in job.wildcards} == {"SIM01", "SIM02"}
    # The demo's language model is a GGUF file, which is unpacked once.
    assert counts(pending)["convert_language_model"] == counts(pending)["checks"] == 1


@pytest.mark.parametrize("arguments", [[], ["--configfile", "config/config.yaml"]])
def test_single_values_can_be_set_on_the_command_line(tmp_path, arguments):
    settings = [f"results={tmp_path}/results", "dataset={simulation: {snr: 0.25}}", "crosscoder={k: 2000}"]
    run = run_snakemake("--dry-run", "--nolock", *arguments, "--config", *settings)
    # All else is the file's, the numbers count as numbers, and k is the one that was set.
    assert run.returncode != 0
    assert "in experiment 'matched' k (2000) exceeds n_latents" in run.stdout
