"""The words of a transcript: Praat's files, labels that are no words, and times that may be missing."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="data")
