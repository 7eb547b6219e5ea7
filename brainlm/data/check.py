"""What a dataset's files hold, story by story: what makes a run impossible, and what is odd."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainlm.data.clocks import check_clocks
from brainlm.data.responses import data_shape, require_rows, scale_warning, summarize
from brainlm.data.transcripts import read_transcript
from brainlm.errors import InputError

COLUMNS = [
    *("subject", "story", "split", "volumes", "TRs", "voxels", "repeats", "words", "dropped labels"),
    *("first word (s)", "last word (s)", "missing", "impossible", "odd"),
]
FEWEST_WORDS_PER_MINUTE = 30
"""Of a recording: people speak at 100 to 200, pauses included."""


@dataclass
class Findings:
    """What stands in a file's row of the table, and what there is to say of it."""

    columns: dict[str, Any] = field(default_factory=dict)
    impossible: list[str] = field(default_factory=list)
    """Sentences on what stops a run."""
    odd: list[str] = field(default_factory=list)
    """Sentences on what does not."""


@dataclass(frozen=True)
class Clock:
    """When a story's recording took place, and what the features look at."""

    n_volumes: int
    """Before any are trimmed."""
    tr_times_s: np.ndarray
    """(time,) of the response's rows, s after sound onset."""
    tr_s: float
    sound_onset_s: float
    """s after the recording's first volume."""
    delays_s: Sequence[float]
    window: int
    """TRs"""
    is_segment: bool = False
    """Whether the words are those of a recording that the story is a segment of."""


def check_transcript(
    path: Path,
    story: str,
    clock: Clock | None,
    *,
    reading: Mapping[str, Any] | None = None,
) -> Findings:
    """Read a story's words and compare them with its recording.

    Parameters
    ----------
    clock: None if it is not known; then the words alone are looked at.
    reading: how words are read, as `read_transcript` takes it.

    Returns
    -------
    Columns words, dropped labels, first word (s), last word (s): onset and offset, s after the sound's onset.
    """
    found = Findings()
    try:
        words = read_transcript(path, **(reading or {}))
    except InputError as error:
        found.impossible += str(error).splitlines()
        return found
    onset_s, offset_s = words["onset_s"].to_numpy(), words["offset_s"].to_numpy()
    found.odd += words.attrs["warnings"]
    found.columns = {
        "words": len(words),
        "dropped labels": sum(words.attrs["dropped"].values()),
        "first word (s)": float(onset_s.min()),
        "last word (s)": float(offset_s.max()),
    }
    if clock is not None:
        _compare(found, onset_s, offset_s, clock, f"{path}, story '{story}'")
    return found


def _compare(
    found: Findings, onset_s: np.ndarray, offset_s: np.ndarray, clock: Clock, transcript: str
) -> None:
    recording = {name: getattr(clock, name) for name in ("n_volumes", "tr_s", "sound_onset_s", "is_segment")}
    features = {name: getattr(clock, name) for name in ("delays_s", "window")}
    try:
        odd = check_clocks(
            onset_s, offset_s, clock.tr_times_s, transcript=transcript, **recording, **features
        )
    except InputError as error:
        found.impossible.append(str(error))
        return
    found.odd += odd
    if not clock.is_segment:
        found.odd += _other_lengths(onset_s, offset_s, clock, transcript, told=bool(odd))


def _other_lengths(
    onset_s: np.ndarray, offset_s: np.ndarray, clock: Clock, transcript: str, *, told: bool
) -> list[str]:
    """What is odd about the length of a transcript of the story's own; late words need not be told again."""
    odd = []
    end_s = clock.n_volumes * clock.tr_s - clock.sound_onset_s
    n_late = int((onset_s > end_s).sum())
    if n_late and not told:
        odd.append(
            f"{transcript}: {n_late} of {len(onset_s)} words begin after the recording's end ({end_s:,.1f} s); its "
            f"last word ends at {offset_s.max():,.1f} s."
        )
    minutes = clock.n_volumes * clock.tr_s / 60
    if len(onset_s) < FEWEST_WORDS_PER_MINUTE * minutes:
        odd.append(
            f"{transcript}: it has {len(onset_s)} words for a recording of {minutes:.1f} minutes: is a part missing?"
        )
    return odd


def check_responses(
    path: Path, *, expected_rows: int | None, expected_voxels: int | None, expected_by: str, split: str
) -> Findings:
    """Read a story's responses, a block at a time, and compare them with what is known of the story and the subject.

    Parameters
    ----------
    expected_rows, expected_voxels: None if they are not known.
    expected_by: what the number of voxels comes from, e.g. "the subject's story 'forest'".

    Returns
    -------
    Columns TRs, voxels, repeats (0 without ``individual_repeats``).
    """
    found = Findings()
    try:
        n_rows, n_voxels = data_shape(path)
        found.columns = {"TRs": n_rows, "voxels": n_voxels}
    except InputError as error:
        found.impossible.append(str(error))
        return found
    if expected_rows is not None:
        try:
            require_rows(path, n_rows, expected_rows)
        except InputError as error:
            found.impossible.append(str(error))
    if expected_voxels is not None and n_voxels != expected_voxels:
        found.impossible.append(other_voxels(path, n_voxels, expected_voxels, expected_by))
    try:
        summary = summarize(path)
    except InputError as error:
        found.impossible.append(str(error))
        return found
    found.columns["repeats"] = summary.n_repeats
    if sentence := scale_warning(summary):
        found.odd.append(f"{path}: {sentence}")
    if summary.n_invalid_voxels:
        found.odd.append(
            f"{path}: {summary.n_invalid_voxels:,} of {n_voxels:,} voxels are constant or somewhere not finite, and "
            "are left out of all of the subject's models."
        )
    if summary.n_voxels_with_lost_repeats:
        found.odd.append(
            f"{path}: in {summary.n_voxels_with_lost_repeats:,} voxels a hearing is constant or somewhere not "
            "finite, and is left out of their noise ceiling."
        )
    if summary.n_repeats == 1:
        found.odd.append(
            f"{path}: `individual_repeats` holds a single hearing, which gives no noise ceiling."
        )
    if summary.n_repeats > 1 and split != "test":
        found.odd.append(
            f"{path}: its {summary.n_repeats} hearings are not used, for its split is {split}, not test."
        )
    return found


