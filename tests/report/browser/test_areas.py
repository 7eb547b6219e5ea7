import numpy as np
import pandas as pd
import pytest

from brainlm.report.browser.areas import SHOWN, areas_of_latents


def voxel_table(rois: list[str]) -> pd.DataFrame:
    missing = pd.array([pd.NA] * len(rois), dtype="Int64")
    return pd.DataFrame(
        {"voxel": np.arange(len(rois)), "i": missing, "j": missing, "k": missing, "rois": rois}
    )


ROIS = ["V1", "V1", "V1;V2", "V2", "", "", "V1"]
SIDES = np.array(["L", "L", "R", "R", "L", "R", ""])
WEIGHTS = np.array([[1.0, 2.0, -3.0, 4.0, 0.5, 0.0, np.nan], [0.0] * 6 + [np.nan]], np.float32)


def test_areas_have_weights_and_energy_on_each_side():
    areas = areas_of_latents(voxel_table(ROIS), SIDES, WEIGHTS, [0])[0]
    energy = 1 + 4 + 9 + 16 + 0.25
    assert [area.name for area in areas] == ["V2", "V1", "outside of all areas"]
    v2, v1, none = areas
    assert v2.sides[0] is None
    assert (v1.sides[0].weight, v1.sides[1].weight) == ("1500.00", "−3000.00")
    assert (v2.sides[1].n_voxels, v2.sides[1].mean_weight) == (2, pytest.approx(0.5))
    assert v2.energy_share == pytest.approx(25 / energy)
    left, right = v1.sides
    assert (left.n_voxels, left.mean_weight, left.energy_share) == (2, 1.5, pytest.approx(5 / energy))
    assert (right.n_voxels, right.mean_weight) == (1, -3)
    assert [side.energy_share for side in none.sides] == pytest.approx([0.25 / energy, 0])


def test_without_sides_an_area_has_one_part():
    v2, v1, none = areas_of_latents(voxel_table(ROIS), None, WEIGHTS, [0])[0]
    assert [len(area.sides) for area in (v2, v1, none)] == [1, 1, 1]
    assert v1.sides[0].n_voxels == 3
    assert v1.sides[0].mean_weight == pytest.approx(0)


def test_without_areas_all_voxels_are_told_of_by_side_or_together():
    table = voxel_table([""] * 7)
    (together,) = areas_of_latents(table, None, WEIGHTS, [0])[0]
    assert (together.name, together.sides[0].n_voxels) == ("all voxels", 6)
    (by_side,) = areas_of_latents(table, SIDES, WEIGHTS, [0])[0]
    assert [side.n_voxels for side in by_side.sides] == [3, 3]


def test_of_many_areas_those_with_most_energy_are_shown():
    n = SHOWN + 5
    weights = np.arange(1, n + 1, dtype=np.float32)[None]
    areas = areas_of_latents(voxel_table([f"area{number:02d}" for number in range(n)]), None, weights, [0])[0]
    assert [area.name for area in areas] == [
        f"area{number:02d}" for number in range(n - 1, n - 1 - SHOWN, -1)
    ]


def test_a_latent_without_weights_has_areas_without_energy():
    areas = areas_of_latents(voxel_table(ROIS), None, WEIGHTS, [1])[1]
    assert {area.sides[0].share for area in areas} == {"–"}
