"""How well a crosscoder reconstructs its sources, from all of them or from one alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.rows.pairs import Rows
from brainlm.scores.correlation import pearson_of_sums

ALL_SOURCES = "both"


@dataclass(frozen=True)
class SourceFit:
    """How well one source is reconstructed over some rows."""

    correlation: np.ndarray
    """(width,) Pearson correlation of each column over all rows, NaN where undefined."""
    story_correlation: np.ndarray
    """(story, width) the same within each story."""
    explained: float
    """Fraction of variance explained, 1 - SSE / Σ‖x - mean‖²."""


def reconstruction_fit(model: Crosscoder, rows: Rows) -> dict[str, SourceFit]:
    """Compare each source with its reconstruction from all sources (paper, section 4.2), story by story.

    Correlation does not change under the normalization's offset and scale, so it is that of the raw data.

    Returns
    -------
    Source -> fit.
    """
    z = model.encode_rows({source: rows.source(source) for source in model.weights})
    fits = {}
    for source in model.weights:
        by_story = np.stack(list(_story_sums(model, rows, source, z)))
        total = by_story.sum(axis=0)
        n, sum_x, _, sum_xx, sum_yy, sum_xy = total
        squared_error = (sum_xx - 2 * sum_xy + sum_yy).sum()
        variance = (sum_xx - sum_x**2 / n).sum()
        fits[source] = SourceFit(
            correlation=pearson_of_sums(total),
            story_correlation=np.stack([pearson_of_sums(sums) for sums in by_story]),
            explained=float(1 - squared_error / variance),
        )
    return fits


def cross_prediction(model: Crosscoder, rows: Rows) -> dict[tuple[str, str], np.ndarray]:
    """What a crosscoder that is given one source alone, or all, reconstructs of each source.

    The sources that are left out contribute nothing to the code, as in ``Crosscoder.encode({"lm": y})``.

    Parameters
    ----------
    rows: normalized rows, usually of test stories.

    Returns
    -------
    (given source or "both", reconstructed source) -> (width,) float64 Pearson correlation of each column with its
    reconstruction over all rows, NaN where either is constant. That of "both" is `reconstruction_fit`'s.
    """
    given = {source: [source] for source in model.weights} | {ALL_SOURCES: list(model.weights)}
    correlations = {}
    for name, sources in given.items():
        z = model.encode_rows({source: rows.source(source) for source in sources})
        for target in model.weights:
            sums = sum(_story_sums(model, rows, target, z), start=np.zeros(()))
            correlations[name, target] = pearson_of_sums(sums)
    return correlations


def _story_sums(model: Crosscoder, rows: Rows, source: str, z: torch.Tensor) -> Iterator[np.ndarray]:
    # Sums over a story's rows of x, x̂, x², x̂², x x̂: the reconstruction of more than a story never exists.
    for story in range(len(rows.stories)):
        here = np.flatnonzero(rows.story == story)
        x = rows.source(source)[here].astype(np.float64)
        fitted = model.decode_rows(source, z[here]).numpy().astype(np.float64)
        yield np.stack(
            [
                np.full(x.shape[1], float(len(x))),
                x.sum(axis=0),
                fitted.sum(axis=0),
                np.square(x).sum(axis=0),
                np.square(fitted).sum(axis=0),
                (x * fitted).sum(axis=0),
            ]
        )
