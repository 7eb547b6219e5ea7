"""What brain and LM each say about a model's live latents over held-out stories: all that evidence is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainlm.errors import InputError
from brainlm.scores.evidence.contribution import residual_projection
from brainlm.scores.evidence.nuisances import NuisanceFit, fit_nuisances
from brainlm.scores.evidence.projections import Energy, SplitProjections
from brainlm.scores.evidence.unmixing import RIDGE, unmixed

if TYPE_CHECKING:
    from brainlm.crosscoder.model import Crosscoder


@dataclass(frozen=True)
class Half:
    """What one source says about the live latents."""

    plain: list[np.ndarray]
    """Of each story (time, latent) float64 unmixed projections."""
    partialled: list[np.ndarray]
    """The same without what nuisances explain."""
    residual: NDArray[np.float64]
    """(time, latent) float64 over test stories: projections of what is not reconstructed."""
    squared_norms: np.ndarray
    """(latent,) ‖d‖² of the decoder vectors."""
    energy: Energy
    """Of the test stories."""


@dataclass(frozen=True)
class Halves:
    """A brain and the LM side by side, story by story in the LM's time."""

    latents: np.ndarray
    """(latent,) int: which of the model's latents, the live ones."""
    brain: Half
    """Of the test stories."""
    lm: Half
    """Of the test stories, and then, plain and partialled, of the validation stories."""
    recordings: tuple[str, ...]
    """Of each of the LM's stories: the recording that it is, or is cut from."""
    activation: NDArray[np.float64]
    """(time, latent) float64 code over test stories."""
    hearings: list[tuple[np.ndarray, np.ndarray]]
    """Of each repeated held-out story (repeat, time, latent) float64, the brain's unmixed projections, plain and
    partialled; these rows are never shuffled or shifted."""
    hearings_of_mean: tuple[int, ...]
    """Hearings of each test story, of which the brain's rows are the mean; 1 of one heard once."""
    nuisances: tuple[str, ...]
    """Names of the nuisances that were taken out."""
    nuisance_rows: list[np.ndarray]
    """Of each test story (time, nuisance) float64, those nuisances in the LM's time."""

    @property
    def n_stories(self) -> int:
        """Number of test stories."""
        return len(self.brain.plain)

    @property
    def story_of_row(self) -> np.ndarray:
        """(time,) int test story of each row."""
        return np.repeat(np.arange(self.n_stories), [len(story) for story in self.brain.plain])

    def chosen(self, stories: Sequence[int]) -> "Halves":
        """The same of some test stories; the others are not swapped in either. Hearings stay."""
        story_of_row = self.story_of_row
        rows = np.concatenate([np.flatnonzero(story_of_row == number) for number in stories])
        others = range(self.n_stories, len(self.lm.plain))
        pool = [*stories, *others]
        return replace(
            self,
            brain=_chosen(self.brain, stories, stories, rows),
            lm=_chosen(self.lm, pool, stories, rows),
            recordings=tuple(self.recordings[number] for number in pool),
            activation=self.activation[rows],
            hearings_of_mean=tuple(self.hearings_of_mean[number] for number in stories),
            nuisance_rows=[self.nuisance_rows[number] for number in stories],
        )


def _chosen(half: Half, pool: Sequence[int], stories: Sequence[int], rows: np.ndarray) -> Half:
    energy = half.energy
    return replace(
        half,
        plain=[half.plain[number] for number in pool],
        partialled=[half.partialled[number] for number in pool],
        residual=half.residual[rows],
        energy=Energy(*(values[list(stories)] for values in (energy.n_rows, energy.squares, energy.sums))),
    )


