"""The sparse codes of a subject's stories, as a Zarr store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainlm.arrays import require_finite
from brainlm.store import (
    add_array,
    add_strings,
    new_store,
    open_store,
    read_array,
    read_attributes,
    read_strings,
)


@dataclass(frozen=True)
class StoryCode:
    """The code of one story."""

    values: NDArray[np.float32]
    """(time, k) float32 activations of the active latents."""
    latents: NDArray[np.int32]
    """(time, k) int32 their indices."""
    time_s: np.ndarray
    """(time,) s after sound onset."""
    n_latents: int

    @property
    def activation(self) -> NDArray[np.float32]:
        """(time, latent) float32; 0 where a latent is not active."""
        dense = np.zeros((len(self.values), self.n_latents), np.float32)
        np.put_along_axis(dense, self.latents, self.values, axis=1)
        return dense


def save_codes(codes: dict[str, StoryCode], splits: dict[str, Sequence[str]], path: Path) -> None:
    """Write the codes of all stories, one after the other.

    Parameters
    ----------
    codes: story -> its code.
    splits: split -> its stories, which together are those of `codes`.

    Raises
    ------
    InputError: activations that are not finite.
    """
    for story, code in codes.items():
        require_finite(code.values, f"The code of story '{story}'")
    stories = [story for split in splits.values() for story in split]
    ordered = [codes[story] for story in stories]
    story_number = np.repeat(np.arange(len(stories), dtype=np.int32), [len(code.values) for code in ordered])
    with new_store(path, {"n_latents": ordered[0].n_latents, "k": ordered[0].values.shape[1]}) as store:
        add_array(store, "value", np.concatenate([code.values for code in ordered]), ("time", "active"))
        add_array(store, "latent", np.concatenate([code.latents for code in ordered]), ("time", "active"))
        add_array(store, "story_number", story_number, ("time",))
        time_s = np.concatenate([code.time_s for code in ordered])
        add_array(store, "time_s", time_s, ("time",), attributes={"units": "s after sound onset"})
        add_strings(store, "story", stories, "story")
        add_strings(store, "split", [name for name, split in splits.items() for _ in split], "story")


def load_codes(path: Path | str, split: str) -> dict[str, StoryCode]:
    """Read the codes of a split's stories, in order: story -> code."""
    store = open_store(path)
    n_latents: int = read_attributes(store)["n_latents"]
    value, latent, time_s, story_number = (
        read_array(store, name) for name in ("value", "latent", "time_s", "story_number")
    )
    return {
        story: StoryCode(value[rows], latent[rows], time_s[rows], n_latents)
        for number, (story, of_split) in enumerate(
            zip(read_strings(store, "story"), read_strings(store, "split"), strict=True)
        )
        if of_split == split
        for rows in [story_number == number]
    }
