"""A subject's cortex: which voxels lie on it and where, its regions and its flatmap."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="flatmaps")
