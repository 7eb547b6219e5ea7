"""Which runs of fMRIPrep's derivatives a config needs, and what they have in common, without reading any data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from brainlm.data.bids.agreement import common_length, common_onset, common_tr
from brainlm.data.bids.confounds import count_non_steady
from brainlm.data.bids.events import has_words, sound_onset
from brainlm.data.bids.images import count_grid, count_volumes, grey_matter_file
from brainlm.data.bids.names import BidsFile, listed, subject_files
from brainlm.data.bids.runs import Run, choose_runs, tasks_of
from brainlm.data.bids.sidecars import Timing, raw_files, read_timing
from brainlm.errors import InputError
from brainlm.surfaces import N_VERTICES
from pipeline.bids_stories import Listed

SUFFIXES = (".TextGrid", ".tsv", ".csv")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Choice:
    """What a config says of the derivatives."""

    folder: Path
    """That holds the subjects' folders."""
    raw: Path | None
    space: str
    res: str | None
    uses_grey_matter: bool
    n_trimmed_first: int
    transcripts: Path


@dataclass
class Survey:
    """What the derivatives have of a config's subjects and stories."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    """(subject, story) -> its hearings; those that the subject does not have are left out."""
    grey_matter: dict[str, Path] = field(default_factory=dict)
    """Subject -> its map of grey matter, where one is used."""
    n_grid: dict[str, int] = field(default_factory=dict)
    """Subject -> voxels of the grid of its volumes."""
    tr_s: float | None = None
    """Of all runs; None if they do not tell."""
    n_volumes: dict[str, int] = field(default_factory=dict)
    """Story -> volumes that all its hearings have."""
    onsets_s: dict[str, float] = field(default_factory=dict)
    """Story -> onset of its sound, s after its first volume."""
    row_onsets_s: dict[str, float] = field(default_factory=dict)
    """Story -> the onset as it would be if row i stood for (i + 0.5) TR, which later stages take it to be."""
    words_of: dict[str, Path] = field(default_factory=dict)
    """Story -> its transcript; those whose words are events are left out."""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences for the log."""

    def ask(self, question: Callable[[], Answer]) -> Answer | None:
        """The answer; None if it is a fault, which is noted."""
        try:
            return question()
        except InputError as error:
            self.faults.append(str(error))
            return None

    def runs_of(self, story: str) -> list[Run]:
        """All subjects' hearings of a story."""
        return [run for (_, of), runs in self.runs.items() for run in runs if of == story]


def survey(choice: Choice, subjects: Sequence[str], stories: Mapping[str, Listed]) -> Survey:
    """Find the runs of all stories, and what they have in common, by names, sidecars and headers.

    Parameters
    ----------
    stories: story -> what its files are called.
    """
    found = Survey()
    files = {
        subject: found.ask(lambda of=subject: subject_files(choice.folder, of)) or [] for subject in subjects
    }
    for subject, of_subject in files.items():
        _find_runs(found, choice, subject, of_subject, stories)
    _name_unknown_tasks(found, choice, stories, files)
    timings = _timings(found, choice)
    if timings:
        found.tr_s = found.ask(lambda: common_tr({label: timing.tr_s for label, timing in timings.items()}))
    for story in stories:
        if runs := found.runs_of(story):
            _find_words(found, choice, story, runs[0])
            _find_length(found, choice, story, runs)
            _find_onset(found, choice, story, stories[story], {run.label: run for run in runs}, timings)
    return found


def events_of(run: Run, raw: Path | None) -> Path | None:
    """A run's events.tsv, if the raw dataset has one."""
    files = [] if raw is None else raw_files(raw, run, "events", "tsv")
    return files[-1] if files else None


def transcripts_of(folder: Path, story: str) -> list[Path]:
    """The transcripts of a story in the folder, of which there should be one."""
    return [
        path for suffix in SUFFIXES if (path := folder / f"{story}{suffix}").is_symlink() or path.exists()
    ]


def files_of(run: Run) -> list[Path]:
    """All files of a run."""
    return [*run.images, *filter(None, [run.mask, run.confounds])]


def _find_runs(
    found: Survey, choice: Choice, subject: str, files: Sequence[BidsFile], stories: Mapping[str, Listed]
) -> None:
    for story, of_table in stories.items():
        runs = found.ask(
            lambda of=of_table: choose_runs(files, of.wanted, space=choice.space, res=choice.res)
        )
        if runs:
            found.runs[subject, story] = runs
    own = [run for (of, _), runs in found.runs.items() for run in runs if of == subject]
    if own and choice.space not in N_VERTICES:
        found.n_grid[subject] = found.ask(lambda: count_grid(own[0])) or 0
    if own and choice.uses_grey_matter:
        path = found.ask(lambda: grey_matter_file(files, choice.space, choice.res))
        if path:
            found.grey_matter[subject] = path


