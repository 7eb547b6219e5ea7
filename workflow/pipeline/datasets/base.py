"""What a run needs of its dataset, and where that lies; each source answers in its own way."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from brainlm.cortex.choices import CortexKind, SliceAxis
from brainlm.data.respdict import read_respdict, volumes_of
from brainlm.errors import InputError
from pipeline.datasets.layout import (
    RESPDICT,
    RESPONSES,
    TRANSFORMS,
    read_transforms,
    response_files,
    transcripts,
)
from pipeline.errors import ConfigError
from pipeline.paths import counted_from
from pipeline.recordings import Segment

MASK = "mask_thick.nii.gz"


@dataclass(frozen=True)
class Dataset(ABC):
    """A dataset in the layout of ds003020; paths are text, as Snakemake takes them."""

    config: Mapping[str, Any]
    """The whole config, with all defaults filled in."""

    is_simulated: ClassVar[bool] = False
    has_segments: ClassVar[bool] = False
    """Whether its stories may be segments of recordings."""
    subject_tables: ClassVar[tuple[str, ...]] = ()
    """Tables of each subject that only such a dataset has."""
    run_tables: ClassVar[tuple[str, ...]] = ()
    """Tables of the whole run that only such a dataset has."""
    absent: ClassVar[str] = ""
    """What the table of the dataset says of a file that is not there."""
    is_written: ClassVar[bool] = False
    """Whether the workflow itself writes the files below the root."""
    threads: ClassVar[int] = 16
    """Of a job that computes, at most."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The config's section `dataset`."""
        return self.config["dataset"]

    @property
    def results(self) -> str:
        """The folder of the run's results."""
        return f"{self.config['results']}/{self.settings['name']}"

    @property
    def root(self) -> str:
        """The folder that holds derivative/."""
        return self.settings["root"] or f"{self.results}/ds003020"

    @property
    def derivative(self) -> str:
        """The folder of all files that are read."""
        return f"{self.root}/derivative"

    @property
    def respdict(self) -> str:
        """The file that tells how many volumes each story's recording has."""
        return f"{self.root}/{RESPDICT}"

    def settled(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The section `dataset` with what the files themselves tell.

        Parameters
        ----------
        given: what the config gives of it, without defaults.

        Raises
        ------
        ConfigError: the config says otherwise than the files.
        """
        return self.settings

    def sound_onset_s(self, story: str) -> float:
        """Onset of the sound, s after the first volume, of a story of which the table of stories tells no segment."""
        return self.settings["sound_onset_s"]

    def sound_onset_name(self, story: str) -> str:
        """What sentences call the onset."""
        return "dataset.sound_onset_s"

    def faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]:
        """What of the dataset's files is missing or cannot be read, in a sentence for each fault.

        Parameters
        ----------
        stories: split -> its stories.

        Raises
        ------
        ConfigError: in one sentence, if the dataset cannot be what the config says it is.
        """
        dataset = self.settings
        if self.is_simulated != ("simulation" in dataset):
            word = "needs" if self.is_simulated else "does not take"
            raise ConfigError(
                f"Config: dataset.source {dataset['source']} {word} a section dataset.simulation."
            )
        if not self.is_simulated and not self.config["themes"]:
            raise ConfigError(
                "Config: themes needs at least one list of words; only a simulated dataset has annotated spans."
            )
        self._check_atlas()
        if segments and not self.has_segments:
            raise ConfigError(
                f"{dataset['stories']} gives the story '{next(iter(segments))}' a sound_onset_s, which only stories "
                "of dataset.source local have: leave out the columns sound_onset_s and recording."
            )
        try:
            return self._faults(stories, segments)
        except PermissionError as error:
            raise ConfigError(
                f"{error.filename} cannot be read: its permissions, or those of its folder, do not allow it. Change "
                "them (`chmod u+r`, of folders `u+rx`) or ask their owner."
            ) from None

    def _check_atlas(self) -> None:
        image = self.settings["atlas"]
        if image is None:
            return
        if any(self.cortex_kind(subject) != "mni" for subject in self.config["subjects"]):
            raise ConfigError(
                "Config: dataset.atlas is for volumes that dataset.source bids reads: leave it out; areas of "
                "surfaces come from FreeSurfer's annotations, those of pycortex subjects from overlays.svg."
            )
        if not image.endswith(".nii.gz"):
            raise ConfigError(f"Config: dataset.atlas names {image}, but an image .nii.gz is needed.")
        for file in self.atlas(self.config["subjects"][0]):
            if not Path(file).exists():
                raise ConfigError(
                    f"Config: dataset.atlas needs {file}, which does not exist{counted_from(file)}."
                )

    @abstractmethod
    def _faults(self, stories: Mapping[str, list[str]], segments: Mapping[str, Segment]) -> list[str]: ...

    def stories_of_subjects(self, stories: Mapping[str, list[str]]) -> dict[str, dict[str, list[str]]]:
        """Subject -> split -> the split's stories to which the dataset has the subject's responses.

        Raises
        ------
        ConfigError: a subject without any story of a split.
        """
        files = self._response_files({story for names in stories.values() for story in names})
        of_subjects = {
            subject: {
                split: [story for story in names if RESPONSES.format(subject=subject, story=story) in files]
                for split, names in stories.items()
            }
            for subject in self.config["subjects"]
        }
        for subject, splits in of_subjects.items():
            for split, names in splits.items():
                if not names:
                    raise ConfigError(
                        f"Subject '{subject}' has responses to none of the {len(stories[split])} stories of the "
                        f"split '{split}': drop the subject, or give {self.settings['stories']} another split."
                    )
        return of_subjects

    def _response_files(self, listed: set[str]) -> set[str]:
        """Those of the listed stories' responses, below the root, that there are or will be."""
        return set(response_files(self.config, listed))

    def response_bytes(self) -> dict[tuple[str, str], int]:
        """(subject, story) -> bytes of its HDF5 file, where they are known."""
        return {}

    def rows_of(self, stories: Iterable[str]) -> dict[str, int]:
        """Story -> rows (TRs) of its responses; empty without a respdict.json that has all stories."""
        path = Path(self.respdict)
        if not path.exists():
            return {}
        try:
            volumes, n_trimmed = read_respdict(path), sum(self.settings["trim"].values())
            return {story: volumes_of(story, volumes, path) - n_trimmed for story in stories}
        except (InputError, OSError):  # one of the dataset's faults
            return {}

    def input(self, path: str) -> str:
        """What stands for a file of the dataset among a job's inputs."""
        return path

    def transcript(self, text: str) -> str:
        """Where the transcript of a story or recording is."""
        return str(transcripts(Path(self.derivative), text)[1])

    def from_root(self, path: str) -> str:
        """Where a file of the dataset lies as seen from its root."""
        return str(Path(path).relative_to(self.root))

    def responses(self, subject: str, story: str) -> str:
        """Where a subject's responses to a story are."""
        return f"{self.root}/{RESPONSES.format(subject=subject, story=story)}"

    def transform(self, subject: str) -> str:
        """The name of a subject's pycortex transform; ds003020's own list lacks UTS09, named like the others."""
        return self._transforms.get(subject, f"{subject}_auto")

    @cached_property
    def _transforms(self) -> Mapping[str, str]:
        return MappingProxyType(read_transforms(Path(self.root, TRANSFORMS)))

    def transform_inputs(self) -> list[str]:
        """The inputs that tell how transforms are called."""
        return [self.input(f"{self.root}/{TRANSFORMS}")]

    def pycortex_folder(self, subject: str) -> str:
        """A subject's folder in the dataset's pycortex database."""
        return f"{self.derivative}/pycortex-db/{subject}"

    def mask(self, subject: str) -> str:
        """The mask that the number of voxels is checked against; "" if the dataset has none."""
        return f"{self.pycortex_folder(subject)}/transforms/{self.transform(subject)}/{MASK}"

    def mask_inputs(self, subject: str) -> list[str]:
        """The inputs that the mask is, or lies in."""
        return [self.input(path) for path in [self.mask(subject)] if path]

    @property
    def slice_axis(self) -> SliceAxis | None:
        """The axis along which the scanner's slices lie; None where the voxels are not the scanner's."""
        return self.settings["slice_axis"]

    def cortex_kind(self, subject: str) -> CortexKind:
        """What a subject's flatmaps are made of, if there are any; "mni" of every volume whose places are in mm."""
        return "pycortex"

    def cortex_inputs(self, subject: str) -> list[str]:
        """The inputs that flatmaps are made of: a pycortex subject, annotation files (lh.*, rh.*), or a mask."""
        return [self.pycortex_folder(subject)]

    def atlas(self, subject: str) -> list[str]:
        """The image and the table that give a volume's voxels their areas, if the config names them."""
        image = self.settings["atlas"]
        return [] if image is None else [image, f"{image.removesuffix('.nii.gz')}.tsv"]

    def why_no_flatmaps(self, subject: str) -> str:
        """A sentence on why no flatmaps can be drawn; "" if they can."""
        return ""

    def own_voxels(self, subject: str) -> list[str]:
        """The table of voxels and their regions that a dataset may bring."""
        return []

    def nuisances(self, story: str) -> list[str]:
        """The table of columns beside a story's responses that a dataset may bring."""
        return []

    def start_faults(
        self,
        subject_stories: Mapping[str, Mapping[str, Sequence[str]]],
        recordings: Iterable[str],
        rows: Mapping[str, int],
    ) -> list[str]:
        """What is wrong with the dataset's files, or lacks for them, as far as it takes too long to ask of a dry run.

        Parameters
        ----------
        subject_stories: subject -> split -> its stories.
        recordings: whose transcripts are read.
        rows: story -> rows (TRs) of its responses; empty if unknown.
        """
        return []

    def _responses_of(
        self, subject_stories: Mapping[str, Mapping[str, Sequence[str]]]
    ) -> dict[tuple[str, str], str]:
        return {
            (subject, story): self.responses(subject, story)
            for subject in self.config["subjects"]
            for stories in subject_stories[subject].values()
            for story in stories
        }

    def _shape_faults(
        self,
        subject_stories: Mapping[str, Mapping[str, Sequence[str]]],
        rows: Mapping[str, int],
        *,
        unreadable: bool,
    ) -> list[str]:
        # Slow to import, and only a run needs it.
        from brainlm.data.check import shape_faults

        files = {key: Path(path) for key, path in self._responses_of(subject_stories).items()}
        return shape_faults(files, rows, unreadable=unreadable)
