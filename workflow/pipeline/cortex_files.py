"""Which files of a pycortex subject flatmaps need."""

import os
from pathlib import Path

SURFACES = tuple(f"surfaces/{kind}_{side}" for kind in ("flat", "pia", "wm") for side in ("lh", "rh"))
"""Without their extension: pycortex keeps surfaces as .gii or .npz."""
TRANSFORM_FILES = ("matrices.xfm", "reference.nii.gz")


def why_no_flatmaps(folder: Path, transform: str) -> str:
    """A sentence on what a local dataset's pycortex subject lacks for flatmaps; "" if nothing.

    Parameters
    ----------
    folder: of the subject, below pycortex-db. Files of a git-annex dataset that are not downloaded are no lack.
    """
    if not folder.is_dir():
        return "Figures 3 and 4 are no flatmaps: the dataset has no pycortex subject."
    missing = [
        f"{stem}.gii"
        for stem in SURFACES
        if not any(os.path.lexists(folder / f"{stem}{suffix}") for suffix in (".gii", ".npz"))
    ]
    missing += [
        f"transforms/{transform}/{name}"
        for name in TRANSFORM_FILES
        if not os.path.lexists(folder / "transforms" / transform / name)
    ]
    if not missing:
        return ""
    advice = "add what is missing"
    if any("flat_" in name for name in missing):
        advice = "cut the cortex open with pycortex, or import its flat surfaces"
    elif any(name.startswith("transforms/") for name in missing):
        advice = "check the transform's name in subject_xfms.json"
    return (
        f"Figures 3 and 4 show regions or sorted voxels in place of flatmaps, because {folder} lacks "
        f"{', '.join(missing)}: for flatmaps, {advice}."
    )
