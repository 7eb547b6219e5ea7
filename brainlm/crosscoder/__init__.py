"""The sparse dictionary of brain and language model, its objective and its training."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "model": ["Crosscoder"],
        "settings": ["TrainingSettings"],
        "sharing": ["save_pretrained"],
        "training": ["Checkpointing", "train"],
    },
)
