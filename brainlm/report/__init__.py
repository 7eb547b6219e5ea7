"""What a reader sees: figures and tables, and how they are written."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "style": ["publish_figure"],
        "write": ["publish_table"],
        "brain": ["draw_decoders", "draw_voxels"],
        "latents": ["agreement_scatter", "relative_difference_histograms"],
        "subjects": ["across_subjects_figure", "across_subjects_table"],
        "paper": ["distance_table", "paper_comparison"],
        "checks": ["demo_checks"],
    },
)
