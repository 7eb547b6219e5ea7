"""Weights for other programs, of data on a surface; of volumes see `test_site`."""

import nibabel
import numpy as np
import pandas as pd

from brainlm.cortex.voxels import voxel_table
from brainlm.report.browser.downloads import write_weights

BRAIN = np.arange(10, dtype=np.float32)
BRAIN[3] = np.nan


def files_of(folder, voxels: pd.DataFrame) -> dict[str, str]:
    return dict(write_weights(folder, 7, BRAIN, np.zeros(3, np.float32), voxels, None))


def test_each_hemisphere_of_a_surface_has_a_file(tmp_path):
    files = files_of(tmp_path, voxel_table(np.ones((2, 5), bool), {}))
    named = {side: files[f"brain, {side} hemisphere, GIFTI (.func.gii)"] for side in ("left", "right")}
    assert named == {"left": "weights/7_hemi-L.func.gii", "right": "weights/7_hemi-R.func.gii"}
    for side, expected in (("left", BRAIN[:5]), ("right", BRAIN[5:])):
        image = nibabel.load(tmp_path / named[side])
        (array,) = image.darrays
        np.testing.assert_array_equal(array.data, expected)
        assert array.data.dtype == np.float32
        assert image.meta["AnatomicalStructurePrimary"] == f"Cortex{side.capitalize()}"


def test_without_places_there_are_the_arrays_alone(tmp_path):
    voxels = voxel_table(np.ones((2, 5), bool), {}).assign(vertex=pd.array([pd.NA] * 10, "Int64"))
    assert list(files_of(tmp_path, voxels)) == ["brain and LM, NumPy (.npz)"]
