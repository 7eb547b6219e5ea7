"""Projections of a split against its whole rows in memory, times the decoder weights."""

import itertools

import numpy as np
import pytest
import torch
import zarr

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization
from brainlm.rows.pairs import assemble, fit_sources
from brainlm.scores.evidence.projections import Energy, project_hearings, project_split
from tests.scores.evidence.stored import write_sources

# Not in alphabetical order, and of different lengths.
LENGTHS = {"walk": 13, "boat": 9, "attic": 17}
WIDTHS = {"first": 7, "lm": 4, "second": 5}
N_LATENTS = 6
PAIRINGS = [
    {"brain_time": brain_time, "seed": seed}
    for brain_time, seed in (("matched", 0), ("shuffled", 0), ("shuffled", 3), ("shifted", 1), ("noise", 2))
]
# Sums of at most 7 products in float32.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """An untied model of two brains and the LM, whose encoder is not its decoder, and stored rows."""
    random = np.random.default_rng(0)
    raw = {
        name: {story: random.normal(3, 2, (n, width)) for story, n in LENGTHS.items()}
        for name, width in WIDTHS.items()
    }
    sources = write_sources(tmp_path_factory.mktemp("sources"), raw)
    normalization, _ = fit_sources(
        sources,
        training=["boat"],
        all_stories=list(LENGTHS),
        standardize={"first": "zscore", "second": "none", "lm": "center"},
    )
    weights, encoder = (
        {
            n: torch.from_numpy(random.standard_normal((w, N_LATENTS)).astype(np.float32))
            for n, w in WIDTHS.items()
        }
        for _ in range(2)
    )
    return Crosscoder(weights, torch.zeros(N_LATENTS), 2, normalization, encoder=encoder), sources


@pytest.mark.parametrize("pairing", PAIRINGS, ids=lambda pairing: "{brain_time}-{seed}".format(**pairing))
def test_projections_are_those_of_the_paired_rows_on_the_decoder(case, pairing):
    model, sources = case
    rows = assemble(sources, model.normalization, list(LENGTHS), **pairing)
    found = project_split(model, sources, list(LENGTHS), pairing=pairing)
    assert found.stories == rows.stories == tuple(LENGTHS)
    np.testing.assert_array_equal(found.story, rows.story)
    for name in WIDTHS:
        expected = rows.source(name) @ model.weights[name].numpy()
        assert found.values[name].dtype == np.float32
        np.testing.assert_allclose(found.values[name], expected, **CLOSE)
        by_story = found.by_story(name)
        assert [len(values) for values in by_story] == list(LENGTHS.values())
        np.testing.assert_array_equal(np.concatenate(by_story), found.values[name])


@pytest.mark.parametrize("pairing", PAIRINGS, ids=lambda pairing: "{brain_time}-{seed}".format(**pairing))
def test_the_energy_of_any_stories_is_that_of_the_rows_at_their_place(case, pairing):
    model, sources = case
    rows = assemble(sources, model.normalization, list(LENGTHS), **pairing)
    found = project_split(model, sources, list(LENGTHS), pairing=pairing)
    for n_chosen in (1, 2, 3):
        for chosen in itertools.combinations(range(3), n_chosen):
            for name in WIDTHS:
                values = rows.source(name)[np.isin(rows.story, chosen)].astype(float)
                expected = np.square(values - values.mean(axis=0)).sum()
                assert found.energy[name].total(chosen) == pytest.approx(expected, rel=1e-5)


def test_energy_keeps_its_digits_where_the_mean_is_large():
    random = np.random.default_rng(0)
    stories = [1000 + random.standard_normal((n, 3)) for n in (40, 60)]
    energy = Energy(
        np.array([40, 60]),
        np.array([np.square(rows).sum() for rows in stories]),
        np.array([rows.sum(axis=0) for rows in stories]),
    )
    # 16 digits, of which the mean takes 6.
    assert energy.total([0, 1]) == pytest.approx(100 * np.concatenate(stories).var(axis=0).sum(), rel=1e-8)
    assert energy.total([1]) == pytest.approx(60 * stories[1].var(axis=0).sum(), rel=1e-8)


