"""What can be chosen of a volume; apart from what computes with it, so that a config can be read without it."""

from typing import Literal

SliceAxis = Literal["z", "y", "x"]
"""An axis of the (z, y, x) volume."""
