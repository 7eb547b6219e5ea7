import errno
import gzip
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

from brainlm.data.hdf5 import explained
from brainlm.data.responses import ResponseSummary, convert_responses, scale_warning
from brainlm.errors import InputError
from brainlm.simulation.listener import autocorrelate
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
    return convert_responses(hdf5, hdf5.with_suffix(".zarr"), **options)


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

    mean[7, 7] = np.nan
    write_hdf5(hdf5, data=mean, individual_repeats=repeats)
    assert convert_story(hdf5).data_is_mean_of_repeats is False
    attributes = open_store(hdf5.with_suffix(".zarr")).attrs
    assert float(attributes["largest_difference_from_mean"]) == np.inf


@pytest.mark.parametrize("block_rows", [4, 256])
@pytest.mark.parametrize("mean", ["of what is finite", "of all"])
def test_lost_hearings_are_counted_and_the_mean_may_or_may_not_leave_them_out(hdf5, block_rows, mean):
    repeats = np.random.default_rng(1).normal(size=(5, N_TIMES, N_VOXELS))
    repeats[4, :, :3] = np.nan
    repeats[1, 8, 2:5] = np.inf
    repeats[:, :, 6] = np.nan
    repeats[3, :, 9] = 0.0
    finite = np.ma.masked_invalid(repeats).mean(axis=0).filled(np.nan)
    data = (
        finite if mean == "of what is finite" else np.where(np.isfinite(repeats).all(axis=0), finite, np.nan)
    )
    write_hdf5(hdf5, data=data, individual_repeats=repeats)
    summary = convert_story(hdf5, block_rows=block_rows)
    assert summary.n_repeats == 5
    assert summary.data_is_mean_of_repeats is True and summary.largest_difference_from_mean < 1e-6
    # Without a finite mean, voxels do not count as valid at all.
    assert summary.n_voxels_with_lost_repeats == (6 if mean == "of what is finite" else 1)
    attributes = open_store(hdf5.with_suffix(".zarr")).attrs
    assert attributes["n_voxels_with_lost_repeats"] == summary.n_voxels_with_lost_repeats


# Scale


def scale_of(hdf5: Path, data: np.ndarray, **options) -> tuple[ResponseSummary, str | None]:
    write_hdf5(hdf5, data=data, **options)
    summary = convert_responses(
        hdf5,
        hdf5.with_suffix(".zarr"),
        expected_rows=len(data),
        tr_times_s=np.arange(float(len(data))),
        block_rows=50,
    )
    return summary, scale_warning(summary)


@pytest.fixture
def story() -> np.ndarray:
    """(time, voxel): 300 TRs with slow drifts, z-scored."""
    random = np.random.default_rng(3)
    values = autocorrelate(random.standard_normal((300, 200)), 0.6) + 0.3 * random.standard_normal((300, 200))
    return (values - values.mean(axis=0)) / values.std(axis=0)


def test_the_scale_is_that_of_the_voxels_that_count(hdf5, story):
    story = 3 + 0.5 * story
    story[:, :40] = np.nan
    story[:, 40:60] = 1000.0
    summary, _ = scale_of(hdf5, story)
    assert summary.median_mean == pytest.approx(3, abs=1e-5) and summary.median_sd == pytest.approx(
        0.5, abs=1e-5
    )
    assert summary.n_not_zscored == 140


def test_z_scored_responses_need_no_word(hdf5, story):
    summary, warning = scale_of(hdf5, story)
    assert summary.median_mean < 1e-6 and summary.median_sd == pytest.approx(1, abs=1e-6)
    assert summary.n_not_zscored == 0 and warning is None
    # Nor do those that were trimmed afterwards, or whose degrees of freedom were counted otherwise, ...
    assert scale_of(hdf5, story[10:-10])[1] is None
    assert scale_of(hdf5, story * np.sqrt(299 / 300))[1] is None
    # ... nor the noisiest mean of z-scored hearings.
    hearings = np.random.default_rng(4).standard_normal((10, 300, 200))
    hearings = (hearings - hearings.mean(axis=1, keepdims=True)) / hearings.std(axis=1, keepdims=True)
    summary, warning = scale_of(hdf5, hearings.mean(axis=0), individual_repeats=hearings)
    assert summary.median_sd == pytest.approx(10**-0.5, rel=0.1) and warning is None
    # A few odd voxels at the mask's edge are not worth a word either.
    story[:, :8] *= 50
    summary, warning = scale_of(hdf5, story)
    assert summary.n_not_zscored == 8 and warning is None


