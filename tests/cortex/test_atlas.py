"""Areas of an atlas image, on other grids than the data's."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from brainlm.cortex.atlas import atlas_areas
from brainlm.errors import InputError

MASK_MM, ATLAS_MM = 3.0, 1.0
TABLE = "index\tname\n0\tBackground\n3\tNA\n5\tV1\n7\tV1\n9\tUnknown\n11\telsewhere\n"
NAMES = {3: "NA", 5: "V1", 7: "V1"}


def area_at(xyz: np.ndarray) -> np.ndarray:
    """(point,) number at (point, xyz) mm: octants of a ball."""
    x, y, z = xyz.T
    number = np.select([x < 0, (x >= 0) & (y < 0), z < 0], [3, 5, 7], 9)
    return np.where(np.linalg.norm(xyz, axis=1) < 20, number, 0)


def save(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def grid(shape: tuple[int, int, int], edge_mm: float, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y, z, xyz) mm of voxels about the origin, and the affine; x falls with the first index if `sign` is -1."""
    affine = np.diag([sign * edge_mm, edge_mm, edge_mm, 1.0])
    # No centre of a voxel lies on a border between areas.
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2 + 0.2
    return nibabel.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1)), affine


@pytest.fixture
def files(tmp_path):
    xyz, affine = grid((60, 62, 64), ATLAS_MM, -1)
    atlas = save(
        tmp_path / "atlas.nii.gz", area_at(xyz.reshape(-1, 3)).reshape(60, 62, 64).astype(np.int16), affine
    )
    xyz, affine = grid((16, 17, 18), MASK_MM, 1)
    kept = np.random.default_rng(0).random((16, 17, 18)) < 0.7
    mask = save(tmp_path / "mask.nii.gz", kept.astype(np.uint8), affine)
    (tmp_path / "atlas.tsv").write_text(TABLE)
    # In the order of the data's columns.
    return atlas, tmp_path / "atlas.tsv", mask, xyz.transpose(2, 1, 0, 3)[kept.T]


def test_a_voxel_is_in_the_area_at_its_centre(files):
    *paths, xyz = files
    areas = atlas_areas(*paths)
    assert list(areas) == ["NA", "V1"]
    # A border lies within half a voxel of the atlas.
    sure = np.all(
        [area_at(xyz + step) == area_at(xyz) for step in ATLAS_MM * np.vstack([np.eye(3), -np.eye(3)])],
        axis=0,
    )
    assert sure.mean() > 0.7
    for name, members in areas.items():
        found = np.isin(np.arange(len(xyz)), members)
        expected = np.isin(area_at(xyz), [number for number, of in NAMES.items() if of == name])
        np.testing.assert_array_equal(found[sure], expected[sure])
        assert members.dtype.kind == "i" and members.size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a, t, m: t.write_text(TABLE.replace("5\tV1\n", "")),
            "of the number 5, to which .*atlas.tsv gives no name",
        ),
        (
            lambda a, t, m: t.write_text("number\tname\n3\tV1\n"),
            r"atlas\.tsv is no table of an atlas \('index'\)",
        ),
        (lambda a, t, m: t.write_text("index\tname\none\tV1\n"), r"atlas\.tsv is no table of an atlas"),
        (lambda a, t, m: t.unlink(), r"atlas\.tsv does not exist"),
        (lambda a, t, m: a.write_bytes(a.read_bytes()[:500]), r"atlas\.nii\.gz is damaged"),
        (
            lambda a, t, m: save(a, np.full((5, 5, 5), 0.5, np.float32), np.eye(4)),
            "whole numbers, one an area",
        ),
        (lambda a, t, m: save(a, np.ones((5, 5, 5, 2), np.int16), np.eye(4)), "it has 4 axes"),
        (
            lambda a, t, m: save(a, np.full((5, 5, 5), 3, np.int16), np.eye(4) + 900 * np.eye(4, k=3)),
            "different spaces",
        ),
    ],
)
def test_what_is_wrong_with_an_atlas_is_said(files, change, message):
    *paths, _ = files
    change(*paths)
    with pytest.raises(InputError, match=message) as error:
        atlas_areas(*paths)
    assert "\n" not in str(error.value)
