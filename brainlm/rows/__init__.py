"""Which row goes with which: TRs of brain and language model side by side, normalized, and their sparse codes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "normalization": ["Normalization", "fit_normalization", "load_normalization", "save_normalization"],
        "sources": ["Source", "load_sources", "missing_stores", "save_sources"],
        "pairs": ["Rows", "assemble", "fit_sources"],
        "codes": ["StoryCode", "load_codes", "save_codes"],
    },
)