def test_the_language_models_rows_keep_their_time(case):
    model, sources = case
    matched, shuffled, shifted = (
        project_split(model, sources, list(LENGTHS), pairing={"brain_time": brain_time, "seed": 5}).values
        for brain_time in ("matched", "shuffled", "shifted")
    )
    for moved in (shuffled, shifted):
        np.testing.assert_array_equal(moved["lm"], matched["lm"])
        # All brains by the same order.
        order = [int(np.abs(matched["first"] - row).max(axis=1).argmin()) for row in moved["first"]]
        assert sorted(order) == list(range(sum(LENGTHS.values()))) != order
        for name in ("first", "second"):
            np.testing.assert_allclose(moved[name], matched[name][order], **CLOSE)


def test_rows_of_other_sources_than_the_models_are_refused(case):
    model, sources = case
    fewer = {name: sources[name] for name in ("first", "lm")}
    with pytest.raises(InputError, match="reads the sources first, lm, second, but rows are of first, lm"):
        project_split(model, fewer, list(LENGTHS), pairing=PAIRINGS[0])


# Hearings


@pytest.fixture
def listener():
    """A model of 5 voxels, the fourth of which is left out, in raw units far from 0."""
    random = np.random.default_rng(1)
    kept = np.array([True, True, True, False, True])
    offset, scale = np.zeros(4, np.float32), random.uniform(1, 3, 4).astype(np.float32)
    weights = {"brain": torch.from_numpy(random.standard_normal((4, 3)).astype(np.float32))}
    model = Crosscoder(weights, torch.zeros(3), 1, {"brain": Normalization(kept, offset, scale, 1.7, "none")})
    repeats = random.normal(50, 4, (3, 8, 5)).astype(np.float32)
    repeats[:, :, 3] = np.nan
    return model, repeats


def by_hand(model: Crosscoder, repeats: np.ndarray) -> np.ndarray:
    """Row by row, a voxel's lost times counting as the mean of its others in the hearing."""
    normalization, weights = model.normalization["brain"], model.weights["brain"].numpy().astype(float)
    result = np.zeros((*repeats.shape[:2], weights.shape[1]))
    for number, hearing in enumerate(repeats.astype(float)):
        for column, voxel in enumerate(np.flatnonzero(normalization.kept)):
            known = np.isfinite(hearing[:, voxel])
            if not known.any():
                continue
            filled = np.where(known, hearing[:, voxel], hearing[known, voxel].mean())
            values = (filled - normalization.offset[column]) / normalization.scale[column] / 1.7
            result[number] += np.outer(values, weights[column])
    return result


@pytest.mark.parametrize("kind", [np.asarray, zarr.array])
def test_hearings_are_projected_as_the_models_rows(listener, kind):
    model, repeats = listener
    found = project_hearings(model, "brain", kind(repeats))
    assert found.shape == (3, 8, 3) and found.dtype == np.float32
    # Numbers of some 30 in float32.
    np.testing.assert_allclose(found, by_hand(model, repeats), rtol=1e-5, atol=1e-4)
    rows = model.normalization["brain"].apply(repeats[1]) @ model.weights["brain"].numpy()
    np.testing.assert_allclose(found[1], rows, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_voxel_says_nothing_where_it_is_lost(listener, value):
    model, repeats = listener
    repeats[1, 2:5, 0] = value
    repeats[2, :, 4] = value
    before = repeats.copy()
    found = project_hearings(model, "brain", repeats)
    np.testing.assert_allclose(found, by_hand(model, repeats), rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(repeats, before)


def test_what_a_lost_voxel_is_set_to_does_not_vary(listener):
    """However far the voxel lies from 0, times at which it is lost do not stand out."""
    model, repeats = listener
    repeats[:, :, [0, 1, 2, 4]] = repeats[:, :1, [0, 1, 2, 4]]
    repeats[1, 2:5, 0] = np.nan
    found = project_hearings(model, "brain", repeats)
    # Of some 30.
    np.testing.assert_allclose(np.ptp(found, axis=1), 0, atol=1e-4)


def test_hearings_of_other_voxels_are_refused(listener):
    model, repeats = listener
    with pytest.raises(
        InputError, match=r"Hearing 1 of source 'brain' must be an array \(time, 5\); got \(8, 4\)"
    ):
        project_hearings(model, "brain", repeats[:, :, :4])
