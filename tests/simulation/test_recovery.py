"""Which latent found what was planted, and the checks that the demo is judged by."""

import numpy as np
import pandas as pd
import pytest

from brainlm.report.checks import ceiling_check, demo_checks
from brainlm.simulation.features import Planted
from brainlm.simulation.recovery import match_planted

N_LATENTS = 5
FEATURES = {"place": "shared", "events 1": "spontaneous", "lm-only 1": "LM-only"}
OWN_LATENT = {"place": 3, "events 1": 1, "lm-only 1": 0}
N_VOXELS = 40


def unrelated_to(course: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Noise whose correlation with the course is 0."""
    course = course - course.mean()
    noise = random.standard_normal(len(course))
    return noise - course * (noise @ course) / (course @ course)


class PlantedCase:
    """Three features, each of which is one latent's activation; latents 2 and 4 are noise.

    Of these latents, all but that of the LM's own feature read their time course from the brain as well.
    """

    def __init__(self, seed: int = 0):
        random = np.random.default_rng(seed)
        self.planted = Planted(
            names=tuple(FEATURES),
            kinds=tuple(FEATURES.values()),
            time_courses=np.empty((0, len(FEATURES))),
            strength=np.ones(len(FEATURES)),
        )
        self.training = self.rows(200, random)
        self.test = self.rows(120, random)
        self.test_brain = self.test[1] + 0.3 * random.standard_normal(self.test[1].shape)
        self.test_brain[:, OWN_LATENT["lm-only 1"]] = unrelated_to(self.test[0][:, 2], random)
        self.maps = random.standard_normal((len(FEATURES), N_VOXELS))
        self.maps[list(FEATURES).index("lm-only 1")] = 0
        self.decoder_maps = random.standard_normal((N_VOXELS, N_LATENTS))
        for i, name in enumerate(FEATURES):
            if self.maps[i].any():
                self.decoder_maps[:, OWN_LATENT[name]] = 2 * self.maps[i] + 1
        self.latents = pd.DataFrame(
            {
                "latent": range(N_LATENTS),
                "r": [-0.9, 0.8, 0.3, 0.1, 0.0],
                "class": ["lm-dominant", "brain-dominant", "between", "shared", "shared"],
                "alive": [True] * N_LATENTS,
                "agreement": [0.1, 0.0, 0.2, 0.6, 0.3],
                "agreement_significant": [False, False, True, True, False],
            }
        )

    @staticmethod
    def rows(n_rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        courses = random.standard_normal((n_rows, len(FEATURES)))
        activation = random.standard_normal((n_rows, N_LATENTS))
        for i, name in enumerate(FEATURES):
            activation[:, OWN_LATENT[name]] = courses[:, i] + 0.1 * activation[:, OWN_LATENT[name]]
        return courses, activation

    def match(self, minimum_shift: int = 10) -> pd.DataFrame:
        return match_planted(
            self.planted,
            self.maps,
            training=self.training,
            test=self.test,
            test_brain=self.test_brain,
            decoder_maps=self.decoder_maps,
            latents=self.latents,
            minimum_shift=minimum_shift,
        ).set_index("feature")


def test_each_feature_is_matched_to_the_latent_that_follows_it():
    found = PlantedCase().match()
    assert found["latent"].to_dict() == OWN_LATENT
    assert found["kind"].to_dict() == FEATURES
    assert found["found"].all()
    assert (found[["training_correlation", "test_correlation"]] > 0.98).all(axis=None)
    assert (found["null_99"] < 0.4).all()


def test_the_latents_own_scores_stand_beside_it():
    case = PlantedCase()
    found = case.match()
    own = case.latents.set_index("latent")
    for feature, row in found.iterrows():
        for column in ("r", "class", "agreement", "agreement_significant"):
            assert row[column] == own.loc[OWN_LATENT[feature], column]


def test_maps_are_compared_over_voxels_where_something_is_planted():
    found = PlantedCase().match()
    assert found.loc["place", "map_correlation"] == pytest.approx(1)
    assert found.loc["events 1", "map_correlation"] == pytest.approx(1)
    assert np.isnan(found.loc["lm-only 1", "map_correlation"])


def test_dead_latents_are_not_matched():
    case = PlantedCase()
    case.latents.loc[OWN_LATENT["place"], "alive"] = False
    found = case.match()
    assert found.loc["place", "latent"] != OWN_LATENT["place"]
    assert found.loc["events 1", "latent"] == OWN_LATENT["events 1"]


def test_latents_that_are_never_active_are_not_matched():
    case = PlantedCase()
    case.training[1][:, 2] = 0
    assert case.match()["latent"].to_dict() == OWN_LATENT


def test_a_latent_that_follows_a_feature_the_other_way_round_has_not_found_it():
    case = PlantedCase()
    for _, activation in (case.training, case.test):
        activation[:, OWN_LATENT["place"]] *= -1
    assert case.match().loc["place", "latent"] != OWN_LATENT["place"]


def test_a_match_that_fails_on_test_stories_is_not_found():
    case = PlantedCase()
    courses, activation = case.test
    activation[:, OWN_LATENT["place"]] = unrelated_to(courses[:, 0], np.random.default_rng(1))
    found = case.match()
    # Chosen on training stories alone.
    assert found.loc["place", "latent"] == OWN_LATENT["place"]
    assert found.loc["place", "test_correlation"] == pytest.approx(0, abs=1e-9)
    assert not found.loc["place", "found"]
    # What it reads from the brain is judged apart.
    assert found.loc["place", "found_in_brain"]
    assert found.loc["events 1", "found"]


@pytest.mark.parametrize("wanted", [0.499, 0.501])
def test_half_a_correlation_is_well_found(wanted):
    case = PlantedCase()
    courses, activation = case.test
    course = (courses[:, 0] - courses[:, 0].mean()) / courses[:, 0].std()
    noise = unrelated_to(courses[:, 0], np.random.default_rng(1))
    noise -= noise.mean()
    activation[:, OWN_LATENT["place"]] = wanted * course + np.sqrt(1 - wanted**2) * noise / noise.std()
    place = case.match().loc["place"]
    assert place["test_correlation"] == pytest.approx(wanted)
    assert place["well_found"] == (wanted > 0.5) and place["found"]


def test_a_feature_that_is_only_in_the_lm_is_found_but_not_in_the_brain():
    found = PlantedCase().match()
    assert found.loc["lm-only 1", "found"]
    assert not found.loc["lm-only 1", "found_in_brain"]
    assert found.loc["lm-only 1", "brain_correlation"] == pytest.approx(0, abs=1e-9)
    assert found.loc[["place", "events 1"], "found_in_brain"].all()
    assert (found.loc[["place", "events 1"], "brain_correlation"] > 0.9).all()


# Checks of the demo


def summaries() -> pd.DataFrame:
    """Two seeds of each experiment; another initial norm for the first of them."""
    columns = [
        *("experiment", "subject", "seed", "share_shared", "share_brain-dominant"),
        *("share_agreeing", "shared_agreeing_latents"),
    ]
    rows = [
        ("matched", "S1", 0, 0.5, 0.3, 0.4, 12),
        ("matched", "S1", 1, 0.7, 0.1, 0.6, 8),
        ("shuffled", "S1", 0, 0.1, 0.5, 0.0, 1),
        ("shuffled", "S1", 1, 0.2, 0.4, 0.0, 0),
        ("shifted", "S1", 0, 0.3, 0.4, 0.0, 2),
        ("shifted", "S1", 1, 0.3, 0.4, 0.0, 0),
        ("noise", "S1", 0, 0.9, 0.0, 0.01, 3),
        ("noise", "S1", 1, 0.9, 0.0, 0.02, 3),
        ("init-norm", "S1", 0, 0.45, 0.38, 0.9, 5),
    ]
    return pd.DataFrame(rows, columns=columns)


def planted() -> pd.DataFrame:
    """Three shared features, one of word rate, four only in the brain, one only in the LM; and the control."""
    columns = ["feature", "kind", "found", "test_correlation", "found_in_brain", "brain_correlation"]
    columns += ["map_correlation", "r", "class"]
    rows = [
        ("place", "shared", True, 0.7, True, 0.6, 0.9, 0.0, "shared"),
        ("lm 1", "shared", True, 0.5, False, 0.05, 0.8, 0.2, "between"),
        ("lm 2", "shared", False, 0.1, False, 0.2, 0.4, 0.6, "brain-dominant"),
        ("words", "word rate", True, 0.7, True, 0.7, 0.3, 0.4, "between"),
        ("melody 1", "story-driven", True, 0.6, True, 0.6, 0.7, 0.7, "brain-dominant"),
        ("events 1", "spontaneous", True, 0.6, True, 0.6, 0.7, 0.8, "brain-dominant"),
        ("stripes 1", "stripes", True, 0.9, True, 0.9, 0.95, 1.0, "brain-dominant"),
        ("stripes 2", "stripes", True, 0.9, True, 0.9, 0.95, 0.9, "brain-dominant"),
        ("lm-only 1", "LM-only", True, 0.8, False, 0.0, np.nan, -0.9, "lm-dominant"),
    ]
    matched = pd.DataFrame(rows, columns=columns).assign(experiment="matched")
    control = matched[:2].assign(experiment="shuffled", found=[True, False], found_in_brain=False)
    return pd.concat([matched, control], ignore_index=True)


NAMES = {
    "shares": "shared latents, matched : shuffled",
    "found": "shared features found on test stories",
    "in brain": "shared features found in the brain on test stories",
    "called": "shared features called brain-dominant",
    "median r": "median r, brain-only minus shared features",
    "stripes": "stripe artefacts found and brain-dominant",
    "maps": "planted maps matched by their latent's decoder map",
    "agreement": "shared latents with significant agreement, matched : shifted",
    "noise": "white noise: latents with significant agreement",
    "start": "largest change of a class share with another initial norm",
}


def checks(of_summaries: pd.DataFrame, of_planted: pd.DataFrame) -> dict:
    """Short name of a check -> the check."""
    bars = {bar.name: bar for bar in demo_checks(of_summaries, of_planted)}
    assert list(bars) == list(NAMES.values())
    return {short: bars[name] for short, name in NAMES.items()}


def test_values_of_the_checks():
    bars = checks(summaries(), planted())
    assert {name: bar.value for name, bar in bars.items()} == pytest.approx(
        {
            "shares": 0.6 / 0.15,
            "found": 100 * 2 / 3,
            "in brain": 100 / 3,
            "called": 1,
            "median r": 0.85 - 0.2,
            "stripes": 100,
            "maps": 100 * 6 / 8,
            "agreement": 10,
            "noise": 1.5,
            "start": 8,
        }
    )
    assert {name: bar.met for name, bar in bars.items()} == {
        "shares": "yes",
        "found": "no",
        "in brain": "no",
        "called": "no",
        "median r": "yes",
        "stripes": "yes",
        "maps": "no",
        "agreement": "yes",
        "noise": "no",
        "start": "yes",
    }


def test_notes_give_the_numbers_behind_the_checks():
    bars = checks(summaries(), planted())
    assert bars["shares"].note == "60.0 % against 15.0 % of live latents; shifted: 30.0 %"
    assert bars["agreement"].note == "10.0 against 1.0 a model"
    assert bars["median r"].note == "0.85 minus 0.20"
    assert "lowest test correlation 0.10" in bars["found"].note
    assert "lowest test correlation 0.05" in bars["in brain"].note
    assert "lowest 0.30" in bars["maps"].note
    for name in ("1 shared", "1 between", "1 brain-dominant"):
        assert name in bars["called"].note
    # What the draw alone does: 0.5 against 0.7, where there are two seeds.
    assert bars["start"].note.endswith("between two seeds of a subject, 20.0 at most")
    one_seed = summaries()[lambda table: table["seed"] == 0]
    assert checks(one_seed, planted())["start"].note.endswith("between two seeds of a subject, – at most")


def test_shuffled_models_are_only_a_control():
    bars = checks(summaries(), planted())
    assert "shuffled, through the LM alone: 50.0 %" in bars["found"].note
    assert "shuffled: 0.0 %" in bars["in brain"].note
    table = planted()
    control = table["experiment"] == "shuffled"
    table.loc[control, ["found", "found_in_brain"]] = True
    table.loc[control, ["r", "map_correlation", "class"]] = [1.0, 1.0, "brain-dominant"]
    changed = checks(summaries(), table)
    assert {name: bar.value for name, bar in changed.items()} == {
        name: bar.value for name, bar in bars.items()
    }
    assert "shuffled: 100.0 %" in changed["in brain"].note


@pytest.mark.parametrize(
    ("column", "below", "name"),
    [("share_shared", "shuffled", "shares"), ("shared_agreeing_latents", "shifted", "agreement")],
)
def test_a_ratio_to_none_is_infinite_and_met(column, below, name):
    table = summaries()
    table.loc[table["experiment"] == below, column] = 0
    bar = checks(table, planted())[name]
    assert bar.value == np.inf
    assert bar.met == "yes"
    table.loc[table["experiment"] == "matched", column] = 0
    bar = checks(table, planted())[name]
    assert np.isnan(bar.value)
    assert bar.met == "not measured"


@pytest.mark.parametrize(("experiment", "name"), [("noise", "noise"), ("init-norm", "start")])
def test_a_run_without_an_experiment_does_not_measure_its_check(experiment, name):
    table = summaries()
    bars = checks(table[table["experiment"] != experiment], planted())
    assert [short for short, bar in bars.items() if bar.met == "not measured"] == [name]


def test_another_start_is_compared_on_the_models_that_both_have():
    table = summaries()
    start = table["experiment"] == "init-norm"
    # Seed 1 of matched has other shares, but no other start to compare with.
    table.loc[start, "share_brain-dominant"] = 0.1
    bar = checks(table, planted())["start"]
    assert bar.value == pytest.approx(20) and bar.note.startswith("means over 1 models;")
    # With it, the means of both seeds are compared: what goes one way and the other is chance.
    second = table[start].assign(seed=1, **{"share_brain-dominant": 0.3, "share_shared": 0.65})
    bar = checks(pd.concat([table, second]), planted())["start"]
    assert bar.value == pytest.approx(5) and bar.note.startswith("means over 2 models;")
    table.loc[start, "seed"] = 2
    assert checks(table, planted())["start"].met == "not measured"


@pytest.mark.parametrize(
    ("column", "value"), [("found", False), ("class", "between")], ids=["not found", "not brain-dominant"]
)
def test_all_stripes_must_be_found_and_brain_dominant(column, value):
    table = planted()
    table.loc[table["feature"] == "stripes 2", column] = value
    bar = checks(summaries(), table)["stripes"]
    assert bar.value == 50
    assert bar.met == "no"


def test_the_explainable_variance_must_be_what_was_planted():
    ceilings = pd.DataFrame(
        {"explainable_variance": [0.20, 0.31], "planted_explainable_variance": [0.21, 0.30]}
    )
    check = ceiling_check(ceilings)
    assert check.value == pytest.approx(100 * 0.01 / 0.21) and check.met == "yes"
    assert "0.200, planted 0.210; 0.310, planted 0.300" in check.note
    assert ceiling_check(ceilings.assign(explainable_variance=[0.2, 0.33])).met == "no"
    assert ceiling_check(pd.DataFrame({"subject": ["SIM01"], "story": [None]})).met == "not measured"
