"""What the runs of several subjects must have in common to be one dataset: repetition time, onset and length."""

from collections.abc import Mapping

from brainlm.data.bids.sidecars import SAME_TR_S
from brainlm.errors import InputError

LARGEST_ONSET_DIFFERENCE = 0.05
"""Of the hearings of a story, in TRs."""
LARGEST_LENGTH_DIFFERENCE = 5
"""Of the hearings of a story, in volumes; what exceeds the shortest is cut off at the end."""


def common_tr(tr_s: Mapping[str, float]) -> float:
    """The repetition time of all runs, s.

    Parameters
    ----------
    tr_s: run -> its repetition time.

    Raises
    ------
    InputError: two runs differ by more than 1 ms.
    """
    (first, expected), *others = tr_s.items()
    for run, own in others:
        if abs(own - expected) > SAME_TR_S:
            raise InputError(
                f"{run} has a TR of {own:g} s, but {first} of {expected:g} s: all runs need the same; leave out the "
                "subjects or stories of one of them."
            )
    return expected


def common_onset(story: str, onset_s: Mapping[str, float], tr_s: float) -> float:
    """The onset of a story's sound in all its hearings, s after the first volume.

    Parameters
    ----------
    onset_s: run -> the onset, from `Timing.row_onset_s`.

    Raises
    ------
    InputError: two hearings differ by more than 0.05 TR.
    """
    (first, expected), *others = onset_s.items()
    for run, own in others:
        if abs(own - expected) > LARGEST_ONSET_DIFFERENCE * tr_s:
            raise InputError(
                f"Story '{story}': its sound begins {own:g} s after the first volume of {run}, but {expected:g} s "
                f"after that of {first}; hearings may differ by {LARGEST_ONSET_DIFFERENCE} TR: check onset_s, "
                "events.tsv and StartTime, or leave out one of them."
            )
    return expected


def common_length(story: str, n_volumes: Mapping[str, int]) -> int:
    """The volumes that all hearings of a story have.

    Parameters
    ----------
    n_volumes: run -> its volumes.

    Raises
    ------
    InputError: two hearings differ by more than 5 volumes.
    """
    shortest, longest = (find(n_volumes, key=n_volumes.__getitem__) for find in (min, max))
    if n_volumes[longest] - n_volumes[shortest] > LARGEST_LENGTH_DIFFERENCE:
        raise InputError(
            f"Story '{story}': {longest} has {n_volumes[longest]} volumes, but {shortest} has {n_volumes[shortest]}; "
            f"hearings of one story may differ by {LARGEST_LENGTH_DIFFERENCE}: are they of one story (the columns "
            "ses and run tell runs apart), or is one incomplete?"
        )
    return n_volumes[shortest]
