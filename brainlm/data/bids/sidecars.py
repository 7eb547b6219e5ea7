"""When a run's volumes were recorded: its own sidecar, and those of the raw dataset that it inherits."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainlm.data.bids.names import parse_name
from brainlm.data.bids.runs import Run
from brainlm.data.respdict import read_json_object
from brainlm.errors import InputError
from brainlm.files import check_downloaded

LONGEST_TR_S = 30.0
"""A RepetitionTime above it is not in seconds."""
SAME_TR_S = 0.001


@dataclass(frozen=True)
class Timing:
    """When a run's volumes were recorded."""

    tr_s: float
    start_s: float
    """What the first row of the data stands for, s after the beginning of its first volume: the sidecar's StartTime,
    to which slice timing was corrected; without one, the middle of the volume."""

    def row_onset_s(self, sound_onset_s: float) -> float:
        """The sound's onset as it would be if row i stood for (i + 0.5) TR, s after the first volume.

        Row i stands for i TR + start_s.
        """
        return sound_onset_s + self.tr_s / 2 - self.start_s


def read_timing(run: Run, raw: Path | None) -> Timing:
    """Repetition time and the time of the first row, from the run's sidecar, then from the raw dataset's.

    Parameters
    ----------
    raw: the raw dataset, if there is one; its sidecars are inherited: of files whose name has no other entities than
        the run's, those deeper in the tree, and of one folder those with more entities, go before others.

    Raises
    ------
    InputError: no sidecar has RepetitionTime, or it is no time in s; StartTime lies outside the first volume; a
        sidecar cannot be read.
    """
    own = [file for file in _own_sidecars(run.images[0]) if file.exists()]
    inherited = {} if raw is None else _merged(raw_files(raw, run, "bold", "json"))
    given = inherited | _merged(own)
    where = str(own[0]) if own else f"{run.images[0]} (no sidecar of its own)"
    if "RepetitionTime" not in given:
        advice = "check raw" if raw else "set raw to the raw dataset, whose sidecars have it"
        raise InputError(
            f"{where}: neither it nor a sidecar of the raw dataset gives RepetitionTime: {advice}."
        )
    tr_s = _seconds(given["RepetitionTime"])
    if tr_s is None or not 0 < tr_s <= LONGEST_TR_S:
        raise InputError(
            f"{where}: RepetitionTime is {given['RepetitionTime']!r}, but seconds are needed, such as 1.5: mend it."
        )
    # fMRIPrep alone says to which time it has corrected; in a raw sidecar StartTime means something else.
    start = _merged(own).get("StartTime")
    if start is None:
        return Timing(tr_s, tr_s / 2)
    start_s = _seconds(start)
    if start_s is None or not 0 <= start_s <= tr_s:
        raise InputError(
            f"{where}: StartTime is {start!r}, but a time inside the first volume (0 to {tr_s:g} s) is needed: mend "
            "it."
        )
    return Timing(tr_s, start_s)


def raw_files(raw: Path, run: Run, suffix: str, extension: str) -> list[Path]:
    """The raw dataset's files that are about a run, those last that go before others (BIDS's inheritance).

    Parameters
    ----------
    suffix, extension: such as bold and json, events and tsv.
    """
    subject = raw / f"sub-{run.entities['sub']}"
    session = [subject / f"ses-{run.entities['ses']}"] if "ses" in run.entities else []
    folders = [raw, subject, *session, (session or [subject])[0] / "func"]
    return [path for folder in folders if folder.is_dir() for path in _about(folder, run, suffix, extension)]


def _about(folder: Path, run: Run, suffix: str, extension: str) -> Iterator[Path]:
    found = []
    for path in folder.glob(f"*{suffix}.{extension}"):
        file = parse_name(path)
        # The name bold.json, without entities, is one too.
        entities = dict(file.entities) if file and file.suffix == suffix else {}
        is_about = bool(entities) or path.name == f"{suffix}.{extension}"
        if is_about and entities.items() <= run.entities.items():
            found.append((len(entities), path))
    yield from (path for _, path in sorted(found))


def _own_sidecars(image: Path) -> list[Path]:
    """fMRIPrep calls a surface's sidecar .json, other programs .func.json."""
    stem = image.name.partition(".")[0]
    return [image.with_name(f"{stem}.json"), image.with_name(f"{stem}.func.json")]


def _merged(files: list[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for file in files:
        check_downloaded(file)
        content = read_json_object(file)
        if content is None:
            raise InputError(f"{file} is no JSON object, as a sidecar must be: mend it, or fetch it again.")
        merged |= content
    return merged


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
