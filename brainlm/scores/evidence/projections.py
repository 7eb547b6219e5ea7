"""What each source says about each latent, W_sᵀ x_s, over a split: read story by story, so that no split must fit in
memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.rows.pairs import row_order, story_lengths, story_rows
from brainlm.rows.sources import Source

if TYPE_CHECKING:
    from brainlm.crosscoder.model import Crosscoder


@dataclass(frozen=True)
class Energy:
    """Sums over the rows of each story, from which their variance follows for any choice of stories."""

    n_rows: np.ndarray
    """(story,) int."""
    squares: NDArray[np.float64]
    """(story,) float64 Σ_t ‖x_t‖²."""
    sums: NDArray[np.float64]
    """(story, width) float64 Σ_t x_t."""

    def total(self, stories: Sequence[int]) -> float:
        """Σ_t ‖x_t - x̄‖² over the rows of some stories, x̄ their mean row."""
        chosen = np.asarray(stories, int)
        mean_square = np.square(self.sums[chosen].sum(axis=0)).sum() / self.n_rows[chosen].sum()
        return float(self.squares[chosen].sum() - mean_square)


@dataclass(frozen=True)
class SplitProjections:
    """Every source's part of every latent over a split, paired as the model was trained: row t of all sources is the
    LM's time t."""

    values: Mapping[str, np.ndarray]
    """Source -> (time, latent) float32 W_sᵀ x_s, of the decoder weights."""
    energy: Mapping[str, Energy]
    """Source -> sums over the rows that stand at each story's place."""
    story: np.ndarray
    """(time,) int index into `stories`: of the LM's rows, and the place of those of other sources."""
    stories: tuple[str, ...]

    def by_story(self, source: str) -> list[np.ndarray]:
        """(time, latent) of each story's place."""
        return [self.values[source][self.story == number] for number in range(len(self.stories))]


def project_split(
    model: "Crosscoder",
    sources: Mapping[str, Source],
    stories: Sequence[str],
    *,
    pairing: Mapping[str, Any],
    reference: str = "lm",
) -> SplitProjections:
    """Project a split's normalized rows on the decoder weights, one story in memory at a time.

    Parameters
    ----------
    sources: where the rows are stored. stories: the split's, in order.
    pairing: brain_time and seed, as for `brainlm.rows.pairs.story_rows`; the rows of sources other than `reference`
        stand where they stood in training.

    Raises
    ------
    InputError: other sources than the model's, and as `story_rows`.
    """
    if set(sources) != set(model.weights):
        raise InputError(
            f"The model reads the sources {', '.join(model.weights)}, but rows are of {', '.join(sources)}: take "
            "both from one run."
        )
    lengths = story_lengths(sources, stories)
    story = np.repeat(np.arange(len(stories)), lengths)
    order = row_order(len(story), **pairing)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    values = {name: np.empty((len(story), model.n_latents), np.float32) for name in sources}
    energy = {
        name: Energy(
            np.array(lengths),
            np.zeros(len(stories)),
            np.zeros((len(stories), model.normalization[name].width)),
        )
        for name in sources
    }
    start = 0
    for length, rows in zip(
        lengths, story_rows(sources, model.normalization, stories, **pairing), strict=True
    ):
        for name, normalized in rows.items():
            target = np.arange(start, start + length)
            target = target if name == reference else place[target]
            values[name][target] = normalized @ model.weights[name].numpy()
            at = story[target]
            np.add.at(energy[name].squares, at, np.einsum("tc,tc->t", normalized, normalized, dtype=float))
            for number in np.unique(at):
                energy[name].sums[number] += normalized[at == number].sum(axis=0, dtype=float)
        start += length
    return SplitProjections(values, energy, story, tuple(stories))


def project_hearings(model: "Crosscoder", source: str, repeats: Any) -> NDArray[np.float32]:
    """Project every hearing of a repeated story on the decoder weights, one in memory at a time.

    Parameters
    ----------
    repeats: (repeat, time, voxel) raw responses, an array or a Zarr array. A voxel without a finite value at some
        times (lost in one hearing) says nothing then: it counts as its mean over the other times of the hearing, or
        is left out of the hearing if there are none.

    Returns
    -------
    (repeat, time, latent) float32.

    Raises
    ------
    InputError: other than one column for each voxel of the model's data.
    """
    normalization, weights = model.normalization[source], model.weights[source].numpy()
    projected = []
    for number in range(repeats.shape[0]):
        rows = normalization.apply(repeats[number], f"Hearing {number + 1} of source '{source}'")
        finite = np.isfinite(rows)
        mean = rows.sum(axis=0, dtype=float, where=finite) / np.maximum(finite.sum(axis=0), 1)
        np.copyto(rows, mean, where=~finite, casting="same_kind")
        projected.append(rows @ weights)
    return np.stack(projected)
