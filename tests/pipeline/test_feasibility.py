"""What a dataset is too small for is told from a plan and the lengths of recordings, before any job."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from brainlm.scores.stability import EncodedModel, pairs_of_seeds, pairs_of_subjects
from pipeline.config import Plan, make_plan
from pipeline.feasibility import compared_subjects, doubtful, impossible, shown_partners

TRAINING = ("one", "two", "three")
SPLITS = {**dict.fromkeys(TRAINING, "train"), "gamma": "validation", "delta": "test", "omega": "test"}
TRIM = {"first": 5, "last": 4}
ROWS = 100
"""Of each story; two of them are test stories, three are training stories."""


@pytest.fixture
def plan_of(tmp_path):
    """A plan of a local dataset of 100 TRs a story, TR 2 s, in which nothing is odd unless it is changed."""

    def build(*, rows: dict[str, int] | None = None, absent: tuple[str, ...] = (), **changes: Any) -> Plan:
        derivative = tmp_path / "data" / "derivative"
        for subject in ("S1", "S2"):
            folder = derivative / "preprocessed_data" / subject
            folder.mkdir(parents=True, exist_ok=True)
            for story in SPLITS:
                if f"{subject}/{story}" not in absent:
                    (folder / f"{story}.hf5").touch()
        (derivative / "TextGrids").mkdir(exist_ok=True)
        for story in SPLITS:
            (derivative / "TextGrids" / f"{story}.TextGrid").touch()
        volumes = {
            story: n + sum(TRIM.values()) for story, n in (dict.fromkeys(SPLITS, ROWS) | (rows or {})).items()
        }
        (derivative / "respdict.json").write_text(json.dumps(volumes))
        lines = [f"{story}\t{split}\n" for story, split in SPLITS.items()]
        (tmp_path / "stories.tsv").write_text("story\tsplit\n" + "".join(lines))
        config: dict[str, Any] = {
            "dataset": {
                **{"name": "mine", "source": "local", "root": str(tmp_path / "data"), "trim": TRIM},
                **{"tr_s": 2.0, "sound_onset_s": 0.0, "stories": str(tmp_path / "stories.tsv")},
            },
            "subjects": ["S1", "S2"],
            "language_model": {"name": "lm", "path_or_hub_id": "org/model", "blocks": [8]},
            "features": {"block": 8},
            "ridge": {"n_folds": 3},
            "crosscoder": {"n_latents": 300, "batch_size": 300},
            "themes": {"place": ["house"]},
            "seeds": [0, 1],
        }
        for path, value in changes.items():
            section, _, key = path.rpartition("__")
            (config.setdefault(section, {}) if section else config)[key] = value
        return make_plan(config)

    return build


def rows_of(plan: Plan) -> dict[str, int]:
    return plan.dataset.rows_of(plan.all_stories)


def test_rows_are_the_volumes_less_what_is_trimmed(plan_of):
    assert rows_of(plan_of(rows={"gamma": 33})) == dict.fromkeys(SPLITS, ROWS) | {"gamma": 33}


def test_what_fits_exactly_needs_no_word(plan_of):
    # 158 test TRs: 119 shifts of 20 TRs and more; as many latents and as large a batch as training TRs.
    plan = plan_of(rows={"delta": 100, "omega": 58})
    assert impossible(plan, rows_of(plan)) == [] and doubtful(plan, rows_of(plan)) == []


IMPOSSIBLE = {
    "folds": (
        {"ridge__n_folds": 4},
        "Config: ridge.n_folds is 4, but 'S1' (and 1 other) has 3 training stories, and folds are of whole "
        "stories: give 3 at most.",
    ),
    "folds of a subject that lacks a story": (
        {"absent": ("S2/one",)},
        "Config: ridge.n_folds is 3, but 'S2' has 2 training stories",
    ),
    "one training story": (
        {"absent": ("S2/one", "S2/two"), "ridge__n_folds": 2},
        "'S2' has one training story, but ridge regression, the baseline, needs two or more",
    ),
    "no shift": (
        {"rows": {"delta": 20, "omega": 19}},
        "Config: scores.minimum_shift_s is 40 s, but the 39 test TRs of 'S1' (and 1 other) leave no circular shift "
        "of at least 20 TRs",
    ),
    "no shift of a subject that lacks a story": (
        {"scores__minimum_shift_s": 101, "absent": ("S2/omega",)},
        "Config: scores.minimum_shift_s is 101 s, but the 100 test TRs of 'S2' leave no circular shift of at "
        "least 51",
    ),
    "no shift of a group": (
        {
            "absent": ("S1/delta", "S2/two"),
            "groups": {"both": ["S1", "S2"]},
            "ridge__n_folds": 2,
            "rows": {"delta": 100, "omega": 30},
            "scores__minimum_shift_s": 31,
        },
        "the 30 test TRs of 'S1' (and 1 other) leave no circular shift of at least 16 TRs",
    ),
    # Four delays: words and letters behind each, and four others, ten held-out TRs for each.
    "nuisances": (
        {"rows": {"gamma": 19, "delta": 50, "omega": 50}, "seeds": [0], "subjects": ["S1"]},
        "The evidence of a latent leaves out 12 nuisances, two for each of features.delays_s (experiment 'matched') "
        "and four others, which needs 10 held-out TRs for each, but 'S1' has 119 test and validation TRs",
    ),
    # The last row of 100 is volume 104, whose middle is 209 s after a sound that starts with the recording.
    "delays in another unit": (
        {"features__delays_s": [2000, 4000]},
        "Config: features.delays_s has 4000 s (experiment 'matched'), but the last training TR of 'S1' (and 1 "
        "other) is 209 s after the sound's onset",
    ),
    "delays of an experiment": (
        {"experiments": {"late": {"features": {"delays_s": [2, 210]}, "subjects": ["S2"]}}},
        "Config: features.delays_s has 210 s (experiment 'late'), but the last training TR of 'S2' is 209 s after",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_would_stop_a_run_at_its_end_is_told(plan_of, changes, sentence):
    plan = plan_of(**changes)
    (found,) = impossible(plan, rows_of(plan))
    assert found.startswith(sentence) or sentence in found
    assert "\n" not in found and found.endswith(".")


@pytest.mark.parametrize(
    "changes",
    [
        {"ridge__n_folds": 2},
        {"rows": {"delta": 20, "omega": 20}},
        {"rows": {"gamma": 20, "delta": 50, "omega": 50}},
        # Of other experiments no evidence is asked.
        {"experiments": {"many": {"features": {"delays_s": list(range(1, 31))}}}},
        {"features__delays_s": [2, 209]},
        {"experiments": {"late": {"features": {"delays_s": [2, 209]}}}},
    ],
)
def test_what_is_just_enough_is_not_refused(plan_of, changes):
    plan = plan_of(**changes)
    assert impossible(plan, rows_of(plan)) == []


DOUBTFUL = {
    # 2 * 20 + 18 TRs leave 19 shifts: the smallest p-value is 1 / 20; a TR less leaves 1 / 19.
    "agreement": (
        {"rows": {"delta": 40, "omega": 17}, "seeds": [0], "subjects": ["S1"]},
        "In 'S1' no latent's agreement can be significant at scores.false_discovery_rate 0.05: 57 test TRs leave 18 "
        "circular shifts of at least 20 TRs",
    ),
    "seeds": (
        {"rows": {"delta": 100, "omega": 57}, "subjects": ["S1"]},
        "The figure stability cannot compare the latents of 'S1' with other seeds: 157 test TRs leave 118 circular "
        "shifts of at least 20 TRs (the minimum shift), but 119 are needed to tell which latents are found "
        "again: give the test split 158 TRs or more.",
    ),
    "subjects": (
        {"absent": ("S1/omega",)},
        "cannot compare the latents of 'S1' with other seeds (2 of 3 such comparisons): 100 test TRs",
    ),
    "subjects without a common test story": (
        {"absent": ("S1/omega", "S2/delta"), "rows": {"delta": 158, "omega": 158}, "seeds": [0]},
        "cannot compare the latents of 'S1' and 'S2': 0 test TRs",
    ),
    "one step an epoch": (
        {"crosscoder__batch_size": 301},
        "crosscoder.batch_size is 301 (experiment 'matched'), but 'S1' (and 1 other) has 300 training TRs, so that "
        "an epoch is a single step",
    ),
    "more latents than TRs": (
        {"crosscoder__n_latents": 301},
        "crosscoder.n_latents is 301 (experiment 'matched'), but 'S1' (and 1 other) has 300 training TRs, so that a "
        "latent has less than one TR",
    ),
    "more latents than TRs in an experiment": (
        {"experiments": {"wide": {"crosscoder": {"n_latents": 400}, "subjects": ["S2"]}}},
        "crosscoder.n_latents is 400 (experiment 'wide'), but 'S2' has 300 training TRs",
    ),
    # Rows lie at 11, 13, ... 209 s: of the delays 2 and 40 s, the second is too long for the first 15 of 100 rows,
    # which
    # is 7.5 % of all times, and 60 s for 25 of them.
    "delays": (
        {"features__delays_s": [2, 60]},
        "12 % of the times that rows look back to by features.delays_s (experiment 'matched') lie before the sound's "
        "onset, where no words are: a story's first TR is 11 s after it.",
    ),
}


@pytest.mark.parametrize(("changes", "sentence"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_says_little_is_told_and_not_refused(plan_of, changes, sentence):
    plan = plan_of(**changes)
    (found,) = doubtful(plan, rows_of(plan))
    assert sentence in found
    assert "\n" not in found and found.endswith(".")
    assert impossible(plan, rows_of(plan)) == []


@pytest.mark.parametrize(
    "changes",
    [{"features__delays_s": [2, 40]}, {"rows": {"delta": 40, "omega": 18}, "seeds": [0], "subjects": ["S1"]}],
)
def test_what_says_enough_needs_no_word(plan_of, changes):
    plan = plan_of(**changes)
    assert doubtful(plan, rows_of(plan)) == []


def test_all_that_is_wrong_is_told_at_once(plan_of):
    plan = plan_of(ridge__n_folds=4, scores__minimum_shift_s=300, features__delays_s=[400])
    assert [sentence.split(" is ")[0] for sentence in impossible(plan, rows_of(plan))] == [
        "Config: ridge.n_folds",
        "Config: scores.minimum_shift_s",
        "Config: features.delays_s has 400 s (experiment 'matched'), but the last training TR of 'S1' (and 1 other)",
    ]


def test_without_respdict_only_the_numbers_of_stories_count(plan_of):
    plan = plan_of(ridge__n_folds=4, scores__minimum_shift_s=300)
    assert len(impossible(plan, {})) == 1 and doubtful(plan, {}) == []
    Path(plan.config["dataset"]["root"], "derivative", "respdict.json").unlink()
    assert rows_of(plan) == {}


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [([0], [("S1", "S2")]), ([0, 1], [("S1", "S1"), ("S2", "S2"), ("S1", "S2")])],
)
def test_subjects_are_compared_with_each_other_and_with_their_other_seeds(seeds, expected):
    assert compared_subjects({"subjects": ["S1", "S2"], "seeds": seeds}) == expected


@pytest.mark.parametrize("seeds", [[0], [4, 7], [2, 0, 1]])
@pytest.mark.parametrize("subjects", [["S1"], ["S1", "S2"], ["S3", "S1", "S2"]])
def test_the_maps_beside_a_subjects_own_are_of_models_that_it_was_compared_with(subjects, seeds):
    config = {"subjects": subjects, "seeds": seeds}
    models = {
        subject: [EncodedModel(subject, seed, {}, pd.DataFrame()) for seed in seeds] for subject in subjects
    }
    compared = set()
    for one, other in compared_subjects(config):
        pairs = pairs_of_seeds(models[one]) if one == other else pairs_of_subjects(models[one], models[other])
        named = [tuple((model.subject, model.seed) for model in pair) for pair in pairs]
        compared |= {*named, *((b, a) for a, b in named)}
    for subject in subjects:
        partners = shown_partners(config, subject)
        assert [model.subject == subject for model in partners] == [True] * (len(seeds) > 1) + [False] * (
            len(subjects) > 1
        )
        for model in partners:
            assert model.experiment == "matched"
            assert ((subject, seeds[0]), (model.subject, model.seed)) in compared