@pytest.mark.parametrize(
    ("scaled", "words"),
    [
        (lambda z: 0.5 * z, r"200 of 200 voxels .* above 0\.5;"),  # percent signal change
        (lambda z: 800 + 12 * z, r"beyond ±800, .* above 12;"),  # the scanner's units
        (lambda z: z + 0.4, r"beyond ±0\.4, .* above 1;"),
        (lambda z: np.concatenate([z[:, :180], 100 * z[:, 180:]], axis=1), "20 of 200 voxels"),
    ],
)
def test_other_units_are_told_in_a_sentence(hdf5, story, scaled, words):
    _, warning = scale_of(hdf5, scaled(story))
    assert re.search(words, warning) and "z-score each voxel" in warning


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


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_file(hdf5, data, kept):
    write_hdf5(hdf5, data=data)
    content = hdf5.read_bytes()
    hdf5.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=r"story\.hf5 is truncated or damaged"):
        convert_story(hdf5)
    assert_nothing_written(hdf5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: download it again"),
        (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(300), "is no HDF5 file but a MATLAB file .* -v7.3"),
        (b"\n<!DOCTYPE html><html>Forbidden</html>", "is no HDF5 file but a web page"),
        (gzip.compress(b"x" * 99, mtime=0), "is no HDF5 file but compressed with gzip"),
        (b"\x93NUMPY\x01\x00", r"is no HDF5 file \(it begins with b'.x93NUMPY"),
        (b"\x89HD", r"is no HDF5 file \(it begins with b'.x89HD'"),
    ],
)
def test_another_kind_of_file(hdf5, content, message):
    hdf5.write_bytes(content)
    with pytest.raises(InputError, match=rf"story\.hf5 {message}"):
        convert_story(hdf5)
    assert_nothing_written(hdf5)


HOLD = "import h5py, sys; file = h5py.File(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"


def test_a_file_that_another_program_has_open(hdf5, data, monkeypatch):
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    write_hdf5(hdf5, data=data)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(hdf5)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match=r"is open elsewhere, .*HDF5_USE_FILE_LOCKING=FALSE") as error:
            convert_story(hdf5)
        assert "download" not in str(error.value)
        holder.stdin.close()
    assert_nothing_written(hdf5)
    assert convert_story(hdf5).n_voxels == N_VOXELS


def test_a_file_whose_writer_crashed(hdf5, data):
    with h5py.File(hdf5, "w", libver="latest") as file:
        file["data"] = data
        file.flush()
        copy = hdf5.read_bytes()
    hdf5.write_bytes(copy)
    with pytest.raises(InputError, match=r"before it closed it: .*h5clear --status"):
        convert_story(hdf5)


# As HDF5 and the operating system word what a test cannot bring about.
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(
                errno.ENOLCK,
                "Unable to open file (unable to lock file, errno = 37, error message = 'No locks available')",
            ),
            r"file system without locks \(No locks available\)",
        ),
        (
            OSError(
                "Can't synchronously read data (file read failed: errno = 5, error message = 'Input/output error')"
            ),
            r"cannot be read \(Input/output error\): the disk, .* not the file; try again",
        ),
        (OSError(errno.EMFILE, "Unable to open file (errno = 24)"), r"\(Too many open files\)"),
        (PermissionError(errno.EACCES, "Permission denied"), "you have no permission to"),
    ],
)
def test_errors_of_the_system_are_not_the_files(hdf5, data, error, message):
    write_hdf5(hdf5, data=data)
    told = str(explained(hdf5, error))
    assert re.search(message, told) and "download" not in told