def _name_unknown_tasks(
    found: Survey,
    choice: Choice,
    stories: Mapping[str, Listed],
    files: Mapping[str, Sequence[BidsFile]],
) -> None:
    """Stories of which no subject has any image, if others do not say why already."""
    tasks = sorted({task for of_subject in files.values() for task in tasks_of(of_subject)})
    for story, of_table in stories.items():
        task = of_table.wanted.task
        if not any(files.values()) or found.runs_of(story) or (task in tasks and found.faults):
            continue
        close = get_close_matches(task, tasks, n=1)
        hint = f" Did you mean {close[0]}?" if close and close[0] != task else ""
        found.faults.append(
            f"The table of stories has the story '{story}', but no subject of the config has {of_table.wanted} in "
            f"{choice.folder}; tasks there are {listed(tasks)}.{hint}"
        )


def _timings(found: Survey, choice: Choice) -> dict[str, Timing]:
    timings = {}
    for run in (run for runs in found.runs.values() for run in runs):
        timing = found.ask(lambda of=run: read_timing(of, choice.raw))
        if timing:
            timings[run.label] = timing
    return timings


def _find_words(found: Survey, choice: Choice, story: str, run: Run) -> None:
    there = transcripts_of(choice.transcripts, story)
    events = events_of(run, choice.raw)
    if len(there) > 1:
        found.faults.append(
            f"The story '{story}' has two transcripts, {there[0]} and {there[1].name}: remove one of them."
        )
    elif there:
        found.words_of[story] = there[0]
    elif events is None or not found.ask(lambda: has_words(events)):
        names = ", ".join(f"{story}{suffix}" for suffix in SUFFIXES)
        found.faults.append(
            f"The story '{story}' has no transcript: {choice.transcripts} has none of {names}, and "
            + (
                f"{events} has no rows whose trial_type is word."
                if events
                else "there is no events.tsv of its run."
            )
        )


def _find_length(found: Survey, choice: Choice, story: str, runs: Iterable[Run]) -> None:
    lengths, n_first = {}, choice.n_trimmed_first
    for run in runs:
        n_volumes = found.ask(lambda of=run: count_volumes(of))
        n_non_steady = found.ask(lambda of=run: count_non_steady(of))
        if n_volumes:
            lengths[run.label] = n_volumes
        if n_non_steady and n_non_steady > n_first:
            found.faults.append(
                f"{run.confounds}: the first {n_non_steady} volumes are not steady, but dataset.trim.first cuts off "
                f"{n_first}: set it to {n_non_steady} or more."
            )
    if lengths and (n_volumes := found.ask(lambda: common_length(story, lengths))):
        found.n_volumes[story] = n_volumes
        if max(lengths.values()) > n_volumes:
            longer = [label for label, n_own in lengths.items() if n_own > n_volumes]
            found.notes.append(f"Story '{story}': {n_volumes} volumes are read; {listed(longer)} has more.")


def _find_onset(
    found: Survey,
    choice: Choice,
    story: str,
    of_table: Listed,
    runs: Mapping[str, Run],
    timings: Mapping[str, Timing],
) -> None:
    onsets_s, row_onsets_s = {}, {}
    for label, run in runs.items():
        onset_s = of_table.onset_s
        if onset_s is None:
            n_faults, events = len(found.faults), events_of(run, choice.raw)
            onset_s = found.ask(lambda path=events: path and sound_onset(path, story))
            if len(found.faults) > n_faults:
                return
        if onset_s is None and story not in found.words_of and events is not None:
            onset_s = 0.0  # the words' own clock
        if onset_s is None:
            found.faults.append(
                f"Nothing tells when the sound of the story '{story}' begins in {label}: give its onset_s (s after "
                "the run's first volume) in the table of stories, or dataset.raw, if its events.tsv has a row story."
            )
            return
        if label in timings:
            onsets_s[label], row_onsets_s[label] = onset_s, timings[label].row_onset_s(onset_s)
    if found.tr_s is None or not onsets_s:
        return
    row_onset_s = found.ask(lambda: common_onset(story, row_onsets_s, found.tr_s))
    if row_onset_s is None:
        return
    length_s = found.n_volumes.get(story, 0) * found.tr_s
    onset_s = next(iter(onsets_s.values()))
    if length_s and onset_s >= length_s:
        found.faults.append(
            f"The sound of the story '{story}' begins {onset_s:g} s after its first volume, but its volumes last "
            f"{length_s:g} s: check its onset_s, or its events.tsv."
        )
        return
    found.onsets_s[story], found.row_onsets_s[story] = onset_s, row_onset_s
