"""fMRIPrep's derivatives: names of files, sidecars, confounds and images, and how they become ds003020's files."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="data")
