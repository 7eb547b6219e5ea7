"""Images of the kind that is wanted are read, and others are refused in one way."""

import nibabel
import numpy as np
import pytest
from nibabel.filebasedimages import ImageFileError

from brainlm.images import load_gifti, load_nifti

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def write(path):
    """An image of the kind that its file's name tells; of a .txt, a sentence."""
    if path.suffix == ".txt":
        path.write_text("Once upon a time")
    elif path.suffix == ".gii":
        nibabel.save(nibabel.GiftiImage(darrays=[nibabel.gifti.GiftiDataArray(VALUES[0])]), path)
    else:
        of_kind = nibabel.MGHImage if path.suffix == ".mgz" else nibabel.Nifti1Image
        nibabel.save(of_kind(VALUES, np.eye(4)), path)
    return path


@pytest.mark.parametrize("keep_file_open", [False, True])
@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz"])
def test_a_volume_is_read(tmp_path, name, keep_file_open):
    image = load_nifti(write(tmp_path / name), keep_file_open=keep_file_open)
    np.testing.assert_array_equal(image.get_fdata(), VALUES)


@pytest.mark.parametrize("keep_file_open", [False, True])
@pytest.mark.parametrize("name", ["surface.gii", "volume.mgz", "notes.txt"])
def test_what_is_no_volume_is_refused(tmp_path, name, keep_file_open):
    with pytest.raises(ImageFileError):
        load_nifti(write(tmp_path / name), keep_file_open=keep_file_open)


@pytest.mark.parametrize("name", ["bold.nii.gz", "volume.mgz", "notes.txt"])
def test_what_is_no_surface_is_refused(tmp_path, name):
    with pytest.raises(ImageFileError):
        load_gifti(write(tmp_path / name))
