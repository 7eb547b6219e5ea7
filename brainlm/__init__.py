"""A crosscoder for brain responses and language models: the library behind the workflow."""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"crosscoder": ["Crosscoder"]})
