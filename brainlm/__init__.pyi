from .crosscoder import Crosscoder as Crosscoder

__version__: str
