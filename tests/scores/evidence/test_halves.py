"""Both halves of a model's latents against plain formulas in float64 on rows in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.rows.pairs import Rows, assemble, fit_sources
from brainlm.rows.sources import Source
from brainlm.scores.correlation import pearson
from brainlm.scores.evidence.halves import Half, Halves, both_halves
from brainlm.scores.evidence.nuisances import fit_nuisances
from brainlm.scores.evidence.projections import SplitProjections, project_hearings, project_split
from tests.scores.evidence.stored import write_sources

# Neither splits nor stories in alphabetical order.
STORIES = {
    "train": {"night": 31, "fox": 26},
    "validation": {"zoo": 11, "cave": 14},
    "test": {"moon": 12, "apple": 17, "kite": 10},
}
HELD_OUT = ("test", "validation")
WIDTHS = {"first": 9, "second": 7, "lm": 6}
N_LATENTS, DEAD = 8, [0, 5]
LIVE = [1, 2, 3, 4, 6, 7]
NAMES = ["words", "letters", "constant"]
RECORDINGS = {story: story for split in STORIES.values() for story in split} | {
    "cave": "talk",
    "moon": "talk",
}
# float32 rows and projections of order 1.
CLOSE = {"rtol": 2e-4, "atol": 2e-4}


@dataclass(frozen=True, eq=False)
class Case:
    """A model of two brains and the LM, and what was stored of stories."""

    model: Crosscoder
    sources: Mapping[str, Source]
    nuisances: Mapping[str, np.ndarray]
    repeats: np.ndarray
    """(repeat, time, voxel) raw, of the test story "apple", in the first brain."""

    def rows(self, split: str, brain_time: str = "matched") -> Rows:
        return stored_rows(self, split, brain_time)

    def code(self, brain_time: str = "matched") -> np.ndarray:
        """(time, latent) of the test stories."""
        rows = self.rows("test", brain_time)
        return self.model.encode_rows({name: rows.source(name) for name in WIDTHS}).numpy()

    def halves(self, brain_time: str = "matched", *, splits=HELD_OUT, **others) -> Halves:
        arguments = {
            "source": "first",
            "activation": self.code(brain_time),
            "nuisances": self.nuisances,
            "nuisance_names": NAMES,
            "recordings": RECORDINGS,
            "hearings": {"apple": project_hearings(self.model, "first", self.repeats)},
        }
        projected = {split: projected_rows(self, split, brain_time) for split in splits}
        return both_halves(self.model, projected, **(arguments | others))


# Stores are slow to read, and the same few splits are asked for by all tests.
@cache
def stored_rows(case: Case, split: str, brain_time: str) -> Rows:
    pairing = {"brain_time": brain_time, "seed": 1}
    return assemble(case.sources, case.model.normalization, list(STORIES[split]), **pairing)


@cache
def projected_rows(case: Case, split: str, brain_time: str) -> SplitProjections:
    pairing = {"brain_time": brain_time, "seed": 1}
    return project_split(case.model, case.sources, list(STORIES[split]), pairing=pairing)


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Case:
    random = np.random.default_rng(0)
    lengths = {story: n for split in STORIES.values() for story, n in split.items()}
    nuisances = {
        story: np.column_stack([random.standard_normal((n, 2)), np.full(n, 3.0)])
        for story, n in lengths.items()
    }
    raw = {
        name: {
            story: nuisances[story][:, :1] + random.normal(1, 2, (n, width)) for story, n in lengths.items()
        }
        for name, width in WIDTHS.items()
    }
    sources = write_sources(tmp_path_factory.mktemp("sources"), raw)
    normalization, _ = fit_sources(
        sources,
        training=list(STORIES["train"]),
        all_stories=list(lengths),
        standardize={"first": "zscore", "second": "center", "lm": "none"},
    )
    weights, encoder = (
        {
            n: torch.from_numpy(random.standard_normal((w, N_LATENTS)).astype(np.float32))
            for n, w in WIDTHS.items()
        }
        for _ in range(2)
    )
    model = Crosscoder(
        weights,
        torch.zeros(N_LATENTS),
        3,
        normalization,
        encoder=encoder,
        alive=~np.isin(np.arange(N_LATENTS), DEAD),
    )
    repeats = raw["first"]["apple"] + random.normal(0, 1, (3, lengths["apple"], WIDTHS["first"]))
    return Case(model, sources, nuisances, repeats.astype(np.float32))


def slow_unmixed(case: Case, name: str, rows: np.ndarray) -> np.ndarray:
    """The least-squares code of live latents, by λ = 0.3 of their vectors' mean squared norm."""
    w = case.model.weights[name].numpy().astype(float)[:, LIVE]
    gram = w.T @ w
    return rows.astype(float) @ w @ np.linalg.inv(gram + 0.3 * np.mean(np.diag(gram)) * np.eye(len(LIVE)))


