"""A story read by the language model: from its words to one row of features a TR."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="lm")
