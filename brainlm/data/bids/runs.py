"""Which of a subject's files are the runs of a story: their images, masks and tables of confounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brainlm.data.bids.names import BidsFile, in_order, listed, same_label
from brainlm.errors import InputError
from brainlm.surfaces import N_VERTICES

HEMISPHERES = ("L", "R")
HEARING_ENTITIES = ("ses", "run")
"""Runs of a story that differ in these alone are its hearings."""
_OF_OUTPUT = frozenset({"space", "res", "den", "hemi", "desc"})
"""Entities of what fMRIPrep makes of a run; all others tell runs apart."""
_PREPARED = ("preproc", "", "clean")
"""`desc` of images that are read; the first that there is."""
_CIFTI = "dtseries.nii"


@dataclass(frozen=True)
class Wanted:
    """What the files of a story are called; "" stands for any."""

    task: str
    ses: str = ""
    run: str = ""

    def __str__(self) -> str:
        pairs = {"ses": self.ses, "task": self.task, "run": self.run}
        return "_".join(f"{name}-{value}" for name, value in pairs.items() if value)


@dataclass(frozen=True)
class Run:
    """One recording of one subject."""

    images: tuple[Path, ...]
    """A volume, or the surfaces of the left and the right hemisphere."""
    entities: Mapping[str, str]
    """That tell the run apart, sub among them."""
    is_clean: bool
    """Whether its confounds have been removed already (desc-clean)."""
    mask: Path | None
    """Of the brain; volumes alone."""
    confounds: Path | None

    @property
    def label(self) -> str:
        """The run as sentences call it: sub-01_task-tunnel_run-1."""
        return "_".join(f"{name}-{value}" for name, value in self.entities.items())

    @property
    def is_surface(self) -> bool:
        """Whether the data lie on a surface."""
        return len(self.images) > 1


def choose_runs(
    files: Sequence[BidsFile], wanted: Wanted, *, space: str, res: str | None = None
) -> list[Run]:
    """A subject's runs of a story, in order of session and run; several are its hearings.

    Parameters
    ----------
    files: of the subject, from `subject_files`.
    space: fsaverage5, fsaverage6, T1w or a template of volumes.
    res: the entity `res` of volumes; None: whichever there is.

    Returns
    -------
    An empty list if the subject has no BOLD images of the story in any space.

    Raises
    ------
    InputError: there are images, but not in this space or resolution, or of one hemisphere; or several that differ in
        another entity than those of hearings; or a volume without a mask; or two tables of confounds of one run.
    """
    images = [file for file in files if _is_bold(file) and _is_wanted(file, wanted)]
    if not images:
        return []
    chosen = _of_res(_in_space(images, wanted, space), wanted, res)
    groups: dict[tuple[tuple[str, str], ...], list[BidsFile]] = {}
    for file in _combined_echoes(chosen):
        groups.setdefault(_identity(file), []).append(file)
    _check_hearings(list(groups), wanted)
    ordered = sorted(
        groups, key=lambda identity: [in_order(dict(identity).get(e, "")) for e in HEARING_ENTITIES]
    )
    return [_run(dict(identity), groups[identity], files, space) for identity in ordered]


def tasks_of(files: Sequence[BidsFile]) -> list[str]:
    """The tasks of a subject's BOLD images."""
    return sorted({file.get("task") for file in files if _is_bold(file) and file.get("task")})


def _is_bold(file: BidsFile) -> bool:
    if file.extension == _CIFTI:
        return file.suffix == "bold"
    if file.extension == "func.gii":
        return file.suffix in ("bold", "") and "hemi" in file.entities and file.get("desc") in _PREPARED
    return (
        file.suffix == "bold"
        and file.extension in ("nii.gz", "nii")
        and file.get("desc") in ("preproc", "clean")
    )


def _is_wanted(file: BidsFile, wanted: Wanted) -> bool:
    return all(
        not value or same_label(file.get(entity), value)
        for entity, value in (("task", wanted.task), ("ses", wanted.ses), ("run", wanted.run))
    )


def _in_space(images: Sequence[BidsFile], wanted: Wanted, space: str) -> list[BidsFile]:
    chosen = [file for file in images if file.get("space") == space and file.extension != _CIFTI]
    if chosen:
        return chosen
    subject, folder = f"sub-{images[0].get('sub')}", images[0].path.parent
    spaces = sorted({_space_label(file) for file in images if file.extension != _CIFTI})
    if not spaces:
        raise InputError(
            f"{folder}: of {wanted} {subject} has only CIFTI files (fsLR), which are not read yet: run fMRIPrep with "
            "--output-spaces fsaverage5 or another space besides."
        )
    raise InputError(
        f"{folder}: of {wanted} {subject} has no image in the space {space}, which decides which is read; there are "
        f"{listed(spaces)}: choose one of these, or run fMRIPrep with --output-spaces {space}."
    )


