"""What is asked of a trained crosscoder: whose is a latent, does it hold on unseen data, is it found again."""

from brainlm.extras import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__, extra="ridge")
