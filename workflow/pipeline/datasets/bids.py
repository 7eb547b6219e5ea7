"""FMRIPrep's derivatives of any dataset, cleaned here and written in the layout of ds003020."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from brainlm.data.bids.names import derivatives_folder, label_of
from brainlm.errors import InputError
from brainlm.surfaces import N_VERTICES
from pipeline.bids_stories import Listed, shared_runs
from pipeline.bids_survey import Choice, Survey, events_of, files_of, survey
from pipeline.datasets.base import Dataset
from pipeline.datasets.layout import RESPONSES, unreadable
from pipeline.errors import ConfigError
from pipeline.paths import counted_from
from pipeline.recordings import Segment
from pipeline.sizes import GIGABYTE
from pipeline.stories import read_runs

FAULTS_NAMED = 20
SAME_S = 0.001
VALUE_BYTES = 8
"""As other sources' files hold them, in which sizes are counted."""
SHARE_OF_GRID = {"grey matter": 0.12, "brain": 0.25}
"""Of a volume's voxels, those that a mask keeps, at most."""


class Source(Dataset):
    """What fMRIPrep wrote is only read; what is made of it lies below the results."""

    run_tables = ("dataset",)
    absent = "not made yet"
    is_written = True

    @property
    def root(self) -> str:
        """The folder that holds derivative/, which the workflow writes."""
        return f"{self.results}/ds003020"

    @property
    def space(self) -> str:
        """The space of the images that are read."""
        return self.settings["space"]

    @property
    def has_volumes(self) -> bool:
        """Whether images are volumes, not surfaces."""
        return self.space not in N_VERTICES

    @property
    def grey_matter(self) -> float | None:
        """Least probability of grey matter of the voxels that are read; None: any."""
        return self.settings["mask"]["grey_matter"] if self.has_volumes and self.settings["mask"] else None

    @property
    def raw(self) -> Path | None:
        """The raw dataset, if there is one."""
        return None if self.settings["raw"] is None else Path(self.settings["raw"])

    @cached_property
    def folder(self) -> Path:
        """The folder that holds the subjects' folders."""
        if self.settings["root"] is None:
            raise ConfigError(
                "Config: dataset.source bids needs dataset.root, the folder of fMRIPrep's output."
            )
        try:
            return derivatives_folder(Path(self.settings["root"]))
        except InputError as error:
            raise ConfigError(f"Config: dataset.root: {error}{counted_from(self.settings['root'])}") from None

    @cached_property
    def listed(self) -> Mapping[str, Listed]:
        """Story -> what its files are called."""
        return read_runs(Path(self.settings["stories"]))

    @cached_property
    def survey(self) -> Survey:
        """What the derivatives have of the config's subjects and stories."""
        stories = Path(self.settings["stories"])
        choice = Choice(
            folder=self.folder,
            raw=self.raw,
            space=self.space,
            res=self.settings["res"],
            uses_grey_matter=self.grey_matter is not None,
            n_trimmed_first=self.settings["trim"]["first"],
            transcripts=Path(self.settings["transcripts"] or stories.parent / "transcripts"),
        )
        return survey(choice, self.config["subjects"], self.listed)

    def settled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """With the runs' repetition time and the stories' onset (null if they differ)."""
        if "sound_onset_s" in given:
            raise ConfigError(
                f"Config: dataset.sound_onset_s is not read with dataset.source bids: give "
                f"{self.settings['stories']} a column onset_s."
            )
        if "slice_axis" in given:
            raise ConfigError(
                "Config: dataset.slice_axis is not read with dataset.source bids, whose images are resampled: their "
                "slices are not the scanner's; leave it out."
            )
        tr_s = self.survey.tr_s
        if tr_s is None:
            return self.settings
        if "tr_s" in given and abs(self.settings["tr_s"] - tr_s) > SAME_S:
            raise ConfigError(
                f"Config: dataset.tr_s is {self.settings['tr_s']:g}, but the sidecars of {self.folder} say {tr_s:g} "
                "s: leave it out."
            )
        onsets_s = set(self.survey.row_onsets_s.values())
        return {
            **self.settings,
            "tr_s": tr_s,
            "sound_onset_s": onsets_s.pop() if len(onsets_s) == 1 else None,
        }

    def sound_onset_s(self, story: str) -> float:
        """Such that row i, which stands for i TR + StartTime, stands for (i + 0.5) TR."""
        return self.survey.row_onsets_s.get(story, 0.0)

    def sound_onset_name(self, story: str) -> str:
        """What sentences call the onset."""
        return "the sound's onset (onset_s in dataset.stories, or events.tsv)"

    def _faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]:
        self._check_settings()
        found = self.survey
        faults = [*found.faults]
        labels = {
            subject: {
                story: [run.label for run in runs]
                for (of, story), runs in found.runs.items()
                if of == subject
            }
            for subject in self.config["subjects"]
        }
        if shared := shared_runs(labels):
            run, story, other = shared
            faults.append(
                f"{self.settings['stories']}: {run} would be a hearing of the story '{story}' and of '{other}': tell "
                "them apart by the columns ses and run."
            )
        n_trimmed = sum(self.settings["trim"].values())
        faults += [
            f"The story '{story}' has {n_volumes} volumes, of which dataset.trim cuts off {n_trimmed}, but two or "
            "more must be left: check both."
            for story, n_volumes in found.n_volumes.items()
            if n_volumes < n_trimmed + 2
        ]
        files = [path for runs in found.runs.values() for run in runs for path in files_of(run)]
        faults += unreadable([*files, *found.grey_matter.values(), *found.words_of.values()])
        # What many runs have in common would fill the screen.
        faults = list(dict.fromkeys(faults))
        more = [f"And {len(faults) - FAULTS_NAMED} more such faults."] * (len(faults) > FAULTS_NAMED)
        return faults[:FAULTS_NAMED] + more

    def _check_settings(self) -> None:
        label_owners: dict[str, str] = {}
        for subject in self.config["subjects"]:
            if label_owners.setdefault(label_of(subject), subject) != subject:
                raise ConfigError(
                    f"Config: subjects has {label_owners[label_of(subject)]} and {subject}, which are the same: "
                    "remove one."
                )
            if not (self.folder / f"sub-{label_of(subject)}").is_dir():
                known = sorted(path.name for path in self.folder.glob("sub-*") if path.is_dir())
                raise ConfigError(
                    f"Config: unknown subject '{subject}'; {self.folder} has {', '.join(known[:10])}"
                    f"{' and others' if len(known) > 10 else ''}."
                )
        for key in ("raw", "transcripts"):
            path = self.settings[key]
            if path is not None and not Path(path).is_dir():
                raise ConfigError(
                    f"Config: dataset.{key} names {path}, which is no folder{counted_from(path)}."
                )

    def _response_files(self, listed: set[str]) -> set[str]:
        return {RESPONSES.format(subject=subject, story=story) for subject, story in self.survey.runs}

    def response_bytes(self) -> dict[tuple[str, str], int]:
        """Of files that are still to be made."""
        return {
            (subject, story): self.survey.n_volumes.get(story, 0) * self._n_voxels(subject) * VALUE_BYTES
            for subject, story in self.survey.runs
        }

    def _n_voxels(self, subject: str) -> int:
        if not self.has_volumes:
            return 2 * N_VERTICES[self.space]
        share = SHARE_OF_GRID["brain" if self.grey_matter is None else "grey matter"]
        return int(self.survey.n_grid.get(subject, 0) * share)

    def rows_of(self, stories: Iterable[str]) -> dict[str, int]:
        """From the images' headers."""
        n_trimmed, volumes = sum(self.settings["trim"].values()), self.survey.n_volumes
        stories = list(stories)
        return (
            {story: volumes[story] - n_trimmed for story in stories} if volumes.keys() >= set(stories) else {}
        )

    def transcript(self, text: str) -> str:
        """The file, or where the words of events are written."""
        return str(self.survey.words_of.get(text) or f"{self.derivative}/transcripts/{text}.tsv")

    def from_root(self, path: str) -> str:
        """Transcripts may lie anywhere."""
        return os.path.relpath(path, self.root)

    def transform_inputs(self) -> list[str]:
        """There are no transforms of pycortex."""
        return []

    def mask(self, subject: str) -> str:
        """Made of the brain masks and the map of grey matter; "" for surfaces."""
        return f"{self.derivative}/masks/{subject}.nii.gz" if self.has_volumes else ""

    @property
    def slice_axis(self) -> None:
        """Images are resampled: their slices are not the scanner's."""
        return None

    def cortex_kind(self, subject: str) -> str:
        """fsaverage5, fsaverage6 or mni: what flatmaps are drawn on."""
        return "mni" if self.has_volumes else self.space

    def cortex_inputs(self, subject: str) -> list[str]:
        """The mask of volumes; of surfaces, FreeSurfer's areas, where the derivatives have them."""
        if self.has_volumes:
            return [self.mask(subject)]
        places = [self.folder / "sourcedata" / "freesurfer", self.folder.parent / "freesurfer"]
        for place in places:
            annots = [place / self.space / "label" / f"{side}.aparc.annot" for side in ("lh", "rh")]
            if all(map(Path.exists, annots)):
                return list(map(str, annots))
        return []

    def why_no_flatmaps(self, subject: str) -> str:
        """Of the subject's own space there is no flatmap."""
        if self.space != "T1w":
            return ""
        return (
            "Figures 3 and 4 are no flatmaps: the data are in the subject's own space (T1w); choose fsaverage5 or "
            "MNI152NLin2009cAsym for flatmaps."
        )

    def wanted(self, stories: Iterable[str]) -> dict[str, dict[str, str]]:
        """Story -> what its files are called, for jobs."""
        return {story: asdict(self.listed[story].wanted) for story in stories}

    def files(self, subject: str, stories: Iterable[str]) -> list[str]:
        """All files of a subject's runs of some stories."""
        runs = [run for story in stories for run in self.survey.runs.get((subject, story), [])]
        return [str(path) for run in runs for path in files_of(run)]

    def grey_matter_of(self, subject: str) -> list[str]:
        """The subject's map of grey matter, if one is used."""
        return [str(path) for of, path in self.survey.grey_matter.items() if of == subject]

    def cleaning_gb(self, subject: str, stories: Iterable[str]) -> float:
        """Memory to clean the longest of the stories: as read, as cleaned, and the mean of hearings in float64."""
        sizes = self.response_bytes()
        return 2 + 4 * max(sizes.get((subject, story), 0) for story in stories) / VALUE_BYTES * 4 / GIGABYTE

    def stories_of(self, subject: str) -> list[str]:
        """The stories that the subject has heard."""
        return [story for of, story in self.survey.runs if of == subject]

    def event_stories(self, stories: Sequence[str]) -> list[str]:
        """The stories whose words are events."""
        return [story for story in stories if story not in self.survey.words_of]

    def events(self, story: str) -> list[str]:
        """The events.tsv of all hearings of a story."""
        files = [events_of(run, self.raw) for run in self.survey.runs_of(story)]
        return [str(path) for path in dict.fromkeys(files) if path]
