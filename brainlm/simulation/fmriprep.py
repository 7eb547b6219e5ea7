"""Simulated recordings as fMRIPrep writes them: names, images of surfaces, sidecars, confounds and areas."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from nibabel.freesurfer.io import write_annot
from nibabel.gifti.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from brainlm.errors import InputError
from brainlm.files import write_tsv

STRUCTURES = {"L": "CortexLeft", "R": "CortexRight"}


@dataclass(frozen=True)
class Recording:
    """Whose recording it is, of what, and when its volumes were taken.

    Raises
    ------
    InputError: a label has other characters than BIDS allows.
    """

    subject: str
    """Label, without "sub-"."""
    task: str
    tr_s: float
    session: str | None = None
    run: str | None = None
    start_time_s: float | None = None
    """When in each TR the slice lies that slice timing refers to, s; None: the sidecar does not say."""

    def __post_init__(self) -> None:
        for label in filter(None, (self.subject, self.task, self.session, self.run)):
            if not (label.isascii() and label.isalnum()):
                raise InputError(
                    f"'{label}' cannot stand in the names of a BIDS dataset: give the subject or story a name of "
                    "letters and digits alone."
                )

    @property
    def folder(self) -> Path:
        """Of the subject, or of the session, relative to the derivatives."""
        return Path(f"sub-{self.subject}", *([f"ses-{self.session}"] if self.session else []))

    @property
    def stem(self) -> str:
        """What the names of all of its files begin with."""
        entities = [f"sub-{self.subject}"]
        entities += [f"ses-{self.session}"] * (self.session is not None)
        entities.append(f"task-{self.task}")
        entities += [f"run-{self.run}"] * (self.run is not None)
        return "_".join(entities)

    def sidecar(self) -> dict[str, object]:
        """What fMRIPrep says of an image of this recording."""
        known = {"RepetitionTime": self.tr_s, "TaskName": self.task}
        if self.start_time_s is None:
            return known | {"SliceTimingCorrected": False}
        return known | {"SliceTimingCorrected": True, "StartTime": self.start_time_s}


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a sidecar; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def write_description(root: Path, *, version: str) -> None:
    """Write dataset_description.json of derivatives that fMRIPrep of this version, 20.2 or later, made."""
    content = {
        "Name": "fMRIPrep - fMRI PREProcessing workflow",
        "BIDSVersion": "1.4.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "fMRIPrep", "Version": version}],
    }
    write_json(root / "dataset_description.json", content)


def write_hemisphere(path: Path, bold: np.ndarray, hemisphere: str) -> None:
    """Write one hemisphere's recording as GIFTI, an array a volume.

    Parameters
    ----------
    bold: (time, vertex), stored as float32. hemisphere: "L" or "R".
    """
    meta = GiftiMetaData({"AnatomicalStructurePrimary": STRUCTURES[hemisphere]})
    volumes = [
        GiftiDataArray(
            np.ascontiguousarray(volume, np.float32), intent="NIFTI_INTENT_TIME_SERIES", datatype="float32"
        )
        for volume in bold
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(GiftiImage(meta=meta, darrays=volumes), path)


def write_surfaces(root: Path, recording: Recording, space: str, bold: np.ndarray) -> None:
    """Write both hemispheres of a recording with their sidecars, named as since fMRIPrep 21.

    Parameters
    ----------
    bold: (time, vertex), the left hemisphere's vertices before the right one's.
    """
    for hemisphere, of_hemisphere in zip("LR", np.split(bold, 2, axis=1), strict=True):
        stem = root / recording.folder / "func" / f"{recording.stem}_hemi-{hemisphere}_space-{space}_bold"
        write_hemisphere(stem.with_name(f"{stem.name}.func.gii"), of_hemisphere, hemisphere)
        write_json(stem.with_name(f"{stem.name}.json"), recording.sidecar())


def write_confounds(
    root: Path, recording: Recording, confounds: pd.DataFrame, *, suffix: str = "timeseries"
) -> None:
    """Write a recording's table of confounds, and the table's sidecar that says what CompCor's columns are.

    Parameters
    ----------
    confounds: one row a volume, as from `brainlm.simulation.confounds.simulated_confounds`.
    suffix: "timeseries"; "regressors" before fMRIPrep 20.2.
    """
    stem = root / recording.folder / "func" / f"{recording.stem}_desc-confounds_{suffix}"
    write_tsv(confounds, stem.with_name(f"{stem.name}.tsv"), digits=None)
    masks = {"a": "combined", "c": "CSF", "w": "WM"}
    described = {
        column: {"Method": "aCompCor", "Mask": masks[column[0]], "Retained": True, "SingularValue": 1.0}
        for column in confounds
        if column[1:].startswith("_comp_cor_")
    }
    write_json(stem.with_name(f"{stem.name}.json"), described)


def write_areas(freesurfer: Path, space: str, hemisphere: str, area_of_vertex: np.ndarray) -> None:
    """Write which area each vertex of a hemisphere lies in, as FreeSurfer's ``?h.aparc.annot``.

    Parameters
    ----------
    freesurfer: the folder of FreeSurfer's subjects. hemisphere: "L" or "R".
    area_of_vertex: (vertex,) names, "" for none.
    """
    names = sorted(set(area_of_vertex.tolist()) - {""})
    index = {"": 0} | {name: i + 1 for i, name in enumerate(names)}
    labels = np.array([index[name] for name in area_of_vertex.tolist()])
    # Red, green, blue and transparency; FreeSurfer tells areas apart by their colours.
    colours = np.array([[10 + 20 * i % 240, 30 + 50 * i % 220, 1 + i, 0] for i in range(len(index))])
    folder = freesurfer / space / "label"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hemisphere.lower()}h.aparc.annot"
    write_annot(path, labels, colours, ["unknown", *names], fill_ctab=True)
