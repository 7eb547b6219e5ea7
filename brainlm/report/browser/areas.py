"""Where in the brain a latent acts, area by area and hemisphere by hemisphere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from brainlm.cortex.voxels import ALL_VOXELS, NO_ROI, latent_roi_weights
from brainlm.report.browser.answers import known
from brainlm.report.write import percent

SHOWN = 10
"""Areas in a page's table, at most."""
OUTSIDE = "outside of all areas"
"""What voxels in no area are called."""
_SIDES = ("L", "R")
_MARK = "\x1f"
"""Between an area's name and its side: no area is called so."""


@dataclass(frozen=True)
class Side:
    """A latent in the part of an area that lies on one side, or in the whole of it."""

    n_voxels: int
    mean_weight: float
    energy_share: float

    @property
    def weight(self) -> str:
        """The mean weight for reading, in thousandths of normalized units."""
        return known(1000 * self.mean_weight)

    @property
    def share(self) -> str:
        """The share of energy for reading."""
        return percent(self.energy_share)


@dataclass(frozen=True)
class Area:
    """A latent in an area."""

    name: str
    sides: tuple[Side | None, ...]
    """Left and right, None without voxels there; or one for the whole area where sides are not known."""
    energy_share: float
    """Of both sides."""


def areas_of_latents(
    table: pd.DataFrame, side: Sequence[str] | np.ndarray | None, decoder: np.ndarray, latents: Sequence[int]
) -> dict[int, list[Area]]:
    """The areas that hold most of each latent's energy, Σ w² over an area's voxels / Σ w² over all.

    Parameters
    ----------
    table: a voxel table of `brainlm.cortex.voxels`.
    side: (voxel,) "L", "R" or, where that is not known, ""; None if it is known of no voxel.
    decoder: (latent, voxel) float32 decoder weights, NaN for voxels that were left out of the model.
    latents: rows of the decoder that are wanted.

    Returns
    -------
    Latent -> SHOWN areas at most, those with most energy first; then the voxels in no area. Without areas all voxels.

    Raises
    ------
    InputError: not one column for each voxel of the table.
    """
    sided = table if side is None else table.assign(rois=_with_sides(table["rois"], side))
    weights = latent_roi_weights(sided, decoder, latents)
    # The rows of a latent stand together, and all have the same areas in the same order.
    names = weights["roi"].iloc[: len(weights) // max(len(latents), 1)].to_numpy()
    columns = [
        weights[column].to_numpy().reshape(len(latents), len(names))
        for column in ("n_voxels", "mean_weight", "energy_share")
    ]
    # Of data without areas and sides alike all voxels are the one area.
    left_out = ALL_VOXELS if side is not None or (table["rois"] != "").any() else NO_ROI
    places: dict[str, dict[str, int]] = {}
    for place, name in enumerate(names):
        area, _, of_side = name.partition(_MARK)
        if name != left_out and columns[0][:, place].any():
            places.setdefault(OUTSIDE if area in ("", NO_ROI) else area, {})[of_side] = place
    return {
        latent: _largest(places, *(column[row] for column in columns), sided=side is not None)
        for row, latent in enumerate(latents)
    }


def _largest(
    places: Mapping[str, Mapping[str, int]],
    n_voxels: np.ndarray,
    mean_weight: np.ndarray,
    energy_share: np.ndarray,
    *,
    sided: bool,
) -> list[Area]:
    """Areas of one latent, from where each area's sides stand in the arrays."""
    areas = []
    for name, of_sides in places.items():
        parts = {
            side: Side(int(n_voxels[place]), float(mean_weight[place]), float(energy_share[place]))
            for side, place in of_sides.items()
        }
        sides = tuple(parts.get(side) for side in _SIDES) if sided else tuple(parts.values())
        areas.append(Area(name, sides, sum(part.energy_share for part in parts.values())))
    by_energy = sorted(areas, key=lambda area: -np.nan_to_num(area.energy_share))
    inside = [area for area in by_energy if area.name != OUTSIDE]
    return inside[:SHOWN] + [area for area in by_energy if area.name == OUTSIDE]


def _with_sides(rois: pd.Series, side: Sequence[str] | np.ndarray) -> list[str]:
    # Voxels in no area have sides as well.
    return [
        ";".join(f"{roi}{_MARK}{of_voxel}" for roi in names.split(";"))
        for names, of_voxel in zip(rois, side, strict=True)
    ]
