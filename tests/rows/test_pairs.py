import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from brainlm.errors import InputError
from brainlm.rows.pairs import assemble, fit_sources, row_order, side_by_side, story_lengths, story_rows
from brainlm.rows.sources import Source, StackedRows
from brainlm.store import add_array, new_store

STORIES = ("alpha", "beta", "gamma")
LENGTHS = (9, 14, 11)
STANDARDIZE = {"brain": "zscore", "lm": "center"}


def write(path, name, values, valid=None):
    with new_store(path, {}) as group:
        add_array(group, name, values, ("time", "column"))
        if valid is not None:
            add_array(group, "valid", valid, ("column",))
    return path


@pytest.fixture
def raw() -> dict[str, dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    arrays = {
        "brain": {
            s: random.normal(2, 3, (n, 7)).astype(np.float32) for s, n in zip(STORIES, LENGTHS, strict=True)
        },
        "lm": {
            s: random.normal(0, 9, (n, 4)).astype(np.float32) for s, n in zip(STORIES, LENGTHS, strict=True)
        },
    }
    arrays["brain"]["beta"][:, 5] = np.nan
    return arrays


@pytest.fixture
def sources(raw, tmp_path) -> dict[str, Source]:
    """Voxel 2 is invalid in alpha, voxel 5 in beta; the LM's stores mark nothing."""
    invalid = {"alpha": 2, "beta": 5, "gamma": None}
    brain, lm = {}, {}
    for story in STORIES:
        valid = np.arange(7) != invalid[story]
        brain[story] = write(tmp_path / f"{story}-brain.zarr", "bold", raw["brain"][story], valid)
        lm[story] = write(tmp_path / f"{story}-lm.zarr", "features", raw["lm"][story])
    return {"brain": Source("bold", brain), "lm": Source("features", lm)}


@pytest.fixture
def normalization(sources):
    return fit_sources(sources, training=STORIES[:2], all_stories=STORIES, standardize=STANDARDIZE)[0]


@pytest.fixture
def matched(sources, normalization):
    return assemble(sources, normalization, STORIES, brain_time="matched", seed=0)


def in_original_order(rows, matched) -> np.ndarray:
    """Which matched row each brain row is, found by its values."""
    distance = np.abs(rows.source("brain")[:, None] - matched.source("brain")[None]).max(axis=2)
    assert np.all(distance.min(axis=1) == 0)
    return distance.argmin(axis=1)


def test_a_source_reads_its_stories(sources, raw):
    np.testing.assert_array_equal(sources["lm"].read("beta"), raw["lm"]["beta"])
    assert sources["brain"].n_rows("gamma") == 11


def test_valid_columns_are_valid_in_every_story(sources):
    brain = sources["brain"]
    np.testing.assert_array_equal(np.flatnonzero(~brain.valid_columns(STORIES)), [2, 5])
    np.testing.assert_array_equal(np.flatnonzero(~brain.valid_columns(["beta", "gamma"])), [5])
    assert sources["lm"].valid_columns(STORIES).all()


def test_stories_of_different_width_are_an_error(sources, tmp_path):
    write(tmp_path / "narrow.zarr", "bold", np.zeros((5, 6)))
    stores = {**sources["brain"].stores, "delta": tmp_path / "narrow.zarr"}
    with pytest.raises(InputError, match=r"narrow\.zarr has 6 columns, the stories before it 7"):
        Source("bold", stores).valid_columns(["alpha", "delta"])


def test_a_missing_store_is_an_error(sources, tmp_path):
    gone = Source("bold", {"alpha": tmp_path / "gone.zarr"})
    with pytest.raises(InputError, match=r"gone\.zarr does not exist"):
        gone.read("alpha")


def test_statistics_come_from_the_training_stories_alone(sources, raw, normalization):
    training = np.concatenate([raw["brain"][s] for s in STORIES[:2]])[:, [0, 1, 3, 4, 6]]
    brain = normalization["brain"]
    # A column that only a test story marks as invalid is left out as well.
    np.testing.assert_array_equal(np.flatnonzero(brain.kept), [0, 1, 3, 4, 6])
    np.testing.assert_allclose(brain.offset, training.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(brain.scale, training.std(axis=0), rtol=1e-5)
    assert (brain.standardize, normalization["lm"].standardize) == ("zscore", "center")


def test_columns_invalid_in_a_test_story_are_left_out(sources):
    fitted, summaries = fit_sources(sources, training=["gamma"], all_stories=STORIES, standardize=STANDARDIZE)
    assert (fitted["brain"].width, fitted["lm"].width) == (5, 4)
    assert (summaries["brain"].n_excluded, summaries["brain"].n_rows) == (2, 11)


def test_assembled_rows_are_the_stories_one_after_the_other(raw, normalization, matched):
    expected = []
    for story in STORIES:
        for t in range(len(raw["lm"][story])):
            row = []
            for source in ("brain", "lm"):
                n = normalization[source]
                row.append((raw[source][story][t, n.kept] - n.offset) / n.scale / n.mean_norm)
            expected.append(np.concatenate(row))
    np.testing.assert_allclose(matched.values, expected, rtol=1e-5, atol=1e-6)
    assert matched.values.dtype == np.float32
    assert matched.slices == {"brain": slice(0, 5), "lm": slice(5, 9)}
    assert matched.stories == STORIES
    np.testing.assert_array_equal(matched.story, np.repeat([0, 1, 2], LENGTHS))
    np.testing.assert_array_equal(matched.source("lm"), matched.values[:, 5:])


def test_shuffled_brain_rows_are_a_permutation_and_lm_rows_stay(sources, normalization, matched):
    shuffled = assemble(sources, normalization, STORIES, brain_time="shuffled", seed=1)
    np.testing.assert_array_equal(shuffled.source("lm"), matched.source("lm"))
    order = in_original_order(shuffled, matched)
    np.testing.assert_array_equal(np.sort(order), np.arange(34))
    assert np.mean(order == np.arange(34)) < 0.2
    # Over the whole split, not within stories.
    assert len(set(matched.story[order[:9]])) > 1


def test_shifted_brain_rows_keep_their_neighbours(sources, normalization, matched):
    for seed in range(5):
        shifted = assemble(sources, normalization, STORIES, brain_time="shifted", seed=seed)
        np.testing.assert_array_equal(shifted.source("lm"), matched.source("lm"))
        order = in_original_order(shifted, matched)
        assert np.all(np.diff(order) % 34 == 1)
        assert 34 // 4 <= (order[0] - 0) % 34 <= 34 - 34 // 4


def test_assembled_brain_rows_follow_the_row_order(sources, normalization, matched):
    for brain_time in ("shuffled", "shifted"):
        rows = assemble(sources, normalization, STORIES, brain_time=brain_time, seed=4)
        order = row_order(34, brain_time=brain_time, seed=4)
        np.testing.assert_array_equal(rows.source("brain"), matched.source("brain")[order])


def test_the_lm_rows_can_be_shuffled_instead(sources, normalization, matched):
    rows = assemble(sources, normalization, STORIES, brain_time="shuffled", seed=4, reference="brain")
    order = row_order(34, brain_time="shuffled", seed=4)
    np.testing.assert_array_equal(rows.source("lm"), matched.source("lm")[order])
    np.testing.assert_array_equal(rows.source("brain"), matched.source("brain"))


def test_several_brains_are_normalized_and_reordered_together(sources, raw, tmp_path):
    random = np.random.default_rng(5)
    values = {story: random.normal(1, 2, (n, 3)) for story, n in zip(STORIES, LENGTHS, strict=True)}
    second = {
        story: write(tmp_path / f"{story}-second.zarr", "bold", values[story].astype(np.float32))
        for story in STORIES
    }
    three = {"brain": sources["brain"], "second": Source("bold", second), "lm": sources["lm"]}
    fitted, summaries = fit_sources(
        three, training=STORIES[:2], all_stories=STORIES, standardize=STANDARDIZE | {"second": "zscore"}
    )
    assert set(fitted) == set(summaries) == {"brain", "second", "lm"}
    plain = assemble(three, fitted, STORIES, brain_time="matched", seed=0)
    assert {name: plain.source(name).shape for name in three} == {
        "brain": (34, 5),
        "second": (34, 3),
        "lm": (34, 4),
    }
    np.testing.assert_allclose(
        np.linalg.norm(plain.source("second")[: sum(LENGTHS[:2])], axis=1).mean(), 1, rtol=1e-5
    )
    rows, order = (
        assemble(three, fitted, STORIES, brain_time="shuffled", seed=4),
        row_order(34, brain_time="shuffled", seed=4),
    )
    for name in ("brain", "second"):
        np.testing.assert_array_equal(rows.source(name), plain.source(name)[order])
    np.testing.assert_array_equal(rows.source("lm"), plain.source("lm"))


@pytest.mark.parametrize("brain_time", ["shuffled", "shifted"])
def test_the_seed_fixes_the_order(brain_time):
    orders = [row_order(1000, brain_time=brain_time, seed=seed) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert np.any(orders[0] != orders[2])


def test_shifts_lie_between_a_quarter_and_three_quarters():
    firsts = {int(row_order(8, brain_time="shifted", seed=seed)[0]) for seed in range(200)}
    assert firsts == {2, 3, 4, 5, 6}


def test_matched_rows_keep_their_order():
    np.testing.assert_array_equal(row_order(5, brain_time="matched", seed=3), np.arange(5))


def test_an_unknown_pairing_is_an_error():
    with pytest.raises(ValueError, match="'reversed'"):
        row_order(5, brain_time="reversed", seed=0)


def test_stories_with_unequal_rows_are_named(sources, normalization, tmp_path):
    short = write(tmp_path / "short.zarr", "features", np.zeros((13, 4)))
    lm = Source("features", {**sources["lm"].stores, "beta": short})
    unequal = {"brain": sources["brain"], "lm": lm}
    message = r"Story 'beta' .*brain 14, lm 13.*short\.zarr"
    with pytest.raises(InputError, match=message):
        story_lengths(unequal, STORIES)
    with pytest.raises(InputError, match=message):
        assemble(unequal, normalization, STORIES, brain_time="matched", seed=0)


def with_times(tmp_path, lm_times: np.ndarray) -> dict[str, Source]:
    times = {"brain": 11 + 2.0 * np.arange(5), "lm": lm_times}
    sources = {}
    for source, of_rows in times.items():
        path = write(tmp_path / f"{source}-timed.zarr", "x", np.arange(15.0).reshape(5, 3))
        with new_store(path, {}) as group:
            add_array(group, "x", np.arange(15.0).reshape(5, 3), ("time", "column"))
            add_array(group, "time", of_rows, ("time",))
        sources[source] = Source("x", {"alpha": path})
    return sources


def test_rows_at_the_same_times_are_paired_but_for_rounding(tmp_path):
    assert story_lengths(with_times(tmp_path, 11 + 2.0 * np.arange(5) + 1e-9), ["alpha"]) == [5]


@pytest.mark.parametrize(
    "lm_times", [9 + 2.0 * np.arange(5), 11 + 1.5 * np.arange(5), 11 + 2.0 * np.arange(4)]
)
def test_rows_at_other_times_are_an_error(tmp_path, as_is, lm_times):
    sources = with_times(tmp_path, lm_times)
    message = r"rows of story 'alpha' lie at other times in .*lm-timed\.zarr than in .*brain-timed\.zarr"
    with pytest.raises(InputError, match=message):
        assemble(sources, {"brain": as_is(3), "lm": as_is(3)}, ["alpha"], brain_time="matched", seed=0)
    with pytest.raises(InputError, match=message):
        side_by_side(sources, ["alpha"])


def test_stories_of_different_width_are_named_wherever_they_meet(sources, normalization, tmp_path):
    narrow = write(tmp_path / "narrow.zarr", "features", np.zeros((14, 3)))
    lm = Source("features", {**sources["lm"].stores, "beta": narrow})
    with pytest.raises(
        InputError, match=r"'lm' in .*narrow\.zarr must be an array \(time, 4\); got \(14, 3\)"
    ):
        assemble({**sources, "lm": lm}, normalization, STORIES, brain_time="matched", seed=0)
    with pytest.raises(InputError, match=r"narrow\.zarr has 3 columns, the stories before it 4"):
        side_by_side({"lm": lm}, STORIES)


def test_a_store_of_something_else_is_an_error(sources):
    other = Source("features", sources["brain"].stores)
    for read in (other.read, other.n_rows, lambda story: other.valid_columns([story])):
        with pytest.raises(InputError, match=r"gamma-brain\.zarr has no array 'features'"):
            read("gamma")


@pytest.fixture
def wide(tmp_path, as_is):
    """Two stories of 400 rows, 50 voxels and 30 hidden dimensions, all of them 1."""
    sources = {
        source: Source(
            "x",
            {s: write(tmp_path / f"{s}-{source}.zarr", "x", np.ones((400, width))) for s in ("one", "two")},
        )
        for source, width in (("brain", 50), ("lm", 30))
    }
    return sources, {"brain": as_is(50), "lm": as_is(30)}


def test_noise_has_mean_norm_one_and_no_correlation(wide):
    rows = assemble(*wide, ["one", "two"], brain_time="noise", seed=0)
    assert rows.values.shape == (800, 80)
    for source in ("brain", "lm"):
        assert np.linalg.norm(rows.source(source), axis=1).mean() == pytest.approx(1, abs=0.02)
    correlations = np.corrcoef(rows.values.T)[np.triu_indices(80, 1)]
    # 3160 correlations of 800 rows: an s.d. of 1/sqrt(800), and none beyond five of them.
    assert correlations.std() == pytest.approx(800**-0.5, rel=0.1)
    assert np.abs(correlations).max() < 5 * 800**-0.5
    lag_one = [np.corrcoef(column[:-1], column[1:])[0, 1] for column in rows.values.T]
    assert np.abs(np.mean(lag_one)) < 0.02


def test_noise_is_fixed_by_its_seed_and_differs_between_splits(wide):
    one, again, other_seed = (
        assemble(*wide, ["one"], brain_time="noise", seed=seed).values for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.all(one != other_seed)
    # A split of as many rows must not repeat it: a model would be tested on what it was trained on.
    assert np.mean(one == assemble(*wide, ["two"], brain_time="noise", seed=0).values) < 0.01


@pytest.mark.parametrize("n_a", [1, 7, 400])
def test_noise_does_not_depend_on_where_stories_are_cut(tmp_path, as_is, n_a):
    """It is drawn story by story, as all at once."""
    widths = {"brain": 5, "lm": 4}
    sources = {
        name: Source(
            "x",
            {
                story: write(tmp_path / f"{story}-{name}-{n_a}.zarr", "x", np.ones((n, width)))
                for story, n in (("a", n_a), ("b", 3))
            },
        )
        for name, width in widths.items()
    }
    normalization = {name: as_is(width) for name, width in widths.items()}
    rows = assemble(sources, normalization, ["a", "b"], brain_time="noise", seed=6)
    drawn = np.random.default_rng([6, *b"a\nb"]).standard_normal((n_a + 3, 9), dtype=np.float32)
    drawn /= np.sqrt([5] * 5 + [4] * 4).astype(np.float32)
    np.testing.assert_array_equal(rows.values, drawn)


# Stories one by one


@pytest.mark.parametrize("brain_time", ["matched", "shuffled", "shifted"])
def test_each_storys_rows_come_in_their_own_time(sources, normalization, matched, brain_time):
    stories = list(story_rows(sources, normalization, STORIES, brain_time=brain_time, seed=3))
    assert [len(rows["lm"]) for rows in stories] == list(LENGTHS)
    for name in sources:
        together = np.concatenate([rows[name] for rows in stories])
        assert together.dtype == np.float32
        np.testing.assert_array_equal(together, matched.source(name))


def test_noise_comes_story_by_story_as_it_is_assembled(sources, normalization):
    stories = list(story_rows(sources, normalization, STORIES, brain_time="noise", seed=3))
    assembled = assemble(sources, normalization, STORIES, brain_time="noise", seed=3)
    for number, rows in enumerate(stories):
        for name in sources:
            np.testing.assert_array_equal(rows[name], assembled.source(name)[assembled.story == number])


def test_stories_that_do_not_fit_are_named_before_any_is_read(sources, normalization, tmp_path):
    short = write(tmp_path / "short.zarr", "features", np.zeros((10, 4)))
    unequal = {"brain": sources["brain"], "lm": Source("features", {**sources["lm"].stores, "gamma": short})}
    with pytest.raises(InputError, match=r"Story 'gamma' .*brain 11, lm 10"):
        next(story_rows(unequal, normalization, STORIES, brain_time="matched", seed=0))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.data())
def test_stacked_rows_are_those_of_all_stories_one_after_the_other(lengths, data):
    stories = [np.random.default_rng(n).standard_normal((length, 5)) for n, length in enumerate(lengths)]
    columns = np.array([4, 0, 2])
    stacked = StackedRows([zarr.array(story) for story in stories], columns)
    everything = np.concatenate(stories)[:, columns]
    assert stacked.shape == everything.shape
    start = data.draw(st.integers(0, len(everything)))
    stop = data.draw(st.integers(start, len(everything) + 3))
    np.testing.assert_array_equal(stacked[start:stop], everything[start:stop])


def test_columns_of_several_recordings_stand_side_by_side(tmp_path):
    values = {name: np.arange(n * 6, dtype=np.float32).reshape(6, n) for name, n in {"a": 2, "b": 3}.items()}
    sources = {}
    for name, rows in values.items():
        stores = {}
        for story, part in {"one": rows[:4], "two": rows[4:]}.items():
            stores[story] = tmp_path / f"{name}-{story}.zarr"
            with new_store(stores[story], {}) as group:
                add_array(group, "x", part, ("time", "column"))
        sources[name] = Source("x", stores)
    expected = np.concatenate([values["a"], values["b"]], axis=1)
    np.testing.assert_array_equal(side_by_side(sources, ["one", "two"]), expected)
    np.testing.assert_array_equal(side_by_side(sources, ["two"]), expected[4:])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_store_with_values_that_are_no_numbers_is_named(raw, sources, normalization, value):
    raw["lm"]["gamma"][3, 1] = value
    write(sources["lm"].stores["gamma"], "features", raw["lm"]["gamma"])
    with pytest.raises(InputError, match="gamma-lm.zarr holds NaN or infinite"):
        fit_sources(sources, training=STORIES, all_stories=STORIES, standardize=STANDARDIZE)
    with pytest.raises(InputError, match="gamma-lm.zarr holds NaN or infinite"):
        assemble(sources, normalization, STORIES, brain_time="matched", seed=0)
