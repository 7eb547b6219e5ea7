import numpy as np
import psutil
import pytest
import torch

from brainlm.control_groups import free_memory, memory_limit
from brainlm.crosscoder.memory import describe_memory, require_memory, training_memory
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.errors import InputError
from brainlm.machine import available_memory, peak_memory

PAPER = TrainingSettings()


def total(needed: dict[str, int]) -> int:
    return sum(needed.values())


def test_the_papers_run_needs_rows_a_batch_five_times_the_weights_and_half_a_gigabyte():
    needed = training_memory(19_599 + 2_753, 99_652, PAPER)
    assert list(needed) == ["the processor"]
    bound = 4 * 99_652 * (22_352 + 2048 + 5 * 1024) + 500_000_000
    assert bound - 100_000_000 < total(needed["the processor"]) <= bound


def test_a_large_dictionary_needs_memory_for_its_codes():
    of = [
        training_memory(20_000, 100, TrainingSettings(n_latents=n))["the processor"]["codes"]
        for n in (1024, 16_384)
    ]
    # Codes grow with the latents, their products with the square.
    assert of[1] > 16 * of[0] and of[1] > 8e9


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
    # The rounded copy is half as large.
    assert needed["the GPU"]["weights and their optimiser"] == 5.5 * 4 * 1024 * 800
    assert needed["the processor"]["rows"] == 4 * 1000 * 800
    assert needed["the processor"]["a checkpoint"] == 3 * 4 * 1024 * 800


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


def test_free_memory_is_at_most_that_of_this_machine():
    assert 0 < available_memory()["the processor"] <= psutil.virtual_memory().total


def test_the_peak_keeps_what_was_held_and_given_back():
    block = np.ones(50_000_000)
    held = psutil.Process().memory_info().rss
    assert held > block.nbytes
    del block
    peak = peak_memory()
    assert list(peak) == ["the processor"]
    # The two counts are taken differently, to some pages.
    assert 0.99 * held < peak["the processor"] <= psutil.virtual_memory().total


def test_the_peak_on_a_gpu_is_what_pytorch_gave_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", {"cuda:1": 8_500_000_000}.get)
    peak = peak_memory("cuda:1")
    assert set(peak) == {"the processor", "the GPU"}
    assert peak["the GPU"] == 8_500_000_000


def group(folder, limit: str, used: int, files: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - files}\nfile {files}\n")


def test_the_group_with_least_room_around_a_process_counts(tmp_path):
    root, membership = tmp_path / "cgroup", tmp_path / "membership"
    group(root / "slurm" / "job1" / "step0", "max", 900, 0)
    group(root / "slurm" / "job1", "4000", 1500, 300)
    group(root / "slurm", "9000", 5500, 100)
    membership.write_text("1:cpu:/elsewhere\n0::/slurm/job1/step0\n")
    # What files take up makes room when it is needed.
    assert free_memory(root, membership) == 4000 - 1500 + 300
    assert memory_limit(root, membership) == 4000
    group(root / "slurm", "6000", 5500, 100)
    assert free_memory(root, membership) == 6000 - 5500 + 100
    membership.write_text("0::/\n")
    assert free_memory(root, membership) is None
    membership.write_text("5:memory:/version1\n")
    assert free_memory(root, membership) is None
    assert free_memory(root, tmp_path / "absent") is None
    assert memory_limit(root, tmp_path / "absent") is None
