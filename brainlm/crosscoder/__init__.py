"""The sparse dictionary of brain and language model, its objective and its training."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
