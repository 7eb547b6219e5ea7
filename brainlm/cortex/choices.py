"""What can be chosen of volumes and surfaces; apart from what computes with it, so that configs can do without."""

from typing import Literal

SliceAxis = Literal["z", "y", "x"]
"""An axis of the (z, y, x) volume."""
CortexKind = Literal["pycortex", "fsaverage5", "fsaverage6", "mni"]
"""What flatmaps are made of: a pycortex subject; a mesh of fsaverage that the data lie on; fsaverage5 and the mask
of a volume in MNI space."""
