"""Words and recordings that cannot be of one clock are refused; those that hardly can are worth a warning."""

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from brainlm.data.clocks import check_clocks
from brainlm.errors import InputError
from brainlm.resample import tr_midpoints

NAME = "data/forest.tsv, story 'forest'"
RECORDING = {"n_volumes": 100, "tr_s": 2.0, "sound_onset_s": 10.0, "first": 10, "last": 10}
DELAYS_S = (2.0, 4.0, 6.0, 8.0)


def spoken(begin_s: float, end_s: float, step_s: float = 0.5) -> np.ndarray:
    return np.arange(begin_s, end_s, step_s)


def check(onset_s, *, lasting_s=0.3, delays_s=DELAYS_S, window=3, is_segment=False, **changes) -> list[str]:
    """By default a recording of 200 s that ends 190 s after the sound's onset, with rows at 11, 13 ... 169 s."""
    of = RECORDING | changes
    times_s = tr_midpoints(
        of["n_volumes"] - of["first"] - of["last"],
        tr_s=of["tr_s"],
        sound_onset_s=of["sound_onset_s"],
        first_tr=of["first"],
    )
    onset_s = np.asarray(onset_s, float)
    return check_clocks(
        onset_s,
        onset_s + lasting_s,
        times_s,
        transcript=NAME,
        n_volumes=of["n_volumes"],
        tr_s=of["tr_s"],
        sound_onset_s=of["sound_onset_s"],
        delays_s=delays_s,
        window=window,
        is_segment=is_segment,
    )


def refusal(onset_s, **changes) -> str:
    with pytest.raises(InputError) as caught:
        check(onset_s, **changes)
    sentence = str(caught.value)
    assert sentence.startswith(f"{NAME}: ") and "\n" not in sentence
    return sentence.removeprefix(f"{NAME}: ")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tr_s": 1.5, "n_volumes": 134, "sound_onset_s": 11.0},
        {"tr_s": 0.72, "n_volumes": 264, "sound_onset_s": 0.0, "first": 0, "last": 0},
        {"n_volumes": 90, "sound_onset_s": -10.0, "first": 0, "last": 0},
        {
            "n_volumes": 191,
            "tr_s": 1,
            "sound_onset_s": 0,
            "first": 0,
            "last": 0,
            "delays_s": [0],
            "window": 1,
        },
    ],
    ids=str,
)
def test_words_of_the_recordings_length_fit(changes):
    assert check(spoken(0.25, 182), **changes) == []


def test_times_in_milliseconds_are_refused_as_such():
    sentence = refusal(1000 * spoken(0.25, 186.25))
    assert sentence.startswith(
        "372 of 372 words begin after the recording's end (190 s): are its times in milli"
    )
    assert sentence.endswith("milliseconds? Give seconds after the sound's onset.")


def test_a_short_transcript_in_milliseconds_is_refused_as_such():
    assert "milliseconds" in refusal(1000 * np.array([1.0, 4.0, 7.0]), lasting_s=300)


@pytest.mark.parametrize("begin_s", [200, 4000])
def test_times_that_are_no_milliseconds_are_not_called_so(begin_s):
    # Divided by 1000 they lie in the recording, but 300 words within 0.15 s.
    sentence = refusal(spoken(begin_s, begin_s + 150))
    assert (
        "300 of 300 words begin after the recording's end (190 s): is sound_onset_s (10 s) wrong" in sentence
    )
    assert "milliseconds" not in sentence


def test_the_transcript_of_a_story_that_is_more_than_twice_as_long_is_refused():
    sentence = refusal(spoken(0, 400))
    assert sentence.startswith(
        "419 of 800 words begin after the recording's end (190 s): it lasts 399.8 s and "
    )
    assert "the recording 200 s" in sentence and "another story's transcript" in sentence
    assert "milliseconds" not in sentence


@pytest.mark.parametrize("sound_onset_s", [10_000, 150])
def test_a_sound_onset_that_is_far_too_late_is_refused(sound_onset_s):
    sentence = refusal(spoken(0.25, 182), sound_onset_s=sound_onset_s)
    end = {10_000: "-9,800 s", 150: "50 s"}[sound_onset_s]
    assert f"begin after the recording's end ({end}): is sound_onset_s" in sentence


def test_a_sound_onset_long_before_the_recording_is_refused():
    sentence = refusal(spoken(0.25, 182), sound_onset_s=-100)
    assert (
        "199 of 364 words end before the recording's beginning (100 s): is sound_onset_s (-100 s)" in sentence
    )
    assert sentence.endswith("Of a segment, name the recording in the table of stories.")


def test_words_on_both_sides_of_the_recording_are_counted_together():
    sentence = refusal([0, 1, 2, 40, 50, 60, 90, 95], n_volumes=30, first=0, last=0, sound_onset_s=-20)
    assert sentence.startswith(
        "2 of 8 words begin after the recording's end (80 s) and 3 of 8 words end before the recording's beginning "
        "(20 s): "
    )