def slow_partialled(
    case: Case, name: str, values: np.ndarray, nuisances: np.ndarray, brain_time: str
) -> np.ndarray:
    """Minus what least squares over all held-out rows, in one piece and with an intercept, make of nuisances."""
    fitted = np.concatenate(
        [slow_unmixed(case, name, case.rows(split, brain_time).source(name)) for split in HELD_OUT]
    )
    design = np.concatenate([case.nuisances[story] for split in HELD_OUT for story in STORIES[split]])
    design = np.column_stack([np.ones(len(design)), design[:, :2]])
    fit = np.linalg.lstsq(design, fitted)[0]
    return values - np.column_stack([np.ones(len(nuisances)), nuisances[:, :2]]) @ fit


def check_half(case: Case, half: Half, name: str, splits: list[str], brain_time: str) -> None:
    rows = [case.rows(split, brain_time) for split in splits]
    expected = [
        (story, slow_unmixed(case, name, of_split.source(name)[of_split.story == number]))
        for of_split in rows
        for number, story in enumerate(of_split.stories)
    ]
    assert len(half.plain) == len(half.partialled) == len(expected)
    for (story, values), plain, partialled in zip(expected, half.plain, half.partialled, strict=True):
        np.testing.assert_allclose(plain, values, **CLOSE)
        # In the LM's time, also where brain rows are moved.
        wanted = slow_partialled(case, name, values, case.nuisances[story], brain_time)
        np.testing.assert_allclose(partialled, wanted, **CLOSE)


@pytest.mark.parametrize("brain_time", ["matched", "shuffled", "shifted", "noise"])
@pytest.mark.parametrize("source", ["first", "second"])
def test_halves_are_unmixed_and_partialled_as_held_out_rows_say(case, source, brain_time):
    halves = case.halves(brain_time, source=source)
    np.testing.assert_array_equal(halves.latents, LIVE)
    check_half(case, halves.brain, source, ["test"], brain_time)
    check_half(case, halves.lm, "lm", ["test", "validation"], brain_time)
    assert halves.nuisances == ("words", "letters")


@pytest.mark.parametrize("brain_time", ["matched", "shuffled"])
@pytest.mark.parametrize(("source", "half"), [("first", "brain"), ("second", "brain"), ("first", "lm")])
def test_residuals_are_what_all_latents_leave_dead_ones_too(case, source, half, brain_time):
    name = "lm" if half == "lm" else source
    found = getattr(case.halves(brain_time, source=source), half)
    z, x, w = (
        case.code(brain_time),
        case.rows("test", brain_time).source(name),
        case.model.weights[name].numpy(),
    )
    assert (z[:, DEAD] != 0).any()
    np.testing.assert_allclose(found.residual, (x - z @ w.T) @ w[:, LIVE], rtol=1e-3, atol=1e-3)
    without_dead = (x - z[:, LIVE] @ w[:, LIVE].T) @ w[:, LIVE]
    assert np.abs(found.residual - without_dead).max() > 0.1
    np.testing.assert_allclose(found.squared_norms, np.square(w[:, LIVE]).sum(axis=0), rtol=1e-5)
    total = np.square(x - x.mean(axis=0)).sum()
    assert found.energy.total(range(3)) == pytest.approx(total, rel=1e-5)