def test_a_filter_that_is_not_installed(hdf5):
    with h5py.File(hdf5, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((5, N_VOXELS))
        # Blosc's number, with which nothing is written here: it is optional.
        plan.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((N_TIMES, N_VOXELS))
        h5py.h5d.create(file.id, b"data", h5py.h5t.NATIVE_DOUBLE, space, plan)
    with pytest.raises(InputError, match=r"`data` is compressed by a filter .*number 32001.*gzip \(h5repack"):
        convert_story(hdf5)
    assert_nothing_written(hdf5)


@pytest.mark.parametrize("link", [h5py.SoftLink("/elsewhere"), h5py.ExternalLink("gone.hf5", "/elsewhere")])
@pytest.mark.parametrize("name", ["data", "individual_repeats"])
def test_a_link_to_nothing(hdf5, data, link, name):
    with h5py.File(hdf5, "w") as file:
        file["data" if name != "data" else "other"] = data
        file[name] = link
    with pytest.raises(InputError, match=rf"`{name}` is a link to /elsewhere.*, which is missing"):
        convert_story(hdf5)


def test_data_in_other_files_that_are_missing(hdf5, data):
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    layout[:10] = h5py.VirtualSource("first.hf5", "part", shape=(10, N_VOXELS))
    layout[10:] = h5py.VirtualSource("second.hf5", "part", shape=(N_TIMES - 10, N_VOXELS))
    with h5py.File(hdf5, "w") as file:
        file.create_virtual_dataset("data", layout)
    write_hdf5(hdf5.with_name("first.hf5"), part=data[:10])
    # HDF5 would read zeros.
    with pytest.raises(InputError, match=r"other files, of which second\.hf5 is missing"):
        convert_story(hdf5)
    write_hdf5(hdf5.with_name("second.hf5"), whole=data[10:])
    with pytest.raises(InputError, match=r"second\.hf5 is missing or has no part"):
        convert_story(hdf5)
    raw = hdf5.with_name("raw.bin")
    with h5py.File(hdf5, "w") as file:
        external = [(str(raw), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("data", data.shape, data.dtype, external=external)[:] = data
    raw.unlink()
    with pytest.raises(InputError, match="keeps data in another file that is missing"):
        convert_story(hdf5)


def in_parts(hdf5: Path, data: np.ndarray) -> None:
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    for name, rows in {"first.hf5": slice(0, 10), "second.hf5": slice(10, N_TIMES)}.items():
        write_hdf5(hdf5.with_name(name), part=data[rows])
        layout[rows] = h5py.VirtualSource(name, "part", shape=data[rows].shape)
    with h5py.File(hdf5, "w") as file:
        file.create_virtual_dataset("data", layout)


def linked(hdf5: Path, data: np.ndarray) -> None:
    write_hdf5(hdf5.with_name("other.hf5"), inner=data)
    write_hdf5(hdf5, data=h5py.ExternalLink("other.hf5", "/inner"))


def created(**options):
    def write(hdf5: Path, data: np.ndarray) -> None:
        with h5py.File(hdf5, "w", userblock_size=options.pop("userblock_size", 0)) as file:
            file.create_dataset("data", data=data, **options)

    return write


LAYOUTS = {
    "contiguous": created(),
    "big-endian": created(dtype=">f8"),
    "float32": created(dtype="f4"),
    "gzip": created(chunks=(4, 5), compression="gzip", shuffle=True),
    "lzf": created(compression="lzf", fletcher32=True),
    "extendible": created(chunks=(3, 7), maxshape=(None, None)),
    "behind a user block": created(userblock_size=512),
    "soft link": lambda path, data: write_hdf5(
        path, **{"group/inner": data, "data": h5py.SoftLink("/group/inner")}
    ),
    "external link": linked,
    "virtual": in_parts,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_hdf5_gives_the_same(hdf5, data, layout):
    LAYOUTS[layout](hdf5, data)
    assert convert_story(hdf5, block_rows=6).n_invalid_voxels == 0
    np.testing.assert_array_equal(open_store(hdf5.with_suffix(".zarr"))["bold"][:], data.astype(np.float32))


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
