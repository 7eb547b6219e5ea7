"""Pending jobs are explained in words; tests/workflow/test_reruns.py has what Snakemake itself prints."""

import pytest

from pipeline.why import explain

JOB = """
[Sun Nov 22 19:41:50 2026]
rule {rule}:
    input: results/demo/SIM01/matched/normalization.zarr
    output: results/demo/SIM01/matched/seed{seed}/crosscoder.safetensors
    jobid: 98
    reason: {reason}
    wildcards: subject=SIM01, experiment=matched, seed={seed}
    resources: tmpdir=/tmp
"""
FOLLOWS = "Input files updated by another job: results/demo/SIM01/matched/seed0/crosscoder.safetensors"
PARAMS = (
    "Params have changed since last execution: "
    "Union of exclusive params before and now across all output: before: "
)
K = PARAMS + "{'k': 4, 'relu': False} now: {'k': 8, 'relu': False} "


def dry_run(*jobs: tuple[str, int, str]) -> str:
    """What a dry run prints of jobs: rule, seed, reason."""
    blocks = (
        JOB.replace("{rule}", r).replace("{seed}", str(s)).replace("{reason}", why) for r, s, why in jobs
    )
    return "".join(blocks) + "Job stats:\n"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (K, "k 4 → 8"),
        (
            PARAMS + "{'lm': {'standardize': 'none'}} now: {'lm': {'standardize': 'zscore'}} ",
            "lm.standardize none → zscore",
        ),
        (PARAMS + "{'a': 1},{'b': [2, 4]} now: {'b': [2, 4, 6]},{'a': 1} ", "b [2, 4] → [2, 4, 6]"),
        (PARAMS + "'inferno' now: 'viridis' ", "inferno → viridis"),
        (PARAMS + "10,'here; there, now: then' now: 12,'here' ", "10, here; there, now: then → 12, here"),
        (PARAMS + "<nothing exclusive> now: {'shared': 3} ", "shared nothing → 3"),
        (PARAMS + "'code 01' now: 'code 02' ", "the code of its script, or what that uses, has changed"),
        (
            PARAMS + "{'k': 4},'code 01' now: 'code 02',{'k': 8} ",
            "the code of its script, or what that uses, has changed; k 4 → 8",
        ),
        ("Missing output files: model.safetensors", "missing output files: model.safetensors"),
        (
            "Updated input files: a.txt; Set of input files has changed since last execution",
            "updated input files: a.txt; set of input files has changed since last execution",
        ),
    ],
)
def test_what_has_changed_is_said_and_what_follows_is_counted(reason, words):
    assert explain(dry_run(("train", 0, reason), ("scores", 0, FOLLOWS))) == [
        f"train (subject=SIM01, experiment=matched, seed=0): {words}",
        "and what follows from these: scores (1)",
    ]


def test_jobs_with_the_same_cause_share_a_line():
    pending = [("train", seed, K) for seed in range(8)]
    shown = "subject SIM01; experiment matched; seed 0, 1, 2, 3, 4, 5 and 2 others"
    assert explain(dry_run(*pending, ("latents", 3, K), ("scores", 1, PARAMS + "5 now: 6 "))) == [
        f"train (8 jobs: {shown}), latents (subject=SIM01, experiment=matched, seed=3): k 4 → 8",
        "scores (subject=SIM01, experiment=matched, seed=1): 5 → 6",
    ]


def test_nothing_pending():
    assert explain("Nothing to be done (all requested files are present and up to date).") == [
        "Nothing is to be done."
    ]
