"""fMRIPrep's derivatives: names of files, sidecars, confounds and images, and how they become ds003020's files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "names": ["parse_name", "subject_files"],
        "runs": ["Run", "Wanted", "choose_runs"],
        "sidecars": ["read_timing"],
        "events": ["sound_onset", "spoken_words"],
        "images": ["brain_mask", "count_volumes", "read_bold"],
        "confounds": ["read_confounds"],
        "convert": ["clean", "convert_hearings"],
    },
)
