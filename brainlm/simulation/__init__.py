"""Data of which the answer is known: spoken stories, brains that listen to them, and what is found again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "stories": ["read_annotated", "speak"],
        "features": ["Planted", "load_planted", "plant_features", "save_planted"],
        "listener": ["Listener", "listen", "write_hdf5"],
        "anatomy": ["write_simulated_anatomy"],
        "surface": ["fsaverage5_in_voxels"],
        "derivatives": ["write_derivatives"],
        "recovery": ["match_planted"],
    },
)
