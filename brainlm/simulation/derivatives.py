"""A simulated listener as fMRIPrep would hand it over: on fsaverage5, with confounds left in."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from brainlm.simulation.confounds import disturbed, simulated_confounds
from brainlm.simulation.features import Planted
from brainlm.simulation.fmriprep import (
    Recording,
    write_areas,
    write_confounds,
    write_description,
    write_surfaces,
)
from brainlm.simulation.listener import Listener
from brainlm.simulation.surface import SampledSurface, at_vertices, planted_areas

N_NON_STEADY = 2
"""Volumes at the start of each run that are not in a steady state."""
FLASH = 1.2
"""Signal before the steady state, relative to the later one."""
DISTURBANCE = 1.0
"""S.d. of what confounds add, in units of the noise's."""
SPACE = "fsaverage5"


def silent_around(driven: Planted, n_rows: Mapping[str, int], first: int, last: int) -> Planted:
    """Courses of whole recordings, of which those of the analysis lack volumes at both ends: 0 in these.

    Parameters
    ----------
    driven: time_courses (time, feature) of all stories. n_rows: story -> its TRs, in order.
    first, last: volumes that are added to each story.
    """
    edges = np.cumsum([*n_rows.values()])[:-1]
    padding = ((first, last), (0, 0))
    whole = [np.pad(courses, padding) for courses in np.split(driven.time_courses, edges)]
    return replace(driven, time_courses=np.concatenate(whole))


def write_derivatives(
    root: Path,
    subject: str,
    listener: Listener,
    surface: SampledSurface,
    *,
    tr_s: float,
    random: np.random.Generator,
) -> None:
    """Write a listener's recordings as derivatives of fMRIPrep: a task a story, a run a hearing if there are several.

    Rows stand for the middle of their TR, as the sidecars' StartTime says. Head movements, drifts and mean signals
    that stand in the confounds are in the images too, and the first `N_NON_STEADY` volumes are too bright. The areas
    in FreeSurfer's annot files are where features are planted.

    Parameters
    ----------
    root: folder of the derivatives; made. listener: runs (time, voxel) in the order of the surface's mask.
    """
    write_description(root, version="25.2.0")
    for story, runs in listener.runs.items():
        for number, bold in enumerate(runs, start=1):
            run = str(number) if len(runs) > 1 else None
            recording = Recording(subject, story, tr_s, run=run, start_time_s=tr_s / 2)
            confounds = simulated_confounds(len(bold), tr_s, random, n_non_steady=N_NON_STEADY)
            image = disturbed(bold, confounds, random, strength=DISTURBANCE)
            image[:N_NON_STEADY] *= FLASH
            write_surfaces(root, recording, SPACE, at_vertices(image, surface))
            write_confounds(root, recording, confounds)
    areas = planted_areas(listener.planted, at_vertices(listener.maps, surface))
    for hemisphere, of_hemisphere in zip("LR", np.split(areas, 2), strict=True):
        write_areas(root / "sourcedata" / "freesurfer", SPACE, hemisphere, of_hemisphere)
