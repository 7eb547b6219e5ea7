"""Sparse codes of stories: what is saved comes back, and what a latent does where it is not active."""

import numpy as np
import pytest

from brainlm.errors import InputError
from brainlm.rows.codes import StoryCode, load_codes, save_codes
from brainlm.store import open_store, read_strings

N_LATENTS = 9
SPLITS = {"train": ["first", "second"], "validation": ["third"], "test": ["fourth"]}


def random_code(n_rows: int, seed: int, k: int = 3) -> StoryCode:
    random = np.random.default_rng(seed)
    latents = np.stack([random.permutation(N_LATENTS)[:k] for _ in range(n_rows)])
    return StoryCode(
        values=random.standard_normal((n_rows, k)).astype(np.float32),
        latents=latents.astype(np.int32),
        time_s=11 + 2.0 * np.arange(n_rows),
        n_latents=N_LATENTS,
    )


@pytest.fixture
def codes() -> dict[str, StoryCode]:
    stories = [story for split in SPLITS.values() for story in split]
    # Not in the order of the splits: they alone decide what stands where.
    return {story: random_code(5 + seed, seed) for seed, story in reversed(list(enumerate(stories)))}


def test_activation_puts_each_value_at_its_latent():
    code = StoryCode(
        values=np.array([[2.0, -1.0], [0.5, 0.25]], np.float32),
        latents=np.array([[3, 0], [1, 3]], np.int32),
        time_s=np.array([11.0, 13.0]),
        n_latents=4,
    )
    expected = np.array([[-1.0, 0, 0, 2.0], [0, 0.5, 0, 0.25]], np.float32)
    np.testing.assert_array_equal(code.activation, expected)
    assert code.activation.dtype == np.float32


@pytest.mark.parametrize("split", SPLITS)
def test_codes_come_back_story_by_story(tmp_path, codes, split):
    save_codes(codes, SPLITS, tmp_path / "codes.zarr")
    loaded = load_codes(tmp_path / "codes.zarr", split)
    assert list(loaded) == SPLITS[split]
    for story, code in loaded.items():
        assert code.n_latents == N_LATENTS
        for name in ("values", "latents", "time_s", "activation"):
            saved = getattr(codes[story], name)
            np.testing.assert_array_equal(getattr(code, name), saved)
            assert getattr(code, name).dtype == saved.dtype


def test_the_store_lists_stories_in_the_order_of_the_splits(tmp_path, codes):
    save_codes(codes, SPLITS, tmp_path / "codes.zarr")
    store = open_store(tmp_path / "codes.zarr")
    assert read_strings(store, "story") == ["first", "second", "third", "fourth"]
    assert read_strings(store, "split") == ["train", "train", "validation", "test"]
    np.testing.assert_array_equal(store["story_number"][:], np.repeat([0, 1, 2, 3], [5, 6, 7, 8]))
    assert (store.attrs["n_latents"], store.attrs["k"]) == (N_LATENTS, 3)


def test_a_split_without_stories_has_no_codes(tmp_path, codes):
    save_codes(codes, SPLITS, tmp_path / "codes.zarr")
    assert load_codes(tmp_path / "codes.zarr", "unused") == {}


def test_a_story_without_a_code_is_an_error(tmp_path, codes):
    del codes["third"]
    with pytest.raises(KeyError, match="third"):
        save_codes(codes, SPLITS, tmp_path / "codes.zarr")
    assert not (tmp_path / "codes.zarr").exists()


def test_a_store_that_does_not_exist_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="codes.zarr does not exist"):
        load_codes(tmp_path / "codes.zarr", "test")


def test_a_code_that_is_not_finite_is_not_stored(tmp_path, codes):
    codes["third"].values[2, 1] = np.nan
    with pytest.raises(
        InputError, match=r"'third' holds values that are not finite in 1 row \(TRs\): 2 \(counted from 0\)"
    ):
        save_codes(codes, SPLITS, tmp_path / "codes.zarr")
    assert not list(tmp_path.iterdir())