def test_exactly_half_of_the_words_may_lie_outside():
    onset_s = np.concatenate([spoken(0.25, 182), np.full(364, 191.0)])
    (warning,) = check(onset_s)
    assert "364 of 728 words begin after 183 s and are in no row" in warning
    assert refusal([*onset_s, 191]).startswith("365 of 729 words")
    # A word that begins with the recording's end does not begin after it.
    check([*onset_s, 190])


def test_words_after_all_rows_are_worth_a_warning_from_a_twentieth_on():
    # The last row is at 169 s; 8 s and 3 TRs of 2 s later nothing is heard in it.
    seen = np.linspace(0, 182, 190)
    assert check([*seen, *[183.5] * 10]) == []
    (warning,) = check([*seen[1:], *[183.5] * 11])
    assert warning.startswith(
        f"{NAME}: 11 of 200 words begin after 183 s and are in no row: the last row (TR) is at 169 s"
    )
    assert "does the trim cut off too much at the end, is sound_onset_s (10 s) wrong, or is" in warning
    assert check([*seen[1:], *[183.0] * 11]) == []


def test_words_after_the_recording_are_no_fault_of_the_trim():
    (warning,) = check(spoken(0.25, 240))
    assert "the recording's end at 190 s: it lasts" in warning
    assert "trim" not in warning


@pytest.mark.parametrize(("end_s", "n_wordless"), [(120, 18), (60, 48)])
def test_a_truncated_transcript_is_worth_a_warning(end_s, n_wordless):
    # A row at t sees words from t - 14 s to t + 4 s.
    (warning,) = check(spoken(0, end_s), lasting_s=0.5)
    assert warning.startswith(f"{NAME}: {n_wordless} of 80 rows (TRs) have no word within 6 s of any delay: ")
    assert f"its words last from 0 s to {end_s} s, the recording from -10 s to 190 s: is a part of" in warning


def test_a_fifth_of_rows_without_words_is_enough():
    # Rows at 139 ... 169 s, 16 of 80, begin to look 14 s before.
    assert check([*spoken(0, 124), 124.6], lasting_s=0.3)  # ends at 124.9
    assert check([*spoken(0, 124), 124.6], lasting_s=0.5) == []  # ends at 125.1


def test_a_gap_in_the_middle_is_seen():
    onset_s = np.concatenate([spoken(0, 50), spoken(120, 180)])
    (warning,) = check(onset_s)
    # The row at t is wordless if t + 4 < 120 and t - 14 > 49.8: 65, 67 ... 115 s.
    assert f"{NAME}: 26 of 80 rows (TRs) have no word" in warning


def test_a_sound_onset_that_is_somewhat_wrong_is_worth_a_warning():
    unseen, wordless = check(spoken(0.25, 182), sound_onset_s=60)
    assert "are in no row" in unseen and "have no word" in wordless
    assert all("sound_onset_s (60 s) wrong" in warning for warning in (unseen, wordless))
    (warning,) = check(spoken(0.25, 182), sound_onset_s=-50)
    assert "have no word" in warning and "sound_onset_s (-50 s) wrong" in warning


def test_a_word_that_lasts_is_heard_for_as_long():
    assert check([0.0], lasting_s=185) == []
    assert check([0.0], lasting_s=1)


@pytest.mark.parametrize("cut", [99, 100, 150])
def test_a_recording_of_which_nothing_is_left_is_refused(cut):
    assert "are left of its recording after trimming" in refusal([1.0], first=cut, last=0)


def test_words_before_the_sounds_onset_are_context():
    context = spoken(-4000, 0)
    assert check([*context, *spoken(0.25, 182)]) == []
    # They do not hide words that lie outside.
    assert refusal([*context, *spoken(200, 400)]).startswith(
        "400 of 400 words begin after the recording's end"
    )
    assert check([*context, *np.linspace(0, 182, 189), *[183.5] * 11])[0].startswith(
        f"{NAME}: 11 of 200 words"
    )


def test_words_that_all_lie_before_the_sounds_onset_are_refused():
    assert refusal(spoken(-200, -0.4)).startswith("all 400 words begin before the sound's onset: give times")


@pytest.mark.parametrize("sound_onset_s", [10, -1000, -3400])
def test_a_segment_lies_anywhere_in_its_recording(sound_onset_s):
    recording = spoken(0, 3600)
    assert check(recording, is_segment=True, sound_onset_s=sound_onset_s) == []
    assert "of 7200 words " in refusal(recording, sound_onset_s=sound_onset_s)


