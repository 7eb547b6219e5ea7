"""Images as nibabel reads them, of the kind that is wanted."""

from pathlib import Path

import nibabel
from nibabel.filebasedimages import FileBasedImage, ImageFileError
from nibabel.gifti.gifti import GiftiImage

Nifti = nibabel.Nifti1Pair
"""A volume, of NIfTI's first or second version, in one file or two."""


def load_nifti(path: Path, *, keep_file_open: bool = False) -> Nifti:
    """A volume, whose values are not read yet.

    Parameters
    ----------
    keep_file_open: so that a compressed image is read from its beginning to its end, once.

    Raises
    ------
    ImageFileError: the file is no NIfTI image. What else nibabel, its file or the decompression raises.
    """
    image: FileBasedImage = nibabel.load(path)
    if not isinstance(image, Nifti):
        raise ImageFileError(f"it is a {type(image).__name__}, not a NIfTI image")
    # Images of other kinds do not know the keyword: only its header tells that it is one of these.
    return type(image).from_filename(path, keep_file_open=True) if keep_file_open else image


def load_gifti(path: Path) -> GiftiImage:
    """What lies on a surface; errors as `load_nifti`."""
    image: FileBasedImage = nibabel.load(path)
    if not isinstance(image, GiftiImage):
        raise ImageFileError(f"it is a {type(image).__name__}, not a GIFTI image")
    return image
