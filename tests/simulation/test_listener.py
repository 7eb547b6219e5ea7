import h5py
import numpy as np
import pytest

from brainlm.simulation.features import Planted, standardize
from brainlm.simulation.listener import (
    add_brain_only,
    artefact_bursts,
    autocorrelate,
    blob_map,
    explainable_variance,
    listen,
    plant_maps,
    scale_to_ratio,
    scanner_noise,
    spontaneous_events,
    stripe_map,
    write_hdf5,
)


def test_spontaneous_events_are_standardized_and_fixed_by_their_seed():
    courses = [spontaneous_events(600, 2.0, np.random.default_rng(s), every_s=30) for s in (0, 0, 1)]
    np.testing.assert_array_equal(courses[0], courses[1])
    assert courses[0].shape == (600,) and np.abs(np.corrcoef(courses[0], courses[2])[0, 1]) < 0.3
    assert courses[0].mean() == pytest.approx(0, abs=1e-10) and courses[0].std() == pytest.approx(1)


def test_spontaneous_events_come_as_often_as_asked():
    # One event in 200 s has died away before the next one; each gives one peak above the undershoots.
    course = spontaneous_events(20_000, 2.0, np.random.default_rng(0), every_s=200)
    inner = course[1:-1]
    peaks = np.sum((inner > course[:-2]) & (inner >= course[2:]) & (inner > np.median(course) + 0.05))
    assert 0.7 * 200 < peaks < 1.3 * 200


@pytest.mark.parametrize("coefficient", [0.0, 0.4, 0.9])
def test_noise_has_variance_one_and_the_coefficient_as_its_autocorrelation(coefficient):
    noise = autocorrelate(np.random.default_rng(0).standard_normal((400, 2000)), coefficient)
    assert noise.var() == pytest.approx(1, rel=0.02)
    # From the first row on: there is nothing to settle.
    for row in (0, 1, 10, 399):
        assert noise[row].var() == pytest.approx(1, rel=0.15)
    assert np.mean(noise[1:] * noise[:-1]) == pytest.approx(coefficient, abs=0.02)
    assert np.mean(noise[2:] * noise[:-2]) == pytest.approx(coefficient**2, abs=0.02)
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 0.02


GRID = np.stack(np.meshgrid(np.arange(30), np.arange(30), [0], indexing="ij"), axis=-1).reshape(-1, 3) * 3.0


def test_a_single_blob_is_a_gaussian_cut_off_at_a_tenth():
    centre = 15 * 30 + 12
    blob = blob_map(GRID, [centre], radius_mm=9, random=np.random.default_rng(0))
    distance = np.linalg.norm(GRID - GRID[centre], axis=1)
    gaussian = np.exp(-0.5 * (distance / 9) ** 2)
    np.testing.assert_allclose(blob, np.where(gaussian < 0.1, 0, gaussian), rtol=1e-10)
    assert blob.max() == blob[centre] == 1


def test_blobs_are_of_uneven_strength_and_do_not_add_up():
    centres = [5 * 30 + 5, 25 * 30 + 25, 5 * 30 + 6]
    blobs = blob_map(GRID, centres, radius_mm=6, random=np.random.default_rng(1))
    assert blobs.max() == 1 and blobs.min() == 0
    heights = blobs[centres]
    assert len(np.unique(heights)) == 3 and heights.min() >= 0.7
    # Two blobs 3 mm apart are no higher than the higher one.
    assert blobs[15 * 30 + 15] == 0


def test_stripes_take_two_slices_each():
    np.testing.assert_array_equal(stripe_map(np.arange(8)), [1, 1, -1, -1, 1, 1, -1, -1])


def test_artefacts_come_in_bursts():
    course = artefact_bursts(5000, 2.0, np.random.default_rng(0), every_s=60, lasting_s=6)
    assert course.mean() == pytest.approx(0, abs=1e-10) and course.std() == pytest.approx(1)
    # Most of the energy lies in a small part of the time, with no preferred sign.
    energy = np.sort(course**2)[::-1]
    assert energy[:500].sum() > 0.8 * energy.sum()
    assert abs(np.mean(np.sign(course[np.abs(course) > 1]))) < 0.2


MASK = np.zeros((10, 12, 10), bool)
MASK[1:9, 2:10, 3:8] = True


def test_scanner_noise_has_variance_one_and_neighbours_share_half_of_what_is_smooth():
    noise = scanner_noise(3000, MASK, 4.0, np.random.default_rng(0))
    assert noise.shape == (3000, MASK.sum())
    np.testing.assert_allclose(noise.var(axis=0), 1, atol=0.2)
    index = np.argwhere(MASK)
    here = np.flatnonzero((index == [4, 5, 5]).all(axis=1))[0]
    next_to_it = np.flatnonzero((index == [5, 5, 5]).all(axis=1))[0]
    far = np.flatnonzero((index == [8, 9, 7]).all(axis=1))[0]
    correlation = np.corrcoef(noise[:, [here, next_to_it, far]].T)
    # A Gaussian smoothed by s.d. s correlates exp(-d² / 4 s²) over a distance d.
    assert correlation[0, 1] == pytest.approx(0.5 * np.exp(-(4.0**2) / (4 * 8.0**2)), abs=0.06)
    assert abs(correlation[0, 2]) < 0.25
    assert np.mean(noise[1:] * noise[:-1]) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("snr", [0.05, 1.0, 3.0])
