"""A subject's cortex: which voxels lie on it and where, its regions and its flatmap."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "subject": ["Cortex", "load_cortex", "read_cortex", "read_mask", "save_cortex"],
        "voxels": ["read_voxel_table", "roi_summary", "voxel_table"],
        "flatmap": ["draw_flatmap"],
        "fsaverage": ["fsaverage_cortex"],
        "mni": ["mni_cortex"],
        "atlas": ["atlas_areas"],
        "small_flatmaps": ["small_canvas", "small_flatmaps"],
    },
)
