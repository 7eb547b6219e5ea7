"""What is told of a dataset's files: each fault in a sentence, all of them at once."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from brainlm.data.check import (
    COLUMNS,
    Clock,
    Heard,
    check_responses,
    check_transcript,
    dataset_tables,
    shape_faults,
)

N_ROWS, N_VOXELS, TR_S = 60, 9, 2.0


@pytest.fixture
def clock() -> Clock:
    """A recording of 120 s that starts with the sound, of which nothing is cut off."""
    times_s = (np.arange(N_ROWS) + 0.5) * TR_S
    return Clock(N_ROWS, times_s, tr_s=TR_S, sound_onset_s=0.0, delays_s=[2, 4], window=3)


def write_responses(path: Path, values: np.ndarray | None = None, **others: np.ndarray) -> Path:
    random = np.random.default_rng(len(path.name))
    values = random.standard_normal((N_ROWS, N_VOXELS)) if values is None else values
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"] = values
        for name, array in others.items():
            file[name] = array
    return path


def write_transcript(path: Path, onset_s: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"word\t{onset}\t{onset + 0.3}\n" for onset in onset_s]
    path.write_text("word\tonset\toffset\n" + "".join(lines))
    return path


@pytest.mark.parametrize(
    ("onset_s", "impossible", "odd"),
    [
        (np.arange(0.5, 119, 0.5), [], []),
        (
            np.append(np.arange(0.5, 119, 0.5), [121, 130]),
            [],
            ["2 of 239 words begin after the recording's end"],
        ),
        (np.arange(0.5, 119, 4), [], ["it has 30 words for a recording of 2.0 minutes"]),
        (np.arange(0.5, 60, 0.5), [], ["rows (TRs) have no word"]),
        (np.arange(0.5, 400, 0.5), ["words begin after the recording's end"], []),
        ([], ["has no words"], []),
    ],
)
def test_words_are_compared_with_their_recording(tmp_path, clock, onset_s, impossible, odd):
    found = check_transcript(write_transcript(tmp_path / "forest.tsv", onset_s), "forest", clock)
    for sentences, parts in ((found.impossible, impossible), (found.odd, odd)):
        assert len(sentences) == len(parts)
        assert all(part in sentence for part, sentence in zip(parts, sentences, strict=True))
    if len(onset_s):
        assert found.columns["words"] == len(onset_s)
        assert found.columns["last word (s)"] == pytest.approx(max(onset_s) + 0.3)


def values_with(**changes: float) -> np.ndarray:
    values = np.random.default_rng(1).standard_normal((N_ROWS, N_VOXELS))
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    values[:, 3] = changes.get("constant", values[:, 3])
    values = changes.get("scale", 1) * values
    values[7] = changes.get("row", values[7])
    return values


@pytest.mark.parametrize(
    ("values", "impossible", "odd"),
    [
        (values_with(), [], []),
        (values_with()[:-2], ["has 58 rows (TRs), but 60 are expected"], []),
        (values_with()[:-2, 1:], ["has 58 rows", "has 8 voxels, but the mask has 9"], []),
        (values_with(constant=2.0), [], ["1 of 9 voxels are constant or somewhere not finite"]),
        (values_with(scale=40), [], ["9 of 9 voxels are not z-scored"]),
        (values_with(row=np.nan), ["has 1 rows (TRs) in which no voxel is finite: 7"], []),
        (np.zeros((N_ROWS, N_VOXELS)), ["none of its 9 voxels has finite values that vary"], []),
        (np.zeros((N_ROWS, N_VOXELS), int), ["floating-point numbers"], []),
    ],
)
def test_responses_are_compared_with_what_is_known(tmp_path, values, impossible, odd):
    path = write_responses(tmp_path / "forest.hf5", values)
    known = {"expected_rows": N_ROWS, "expected_voxels": N_VOXELS, "expected_by": "the mask"}
    found = check_responses(path, **known, split="test")
    for sentences, parts in ((found.impossible, impossible), (found.odd, odd)):
        assert len(sentences) == len(parts), sentences
        assert all(part in sentence for part, sentence in zip(parts, sentences, strict=True))


def test_hearings_are_counted_and_those_that_are_not_used_are_told(tmp_path):
    repeats = np.random.default_rng(2).standard_normal((3, N_ROWS, N_VOXELS))
    path = write_responses(tmp_path / "forest.hf5", repeats.mean(axis=0), individual_repeats=repeats)
    known = {"expected_rows": None, "expected_voxels": None, "expected_by": ""}
    of_test, of_train = (check_responses(path, **known, split=split) for split in ("test", "train"))
    assert of_test.columns["repeats"] == 3 and of_test.odd == []
    path = write_responses(tmp_path / "once.hf5", values_with(), individual_repeats=values_with()[None])
    (sentence,) = check_responses(path, **known, split="test").odd
    assert "a single hearing, which gives no noise ceiling" in sentence
    (sentence,) = of_train.odd
    assert "its 3 hearings are not used, for its split is train" in sentence


def test_shapes_alone_tell_what_cannot_be(tmp_path):
    files = {
        ("S1", story): tmp_path / f"{story}.hf5" for story in ("whole", "short", "narrow", "empty", "absent")
    }
    write_responses(files["S1", "whole"])
    write_responses(files["S1", "short"], values_with()[:-1])
    write_responses(files["S1", "narrow"], values_with()[:, 1:])
    files["S1", "empty"].write_bytes(b"")
    n_rows = dict.fromkeys([story for _, story in files], N_ROWS)
    short, narrow, empty = shape_faults(files, n_rows, unreadable=True)
    assert "short.hf5 has 59 rows (TRs), but 60 are expected" in short
    assert f"narrow.hf5 has 8 voxels, but {files['S1', 'whole']} has 9" in narrow
    assert "empty.hf5 is empty" in empty
    assert shape_faults(files, {}, unreadable=False) == [narrow]
    other_subjects = {(story, story): path for (_, story), path in files.items()}
    assert shape_faults(other_subjects, {}, unreadable=False) == []


def test_a_table_has_every_subject_and_story_and_each_sentence_is_told_once(tmp_path, clock):
    transcript = write_transcript(tmp_path / "forest.tsv", [0.5, 1.0])
    heard = [
        Heard(subject, story, "test", tmp_path / f"{story}.tsv", tmp_path / subject / f"{story}.hf5")
        for subject in ("S1", "S2")
        for story in ("forest", "harbour")
    ]
    for one in heard[:3]:
        write_responses(one.responses)
    steps = []
    table, findings = dataset_tables(
        heard, {"forest": clock}, {"S2": 8}, absent="not downloaded yet", progress=lambda: steps.append(1)
    )
    assert list(table.columns) == COLUMNS and len(steps) == 4
    assert table["missing"].tolist() == [
        "",
        "transcript not downloaded yet",
        "",
        "transcript not downloaded yet, responses not downloaded yet",
    ]
    assert table["words"].tolist()[::2] == [2, 2] and table["volumes"].tolist()[::2] == [N_ROWS, N_ROWS]
    assert findings["kind"].tolist() == ["odd"] * 2 + ["impossible"]
    assert (
        str(transcript) in findings["sentence"][0]
        and "the subject's cortical mask has 8" in findings["sentence"][2]
    )