def both_halves(
    model: "Crosscoder",
    splits: Mapping[str, SplitProjections],
    *,
    source: str,
    activation: np.ndarray,
    nuisances: Mapping[str, np.ndarray],
    nuisance_names: Sequence[str],
    recordings: Mapping[str, str],
    hearings: Mapping[str, np.ndarray],
    reference: str = "lm",
    ridge: float = RIDGE,
) -> Halves:
    """Unmix a model's projections, and take nuisances out of both sources.

    Nuisances are fitted on the rows that they are taken out of, test and validation together. The decoder has learned
    some of the training rows' noise by heart, at the times of what the LM says: fitted there, white noise in the
    brain follows whatever nuisances the LM follows, and to take that out of other rows would write the nuisances into
    both sources. (Noise so agreed with the LM by 0.08 with 174 training rows and 12 nuisances, by 0.01 with 1,000,
    and by 0.00 with any number if fitted on test rows.)

    Parameters
    ----------
    splits: "test" and "validation" (which may be absent) -> `project_split`.
    source: the brain; of a joint model one of them.
    activation: (time, latent) code of all latents over the test stories.
    nuisances: story of any split -> (time, nuisance), in the LM's time. nuisance_names: their names.
    recordings: story -> the recording that it is, or is cut from.
    hearings: repeated held-out story -> (repeat, time, latent) projections W_sᵀ x_s of each hearing.
    ridge: see `brainlm.scores.evidence.unmixing.unmixed`.

    Raises
    ------
    InputError: arrays that do not fit each other, or too many nuisances for the held-out rows.
    """
    if model.alive is None:
        raise InputError("The model does not say which of its latents are alive: train it to the end.")
    live = np.flatnonzero(model.alive)
    held_out = [splits[name] for name in ("test", "validation") if name in splits]
    test, stories = splits["test"], [story for split in held_out for story in split.stories]
    grams = {name: _gram(model.weights[name].numpy()) for name in (source, reference)}
    if activation.shape != (len(test.story), model.n_latents):
        raise InputError(
            f"The codes of the test stories are {activation.shape}, but the model's rows and latents "
            f"{(len(test.story), model.n_latents)}: compute the codes again."
        )
    _require_nuisances(held_out, nuisances)

    def of_source(name: str) -> tuple[Half, NuisanceFit]:
        gram = grams[name]

        def unmix(values: np.ndarray) -> np.ndarray:
            return unmixed(values, gram[np.ix_(live, live)], ridge=ridge)

        plain = [unmix(values[:, live]) for split in held_out for values in split.by_story(name)]
        fit = fit_nuisances(
            zip(plain, (nuisances[story] for story in stories), strict=True), names=nuisance_names
        )
        partialled = [fit.residual(of, nuisances[story]) for of, story in zip(plain, stories, strict=True)]
        # Only the LM's rows of validation stories are ever beside a brain's.
        n = len(stories) if name == reference else len(test.stories)
        return (
            Half(
                plain[:n],
                partialled[:n],
                residual_projection(test.values[name], activation, gram)[:, live],
                gram.diagonal()[live],
                test.energy[name],
            ),
            fit,
        )

    (brain, fit), (lm, _) = of_source(source), of_source(reference)
    among_live = grams[source][np.ix_(live, live)]
    heard = []
    for story, projections in hearings.items():
        plain = [unmixed(hearing[:, live], among_live, ridge=ridge) for hearing in projections]
        heard.append(
            (np.stack(plain), np.stack([fit.residual(hearing, nuisances[story]) for hearing in plain]))
        )
    return Halves(
        latents=live,
        brain=brain,
        lm=lm,
        recordings=tuple(recordings[story] for story in stories),
        activation=activation[:, live].astype(float),
        hearings=heard,
        hearings_of_mean=tuple(len(hearings[story]) if story in hearings else 1 for story in test.stories),
        nuisances=tuple(name for name, kept in zip(nuisance_names, fit.kept, strict=True) if kept),
        nuisance_rows=[np.asarray(nuisances[story], float)[:, fit.kept] for story in test.stories],
    )


def _gram(weights: np.ndarray) -> NDArray[np.float64]:
    """(latent, latent) float64 WᵀW of (width, latent) float32 decoder weights, a block of rows at a time."""
    gram = np.zeros((weights.shape[1], weights.shape[1]))
    for start in range(0, len(weights), 8192):
        block = weights[start : start + 8192].astype(float)
        gram += block.T @ block
    return gram


def _require_nuisances(splits: Sequence[SplitProjections], nuisances: Mapping[str, np.ndarray]) -> None:
    for split in splits:
        for number, story in enumerate(split.stories):
            n_rows = int(np.sum(split.story == number))
            if len(nuisances[story]) != n_rows:
                raise InputError(
                    f"Story '{story}' has {n_rows} TRs, but nuisances of {len(nuisances[story])}: make its features "
                    "again."
                )
