"""A crosscoder for brain responses and language models: the library behind the workflow."""

from brainlm.extras import attach

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(__name__, __file__)