def test_the_code_is_that_of_live_latents(case):
    np.testing.assert_array_equal(case.halves().activation, case.code()[:, LIVE])


def test_what_is_left_of_held_out_rows_follows_no_nuisance(case):
    """Neither in the brain nor in the LM, so that nothing of nuisances can make them agree."""
    halves = case.halves()
    stories = [story for split in HELD_OUT for story in STORIES[split]]
    nuisances = np.concatenate([case.nuisances[story][:, :2] for story in stories])
    left = np.concatenate(halves.lm.partialled)
    centred = nuisances - nuisances.mean(axis=0)
    np.testing.assert_allclose(centred.T @ left, 0, atol=1e-9)
    np.testing.assert_allclose(left.mean(axis=0), 0, atol=1e-9)


def test_white_noise_that_was_learned_by_heart_agrees_with_nothing():
    """A brain decoder that holds training rows' noise at the times of the LM's codes, as training makes it."""
    random = np.random.default_rng(0)
    n_train, n_test, n_latents = 150, 130, 12
    agreements = []
    for _ in range(30):
        nuisances = random.standard_normal((n_train + n_test, 8))
        lm = nuisances @ random.standard_normal((8, n_latents)) + random.standard_normal(
            (n_train + n_test, n_latents)
        )
        brain = random.standard_normal((n_train + n_test, 160))
        by_heart = brain @ (brain[:n_train].T @ lm[:n_train])
        fit = [fit_nuisances([(values[n_train:], nuisances[n_train:])]) for values in (by_heart, lm)]
        left = [
            of.residual(values[n_train:], nuisances[n_train:])
            for of, values in zip(fit, (by_heart, lm), strict=True)
        ]
        agreements.append(pearson(*left).mean())
    # 30 draws of a mean over 12 latents of correlations over 130 rows, of standard deviation 0.09 each.
    assert abs(np.mean(agreements)) < 0.02


@pytest.mark.parametrize("brain_time", ["matched", "shuffled", "shifted"])
def test_hearings_are_the_brains_half_and_never_moved_in_time(case, brain_time):
    halves = case.halves(brain_time)
    ((plain, partialled),) = halves.hearings
    normalization = case.model.normalization["first"]
    for number, hearing in enumerate(case.repeats):
        values = slow_unmixed(case, "first", normalization.apply(hearing))
        np.testing.assert_allclose(plain[number], values, **CLOSE)
        wanted = slow_partialled(case, "first", values, case.nuisances["apple"], brain_time)
        np.testing.assert_allclose(partialled[number], wanted, **CLOSE)
    assert halves.hearings_of_mean == (1, 3, 1)
    assert case.halves(hearings={}).hearings == []
    assert case.halves(hearings={}).hearings_of_mean == (1, 1, 1)


def test_the_pool_of_swaps_is_the_test_stories_and_then_validation_stories(case):
    halves = case.halves()
    assert halves.recordings == ("talk", "apple", "kite", "zoo", "talk")
    assert len(halves.brain.plain) == halves.n_stories == 3
    alone = case.halves(splits=("test",))
    assert alone.recordings == ("talk", "apple", "kite") and len(alone.lm.plain) == 3
    for one, other in zip(alone.lm.plain, halves.lm.plain, strict=False):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("stories", [[0, 2], [1], [2, 0], [0, 1, 2]])
