"""Decoder maps of latents and of their partners: on the flattened cortex or, where there is none, by region."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brainlm.cortex.flatmap import area_label, landmarks
from brainlm.cortex.small_flatmaps import small_canvas, small_flatmaps
from brainlm.cortex.subject import Cortex
from brainlm.report.brain import Anatomy
from brainlm.report.browser.answers import known
from brainlm.report.browser.areas import Area
from brainlm.report.browser.regions import RegionPlot, region_plot
from brainlm.report.write import formatted, percent

FOLDER = "maps"
SMALL, LARGE = 256, 512
"""Width of a flatmap, pixels."""
_NAMED = 3
"""Areas that an alternative text names."""


@dataclass(frozen=True)
class Landmark:
    """The name of an area on a flatmap."""

    name: str
    left: float
    """Percent of the flatmap's width."""
    top: float
    """Percent of its height."""


@dataclass(frozen=True)
class Picture:
    """A decoder map on a page."""

    title: str
    caption: str
    alt: str
    """What the map shows, in words."""
    file: str = ""
    """Of a flatmap, relative to the page; "" if there is none."""
    plot: RegionPlot | None = None
    """In place of a flatmap."""
    limit: str = ""
    """The weight at the ends of the colormap; "" without a flatmap."""
    landmarks: tuple[Landmark, ...] = ()
    """Names of areas to write on a flatmap."""


@dataclass(frozen=True, eq=False)
class Brain:
    """Where a brain's voxels lie, and how much each latent weighs in them."""

    anatomy: Anatomy
    """A cortex makes flatmaps."""
    decoder: NDArray[np.float32]
    """(latent, voxel) float32 decoder weights of all latents, normalized units; NaN for voxels that were left out of
    the model."""


@dataclass(frozen=True, eq=False)
class Partner:
    """Another model of the same or another subject, in which latents were looked for."""

    subject: str
    seed: int
    brain: Brain


@dataclass(frozen=True)
class _Drawn:
    """What stands in place of a map: a flatmap's file and limit, or a plot of regions."""

    file: str = ""
    plot: RegionPlot | None = None
    limit: str = ""


def own_pictures(
    folder: Path,
    brain: Brain,
    areas: Mapping[int, Sequence[Area]],
    large: Sequence[int],
    *,
    subject: str,
    colormap: str,
) -> dict[int, Picture]:
    """Latent -> its decoder map; flatmaps are written below the folder of the pages.

    Parameters
    ----------
    areas: latent -> where it acts, of all that are drawn.
    large: latents whose map is drawn large.
    colormap: a diverging one.
    """
    sizes = {LARGE: [latent for latent in areas if latent in large]}
    sizes[SMALL] = [latent for latent in areas if latent not in large]
    drawn = {
        latent: picture
        for width, latents in sizes.items()
        for latent, picture in _drawn(
            folder, brain, dict(zip(latents, latents, strict=True)), "", width, colormap
        )
    }
    named = landmark_names(brain.anatomy)
    return {
        latent: Picture(
            subject,
            _with_note("decoder weights, normalized units", brain.anatomy),
            _in_words(f"latent {latent} of {subject}", of_latent),
            **vars(drawn[latent]),
            landmarks=named,
        )
        for latent, of_latent in areas.items()
    }


def landmark_names(anatomy: Anatomy) -> tuple[Landmark, ...]:
    """The names of the areas that small flatmaps outline, in their widest places; none without a cortex."""
    if not isinstance(anatomy, Cortex):
        return ()
    height, width = anatomy.image_shape
    return tuple(
        # (0, 0) is a pixel's centre.
        Landmark(area_label(name), 100 * (x + 0.5) / width, 100 * (y + 0.5) / height)
        for name in landmarks(anatomy)
        for x, y in anatomy.roi_labels[name]
    )


def partner_pictures(
    folder: Path, partner: Partner, found_again: pd.DataFrame, *, own_subject: str, colormap: str
) -> dict[int, Picture]:
    """Latent -> the decoder map of its partner in another model; flatmaps are written below the folder of the pages.

    Parameters
    ----------
    found_again: the rows, of `brainlm.scores.evidence.found_again.found_again`, of the latents that are drawn. Those
        that were not looked for in the partner's model have no picture; those that were not found there one without a
        map, which says so.
    """
    rows = found_again[
        (found_again["other_subject"] == partner.subject) & (found_again["other_seed"] == partner.seed)
    ]
    is_found = rows["found"].astype(bool)
    where = (
        f"seed {partner.seed}"
        if partner.subject == own_subject
        else f"{partner.subject}, seed {partner.seed}"
    )
    pairs = {int(row.latent): int(row.partner) for row in rows[is_found].itertuples()}
    suffix = f"-{partner.subject}-seed{partner.seed}"
    drawn = dict(_drawn(folder, partner.brain, pairs, suffix, SMALL, colormap))
    pictures = {}
    for row in rows.itertuples():
        latent, correlation = int(row.latent), known(row.correlation)
        if latent in drawn:
            caption = (
                f"found again as latent {pairs[latent]} there, {row.partner_verdict}; activations correlate at "
                f"{correlation}"
            )
            alt = (
                f"Decoder map of latent {pairs[latent]} of {where}, in which latent {latent} is found again."
            )
            caption = _with_note(caption, partner.brain.anatomy)
            pictures[latent] = Picture(where, caption, alt, **vars(drawn[latent]))
        else:
            best = (
                f": its best partner's activation correlates at {correlation}"
                if np.isfinite(row.correlation)
                else ""
            )
            pictures[latent] = Picture(where, f"not found again{best}", "")
    return pictures


def _drawn(
    folder: Path, brain: Brain, rows: Mapping[int, int], suffix: str, width: int, colormap: str
) -> Iterator[tuple[int, _Drawn]]:
    """Latent of the page and what is drawn of the decoder's row, for pairs of the two."""
    if not isinstance(brain.anatomy, Cortex):
        for latent, row in rows.items():
            yield latent, _Drawn(plot=region_plot(brain.anatomy, brain.decoder[row]))
        return
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    maps = small_flatmaps(small_canvas(brain.anatomy, width), brain.decoder[list(rows.values())].T, colormap)
    for latent, picture in zip(rows, maps, strict=True):
        file = f"{FOLDER}/{latent}{suffix}.png"
        (folder / file).write_bytes(picture.png)
        yield latent, _Drawn(file=file, limit=formatted(picture.limit, ".2g"))


def _with_note(caption: str, anatomy: Anatomy) -> str:
    """The caption, and what is to be said below the anatomy's flatmaps."""
    note = anatomy.note if isinstance(anatomy, Cortex) else ""
    return f"{caption}. {note}" if note else caption


def _in_words(whose: str, areas: Sequence[Area]) -> str:
    named = [f"{area.name} {percent(area.energy_share)}" for area in areas[:_NAMED]]
    return f"Decoder map of {whose}. Most of its energy: {', '.join(named)}."
