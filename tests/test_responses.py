from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from brainlm.errors import InputError
from brainlm.responses import convert
from brainlm.store import open_store

N_TIMES, N_VOXELS = 23, 17
TIMES_S = 11.0 + 2.0 * np.arange(N_TIMES)


@pytest.fixture
def data() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(N_TIMES, N_VOXELS))
    return (values - values.mean(axis=0)) / values.std(axis=0)


@pytest.fixture
def hdf5(tmp_path) -> Path:
    return tmp_path / "story.hf5"


def write_hdf5(path: Path, **datasets) -> None:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values


def convert_story(hdf5: Path, **options):
    options = {"expected_rows": N_TIMES, "tr_times_s": TIMES_S} | options
    return convert(hdf5, hdf5.with_suffix(".zarr"), **options)


def assert_nothing_written(hdf5: Path) -> None:
    assert [entry.name for entry in hdf5.parent.iterdir()] in ([], [hdf5.name])


@pytest.mark.parametrize("block_rows", [1, 5, 23, 256])
def test_a_story_is_copied_with_labels(hdf5, data, block_rows):
    write_hdf5(hdf5, data=data)
    summary = convert_story(hdf5, block_rows=block_rows)
    with xarray.open_zarr(hdf5.with_suffix(".zarr"), consolidated=False) as story:
        assert story.bold.dims == ("time", "voxel")
        assert story.bold.dtype == np.float32 and story.bold.attrs["units"] == "z-score"
        np.testing.assert_array_equal(story.bold, data.astype(np.float32))
        np.testing.assert_array_equal(story.time, TIMES_S)
        assert story.time.dtype == np.float64 and story.time.attrs["units"] == "s"
        np.testing.assert_array_equal(story.voxel, np.arange(N_VOXELS))
        np.testing.assert_array_equal(story.bold.sel(time=15.0, voxel=4), np.float32(data[2, 4]))
        assert story.valid.dims == ("voxel",) and story.valid.dtype == bool and story.valid.all()
        assert "repeats" not in story
        assert story.attrs["source_file"] == "story.hf5"
        assert story.attrs["n_repeats"] == 0 and story.attrs["data_is_mean_of_repeats"] is None
        assert set(story.attrs["software"]) == {"brainlm", "zarr"}
    assert (summary.n_times, summary.n_voxels, summary.n_invalid_voxels) == (N_TIMES, N_VOXELS, 0)


def test_unusable_voxels_are_marked_and_kept_as_they_are(hdf5, data):
    data[3, 0] = np.nan
    data[:, 1] = np.nan
    data[22, 2] = np.inf
    data[:, 3] = 0.0
    data[:, 4] = 1.5
    data[:22, 5] = 0.0  # varies, in the last row only
    data[22, 5] = 1.0
    write_hdf5(hdf5, data=data)
    summary = convert_story(hdf5, block_rows=4)
    group = open_store(hdf5.with_suffix(".zarr"))
    assert np.flatnonzero(~group["valid"][...]).tolist() == [0, 1, 2, 3, 4]
    assert summary.n_invalid_voxels == group.attrs["n_invalid_voxels"] == 5
    np.testing.assert_array_equal(group["bold"][...], data.astype(np.float32))


def test_repeats_are_kept_and_their_mean_recognised(hdf5):
    repeats = np.random.default_rng(1).normal(size=(5, N_TIMES, N_VOXELS))
    repeats[:, :, 6] = np.nan
    write_hdf5(hdf5, data=repeats.mean(axis=0), individual_repeats=repeats)
    summary = convert_story(hdf5, block_rows=10)
    assert summary.n_repeats == 5
    assert summary.data_is_mean_of_repeats is True
    assert summary.largest_difference_from_mean < 1e-6
    with xarray.open_zarr(hdf5.with_suffix(".zarr"), consolidated=False) as story:
        assert story.repeats.dims == ("repeat", "time", "voxel") and story.repeats.dtype == np.float32
        np.testing.assert_array_equal(story.repeats, repeats.astype(np.float32))
        assert story.attrs["n_repeats"] == 5 and story.attrs["data_is_mean_of_repeats"] is True
        assert story.attrs["largest_difference_from_mean"] == summary.largest_difference_from_mean


def test_data_that_is_not_the_mean_of_the_repeats_is_reported(hdf5):
    repeats = np.random.default_rng(1).normal(size=(5, N_TIMES, N_VOXELS))
    mean = repeats.mean(axis=0)
    mean[20, 3] += 0.25
    write_hdf5(hdf5, data=mean, individual_repeats=repeats)
    summary = convert_story(hdf5, block_rows=10)
    assert summary.data_is_mean_of_repeats is False
    assert summary.largest_difference_from_mean == pytest.approx(0.25, abs=1e-6)

    repeats[2, 7, 7] = np.nan
    write_hdf5(hdf5, data=mean, individual_repeats=repeats)
    assert convert_story(hdf5).data_is_mean_of_repeats is False
    attributes = open_store(hdf5.with_suffix(".zarr")).attrs
    assert float(attributes["largest_difference_from_mean"]) == np.inf


