"""An exported run describes itself: an RO-Crate that the format's own library reads, of what is known and no more."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from rocrate.rocrate import ROCrate

from brainlm import __version__
from brainlm.store import add_array, new_store
from pipeline import export
from pipeline.crate import Publication
from pipeline.provenance import write_record

REPOSITORY = Path(__file__).parents[2]
JOB = {"wildcards": {}, "params": {}, "seed": None}
NOT_DESCRIBED = {"ro-crate-metadata.json", "SHA256SUMS"}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "demo"
    text = folder.parent / "a story.txt"
    text.write_text("Once")
    words = folder / "words" / "a story é.tsv"
    words.parent.mkdir(parents=True)
    words.write_text("word\nOnce\n")
    model = folder / "SIM01" / "ceiling.zarr"
    with new_store(model, {}) as group:
        add_array(group, "ceiling", np.arange(5), ("voxel",))
    responses = folder / "responses" / "story.npz"
    responses.parent.mkdir()
    responses.write_bytes(bytes(9))
    write_record(words, folder, rule="words", inputs=[text], device=None, **JOB)
    write_record(responses, folder, rule="responses", inputs=[words], device=None, **JOB)
    write_record(model, folder, rule="ceiling", inputs=[responses], device="cpu", **JOB)
    return folder


def unpacked(results: Path, folder: Path, publication: Publication | None = None) -> Path:
    archive = folder / "demo.tar.gz"
    export.export(results, archive, publication)
    shutil.unpack_archive(archive, folder, "gztar")
    return folder / "demo"


@pytest.fixture(scope="module")
def top(results, tmp_path_factory) -> Path:
    return unpacked(results, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def published(results, tmp_path_factory) -> Path:
    return unpacked(results, tmp_path_factory.mktemp("published"), Publication("2026-11-26", "CC-BY-4.0"))


def test_every_file_of_the_archive_is_described_with_its_checksum_and_size(top):
    crate = ROCrate(top)
    described = {}
    for entity in crate.data_entities:
        if "File" in entity.type:
            described[entity["name"]] = (entity["sha256"], entity["contentSize"])
            assert entity["encodingFormat"].count("/") == 1
    there = {
        path.relative_to(top).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            str(path.stat().st_size),
        )
        for path in top.rglob("*")
        if path.is_file() and path.name not in NOT_DESCRIBED
    }
    there["Brain-LM crosscoder"] = there.pop("workflow/Snakefile")
    assert described == there


def test_the_library_finds_every_described_file_where_it_says(top, tmp_path):
    ROCrate(top).write(tmp_path / "again")
    names = [sorted(p.relative_to(of).as_posix() for p in of.rglob("*")) for of in (top, tmp_path / "again")]
    assert names[0] == names[1]


def test_the_run_is_an_action_of_the_workflow_with_what_it_read_and_what_came_of_it(top, results):
    crate = ROCrate(top)
    workflow = crate.mainEntity
    assert workflow.id == "workflow/Snakefile" and "ComputationalWorkflow" in workflow.type
    assert workflow["version"] == __version__
    assert (workflow["programmingLanguage"]["name"], workflow["license"]["name"]) == ("Snakemake", "MIT")
    run = crate.root_dataset["mentions"]
    assert run.type == "CreateAction" and run["instrument"] == workflow
    # Nothing of what lies between input and results, and what is no longer there: it has a digest.
    (read,) = run["object"]
    story = results.parent / "a story.txt"
    assert read["name"] == story.name
    assert read["identifier"] == f"sha256:{hashlib.sha256(story.read_bytes()).hexdigest()}"
    assert {of["name"] for of in run["result"]} == {
        "results/words/a story é.tsv",
        "results/SIM01/ceiling.zarr",
    }
    (store,) = [of for of in run["result"] if of.type == "Dataset"]
    assert "results/SIM01/ceiling.zarr/zarr.json" in {part["name"] for part in store["hasPart"]}


def test_no_folder_of_the_machine_is_told(top, results):
    assert str(results.parent) not in (top / "ro-crate-metadata.json").read_text(encoding="utf-8")


def test_a_record_is_said_to_be_about_its_result(top):
    entities = {entity.get("name"): entity for entity in ROCrate(top).get_entities()}
    record = entities["results/provenance/words/a story é.tsv.json"]
    assert record["about"]["name"] == "results/words/a story é.tsv"
    # Its result is not in the archive.
    assert "about" not in entities["results/provenance/responses/story.npz.json"]


def test_versions_are_those_of_the_records(top):
    record = json.loads((top / "results" / "provenance" / "words" / "a story é.tsv.json").read_text())
    crate = ROCrate(top)
    software = {
        entity["name"]: entity["softwareVersion"] for entity in crate.mainEntity["softwareRequirements"]
    }
    assert software == record["versions"]
    assert crate.mainEntity["programmingLanguage"]["version"] == record["versions"]["snakemake"]


def test_paper_and_dataset_are_cited_with_their_authors(top):
    references = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))["references"]
    cited = ROCrate(top).root_dataset["citation"]
    assert [work["name"] for work in cited] == [reference["title"] for reference in references]
    assert [len(work["author"]) for work in cited] == [len(reference["authors"]) for reference in references]
    assert cited[1].id == "https://doi.org/10.1038/s41597-023-02437-z"


def test_what_is_not_known_is_not_said(top):
    text = (top / "ro-crate-metadata.json").read_text(encoding="utf-8")
    entities = {entity["@id"]: entity for entity in json.loads(text)["@graph"]}
    for entity in entities.values():
        assert {"startTime", "endTime", "agent"}.isdisjoint(entity)
    assert {"datePublished", "license", "conformsTo"}.isdisjoint(entities["./"])
    assert entities["ro-crate-metadata.json"]["conformsTo"] == [{"@id": "https://w3id.org/ro/crate/1.1"}]


def test_a_published_run_has_its_day_and_license_and_names_the_profiles(published):
    crate = ROCrate(published)
    root = crate.root_dataset
    assert root["datePublished"] == "2026-11-26"
    assert root["license"].id == "https://spdx.org/licenses/CC-BY-4.0"
    assert {of.id for of in root["conformsTo"]} >= {
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    }


def test_no_reference_leads_nowhere_and_nothing_is_described_twice(published):
    graph = json.loads((published / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    identifiers = [entity["@id"] for entity in graph]
    assert len(identifiers) == len(set(identifiers))

    def references(value):
        if isinstance(value, dict) and set(value) == {"@id"}:
            yield value["@id"]
        elif isinstance(value, list | dict):
            for inner in value.values() if isinstance(value, dict) else value:
                yield from references(inner)

    outside = {of for of in references(graph) if of not in identifiers}
    assert outside == {
        "https://w3id.org/ro/crate/1.1",
        "https://doi.org/10.1093/bioinformatics/bts480",
        "https://snakemake.readthedocs.io",
    }


def test_results_of_several_versions_name_them_all_and_the_workflow_none(results, tmp_path):
    copy = tmp_path / "demo"
    shutil.copytree(results, copy)
    record = copy / "provenance" / "words" / "a story é.tsv.json"
    changed = json.loads(record.read_text(encoding="utf-8"))
    changed["versions"]["brainlm"] = "0.0.1"
    record.write_text(json.dumps(changed), encoding="utf-8")
    (tmp_path / "out").mkdir()
    workflow = ROCrate(unpacked(copy, tmp_path / "out")).mainEntity
    assert "version" not in workflow
    found = {of["softwareVersion"] for of in workflow["softwareRequirements"] if of["name"] == "brainlm"}
    assert found == {"0.0.1", __version__}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--published", "2026-11-26"], "name both --published and --license, or neither"),
        (["--published", "today", "--license", "MIT"], "--published today is no day, such as 2026-11-26"),
        (["--published", "2026-11-26", "--license", "free"], "--license free is no identifier of SPDX"),
        (["--published", "2026-11-26", "--license", "MIT OR CC0-1.0"], "is no identifier of SPDX"),
    ],
)
def test_a_day_or_license_that_is_none_is_refused(results, arguments, sentence):
    command = [sys.executable, export.__file__, results, *arguments]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert run.returncode == 2 and sentence in run.stderr
    assert not results.with_name("demo.tar.gz").exists()
