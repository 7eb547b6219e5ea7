"""What a latent must show, besides norms that are alike, before it is called shared."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
