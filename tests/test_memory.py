import pytest
import torch

from brainlm.errors import InputError
from brainlm.memory import (
    _cgroup_limit,
    available_memory,
    describe_memory,
    require_memory,
    training_memory,
)
from brainlm.training_settings import TrainingSettings

PAPER = TrainingSettings()


def total(needed: dict[str, int]) -> int:
    return sum(needed.values())


def test_the_papers_run_needs_what_arithmetic_says():
    needed = training_memory(19_599 + 2_753, 99_652, PAPER)
    expected = 4 * 99_652 * (22_352 + 2048 + 5 * 1024) + 500_000_000
    assert list(needed) == ["the processor"] and total(needed["the processor"]) == expected


def test_an_encoder_of_its_own_doubles_the_weights():
    tied = training_memory(100, 50, PAPER)["the processor"]
    untied = training_memory(100, 50, TrainingSettings(tied=False))["the processor"]
    assert untied["weights and their optimiser"] == 2 * tied["weights and their optimiser"]


def test_another_precision_needs_a_copy_of_the_rows():
    needed = training_memory(100, 50, TrainingSettings(precision="float64"))["the processor"]
    assert (needed["rows"], needed["rows in training"]) == (4 * 100 * 50, 8 * 100 * 50)


def test_a_gpu_holds_the_rows_and_weights_and_the_processor_the_rows():
    needed = training_memory(1000, 800, TrainingSettings(precision="bfloat16"), "cuda")
    assert needed["the GPU"]["rows in training"] == 2 * 1000 * 800
    assert needed["the GPU"]["weights and their optimiser"] == 5 * 4 * 1024 * 800
    assert needed["the processor"]["rows"] == 4 * 1000 * 800 and len(needed["the processor"]) == 2


def test_a_run_that_does_not_fit_is_refused_with_its_parts():
    needed = {"the processor": {"rows": 9_000_000_000, "one batch": 500_000_000}}
    require_memory(needed, {"the processor": 9_500_000_000})
    with pytest.raises(InputError) as error:
        require_memory(needed, {"the processor": 9_400_000_000})
    assert str(error.value).startswith(
        "Training needs 9.5 GB of memory on the processor (rows 9, one batch 0.5); 9.4 GB is free. Use fewer"
    )


def test_what_is_needed_is_described_for_each_device():
    needed = training_memory(1000, 800, PAPER, "cuda")
    described = describe_memory(needed, {"the processor": 10**9, "the GPU": 2 * 10**9})
    assert "on the processor" in described and "on the GPU" in described and "2.0 GB is free" in described


def test_free_memory_is_that_of_this_machine():
    free = available_memory()["the processor"]
    assert 10**7 < free < 10**14
    taken = torch.ones(200_000_000, dtype=torch.uint8)
    assert available_memory()["the processor"] < free - 10**8
    del taken


def test_the_least_limit_of_the_groups_around_a_process_counts(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    job = root / "slurm" / "job1" / "step0"
    job.mkdir(parents=True)
    (job / "memory.max").write_text("max\n")
    (job.parent / "memory.max").write_text("4000\n")
    (root / "slurm" / "memory.max").write_text("9000\n")
    membership.write_text("1:cpu:/elsewhere\n0::/slurm/job1/step0\n")
    assert _cgroup_limit(root, membership) == 4000
    membership.write_text("0::/\n")
    assert _cgroup_limit(root, membership) is None
    membership.write_text("5:memory:/version1\n")
    assert _cgroup_limit(root, membership) is None
    assert _cgroup_limit(root, tmp_path / "absent") is None