def test_the_same_file_gives_the_same_bytes(hdf5, data):
    write_hdf5(hdf5, data=data, individual_repeats=np.stack([data, data]))
    convert_story(hdf5)
    first = {path: path.read_bytes() for path in hdf5.with_suffix(".zarr").rglob("*") if path.is_file()}
    convert_story(hdf5)
    again = {path: path.read_bytes() for path in hdf5.with_suffix(".zarr").rglob("*") if path.is_file()}
    assert first == again


def test_a_missing_file(hdf5):
    with pytest.raises(InputError, match=r"story\.hf5 does not exist"):
        convert_story(hdf5)
    assert_nothing_written(hdf5)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_that_is_not_downloaded(hdf5, link):
    content = "../../.git/annex/objects/zz/MD5E-s1--0.hf5"
    hdf5.symlink_to(content) if link else hdf5.write_text(f"{content}\n")
    with pytest.raises(InputError, match=r"story\.hf5 has not been downloaded"):
        convert_story(hdf5)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file(hdf5, data, kept):
    write_hdf5(hdf5, data=data)
    content = hdf5.read_bytes()
    hdf5.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"story\.hf5 is truncated or damaged"):
        convert_story(hdf5)
    assert_nothing_written(hdf5)


def test_damage_found_while_reading_leaves_no_store(hdf5, data):
    with h5py.File(hdf5, "w") as file:
        chunks = file.create_dataset("data", data=data, chunks=(5, N_VOXELS), fletcher32=True)
        last_chunk = chunks.id.get_chunk_info(chunks.id.get_num_chunks() - 1).byte_offset
    content = bytearray(hdf5.read_bytes())
    content[last_chunk] ^= 1
    hdf5.write_bytes(content)
    with pytest.raises(InputError, match=r"story\.hf5 is truncated or damaged"):
        convert_story(hdf5, block_rows=5)
    assert_nothing_written(hdf5)


def test_no_dataset_called_data(hdf5, data):
    write_hdf5(hdf5, responses=data)
    with pytest.raises(InputError, match=r"story\.hf5 has no dataset `data` \(it holds: responses\)"):
        convert_story(hdf5)
    write_hdf5(hdf5, **{"data/inner": data})
    with pytest.raises(InputError, match=r"story\.hf5 has no dataset `data`"):
        convert_story(hdf5)


def test_another_number_of_rows_than_expected(hdf5, data):
    write_hdf5(hdf5, data=data)
    with pytest.raises(InputError, match=r"story\.hf5 has 23 rows \(TRs\), but 25 are expected"):
        convert_story(hdf5, expected_rows=25, tr_times_s=np.arange(25.0))
    assert_nothing_written(hdf5)


def test_no_voxels(hdf5):
    write_hdf5(hdf5, data=np.zeros((N_TIMES, 0)))
    with pytest.raises(InputError, match=r"story\.hf5 has no voxels"):
        convert_story(hdf5)


@pytest.mark.parametrize(
    "wrong", [np.zeros(N_TIMES), np.zeros((N_TIMES, 2, 2)), np.zeros((N_TIMES, 2), "S3")]
)
def test_data_that_is_no_matrix_of_numbers(hdf5, wrong):
    write_hdf5(hdf5, data=wrong)
    with pytest.raises(InputError, match=r"story\.hf5: `data` is .*\(time, voxel\) are needed"):
        convert_story(hdf5)


@pytest.mark.parametrize(
    "shape", [(N_TIMES, N_VOXELS), (5, N_TIMES, 3), (5, 9, N_VOXELS), (0, N_TIMES, N_VOXELS)]
)
def test_repeats_that_do_not_fit(hdf5, data, shape):
    write_hdf5(hdf5, data=data, individual_repeats=np.zeros(shape))
    with pytest.raises(
        InputError, match=r"story\.hf5: `individual_repeats` has shape .* does not fit `data`"
    ):
        convert_story(hdf5)


def test_repeats_that_are_no_dataset(hdf5, data):
    write_hdf5(hdf5, data=data, **{"individual_repeats/inner": data})
    with pytest.raises(InputError, match=r"story\.hf5: `individual_repeats` has shape"):
        convert_story(hdf5)


def test_rows_without_any_finite_value_are_named(hdf5, data):
    data[[2, 19]] = np.nan
    write_hdf5(hdf5, data=data)
    with pytest.raises(
        InputError, match=r"story\.hf5 has 2 rows .* no voxel is finite: 2, 19 \(counted from 0\)"
    ):
        convert_story(hdf5, block_rows=8)
    assert_nothing_written(hdf5)
    data[:] = np.nan
    write_hdf5(hdf5, data=data)
    with pytest.raises(InputError, match=r"has 23 rows .*: 0, 1, .*, 9, \.\.\. \(counted"):
        convert_story(hdf5)


def test_a_story_in_which_nothing_varies(hdf5):
    write_hdf5(hdf5, data=np.zeros((N_TIMES, N_VOXELS)))
    with pytest.raises(InputError, match=r"story\.hf5: none of its 17 voxels"):
        convert_story(hdf5)


def test_times_must_fit_the_expected_rows(hdf5, data):
    write_hdf5(hdf5, data=data)
    with pytest.raises(ValueError, match="23 rows are expected"):
        convert_story(hdf5, tr_times_s=TIMES_S[:-1])
