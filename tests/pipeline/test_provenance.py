"""Digests by their definition, and records that tell what has changed, and nothing else."""

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path

import numpy as np
import pytest

import brainlm
from brainlm.errors import InputError
from brainlm.store import add_array, new_store
from pipeline import provenance
from pipeline.provenance import (
    difference,
    digest,
    files_below,
    load_record,
    read_record,
    record_files,
    record_path,
    write_record,
)
from pipeline.provenance_table import code_of, models_table, versions_note

JOB = {
    "rule": "train",
    "wildcards": {"subject": "SIM01", "experiment": "matched", "seed": "3"},
    "params": {"code": "code 0123456789abcdef", "k": np.int64(4), "folder": Path("a/b"), "bound": np.inf},
    "device": "cpu",
    "seed": 3,
}


def write_store(path: Path, value: float = 1) -> Path:
    with new_store(path, {"subject": "SIM01"}) as group:
        add_array(group, "bold", np.full((5, 3), value, np.float32), ("time", "voxel"))
    return path


def run(results: Path, *, value: float = 1) -> Path:
    """A store made from nothing, and a model made from it and a file that has no record."""
    store, model = results / "responses" / "story.zarr", results / "SIM01" / "model.safetensors"
    texts = results / "texts.txt"
    write_store(store, value)
    write_record(store, results, inputs=[], **{**JOB, "device": None, "seed": None})
    model.parent.mkdir(parents=True, exist_ok=True)
    model.write_bytes(b"weights")
    texts.write_text("a story")
    write_record(model, results, inputs=[store, texts], **JOB)
    return model


def differences(results: Path) -> list[str]:
    records = [load_record(file) for file in record_files(results)]
    return [sentence for record in records if (sentence := difference(record, results))]


@pytest.fixture
def hashed(monkeypatch) -> list[Path]:
    """The paths whose content is read, as it happens."""
    read, whole = [], provenance.digest

    def counting(path):
        read.append(path)
        return whole(path)

    monkeypatch.setattr(provenance, "digest", counting)
    return read