def test_some_stories_are_those_of_a_test_split_without_the_others(case, stories):
    names = [list(STORIES["test"])[number] for number in stories]
    chosen = case.halves().chosen(stories)
    code, story_of_row = case.code(), case.rows("test").story
    expected = both_halves(
        case.model,
        {
            split: project_split(
                case.model, case.sources, of_split, pairing={"brain_time": "matched", "seed": 1}
            )
            for split, of_split in (STORIES | {"test": names}).items()
            if split in HELD_OUT
        },
        source="first",
        activation=np.concatenate([code[story_of_row == number] for number in stories]),
        nuisances=case.nuisances,
        nuisance_names=NAMES,
        recordings=RECORDINGS,
        hearings={"apple": project_hearings(case.model, "first", case.repeats)} if 1 in stories else {},
    )
    assert chosen.recordings == expected.recordings and chosen.hearings_of_mean == expected.hearings_of_mean
    np.testing.assert_array_equal(chosen.story_of_row, expected.story_of_row)
    np.testing.assert_array_equal(chosen.activation, expected.activation)
    for half in ("brain", "lm"):
        one, other = getattr(chosen, half), getattr(expected, half)
        for a, b in zip(one.plain, other.plain, strict=True):
            np.testing.assert_allclose(a, b, **CLOSE)
        # Nuisances are fitted once, on all test stories.
        pool = [*stories, *range(3, 5)] if half == "lm" else stories
        for a, number in zip(one.partialled, pool, strict=True):
            np.testing.assert_array_equal(a, getattr(case.halves(), half).partialled[number])
        np.testing.assert_allclose(one.residual, other.residual, **CLOSE)
        every = range(len(stories))
        assert one.energy.total(every) == pytest.approx(other.energy.total(every), rel=1e-6)


def test_a_nuisance_of_zeros_changes_nothing(case):
    with_zeros = {
        story: np.column_stack([values, np.zeros(len(values))]) for story, values in case.nuisances.items()
    }
    one, other = case.halves(), case.halves(nuisances=with_zeros, nuisance_names=[*NAMES, "zeros"])
    assert one.nuisances == other.nuisances
    for a, b in zip(
        one.brain.partialled + one.lm.partialled, other.brain.partialled + other.lm.partialled, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_without_nuisances_the_mean_alone_is_taken_out(case):
    none = {story: values[:, :0] for story, values in case.nuisances.items()}
    halves = case.halves(nuisances=none, nuisance_names=[])
    rows = [slow_unmixed(case, "lm", case.rows(split).source("lm")) for split in HELD_OUT]
    mean = np.concatenate(rows).mean(axis=0)
    for plain, partialled in zip(halves.lm.plain, halves.lm.partialled, strict=True):
        np.testing.assert_allclose(plain - partialled, np.broadcast_to(mean, plain.shape), **CLOSE)
    assert halves.nuisances == ()


def test_a_model_without_live_latents_has_empty_halves(case):
    dead = replace(case, model=replace(case.model, alive=np.zeros(N_LATENTS, bool)))
    halves = dead.halves()
    assert halves.latents.size == 0 and [rows.shape for rows in halves.brain.partialled] == [
        (12, 0),
        (17, 0),
        (10, 0),
    ]
    assert halves.activation.shape == (39, 0) and halves.hearings[0][1].shape == (3, 17, 0)


def test_what_does_not_fit_is_refused(case):
    with pytest.raises(InputError, match=r"codes of the test stories are \(38, 8\), but .* \(39, 8\)"):
        case.halves(activation=case.code()[1:])
    for story in ("cave", "kite"):
        short = case.nuisances | {story: case.nuisances[story][1:]}
        n = len(short[story])
        with pytest.raises(InputError, match=f"Story '{story}' has {n + 1} TRs, but nuisances of {n}"):
            case.halves(nuisances=short)
    with pytest.raises(InputError, match="does not say which of its latents are alive"):
        replace(case, model=replace(case.model, alive=None)).halves()
    many = {
        story: np.random.default_rng(0).standard_normal((len(values), 7))
        for story, values in case.nuisances.items()
    }
    with pytest.raises(InputError, match="7 nuisances cannot be fitted over 64 held-out TRs"):
        case.halves(nuisances=many, nuisance_names=list("abcdefg"))
