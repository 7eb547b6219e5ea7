import numpy as np
import pytest

from brainlm.simulation.features import Planted
from brainlm.simulation.maps import (
    blob_map,
    feature_map,
    plant_maps,
    scale_to_ratio,
    stripe_map,
)

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


def test_a_blob_may_be_longer_along_an_axis():
    centre = 15 * 30 + 12
    blob = blob_map(GRID, [centre], radius_mm=(4, 15, 4), random=np.random.default_rng(0)).reshape(30, 30)
    reach = [np.count_nonzero(along) for along in (blob[15], blob[:, 12])]
    # A Gaussian falls to a tenth within 2.15 s.d.
    assert reach == [1 + 2 * 10, 1 + 2 * 2]


def test_stripes_take_as_many_slices_as_said():
    np.testing.assert_array_equal(stripe_map(np.arange(8), 2), [1, 1, -1, -1, 1, 1, -1, -1])
    np.testing.assert_array_equal(stripe_map(np.arange(4), 1), [1, -1, 1, -1])


MASK = np.zeros((14, 30, 12), bool)
"""(z, y, x)"""
MASK[1:13, 2:28, 1:10] = True
Z, Y, X = np.argwhere(MASK).T


def map_of(name: str, seed: int = 0) -> np.ndarray:
    return feature_map(name, MASK, 5.0, random=np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_two_maps_lie_in_one_hemisphere_each(seed):
    middle = (1 + 9) / 2
    right, left = map_of("melody 1", seed), map_of("events 1", seed)
    assert np.all(right[middle <= X] == 0) and right.max() > 0.5
    assert np.all(left[middle >= X] == 0) and left.max() > 0.5
    elsewhere = map_of("place", seed)
    assert np.count_nonzero(elsewhere) > 0 and elsewhere.min() >= 0


@pytest.mark.parametrize("seed", range(4))
def test_one_map_runs_from_front_to_back(seed):
    strip = map_of("events 2", seed)
    extent = [np.ptp(axis[strip > 0.2]) for axis in (Z, Y, X)]
    assert extent[1] >= 20 and extent[0] <= 10 and extent[2] <= 8
    # It reaches both ends, and is the stronger the nearer to the middle.
    assert {2, 27} <= set(Y[strip > 0])
    assert abs(Y[strip.argmax()] - 14.5) <= 1.5


def test_stripes_go_through_whole_slices():
    for name in ("stripes 1", "stripes 2"):
        stripes = map_of(name)
        assert set(stripes) == {-1, 1}
        assert all(np.ptp(stripes[k == Z]) == 0 for k in range(1, 13))
    assert abs(np.corrcoef(map_of("stripes 1"), map_of("stripes 2"))[0, 1]) < 0.1


def test_a_features_share_of_the_signal_is_its_strength():
    names = ("place", "words", "events 1", "stripes 1", "lm-only 1")
    kinds = ("shared", "word rate", "spontaneous", "stripes", "LM-only")
    planted = Planted(names, kinds, np.empty((0, 5)), np.array([1.2, 2.0, 0.3, 1.5, 0.0]))
    maps = plant_maps(planted, MASK, 5.0, random=np.random.default_rng(0))
    assert maps.shape == (5, MASK.sum())
    np.testing.assert_allclose((maps**2).sum(axis=1), [0.24, 0.4, 0.06, 0.3, 0])


@pytest.mark.parametrize("snr", [0.05, 1.0, 3.0])
def test_scaled_maps_give_the_wanted_signal_over_noise_of_variance_one(snr):
    random = np.random.default_rng(0)
    time_courses, maps = random.standard_normal((100, 3)), np.abs(random.standard_normal((3, 40)))
    maps[:, 25:] = 0
    scaled = scale_to_ratio(maps, time_courses, snr)
    # Over the voxels that carry signal.
    assert (time_courses @ scaled)[:, :25].var(axis=0).mean() == pytest.approx(snr)
    np.testing.assert_allclose(scaled[:, :25] / maps[:, :25], scaled[0, 0] / maps[0, 0])