# Digests


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 10_000])
def test_the_digest_of_a_file_is_that_of_its_content(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert digest(tmp_path / "a") == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_the_digest_of_a_folder_is_that_of_its_names_sizes_and_contents(tmp_path):
    for name, content in {"b/c": b"12", "b.d": b"", "é": b"3", "b/.snakemake_timestamp": b"now"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    # "." comes before "/".
    listed = b"b.d\x000\0" + b"b/c\x002\x0012" + "é".encode() + b"\x001\x003"
    assert digest(tmp_path) == f"sha256:{hashlib.sha256(listed).hexdigest()}"
    assert list(files_below(tmp_path)) == ["b.d", "b/c", "é"]


def test_equal_stores_have_equal_digests_whenever_and_wherever_they_were_written(tmp_path):
    a, b = write_store(tmp_path / "a.zarr"), write_store(tmp_path / "x" / "b.zarr")
    (a / ".snakemake_timestamp").touch()
    os.utime(b / "zarr.json", (0, 0))
    assert digest(a) == digest(b)


def flip_a_byte(store: Path) -> None:
    file = store / "bold" / "zarr.json"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


def move_a_byte(store: Path) -> None:
    """From the end of a file to the beginning of the next."""
    first, second = list(files_below(store).values())[:2]
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    second.write_bytes(content[-1:] + second.read_bytes())


CHANGES = {
    "a byte": flip_a_byte,
    "a byte moved": move_a_byte,
    "a name": lambda store: (store / "bold").rename(store / "gold"),
    "a file more": lambda store: (store / "more").touch(),
    "a file less": lambda store: (store / "zarr.json").unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_change_of_a_store_changes_its_digest(tmp_path, change):
    store = write_store(tmp_path / "a.zarr")
    before = digest(store)
    change(store)
    assert digest(store) != before


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", ".nfs000000000012ab3400000001", "zarr.json~"])
def test_what_another_program_leaves_in_a_store_is_part_of_its_digest(tmp_path, name):
    store = write_store(tmp_path / "a.zarr")
    before = digest(store)
    (store / "bold" / name).write_bytes(b"")
    assert digest(store) != before
    (store / "bold" / name).unlink()
    assert digest(store) == before


def test_what_is_not_there_has_no_digest(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path / "missing", tmp_path / "link"):
        with pytest.raises(InputError, match=f"{path.name} cannot be read.*run the step"):
            digest(path)


# Records


def test_records_lie_below_provenance_under_the_outputs_path(tmp_path, monkeypatch):
    results = tmp_path / "demo"
    assert record_path(results / "a" / "b.tsv", results) == results / "provenance" / "a" / "b.tsv.json"
    outside = record_path(tmp_path / "data" / "b.hf5", results)
    assert outside == results / "provenance" / tmp_path.relative_to("/") / "data" / "b.hf5.json"
    monkeypatch.chdir(tmp_path)
    assert record_path(Path("demo/x/../a.tsv"), Path("demo")) == Path("demo/provenance/a.tsv.json")
    assert record_path(tmp_path / "demo" / "a.tsv", Path("demo")) == Path("demo/provenance/a.tsv.json")


def test_a_record_says_where_its_output_comes_from(tmp_path):
    model = run(tmp_path)
    record = read_record(model, tmp_path)
    assert record["path"] == "SIM01/model.safetensors"
    assert record["digest"] == digest(model)
    assert record["inputs"] == {
        "responses/story.zarr": digest(tmp_path / "responses" / "story.zarr"),
        "texts.txt": digest(tmp_path / "texts.txt"),
    }
    assert (record["rule"], record["device"], record["seed"]) == ("train", "cpu", 3)
    assert record["wildcards"] == JOB["wildcards"]
    assert record["params"] == {
        "code": "code 0123456789abcdef",
        "k": 4,
        "folder": "a/b",
        "bound": "Infinity",
    }
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["brainlm"] == brainlm.__version__
    assert record["versions"]["numpy"] == np.__version__
    assert code_of(record) == "0123456789abcdef"


def test_packages_that_are_not_installed_have_no_version(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert list(provenance.versions()) == ["python", "brainlm", "numpy"]


def test_equal_runs_have_equal_records_without_times_and_names(tmp_path):
    texts = []
    for name in ("first", "second"):
        model = run(tmp_path / name)
        os.utime(model, ns=(10**18, 10**18 + len(texts)))
        texts.append(record_path(model, tmp_path / name).read_text())
        assert set(json.loads(texts[-1])) == {*JOB, "path", "digest", "inputs", "versions"}
        assert str(tmp_path) not in texts[-1] and str(model.stat().st_mtime_ns) not in texts[-1]
    assert texts[0] == texts[1]
    assert list(json.loads(texts[0])) == sorted(json.loads(texts[0]))


def test_paths_outside_the_results_are_kept(tmp_path):
    results, hdf5, text = tmp_path / "demo", tmp_path / "data" / "a.hf5", tmp_path / "a.txt"
    hdf5.parent.mkdir()
    hdf5.write_text("responses")
    text.write_text("story")
    write_record(hdf5, results, inputs=[text], **JOB)
    record = read_record(hdf5, results)
    assert record["path"] == str(hdf5)
    assert record["inputs"] == {str(text): digest(text)}
    assert differences(results) == []


def test_a_failed_job_leaves_no_record(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="missing cannot be read"):
        write_record(tmp_path / "a", tmp_path, inputs=[tmp_path / "missing"], **JOB)
    with pytest.raises(TypeError):
        write_record(tmp_path / "a", tmp_path, inputs=[], **{**JOB, "params": {"k": {4}}})
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": "a"}', "\udcff"])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "a").touch()
    write_record(tmp_path / "a", tmp_path, inputs=[], **JOB)
    record_path(tmp_path / "a", tmp_path).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"a\.json .*run its step again"):
        read_record(tmp_path / "a", tmp_path)
    # An input whose record is damaged is read.
    write_record(tmp_path / "a", tmp_path, inputs=[tmp_path / "a"], **JOB)
    assert differences(tmp_path) == []


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no record .*model\.json: run the step"):
        read_record(tmp_path / "model", tmp_path)


# Inputs are read once


def test_an_input_with_a_record_is_not_read_again(tmp_path, hashed):
    model = run(tmp_path)
    store = tmp_path / "responses" / "story.zarr"
    assert hashed == [store, model, tmp_path / "texts.txt"]
    (store / ".snakemake_timestamp").touch()  # as Snakemake does when the job has ended
    hashed.clear()
    write_record(tmp_path / "texts.txt", tmp_path, inputs=[store, model], **JOB)
    assert hashed == [tmp_path / "texts.txt"]
    assert read_record(tmp_path / "texts.txt", tmp_path)["inputs"]["SIM01/model.safetensors"] == digest(model)


def test_a_touched_input_is_read_once_more(tmp_path, hashed):
    model = run(tmp_path)
    os.utime(model, ns=(1, 1))
    record = record_path(model, tmp_path).read_bytes()
    for expected in ([tmp_path / "texts.txt", model], [tmp_path / "texts.txt"]):
        hashed.clear()
        write_record(tmp_path / "texts.txt", tmp_path, inputs=[model], **JOB)
        assert hashed == expected
    assert record_path(model, tmp_path).read_bytes() == record


def test_a_changed_input_is_read_by_every_job_until_its_step_has_run(tmp_path, hashed):
    model = run(tmp_path)
    model.write_bytes(b"longer weights")
    expected = f"sha256:{hashlib.sha256(b'longer weights').hexdigest()}"
    for _ in range(3):
        hashed.clear()
        write_record(tmp_path / "texts.txt", tmp_path, inputs=[model], **JOB)
        assert model in hashed
        assert read_record(tmp_path / "texts.txt", tmp_path)["inputs"] == {
            "SIM01/model.safetensors": expected
        }


def test_a_change_inside_a_store_is_noticed_by_its_readers(tmp_path):
    run(tmp_path)
    store = tmp_path / "responses" / "story.zarr"
    flip_a_byte(store)
    write_record(tmp_path / "texts.txt", tmp_path, inputs=[store], **JOB)
    assert read_record(tmp_path / "texts.txt", tmp_path)["inputs"] == {"responses/story.zarr": digest(store)}


# Verification


def test_what_is_as_it_was_written_is_verified(tmp_path):
    run(tmp_path)
    shutil.move(tmp_path, tmp_path.with_name("moved"))
    assert differences(tmp_path.with_name("moved")) == []


def test_a_changed_file_is_found_even_if_size_and_time_are_the_same(tmp_path):
    model = run(tmp_path)
    before = model.stat()
    model.write_bytes(b"Weights")
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert differences(tmp_path) == [
        f"{model} has changed since it was written: remove it and run the workflow again."
    ]


def test_missing_and_changed_outputs_have_a_sentence_each(tmp_path):
    model = run(tmp_path)
    model.unlink()
    flip_a_byte(tmp_path / "responses" / "story.zarr")
    sentences = differences(tmp_path)
    assert len(sentences) == 2
    assert "model.safetensors is missing" in sentences[0] and "story.zarr has changed" in sentences[1]


# The table


def records(tmp_path: Path) -> list[dict]:
    values = {"a": 1, "b": 1, "c": 2}
    return [read_record(run(tmp_path / name, value=value), tmp_path / name) for name, value in values.items()]


def test_the_table_has_a_row_a_model(tmp_path):
    found = records(tmp_path)
    table = models_table(found)
    assert list(table.columns) == ["subject", "experiment", "seed", "device", "code", "model", "inputs"]
    row = table.iloc[0]
    assert list(row[:5]) == ["SIM01", "matched", 3, "cpu", "0123456789abcdef"]
    assert row["model"] == hashlib.sha256(b"weights").hexdigest()[:12]
    assert len(row["inputs"]) == 12
    # The same inputs, the same digest.
    assert list(table["inputs"] == row["inputs"]) == [True, True, False]


def test_a_result_without_code_has_none(tmp_path):
    record = {**records(tmp_path)[0], "params": {"k": 4, "text": "a code word"}}
    assert code_of(record) is None
    assert models_table([record])["code"].isna().all()


def test_versions_are_one_sentence():
    first, second = {"python": "3.11", "torch": "2.13"}, {"python": "3.11", "torch": "2.14"}
    assert versions_note([{"versions": first}] * 2) == "Versions: python 3.11, torch 2.13."
    expected = "Versions: python 3.11; the models differ in torch (2.13, 2.14)."
    assert versions_note([{"versions": second}, {"versions": first}]) == expected
    expected = "Versions: python 3.11; the models differ in torch (2.13, none)."
    assert versions_note([{"versions": first}, {"versions": {"python": "3.11"}}]) == expected