def _space_label(file: BidsFile) -> str:
    return file.get("space") or "images without the entity space (the run's own, which is not read)"


def _of_res(images: Sequence[BidsFile], wanted: Wanted, res: str | None) -> list[BidsFile]:
    there = sorted({file.get("res") for file in images})
    subject, folder = f"sub-{images[0].get('sub')}", images[0].path.parent
    named = listed([label or "(without res)" for label in there])
    if res is None and len(there) > 1:
        raise InputError(
            f"{folder}: the images of {wanted} of {subject} have several resolutions, {named}: set res to one of "
            "them."
        )
    chosen = [file for file in images if res is None or same_label(file.get("res"), res)]
    if not chosen:
        raise InputError(
            f"{folder}: no image of {wanted} of {subject} has the resolution res-{res}; there are {named}."
        )
    return chosen


def _combined_echoes(images: Sequence[BidsFile]) -> list[BidsFile]:
    """Without single echoes, where there are images that combine them."""
    combined = [file for file in images if "echo" not in file.entities]
    return combined or list(images)


def _identity(file: BidsFile) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in file.entities.items() if name not in _OF_OUTPUT)


def _check_hearings(identities: Sequence[tuple[tuple[str, str], ...]], wanted: Wanted) -> None:
    all_entities = [dict(identity) for identity in identities]
    for entity in dict.fromkeys(name for entities in all_entities for name in entities):
        values = sorted({entities.get(entity, "") for entities in all_entities})
        if len(values) > 1 and entity not in HEARING_ENTITIES:
            named = listed([f"{entity}-{value}" if value else f"(without {entity})" for value in values])
            raise InputError(
                f"sub-{all_entities[0]['sub']} has several images of {wanted} that differ in the entity {entity}, "
                f"{named}, which are not hearings of one story: give a folder that holds links to one of them."
            )


def _run(
    entities: Mapping[str, str], images: Sequence[BidsFile], files: Sequence[BidsFile], space: str
) -> Run:
    desc = next(kind for kind in _PREPARED if any(file.get("desc") == kind for file in images))
    images = [file for file in images if file.get("desc") == desc]
    of_run = [file for file in files if _belongs(file, entities)]
    label = "_".join(f"{name}-{value}" for name, value in entities.items())
    return Run(
        images=_hemispheres(images, label) if space in N_VERTICES else (_only(images, label, "images"),),
        entities=entities,
        is_clean=desc == "clean",
        mask=None if space in N_VERTICES else _mask(images[0], of_run),
        confounds=_confounds(of_run, label),
    )


def _belongs(file: BidsFile, entities: Mapping[str, str]) -> bool:
    own = {name: value for name, value in _identity(file) if name != "echo"}
    return own == {name: value for name, value in entities.items() if name != "echo"}


def _only(found: Sequence[BidsFile], label: str, what: str) -> Path:
    if len(found) > 1:
        names = " and ".join(file.path.name for file in found[:2])
        raise InputError(f"{found[0].path.parent}: {label} has two {what}, {names}: remove one of them.")
    return found[0].path


def _hemispheres(images: Sequence[BidsFile], label: str) -> tuple[Path, ...]:
    of_side = {side: [file for file in images if file.get("hemi") == side] for side in HEMISPHERES}
    for side, found in of_side.items():
        if not found:
            raise InputError(
                f"{images[0].path.parent}: {label} has no surface of hemi-{side} beside {images[0].path.name}, and "
                "both hemispheres are needed: fetch it, or run fMRIPrep again."
            )
    return tuple(_only(found, label, f"surfaces of hemi-{side}") for side, found in of_side.items())


def _mask(image: BidsFile, of_run: Sequence[BidsFile]) -> Path | None:
    found = [
        file
        for file in of_run
        if file.suffix == "mask"
        and file.get("desc") == "brain"
        and file.extension in ("nii.gz", "nii")
        and all(file.get(entity) == image.get(entity) for entity in ("space", "res"))
    ]
    if not found:
        raise InputError(
            f"{image.path} has no brain mask beside it, {image.path.name.rpartition('_desc-')[0]}"
            "_desc-brain_mask.nii.gz: fetch it from the dataset, or run fMRIPrep again."
        )
    return found[0].path


def _confounds(of_run: Sequence[BidsFile], label: str) -> Path | None:
    found = [
        file
        for file in of_run
        if file.get("desc") == "confounds"
        and file.suffix in ("timeseries", "regressors")
        and file.extension == "tsv"
    ]
    return _only(found, label, "tables of confounds") if found else None