def other_voxels(path: Path, n_voxels: int, expected: int, expected_by: str) -> str:
    """A sentence on a file whose number of voxels is not the subject's."""
    return (
        f"{path} has {n_voxels:,} voxels, but {expected_by} has {expected:,}: all stories of a subject need the "
        "same; replace the file, or leave the story out."
    )


def shape_faults(
    files: Mapping[tuple[str, str], Path], n_rows: Mapping[str, int], *, unreadable: bool
) -> list[str]:
    """What the shapes of responses alone tell, in a few milliseconds a file: a sentence for each that cannot be.

    Parameters
    ----------
    files: (subject, story) -> its HDF5 file; those that are not there are passed over.
    n_rows: story -> rows (TRs) that it should have; {} if they are not known.
    unreadable: whether files that are none, or hold no responses, are faults.
    """
    found: list[str] = []
    of_subject: dict[str, tuple[int, Path]] = {}
    for (subject, story), path in files.items():
        if not path.exists():
            continue
        try:
            n_times, n_voxels = data_shape(path)
        except InputError as error:
            found += [str(error)] * unreadable
            continue
        try:
            require_rows(path, n_times, n_rows.get(story, n_times))
        except InputError as error:
            found.append(str(error))
        expected, first = of_subject.setdefault(subject, (n_voxels, path))
        if n_voxels != expected:
            found.append(other_voxels(path, n_voxels, expected, str(first)))
    return found


@dataclass(frozen=True)
class Heard:
    """A story as one subject heard it."""

    subject: str
    story: str
    split: str
    transcript: Path
    responses: Path


def dataset_tables(
    heard: Sequence[Heard],
    clocks: Mapping[str, Clock],
    masks: Mapping[str, int],
    *,
    absent: str,
    reading: Mapping[str, Any] | None = None,
    progress: Callable[[], object] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read all files of a dataset, one at a time, and say what they hold and what is wrong with them.

    Parameters
    ----------
    clocks: story -> its clock, where respdict.json has it.
    masks: subject -> voxels of its cortical mask, where there is one.
    absent: what to say of a file that is not there, e.g. "not downloaded yet".
    reading: how words are read, as `read_transcript` takes it.
    progress: called after each row.

    Returns
    -------
    A table with a row for each of `heard` and the columns `COLUMNS`; and a table of all that there is to say, each
    sentence once, in the columns kind ("impossible" or "odd") and sentence.
    """
    expected = {subject: (n_voxels, "the subject's cortical mask") for subject, n_voxels in masks.items()}
    transcripts: dict[str, Findings] = {}
    rows, said = [], []
    for one in heard:
        clock, missing, found = clocks.get(one.story), [], []
        if not os.path.lexists(one.transcript):
            missing.append(f"transcript {absent}".strip())
        else:
            if one.story not in transcripts:
                transcripts[one.story] = check_transcript(one.transcript, one.story, clock, reading=reading)
            found.append(transcripts[one.story])
        if not os.path.lexists(one.responses):
            missing.append(f"responses {absent}".strip())
        else:
            n_voxels, expected_by = expected.get(one.subject, (None, ""))
            responses = check_responses(
                one.responses,
                expected_rows=None if clock is None else len(clock.tr_times_s),
                expected_voxels=n_voxels,
                expected_by=expected_by,
                split=one.split,
            )
            if n_voxels is None and "voxels" in responses.columns:
                expected[one.subject] = responses.columns["voxels"], str(one.responses)
            found.append(responses)
        row = dict.fromkeys(COLUMNS) | {"subject": one.subject, "story": one.story, "split": one.split}
        row["volumes"] = None if clock is None else clock.n_volumes
        for findings in found:
            row |= findings.columns
        kinds = {kind: [line for of in found for line in getattr(of, kind)] for kind in ("impossible", "odd")}
        said += [(kind, line) for kind, lines in kinds.items() for line in lines]
        texts = {"missing": missing} | kinds
        rows.append(
            row
            | {
                name: " ".join(lines) if name != "missing" else ", ".join(lines)
                for name, lines in texts.items()
            }
        )
        progress()
    findings = pd.DataFrame(list(dict.fromkeys(said)), columns=["kind", "sentence"])
    return pd.DataFrame(rows, columns=COLUMNS), findings