@pytest.mark.parametrize("sound_onset_s", [150, -3700, -120_000])
def test_a_segment_outside_its_recording_is_refused(sound_onset_s):
    sentence = refusal(spoken(0, 3600), is_segment=True, sound_onset_s=sound_onset_s)
    assert "of the segment's 80 rows (TRs), " in sentence and "lasts from 0 s to 3,599.8 s: is " in sentence
    assert f"is sound_onset_s ({sound_onset_s:,} s) wrong" in sentence


@pytest.mark.parametrize("lasting_s", [300, 450])
def test_a_recordings_transcript_in_milliseconds_is_refused_as_such(lasting_s):
    # Its words last minutes, so that there is one at any time.
    sentence = refusal(1000 * spoken(0, 3600), lasting_s=lasting_s, is_segment=True, sound_onset_s=-1020)
    assert sentence.endswith("are its times in milliseconds? Give seconds after the sound's onset.")


def test_a_gap_in_a_segment_is_worth_a_warning():
    recording = np.concatenate([spoken(0, 1050), spoken(1120, 3600)])
    (warning,) = check(recording, is_segment=True, sound_onset_s=-1000 + 10)
    assert "rows (TRs) have no word" in warning


CLOCKS = st.fixed_dictionaries(
    {
        "tr_s": st.sampled_from([0.5, 0.72, 1.0, 1.5, 2.0, 3.0]),
        "sound_onset_s": st.sampled_from([-12.5, -0.25, 0.0, 8.0, 10.0, 33.3]),
        "first": st.integers(0, 12),
        "last": st.integers(0, 12),
        "delays_s": st.lists(st.sampled_from([0.0, 1.25, 2.0, 4.0, 6.0, 8.0]), min_size=1, max_size=4),
        "window": st.integers(1, 4),
    }
)


@given(
    clock=CLOCKS,
    n_rows=st.integers(2, 60),
    onset_s=st.lists(st.floats(0, 150), min_size=1, max_size=30),
    lasting_s=st.sampled_from([0.0, 0.3, 5.0]),
)
def test_what_is_said_follows_from_a_count_of_each_word_and_each_row(clock, n_rows, onset_s, lasting_s):
    n_volumes = n_rows + clock["first"] + clock["last"]
    end_s = n_volumes * clock["tr_s"] - clock["sound_onset_s"]
    # In units of the rows: i is at (first + i + 1/2) TR - onset.
    rows_s = [(clock["first"] + i + 0.5) * clock["tr_s"] - clock["sound_onset_s"] for i in range(n_rows)]
    reach_s = clock["window"] * clock["tr_s"]
    edges = [-clock["sound_onset_s"], end_s, rows_s[-1] + max(clock["delays_s"]) + reach_s]
    edges += [t - d + side * reach_s for t in rows_s for d in clock["delays_s"] for side in (-1, 1)]
    # A rounding error decides nothing here.
    times_s = np.add.outer([0, lasting_s], onset_s)
    assume(np.abs(np.subtract.outer(np.array(edges), times_s)).min() > 1e-9)
    n_outside = sum(onset > end_s or onset + lasting_s < -clock["sound_onset_s"] for onset in onset_s)
    if 2 * n_outside > len(onset_s):
        refusal(onset_s, lasting_s=lasting_s, n_volumes=n_volumes, **clock)
        return
    n_unseen = sum(onset > edges[2] for onset in onset_s)
    n_wordless = sum(
        not any(
            onset <= t - d + reach_s and onset + lasting_s >= t - d - reach_s
            for onset in onset_s
            for d in clock["delays_s"]
        )
        for t in rows_s
    )
    said = " ".join(check(onset_s, lasting_s=lasting_s, n_volumes=n_volumes, **clock))
    numbers = {what: int(n) for n, what in re.findall(r"(\d+) of \d+ (words|rows)", said)}
    expected = {"words": n_unseen} if 20 * n_unseen > len(onset_s) else {}
    expected |= {"rows": n_wordless} if 5 * n_wordless >= n_rows else {}
    assert numbers == expected


@given(clock=CLOCKS, n_rows=st.integers(30, 200), rate=st.sampled_from([0.5, 1.0, 2.3, 4.0]))
def test_milliseconds_are_told_from_seconds_whatever_the_clock(clock, n_rows, rate):
    n_volumes = n_rows + clock["first"] + clock["last"]
    end_s = n_volumes * clock["tr_s"] - clock["sound_onset_s"]
    begin_s = max(0.0, -clock["sound_onset_s"])
    assume(end_s > begin_s + 10)
    onset_s = spoken(begin_s + 0.25, end_s - 0.5, 1 / rate)
    for in_ms in (1000 * onset_s, np.round(1000 * onset_s)):
        assert "milliseconds" in refusal(in_ms, lasting_s=200, n_volumes=n_volumes, **clock)
    with_doubts = check(onset_s, lasting_s=0.2, n_volumes=n_volumes, **clock)
    assert not any("milliseconds" in sentence for sentence in with_doubts)
