"""What a reader sees: figures and tables, and how they are written."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="report")
