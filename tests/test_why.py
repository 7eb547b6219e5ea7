"""Pending jobs are explained in words."""

import pytest

from why import explain

DRY_RUN = """
[Sun Nov 22 19:41:50 2026]
rule train:
    input: results/demo/SIM01/matched/normalization.zarr
    output: results/demo/SIM01/matched/seed0/crosscoder.safetensors
    jobid: 98
    reason: {reason}
    wildcards: subject=SIM01, experiment=matched, seed=0
    resources: tmpdir=/tmp

[Sun Nov 22 19:41:50 2026]
rule scores:
    input: results/demo/SIM01/matched/seed0/crosscoder.safetensors
    jobid: 0
    reason: Input files updated by another job: results/demo/SIM01/matched/seed0/crosscoder.safetensors
    wildcards: subject=SIM01, experiment=matched, seed=0
Job stats:
"""
PARAMS = (
    "Params have changed since last execution: "
    "Union of exclusive params before and now across all output: before: "
)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (PARAMS + "{'k': 4, 'relu': False} now: {'k': 8, 'relu': False} ", "k 4 → 8"),
        (
            PARAMS + "{'lm': {'standardize': 'none'}} now: {'lm': {'standardize': 'zscore'}} ",
            "lm.standardize none → zscore",
        ),
        (PARAMS + "{'a': 1} {'b': [2, 4]} now: {'b': [2, 4, 6]} {'a': 1} ", "b [2, 4] → [2, 4, 6]"),
        (PARAMS + "'inferno' now: 'viridis' ", "inferno → viridis"),
        (PARAMS + "<nothing exclusive> now: {'shared': 3} ", "shared nothing → 3"),
        (PARAMS + "'code 01' now: 'code 02' ", "the code of its script, or what that uses, has changed"),
        (
            PARAMS + "{'k': 4} 'code 01' now: 'code 02' {'k': 8} ",
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
    assert explain(DRY_RUN.replace("{reason}", reason)) == [
        f"train (subject=SIM01, experiment=matched, seed=0): {words}",
        "and what follows from these: scores (1)",
    ]


def test_nothing_pending():
    assert explain("Nothing to be done (all requested files are present and up to date).") == [
        "Nothing is to be done."
    ]
