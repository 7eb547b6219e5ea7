"""What comes from outside: downloads, transcripts, responses, nuisances, and whether they fit each other."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="data")
