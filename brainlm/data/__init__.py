"""What comes from outside: downloads, transcripts, responses, nuisances, and whether they fit each other."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "download": ["download"],
        "manifest": ["read_manifest"],
        "transcripts": ["read_transcript"],
        "words": ["load_words", "save_words"],
        "responses": ["convert_responses"],
        "respdict": ["read_respdict", "volumes_of"],
        "clocks": ["check_clocks"],
        "nuisances": ["nuisance_faults", "read_nuisances"],
        "check": ["dataset_tables"],
    },
)
