"""Which row goes with which: TRs of brain and language model side by side, normalized, and their sparse codes."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
