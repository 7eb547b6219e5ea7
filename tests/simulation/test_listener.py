import h5py
import numpy as np
import pytest

from brainlm.simulation.components import standardize
from brainlm.simulation.features import Planted, alike, together
from brainlm.simulation.listener import (
    add_own_courses,
    autocorrelate,
    explainable_variance,
    listen,
    scanner_noise,
    write_hdf5,
)


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


N_ROWS = {"first": 150, "second": 100, "third": 120}


@pytest.fixture
def driven() -> Planted:
    courses = standardize(np.random.default_rng(0).standard_normal((370, 5)))
    of_text = Planted(("place", "words"), ("shared", "word rate"), courses[:, :2], np.array([1.0, 2.0]))
    return together(
        of_text,
        alike("melody", "story-driven", courses[:, 2:4], strength=0.5),
        alike("lm-only", "LM-only", courses[:, 4:], strength=0.0),
    )


def hear_all(driven: Planted, seed: int, **changes):
    settings = {"n_spontaneous": 2, "snr": 1.0, "tr_s": 2.0, "random": np.random.default_rng(seed), **changes}
    return listen(driven, N_ROWS, MASK, 8.0, **settings)


def test_a_listener_adds_spontaneous_events_and_two_artefacts(driven):
    planted = add_own_courses(driven, 3, tr_s=2.0, random=np.random.default_rng(0))
    assert planted.names[:5] == driven.names
    assert planted.names[5:] == ("events 1", "events 2", "events 3", "stripes 1", "stripes 2")
    assert planted.kinds[5:] == ("spontaneous",) * 3 + ("stripes",) * 2
    np.testing.assert_array_equal(planted.time_courses[:, :5], driven.time_courses)
    # All unrelated, and the two artefacts as strong as melodies and events together.
    correlation = np.corrcoef(planted.time_courses[:, 5:].T) - np.eye(5)
    assert np.abs(correlation).max() < 0.3
    np.testing.assert_allclose(planted.strength[5:], [0.5, 0.5, 0.5, 1.25, 1.25])


def test_a_recording_is_its_answer_plus_noise(driven):
    listener = hear_all(driven, 1)
    signal = listener.planted.time_courses @ listener.maps
    bold = np.concatenate([runs[0] for runs in listener.runs.values()])
    assert [len(runs[0]) for runs in listener.runs.values()] == list(N_ROWS.values())
    assert (bold - signal).var() == pytest.approx(1, rel=0.1)
    assert signal.var(axis=0).mean() == pytest.approx(1)
    again = hear_all(driven, 1)
    np.testing.assert_array_equal(again.runs["second"][0], listener.runs["second"][0])


def test_no_voxel_follows_what_only_the_lm_has(driven):
    listener = hear_all(driven, 1)
    in_brain = listener.maps.any(axis=1)
    assert [name for name, shows in zip(listener.planted.names, in_brain, strict=True) if not shows] == [
        "lm-only 1"
    ]


def test_only_what_the_story_drives_is_common_to_subjects(driven):
    one, other = (hear_all(driven, seed).planted for seed in (1, 2))
    for name, kind, first, second in zip(
        one.names, one.kinds, one.time_courses.T, other.time_courses.T, strict=True
    ):
        if kind in ("spontaneous", "stripes"):
            assert abs(np.corrcoef(first, second)[0, 1]) < 0.3, name
        else:
            np.testing.assert_array_equal(first, second)


def test_hearings_share_what_the_story_drives_and_nothing_else(driven):
    # Without noise to speak of, least squares on the maps gives every feature's course of each hearing.
    listener = hear_all(driven, 1, snr=1e4, repeated_story="second", n_repeats=3)
    runs = listener.runs["second"]
    assert [run.shape for run in runs] == [(100, MASK.sum())] * 3 and len(listener.runs["first"]) == 1
    shows = listener.maps.any(axis=1)
    heard = np.stack([np.linalg.lstsq(listener.maps[shows].T, run.T)[0] for run in runs])
    kinds = np.array(listener.planted.kinds)[shows]
    assert set(kinds) == {"shared", "word rate", "story-driven", "spontaneous", "stripes"}
    for feature, kind in enumerate(kinds):
        correlation = np.corrcoef(heard[:, feature])[np.triu_indices(3, 1)]
        if kind in ("spontaneous", "stripes"):
            assert np.abs(correlation).max() < 0.5, kind
        else:
            assert correlation.min() > 0.99, kind
    # The answer for the mean of the hearings is the mean of their answers.
    mean = listener.planted.time_courses[150:250, shows]
    np.testing.assert_allclose(heard.mean(axis=0).T, mean, atol=0.2)


def test_hearings_have_the_explainable_variance_that_was_planted(driven):
    # Many hearings, so that what is drawn anew for each averages out.
    listener = hear_all(driven, 1, snr=2.0, repeated_story="second", n_repeats=30)
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
