import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from brainlm.errors import InputError
from brainlm.rows.codes import StoryCode, load_codes, save_codes
from brainlm.rows.normalization import fit_normalization, load_normalization, save_normalization
from brainlm.rows.sources import Source
from brainlm.simulation.features import Planted, load_planted, save_planted
from brainlm.store import (
    add_array,
    add_strings,
    default_chunks,
    empty_array,
    new_store,
    open_store,
    read_strings,
    to_json,
)


@pytest.fixture(autouse=True)
def no_warnings():
    """An unstable corner of the Zarr format announces itself by a warning; no store may hold one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def write_example(path: Path) -> None:
    with new_store(path, {"units": "z", "n": np.int64(3), "source": Path("a/b.hf5")}) as group:
        add_array(group, "bold", np.arange(6, dtype=np.float32).reshape(3, 2), ("time", "voxel"))
        add_array(group, "time", [11.0, 13.0, 15.0], ("time",), attributes={"units": "s"})
        add_array(group, "valid", [True, False], ("voxel",))
        add_strings(group, "word", ["a", "naïve 😀", ""], "time")


def file_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_xarray_reads_a_store_with_labels(tmp_path):
    write_example(tmp_path / "x.zarr")
    with xarray.open_zarr(tmp_path / "x.zarr", consolidated=False) as dataset:
        assert dataset.bold.dims == ("time", "voxel")
        assert dataset.bold.dtype == np.float32
        assert dataset.time.attrs["units"] == "s" and "time" in dataset.coords
        np.testing.assert_array_equal(dataset.bold.sel(time=13.0), [2, 3])
        assert dataset.valid.dtype == bool
        assert dataset.word.values.tolist() == ["a", "naïve 😀", ""]
        assert dataset.attrs["n"] == 3 and dataset.attrs["source"] == "a/b.hf5"
        assert set(dataset.attrs["software"]) == {"brainlm", "zarr"}


def test_what_is_written_is_read_back(tmp_path):
    write_example(tmp_path / "deep" / "er" / "x.zarr")
    group = open_store(tmp_path / "deep" / "er" / "x.zarr")
    np.testing.assert_array_equal(group["bold"][...], [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(group["valid"][...], [True, False])
    assert read_strings(group, "word") == ["a", "naïve 😀", ""]
    with pytest.raises(ValueError, match="read"):
        add_array(group, "more", [1], ("time",))


def test_the_same_input_gives_the_same_bytes(tmp_path):
    write_example(tmp_path / "x.zarr")
    write_example(tmp_path / "y.zarr")
    assert file_bytes(tmp_path / "x.zarr") == file_bytes(tmp_path / "y.zarr")


@pytest.mark.parametrize("values", [np.float64(2.5), np.zeros((0, 4), np.float32), np.zeros(0, bool)])
def test_scalars_and_empty_arrays(tmp_path, values):
    dims = ("a", "b")[: np.ndim(values)]
    with new_store(tmp_path / "x.zarr", {}) as group:
        add_array(group, "x", values, dims)
        add_strings(group, "none", [], "word")
    group = open_store(tmp_path / "x.zarr")
    np.testing.assert_array_equal(group["x"][...], values)
    assert read_strings(group, "none") == []


def test_a_failed_store_leaves_the_old_one(tmp_path):
    path = tmp_path / "x.zarr"
    write_example(path)
    before = file_bytes(path)
    with pytest.raises(RuntimeError, match="stop"), new_store(path, {}) as group:
        add_array(group, "bold", [1.0], ("time",))
        raise RuntimeError("stop")
    assert file_bytes(path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zarr"]


def test_an_interrupted_store_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_store(tmp_path / "x.zarr", {}):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_and_the_rest_of_a_killed_run_are_replaced(tmp_path):
    path = tmp_path / "x.zarr"
    write_example(path)
    (tmp_path / "x.zarr.partial").mkdir()
    (tmp_path / "x.zarr.partial" / "old").write_text("left by a killed run")
    with new_store(path, {}) as group:
        add_array(group, "other", [1.0], ("time",))
    assert sorted(open_store(path).array_keys()) == ["other"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zarr"]


def test_something_else_is_not_replaced(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="notes"), new_store(tmp_path / "notes", {}):
        pass
    with pytest.raises(InputError, match="is a file"), new_store(tmp_path / "notes" / "thesis.txt", {}):
        pass
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"


def test_opening_what_is_no_store(tmp_path):
    with pytest.raises(InputError, match=r"missing\.zarr does not exist"):
        open_store(tmp_path / "missing.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"empty\.zarr cannot be read as a Zarr v3 store"):
        open_store(tmp_path / "empty.zarr")
    (tmp_path / "file.zarr").write_text("text")
    with pytest.raises(InputError, match=r"file\.zarr cannot be read"):
        open_store(tmp_path / "file.zarr")
    for metadata in ["{", "[]", '{"zarr_format": 3, "node_type": "array"}']:
        (tmp_path / "empty.zarr" / "zarr.json").write_text(metadata)
        with pytest.raises(InputError, match=r"empty\.zarr cannot be read"):
            open_store(tmp_path / "empty.zarr")


def test_a_store_that_the_system_does_not_let_be_read_need_not_be_removed(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "x.zarr" / "zarr.json").symlink_to("zarr.json")
    with pytest.raises(
        InputError, match=r"x\.zarr cannot be read \(Too many levels of symbolic links\)"
    ) as error:
        open_store(tmp_path / "x.zarr")
    assert "remove" not in str(error.value)


def test_every_axis_needs_a_name(tmp_path):
    with pytest.raises(ValueError, match="2 axes but 1"), new_store(tmp_path / "x.zarr", {}) as group:
        add_array(group, "bold", np.zeros((2, 2)), ("time",))


def test_what_was_not_written_is_nan_not_zero(tmp_path):
    with new_store(tmp_path / "x.zarr", {}) as group:
        array = empty_array(group, "bold", (4, 3), np.float32, ("time", "voxel"), chunks=(2, 3))
        array[:2] = 1
    values = open_store(tmp_path / "x.zarr")["bold"][...]
    np.testing.assert_array_equal(values[:2], 1)
    assert np.isnan(values[2:]).all()


def test_damage_is_noticed(tmp_path):
    write_example(tmp_path / "x.zarr")
    (chunk,) = [p for p in (tmp_path / "x.zarr" / "bold" / "c").rglob("*") if p.is_file()]
    content = bytearray(chunk.read_bytes())
    content[-6] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(RuntimeError):
        open_store(tmp_path / "x.zarr")["bold"][...]


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((300, 2900), (300, 2900)),
        ((300, 95556), (256, 8192)),
        ((10, 291, 95556), (1, 256, 8192)),
        ((3, 5000, 4096), (1, 512, 4096)),
        ((10**8,), (2 * 2**20,)),
        ((0, 7), (1, 7)),
        ((), ()),
    ],
)
def test_default_chunks(shape, chunks):
    assert default_chunks(shape, 4) == chunks


def test_a_large_array_has_few_files_and_is_read_in_parts(tmp_path):
    shape = (300, 95556)
    with new_store(tmp_path / "x.zarr", {}) as group:
        array = empty_array(group, "bold", shape, np.float32, ("time", "voxel"))
        array[:256] = 1
        array[256:] = 2
    assert len([p for p in (tmp_path / "x.zarr" / "bold" / "c").rglob("*") if p.is_file()]) == 2
    array = open_store(tmp_path / "x.zarr")["bold"]
    np.testing.assert_array_equal(array[254:258, 95555], [1, 1, 2, 2])


def test_attributes_become_json():
    attributes = {
        "a": np.float32(0.5),
        "b": np.arange(2),
        "c": (np.True_, [Path("x"), None]),
        "d": {1: np.nan, 2: -np.inf},
    }
    converted = to_json(attributes)
    assert converted == {"a": 0.5, "b": [0, 1], "c": [True, ["x", None]], "d": {"1": "NaN", "2": "-Infinity"}}
    assert math.isnan(float(converted["d"]["1"]))
    json.dumps(converted, allow_nan=False)


def test_stores_are_version_3(tmp_path):
    write_example(tmp_path / "x.zarr")
    assert zarr.open_group(tmp_path / "x.zarr", mode="r").metadata.zarr_format == 3


# What file browsers, editors and file servers leave in folders.
JUNK = (
    ".DS_Store",
    "._zarr.json",
    "Thumbs.db",
    "desktop.ini",
    ".nfs000000000012ab3400000001",
    "zarr.json~",
    ".0.swp",
)


def litter(store: Path) -> None:
    for folder in [store, *(path for path in store.rglob("*") if path.is_dir())]:
        for name in JUNK:
            (folder / name).write_bytes(b"\0\1junk")


def write_responses(path: Path) -> None:
    with new_store(path, {}) as group:
        # In several files.
        array = empty_array(group, "bold", (4, 3), np.float32, ("time", "voxel"), chunks=(2, 2))
        array[:] = np.arange(12).reshape(4, 3)
        add_array(group, "time", np.arange(4.0), ("time",))
        add_array(group, "valid", [True, False, True], ("voxel",))


def read_responses(path: Path) -> list[np.ndarray]:
    brain = Source("bold", {"a": path})
    stacked = brain.stacked(["a"], np.array([2, 0]))[0:4]
    return [brain.read("a"), brain.valid_columns(["a"]), brain.time_s("a"), stacked]


def read_with_xarray(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        # Zarr tells xarray of everything that is none of its own.
        warnings.filterwarnings("ignore", message="Object at")
        with xarray.open_zarr(path, consolidated=False) as dataset:
            return dataset.bold.values


def write_codes(path: Path) -> None:
    code = StoryCode(np.ones((2, 1), np.float32), np.array([[3], [0]], np.int32), np.arange(2.0), 5)
    save_codes({"a": code}, {"test": ["a"]}, path)


def write_normalization(path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((9, 3))
    fitted, summary = fit_normalization(
        lambda: [values], standardize="zscore", kept=np.ones(3, bool), source="lm"
    )
    save_normalization({"lm": fitted}, {"lm": summary}, path)


def read_normalization(path: Path) -> list[np.ndarray]:
    fitted = load_normalization(path)["lm"]
    return [fitted.kept, fitted.offset, fitted.scale]


def write_planted(path: Path) -> None:
    planted = Planted(("place", "events"), ("shared", "spontaneous"), np.ones((3, 2)), np.zeros(2))
    save_planted(planted, {"a": 3}, path, maps=np.eye(2))


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (write_responses, read_responses),
        (write_responses, read_with_xarray),
        (write_codes, lambda path: load_codes(path, "test")["a"].activation),
        (write_normalization, read_normalization),
        (write_planted, lambda path: load_planted(path)[0].time_courses),
        (write_example, lambda path: np.array(read_strings(open_store(path), "word"))),
    ],
)
def test_files_of_other_programs_do_not_disturb_a_reader(tmp_path, write, read):
    store = tmp_path / "x.zarr"
    write(store)
    before = read(store)
    litter(store)
    for again, value in zip(read(store), before, strict=True):
        np.testing.assert_array_equal(again, value)
    # Nor do they stand in the way of a new store.
    write(store)
    assert not [path for path in store.rglob("*") if path.name in JUNK]