def test_scaled_maps_give_the_wanted_signal_over_noise_of_variance_one(snr):
    random = np.random.default_rng(0)
    time_courses, maps = random.standard_normal((100, 3)), np.abs(random.standard_normal((3, 40)))
    maps[:, 25:] = 0
    scaled = scale_to_ratio(maps, time_courses, snr)
    # Over the voxels that carry signal.
    assert (time_courses @ scaled)[:, :25].var(axis=0).mean() == pytest.approx(snr)
    np.testing.assert_allclose(scaled[:, :25] / maps[:, :25], scaled[0, 0] / maps[0, 0])


N_ROWS = {"first": 150, "second": 100, "third": 120}


@pytest.fixture
def text_driven() -> Planted:
    courses = standardize(np.random.default_rng(0).standard_normal((370, 3)))
    energy = np.array([0.3, 0.1, 0.2])
    return Planted(("place", "lm 1", "colloquial"), ("shared", "shared", "lm-only"), courses, energy)


def hear_all(text_driven: Planted, seed: int, **changes):
    settings = {"n_events": 2, "snr": 1.0, "tr_s": 2.0, "random": np.random.default_rng(seed), **changes}
    return listen(text_driven, N_ROWS, MASK, 8.0, **settings)


def test_half_of_the_signal_is_shared_in_proportion_to_the_lm(text_driven):
    random = np.random.default_rng(0)
    planted = add_brain_only(text_driven, 2, tr_s=2.0, random=random)
    assert planted.names == ("place", "lm 1", "colloquial", "events 1", "events 2", "stripes")
    assert planted.kinds[2:4] == ("lm-only", "brain-only")
    energy = (plant_maps(planted, MASK, 8.0, random=random) ** 2).sum(axis=1)
    np.testing.assert_allclose(energy, [0.375, 0.125, 0, 0.125, 0.125, 0.25])


def test_a_recording_is_its_answer_plus_noise(text_driven):
    listener = hear_all(text_driven, 1)
    signal = listener.planted.time_courses @ listener.maps
    bold = np.concatenate([runs[0] for runs in listener.runs.values()])
    assert [len(runs[0]) for runs in listener.runs.values()] == list(N_ROWS.values())
    assert (bold - signal).var() == pytest.approx(1, rel=0.1)
    assert signal.var(axis=0).mean() == pytest.approx(1)
    again = hear_all(text_driven, 1)
    np.testing.assert_array_equal(again.runs["second"][0], listener.runs["second"][0])


def test_only_what_the_text_drives_is_common_to_subjects(text_driven):
    one, other = (hear_all(text_driven, seed).planted.time_courses for seed in (1, 2))
    np.testing.assert_array_equal(one[:, :3], other[:, :3])
    for feature in (3, 4, 5):
        assert abs(np.corrcoef(one[:, feature], other[:, feature])[0, 1]) < 0.3


def test_hearings_of_the_repeated_story_share_what_the_text_drives_and_nothing_else(text_driven):
    listener = hear_all(text_driven, 1, snr=50.0, repeated_story="second", n_repeats=4)
    runs = np.stack(listener.runs["second"])
    assert runs.shape == (4, 100, MASK.sum()) and len(listener.runs["first"]) == 1
    strength = listener.maps**2
    where = strength[3:].sum(axis=0) < 0.3 * strength[:2].sum(axis=0)
    stripes_only = strength[5] > 5 * strength[:5].sum(axis=0)

    def between_hearings(voxels: np.ndarray) -> float:
        return np.mean([np.corrcoef(runs[0][:, v], runs[1][:, v])[0, 1] for v in np.flatnonzero(voxels)])

    assert between_hearings(where) > 0.6
    assert abs(between_hearings(stripes_only)) < 0.3
    # The answer for the mean of the hearings is the mean of their answers.
    mean_signal = listener.planted.time_courses[150:250] @ listener.maps
    assert (runs.mean(axis=0) - mean_signal).var() == pytest.approx(1 / 4, rel=0.2)


def test_hearings_have_the_explainable_variance_that_was_planted(text_driven):
    # Many hearings, so that what is drawn anew for each averages out.
    listener = hear_all(text_driven, 1, snr=2.0, repeated_story="second", n_repeats=30)
    runs = np.stack(listener.runs["second"])
    planted = explainable_variance(listener.planted, listener.maps, N_ROWS, "second")
    heard = (runs - runs.mean(axis=1, keepdims=True)).mean(axis=0).var(axis=0)
    found = heard / runs.var(axis=1).mean(axis=0)
    assert planted.shape == (MASK.sum(),) and planted.min() >= 0 and planted.max() < 1
    assert found.mean() == pytest.approx(planted.mean(), rel=0.15)
    assert np.corrcoef(found, planted)[0, 1] > 0.95


def test_hdf5_files_are_like_the_datasets(tmp_path):
    runs = [np.random.default_rng(i).normal(3, 2, (50, 4)) for i in range(3)]
    write_hdf5(tmp_path / "once.hf5", runs[:1])
    write_hdf5(tmp_path / "often.hf5", runs)
    with h5py.File(tmp_path / "once.hf5") as once, h5py.File(tmp_path / "often.hf5") as often:
        assert list(once) == ["data"] and once["data"].dtype == np.float64
        np.testing.assert_allclose(once["data"][:], (runs[0] - runs[0].mean(0)) / runs[0].std(0))
        assert often["individual_repeats"].shape == (3, 50, 4)
        np.testing.assert_allclose(often["data"][:], often["individual_repeats"][:].mean(axis=0))
        assert once.attrs["simulated"] and often.attrs["simulated"]
    assert not list(tmp_path.glob("*.partial"))
