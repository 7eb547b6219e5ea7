"""A story read by the language model: from its words to one row of features a TR."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "reading": ["convert_language_model", "load_language_model", "read_story"],
        "features": ["story_features"],
        "nuisances": ["nuisance_names", "row_norm", "story_nuisances"],
    },
)
