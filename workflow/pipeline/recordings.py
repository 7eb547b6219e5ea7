"""Stories that are segments of one recording, and where each begins in its sound: columns of the table of stories."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.names import look_alikes, name_fault

COLUMNS = ("sound_onset_s", "recording")
_NOTHING = ("", "n/a")
_PAIRS_NAMED = 5


@dataclass(frozen=True)
class Segment:
    """What the table of stories says of where a story lies."""

    sound_onset_s: float | None
    """of the sound, s after the story's first volume; negative if the sound has begun before. None: not given"""
    recording: str | None
    """whose transcript, on the recording's clock, the story shares; None: the story has its own"""


def check_spelling(path: Path, columns: Iterable[str]) -> None:
    """Check that no column of the table of stories is passed over because of a slip in its name.

    Raises
    ------
    ConfigError: a column that is called almost like one of `COLUMNS`.
    """
    for column in set(columns) - set(COLUMNS):
        if meant := get_close_matches(column.casefold(), COLUMNS, n=1, cutoff=0.85):
            raise ConfigError(f"{path} has a column '{column}', which is not read: call it {meant[0]}.")


def read_columns(path: Path, used: pd.DataFrame) -> dict[str, Segment]:
    """Story -> where it lies, for the stories of which the table says so.

    Parameters
    ----------
    path: of the table, for sentences.
    used: the table's lines that are not unused, as text; the columns may lack.

    Raises
    ------
    ConfigError: a sound onset that is no number, a recording that cannot be a file's name, a segment that does not
        say where it begins, or a recording that is itself called a segment of another.
    """
    segments = {}
    for line in used.to_dict("records"):
        onset, recording = (line.get(column, "") for column in COLUMNS)
        story, recording = line["story"], None if recording in _NOTHING else recording
        if onset in _NOTHING:
            if recording is not None:
                raise ConfigError(
                    f"{path}: the story '{story}' is a segment of the recording '{recording}', but its "
                    "sound_onset_s is empty: give the sound's onset in s after the segment's first volume, -120 for "
                    "a segment that begins 120 s into the sound."
                )
            continue
        segments[story] = Segment(
            seconds_of(
                path, story, "sound_onset_s", onset, "give seconds, for example 8.5, or leave it empty"
            ),
            recording,
        )
    texts = {story: segment.recording for story, segment in segments.items() if segment.recording}
    for recording in texts.values():
        if fault := name_fault(recording, any_alphabet=True):
            raise ConfigError(
                f"{path}: the name of a recording {fault}: rename its transcript and its lines."
            )
        if texts.get(recording, recording) != recording:
            raise ConfigError(
                f"{path} calls '{recording}' a recording, and a segment of the recording '{texts[recording]}': "
                "rename one of them."
            )
    if alike := look_alikes([*used["story"], *texts.values()]):
        raise ConfigError(
            f"{path} has the story or recording '{alike[0]}' and '{alike[1]}', whose files some disks take for the "
            "same: rename one of them."
        )
    return segments


def check_segments(
    dataset: Mapping[str, Any], segments: Mapping[str, Segment], volumes: Mapping[str, int]
) -> None:
    """Check that a sound is heard in every story whose sound onset the table of stories gives.

    Parameters
    ----------
    volumes: story -> volumes of its recording, from respdict.json.

    Raises
    ------
    ConfigError: a sound that begins after the story's last volume.
    """
    for story, segment in segments.items():
        end_s = volumes[story] * dataset["tr_s"]
        if segment.sound_onset_s >= end_s:
            raise ConfigError(
                f"{dataset['stories']} gives the story '{story}' the sound_onset_s {segment.sound_onset_s:g}, but "
                f"its {volumes[story]} volumes (derivative/respdict.json) last {end_s:g} s: it is the sound's onset "
                "in s after the story's first volume, negative for a segment that begins later than the sound."
            )


def describe_neighbours(
    dataset: Mapping[str, Any],
    stories: Mapping[str, Sequence[str]],
    segments: Mapping[str, Segment],
    volumes: Mapping[str, int],
    features: Iterable[Mapping[str, Any]],
) -> list[str]:
    """A sentence for each recording of which segments overlap, or of different splits see the same words.

    A row at t sees the words within the Lanczos window around t - delay, for any delay.

    Parameters
    ----------
    stories: split -> its stories.
    volumes: story -> volumes, from respdict.json.
    features: the settings of all features that the run computes.
    """
    split_of = {story: split for split, names in stories.items() for story in names}
    of_recording: dict[str, list[str]] = {}
    for story, segment in segments.items():
        if segment.recording and story in split_of:
            of_recording.setdefault(segment.recording, []).append(story)
    tr_s, trim = dataset["tr_s"], dataset["trim"]

    def seen(story: str, settings: Mapping[str, Any]) -> tuple[float, float]:
        start_s, reach_s = -segments[story].sound_onset_s, settings["lanczos"]["window"] * tr_s
        first_s = start_s + (trim["first"] + 0.5) * tr_s - max(settings["delays_s"]) - reach_s
        last_s = start_s + (volumes[story] - trim["last"] - 0.5) * tr_s
        return first_s, last_s - min(settings["delays_s"]) + reach_s

    def lasts(story: str) -> tuple[float, float]:
        start_s = -segments[story].sound_onset_s
        return start_s, start_s + volumes[story] * tr_s

    features, found = list(features), []
    for recording, names in of_recording.items():
        pairs = list(combinations(sorted(names, key=lambda story: -segments[story].sound_onset_s), 2))
        # Segments at the same place are hearings of the same piece.
        overlapping = [
            pair for pair in pairs if lasts(pair[0])[0] < lasts(pair[1])[0] < lasts(pair[0])[1] - tr_s / 2
        ]
        leaking = [
            (one, other)
            for one, other in pairs
            if split_of[one] != split_of[other]
            and any(seen(other, settings)[0] < seen(one, settings)[1] for settings in features)
        ]
        if overlapping:
            found.append(
                f"Segments of the recording '{recording}' overlap: {_listed(overlapping, split_of)}: check their "
                f"sound_onset_s in {dataset['stories']} and their volumes."
            )
        if leaking:
            found.append(
                f"Segments of the recording '{recording}' in different splits lie so close that rows (TRs) of both "
                f"see the same words: {_listed(leaking, split_of)}: a test at such a cut is no test on unheard "
                "words; mark a segment between them as unused."
            )
    return found


def seconds_of(path: Path, story: str, column: str, cell: str, advice: str) -> float:
    """A time in the table of stories.

    Raises
    ------
    ConfigError: it is no number.
    """
    try:
        time_s = float(cell)
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s):
        raise ConfigError(
            f"{path} gives the story '{story}' the {column} '{cell}', which is no number: {advice}."
        )
    return time_s


def _listed(pairs: Sequence[tuple[str, str]], split_of: Mapping[str, str]) -> str:
    named = [
        " and ".join(f"'{story}' ({split_of[story]})" for story in pair) for pair in pairs[:_PAIRS_NAMED]
    ]
    n_others = len(pairs) - len(named)
    return "; ".join(named) + (f"; and {n_others} more" if n_others else "")
