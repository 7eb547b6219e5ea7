"""The noise ceiling in numbers and words."""

import numpy as np
import pandas as pd
import pytest

from brainlm.files import read_tsv
from brainlm.report.ceiling import ceiling_note, ceiling_rows, hearings
from brainlm.scores.ceiling import reliability


def heard(n_repeats: int, n_times: int, seed: int = 0) -> np.ndarray:
    """(repeat, time, voxel) hearings of a signal that is as strong as the noise, and of none in the last voxel."""
    random = np.random.default_rng(seed)
    signal = random.standard_normal((n_times, 5)) * [1, 1, 1, 1, 0]
    return signal + random.standard_normal((n_repeats, n_times, 5))


def test_the_ceiling_is_told_if_it_is_known():
    known = pd.DataFrame(
        {
            "story": ["oldcamera"],
            "n_repeats": [5],
            "n_trs": [1291],
            "explainable_variance": [0.1514],
            "ceiling_single": [0.424],
            "ceiling_mean": [0.627],
            "n_without_signal": [1169],
            "n_with_lost_hearings": [0],
        }
    )
    note = ceiling_note(known)
    for part in ("5 hearings of 'oldcamera'", "0.151", "0.42", "0.63", "1,169 have none"):
        assert part in note
    assert "lost" not in note and "stories" not in note
    assert hearings(known) == "5 hearings of 1,291 TRs"
    known["n_with_lost_hearings"] = 2048
    assert ceiling_note(known).endswith(
        "In 2,048 voxels a hearing or more is lost (constant or not finite); they rest on the others."
    )
    assert hearings(known) == "5 hearings of 1,291 TRs, fewer in 2,048 voxels"
    assert "No test story was heard several times" in ceiling_note(ceiling_rows({}))


def test_several_repeated_stories_stand_below_all_of_them(tmp_path):
    found = {"forest": reliability(heard(2, 60)), "NA": reliability(heard(5, 200, seed=1))}
    path = tmp_path / "ceiling.tsv"
    ceiling_rows(found).to_csv(path, sep="\t", index=False)
    table = read_tsv(path)
    assert table["story"].tolist() == ["forest, NA", "forest", "NA"]
    assert table["n_trs"].tolist() == [260, 60, 200] and table["n_repeats"].tolist() == [7, 2, 5]
    for row, of_story in zip(table.iloc[1:].itertuples(), found.values(), strict=True):
        assert row.explainable_variance == pytest.approx(np.mean(of_story.explainable_variance))
        assert row.ceiling_mean == pytest.approx(np.nanmean(of_story.ceiling_mean))
    low, high = sorted(table["explainable_variance"][1:])
    assert low < table["explainable_variance"][0] < high
    note = ceiling_note(table)
    assert note.startswith("Ceiling, from 2 hearings of 'forest', 5 hearings of 'NA': ")
    assert "weighted by their TRs" in note
    for row in table.iloc[1:].itertuples():
        assert f"'{row.story}' {row.explainable_variance:.3f}, {row.ceiling_single:.2f} and" in note
    assert hearings(table) == "2 stories, each heard 2 to 5 times, 260 TRs"


def test_one_story_has_one_row_and_voxels_without_signal_have_no_mean():
    noise = np.random.default_rng(2).standard_normal((20, 3))
    table = ceiling_rows({"a": reliability(np.stack([noise, -noise]))})
    assert table["story"].tolist() == ["a"] and table["n_without_signal"].tolist() == [3]
    assert table["ceiling_mean"].isna().all()
    assert "explainable variance of a hearing −1.000" in ceiling_note(table)
