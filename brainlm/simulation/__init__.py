"""Data of which the answer is known: spoken stories, brains that listen to them, and what is found again."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="simulation")
