from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from brainlm.crosscoder.log import few_rows_warning, total_variance
from brainlm.crosscoder.model import Crosscoder
from brainlm.crosscoder.objective import Objective, Parameters, written_out_loss
from brainlm.crosscoder.selection import Selection
from brainlm.crosscoder.settings import TrainingSettings
from brainlm.crosscoder.training import choose_dead, train
from brainlm.errors import InputError
from brainlm.scores.latents import classify, relative_difference

# What each planted latent drives.
KINDS = np.array(["shared"] * 3 + ["brain-dominant"] * 3 + ["lm-dominant"] * 2)
SMALL = TrainingSettings(n_latents=10, k=3, k_aux=4, epochs=4, batch_size=64, learning_rate=3e-3)


def orthogonal(width: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((width, len(KINDS))))[0]


BRAIN_DIRECTIONS, LM_DIRECTIONS = orthogonal(40, 0), orthogonal(24, 1)


def planted(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Brain and LM rows made of few orthogonal directions, a quarter of them active at a time."""
    random = np.random.default_rng(seed)
    size = (n_rows, len(KINDS))
    activity = (random.random(size) < 0.25) * (0.5 + random.exponential(1, size))
    brain = activity * (KINDS != "lm-dominant") @ BRAIN_DIRECTIONS.T
    lm = activity * (KINDS != "brain-dominant") @ LM_DIRECTIONS.T
    noise = 0.02 * random.standard_normal((n_rows, 64))
    return brain + noise[:, :40], lm + noise[:, 40:]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def splits(rows_of):
    """Training and validation rows; both sources of mean norm about 1."""
    training, validation = planted(1500, 0), planted(300, 1)
    scale = [np.linalg.norm(rows, axis=1).mean() for rows in training]
    return tuple(rows_of(brain=b / scale[0], lm=lm / scale[1]) for b, lm in (training, validation))


@pytest.fixture(scope="module")
def normalization(as_is):
    return {"brain": as_is(40), "lm": as_is(24)}


@pytest.fixture(scope="module")
def small(splits, normalization):
    return train(*splits, normalization, SMALL, seed=5, provenance={"run": "small"})


def saved(model: Crosscoder, path) -> bytes:
    model.save(path / "model.safetensors")
    return (path / "model.safetensors").read_bytes()


def sum_of_squares(model: Crosscoder, rows, source: str) -> float:
    z = model.encode_rows({name: rows.source(name) for name in model.weights}).numpy().astype(float)
    return np.sum((z @ model.weights[source].numpy().T - rows.source(source)) ** 2)


def test_planted_latents_are_found_in_the_right_class(splits, normalization):
    settings = replace(SMALL, n_latents=8, epochs=50, batch_size=500, learning_rate=1e-2)
    model, log = train(*splits, normalization, settings, seed=0)
    planted_latents = np.concatenate(
        [BRAIN_DIRECTIONS * (KINDS != "lm-dominant"), LM_DIRECTIONS * (KINDS != "brain-dominant")]
    )
    found = np.concatenate([weights.numpy() for weights in model.weights.values()])
    # Up to the sources' scales, which differ little.
    cosine = (planted_latents / np.linalg.norm(planted_latents, axis=0)).T @ (
        found / np.linalg.norm(found, axis=0)
    )
    assert np.all(cosine.max(axis=1) > 0.95)
    best = cosine.argmax(axis=1)
    assert len(set(best)) == len(KINDS)
    norms = model.decoder_norms()
    classes = classify(relative_difference(norms["brain"], norms["lm"]))
    np.testing.assert_array_equal(classes[best], KINDS)
    assert log["validation_explained_brain"].iloc[-1] > 0.95
    assert log["validation_explained_lm"].iloc[-1] > 0.95


def test_shuffled_pairs_leave_nothing_shared(splits, normalization, rows_of):
    training, validation = splits
    order = np.random.default_rng(2).permutation(len(training.values))
    shuffled = rows_of(brain=training.source("brain")[order], lm=training.source("lm"))
    # The three shared latents fall apart into one of the brain and one of the LM each.
    settings = replace(SMALL, n_latents=11, k=4, epochs=60, batch_size=500, learning_rate=1e-2)
    model, _ = train(shuffled, validation, normalization, settings, seed=0)
    norms = model.decoder_norms()
    classes = classify(relative_difference(norms["brain"], norms["lm"]))[model.alive]
    assert np.sum(classes == "brain-dominant") >= 5 and np.sum(classes == "lm-dominant") >= 4
    assert np.sum(classes == "shared") <= 1


def test_the_same_seed_gives_the_same_bytes(splits, normalization, small, tmp_path):
    again, log = train(*splits, normalization, SMALL, seed=5, provenance={"run": "small"})
    assert saved(again, tmp_path) == saved(small[0], tmp_path)
    assert log.equals(small[1])


def test_another_seed_gives_another_model(splits, normalization, small):
    other, _ = train(*splits, normalization, SMALL, seed=6)
    assert not torch.allclose(other.weights["brain"], small[0].weights["brain"], atol=1e-3)


def test_the_loss_falls(splits, normalization):
    _, log = train(*splits, normalization, replace(SMALL, epochs=15), seed=0)
    assert np.all(np.diff(log["loss"]) < 0)
    assert log["loss"].iloc[-1] < 0.5 * log["loss"].iloc[0]
    for source in ("brain", "lm"):
        explained = log[f"validation_explained_{source}"]
        assert explained.iloc[-1] > explained.iloc[0] + 0.3


def test_the_log_has_a_line_an_epoch(splits, normalization):
    seen = []
    _, log = train(
        *splits, normalization, SMALL, seed=5, on_epoch=lambda lines: seen.append(lines[-1]["loss"])
    )
    assert log["epoch"].tolist() == [1, 2, 3, 4]
    assert seen == log["loss"].tolist()
    assert log["negative_share"].between(0, 1).all()


def test_explained_variance_of_the_last_epoch_is_that_of_the_model(splits, small):
    (_, validation), (model, log) = splits, small
    total = 0.0
    for source in ("brain", "lm"):
        rows = validation.source(source).astype(float)
        error = sum_of_squares(model, validation, source)
        expected = 1 - error / np.sum((rows - rows.mean(axis=0)) ** 2)
        assert log[f"validation_explained_{source}"].iloc[-1] == pytest.approx(expected, abs=1e-5)
        total += error
    assert log["validation_squared_error"].iloc[-1] == pytest.approx(total / 300, rel=1e-5)


# 1500 rows: one batch, an even split, a last batch of one row, and batches larger than the data.
@pytest.mark.parametrize("batch_size", [1500, 500, 1499, 4000])
def test_every_row_counts_once_an_epoch(splits, normalization, batch_size):
    training, validation = splits
    # Without learning, the log of an epoch is that of the initial model on all rows.
    settings = replace(SMALL, epochs=1, batch_size=batch_size, learning_rate=0.0)
    model, log = train(training, validation, normalization, settings, seed=0)
    errors = {source: sum_of_squares(model, training, source) for source in ("brain", "lm")}
    line = log.iloc[0]
    assert line["loss"] == pytest.approx(sum(errors.values()) / 1500, rel=1e-5)
    assert line["training_squared_error"] == pytest.approx(sum(errors.values()) / 1500, rel=1e-5)
    for source, error in errors.items():
        rows = training.source(source).astype(float)
        expected = 1 - error / np.sum((rows - rows.mean(axis=0)) ** 2)
        assert line[f"training_explained_{source}"] == pytest.approx(expected, abs=1e-5)
    z = model.encode_rows({source: training.source(source) for source in ("brain", "lm")})
    np.testing.assert_array_equal(model.alive, (z != 0).any(dim=0))
    assert line["dead_latents"] == np.sum(~model.alive)
    assert line["negative_share"] == pytest.approx((z < 0).sum().item() / z.count_nonzero().item(), rel=1e-5)


def test_a_small_last_batch_takes_part_in_learning(splits, normalization):
    # 1500 rows in batches of 1499: the one row left over must move the weights, too.
    settings = replace(SMALL, epochs=1, batch_size=1499)
    one_step, _ = train(*splits, normalization, replace(settings, batch_size=1500), seed=0)
    two_steps, _ = train(*splits, normalization, settings, seed=0)
    moved = (two_steps.weights["brain"] - one_step.weights["brain"]).abs().max()
    assert moved > 0.1 * settings.learning_rate


def test_training_is_adam_on_the_written_out_loss(splits, normalization):
    # One batch an epoch, so that the order of rows does not matter; no dead latents.
    settings = replace(SMALL, epochs=6, batch_size=1500, k_aux=0)
    start, _ = train(*splits, normalization, replace(settings, epochs=1, learning_rate=0.0), seed=0)
    parameters = [torch.cat(list(start.weights.values())), start.bias.clone()]
    assert start.bias.abs().max() == 0
    adam = torch.optim.Adam([p.requires_grad_() for p in parameters], lr=settings.learning_rate)
    rows, objective = splits[0], Objective(Selection(3))
    for _ in range(settings.epochs):
        adam.zero_grad()
        x = torch.from_numpy(rows.values)
        written_out_loss(Parameters(*parameters), x, rows.slices, objective).total.backward()
        adam.step()
    model, _ = train(*splits, normalization, settings, seed=0)
    weights, bias = (p.detach() for p in parameters)
    torch.testing.assert_close(torch.cat(list(model.weights.values())), weights, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model.bias, bias, rtol=1e-3, atol=1e-4)
    assert bias.abs().max() > 0.01


def test_a_source_alone_can_be_trained(rows_of, as_is, splits):
    lm = [rows_of(lm=rows.source("lm")) for rows in splits]
    model, log = train(*lm, {"lm": as_is(24)}, replace(SMALL, epochs=20), seed=0)
    assert list(model.weights) == ["lm"] and log["validation_explained_lm"].iloc[-1] > 0.5


def test_the_model_keeps_what_it_was_trained_with(small, normalization):
    model, log = small
    assert {"settings": asdict(SMALL), "seed": 5, "run": "small"}.items() <= model.provenance.items()
    best = log["validation_squared_error"].to_numpy().argmin()
    assert model.provenance["best_validation_epoch"] == log["epoch"].iloc[best]
    assert model.provenance["software"]["torch"] == torch.__version__
    assert (model.k, model.n_latents, model.relu) == (3, 10, False)
    assert model.normalization == normalization
    assert np.sum(~model.alive) == log["dead_latents"].iloc[-1]


def test_relu_leaves_no_negative_code(splits, normalization):
    # More latents a row than have positive pre-activations.
    settings = replace(SMALL, k=8, epochs=2)
    for relu in (False, True):
        model, _ = train(*splits, normalization, replace(settings, relu=relu), seed=0)
        z = model.encode_rows({source: splits[1].source(source) for source in ("brain", "lm")})
        assert model.relu == relu and bool((z < 0).any()) != relu


def test_latents_are_revived_from_the_second_epoch_on(splits, normalization):
    settings = replace(SMALL, n_latents=200, k=1, k_aux=50, epochs=3)
    _, log = train(*splits, normalization, settings, seed=0)
    assert log["dead_latents"].iloc[0] > 0
    assert log["auxiliary"].iloc[0] == 0 and log["auxiliary"].iloc[1] > 0
    # The auxiliary loss is part of the loss, with its weight.
    expected = log["training_squared_error"] + settings.alpha * log["auxiliary"]
    np.testing.assert_allclose(log["loss"], expected, rtol=1e-5)


def test_latents_that_fired_only_in_earlier_epochs_are_dead(splits, normalization):
    settings = replace(SMALL, n_latents=100, k=1, epochs=8, k_aux=0, batch_size=500)
    _, log = train(*splits, normalization, settings, seed=0)
    # The winners take it all: latents go silent that had fired.
    assert log["dead_latents"].iloc[-1] > log["dead_latents"].iloc[0]


def test_dead_latents_learn_what_the_others_leave_over(splits, normalization):
    settings = replace(SMALL, n_latents=100, k=1, epochs=10, k_aux=20, batch_size=500)
    left_over = {}
    for alpha in (0.0, 1.0):
        _, log = train(*splits, normalization, replace(settings, alpha=alpha), seed=0)
        assert log["dead_latents"].min() > 0
        left_over[alpha] = (log["auxiliary"] / log["training_squared_error"]).iloc[-1]
    assert left_over[1.0] < left_over[0.0] - 0.1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(fired: torch.Tensor, k_aux: int, random: torch.Generator) -> set[int]:
    return set(choose_dead(fired, k_aux, random).nonzero().flatten().tolist())


def test_nobody_is_dead_in_the_first_epoch():
    assert drawn(torch.ones(4, dtype=torch.bool), 5, generator(0)) == set()


def test_dead_latents_are_drawn_from_the_dead():
    fired = torch.ones(30, dtype=torch.bool)
    dead = [1, 4, 9, 16, 25, 29]
    fired[dead] = False
    drawn_at_all = set()
    for seed in range(40):
        here = drawn(fired, 2, generator(seed))
        assert len(here) == 2 and here <= set(dead)
        drawn_at_all |= here
    assert drawn_at_all == set(dead)


@pytest.mark.parametrize(
    ("n_dead", "k_aux", "n_drawn"), [(0, 5, 0), (3, 5, 3), (5, 5, 5), (20, 5, 5), (3, 0, 0), (20, 99, 20)]
)
def test_at_most_k_aux_are_drawn(n_dead, k_aux, n_drawn):
    fired = torch.arange(20) >= n_dead
    assert len(drawn(fired, k_aux, generator(0))) == n_drawn


def test_each_batch_draws_anew():
    fired, random = torch.zeros(100, dtype=torch.bool), generator(0)
    assert drawn(fired, 10, random) != drawn(fired, 10, random)


def test_total_variance_is_that_of_numpy_in_any_blocks(splits):
    rows = splits[1]
    for block_rows in (1, 7, 300, 1024):
        totals = total_variance(rows, block_rows)
        for source in ("brain", "lm"):
            expected = rows.source(source).astype(float).var(axis=0).sum() * 300
            assert totals[source] == pytest.approx(expected, rel=1e-5)


def test_k_larger_than_the_dictionary_is_an_error(splits, normalization):
    with pytest.raises(InputError, match=r"k \(11\) is larger than n_latents \(10\)"):
        train(*splits, normalization, replace(SMALL, k=11), seed=0)


@pytest.mark.parametrize("changed", [{"k": 0}, {"batch_size": 0}, {"epochs": 0}])
def test_sizes_of_zero_are_errors(splits, normalization, changed):
    with pytest.raises(InputError, match="at least 1"):
        train(*splits, normalization, replace(SMALL, **changed), seed=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"select_by": "values"}, "select_by must be one of value, contribution, not 'values'"),
        ({"top_k_over": "Batch"}, "top_k_over must be one of row, batch, not 'Batch'"),
        ({"precision": "float16"}, "precision must be one of float32"),
        ({"source_weights": {"lm": -1.0}}, "weight of source 'lm' is negative"),
    ],
)
def test_unknown_choices_are_errors(splits, normalization, changed, message):
    with pytest.raises(InputError, match=message):
        train(*splits, normalization, replace(SMALL, **changed), seed=0)


def test_weights_that_blow_up_in_the_last_step_are_an_error(splits, normalization):
    # The loss of the only step is that of the initial weights.
    settings = replace(SMALL, epochs=1, batch_size=1500, learning_rate=float("inf"))
    with pytest.raises(InputError, match="no longer finite in epoch 1"):
        train(*splits, normalization, settings, seed=0)


def test_a_source_that_does_not_vary_has_no_explained_variance(splits, normalization, rows_of):
    training, validation = splits
    constant = rows_of(brain=validation.source("brain"), lm=np.ones((300, 24)))
    _, log = train(training, constant, normalization, SMALL, seed=0)
    assert log["validation_explained_lm"].isna().all() and log["validation_explained_brain"].notna().all()


def test_a_batch_without_positive_preactivations_leaves_the_threshold_finite(rows_of, as_is):
    silent = rows_of(lm=np.zeros((40, 6)))
    settings = replace(SMALL, top_k_over="batch", relu=True, learning_rate=1e-6)
    model, log = train(silent, rows_of(lm=np.eye(6)), {"lm": as_is(6)}, settings, seed=0)
    assert np.isfinite(log["threshold"]).all() and np.isfinite(model.threshold)


# Many steps in epoch 1, or one, so that the loss goes wrong in the second.
@pytest.mark.parametrize(("batch_size", "message"), [(64, "in epoch 1"), (1500, r"in epoch 2 \(it was \d")])
def test_a_loss_that_is_no_number_is_an_error(splits, normalization, batch_size, message):
    settings = replace(SMALL, learning_rate=1e25, batch_size=batch_size)
    with pytest.raises(InputError, match=rf"not? .*finite {message}.*learning_rate") as error:
        train(*splits, normalization, settings, seed=0)
    assert "nan" not in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"tied": False},
        {"select_by": "contribution"},
        {"top_k_over": "batch"},
        {"top_k_over": "batch", "relu": True, "tied": False, "select_by": "contribution"},
    ],
)
def test_variants_of_the_model_learn_and_are_what_the_log_says(splits, normalization, options):
    settings = replace(SMALL, epochs=25, batch_size=250, learning_rate=1e-2, **options)
    model, log = train(*splits, normalization, settings, seed=0)
    for source in ("brain", "lm"):
        assert log[f"validation_explained_{source}"].iloc[-1] > 0.6
        # The saved model codes held-out rows as the log's last line did.
        rows = splits[1].source(source).astype(float)
        explained = 1 - sum_of_squares(model, splits[1], source) / np.sum((rows - rows.mean(axis=0)) ** 2)
        assert log[f"validation_explained_{source}"].iloc[-1] == pytest.approx(explained, abs=1e-4)


def test_an_untied_encoder_starts_as_the_decoder_and_leaves_it(splits, normalization):
    settings = replace(SMALL, tied=False, epochs=1, learning_rate=0.0)
    start, _ = train(*splits, normalization, settings, seed=0)
    trained, _ = train(*splits, normalization, replace(settings, learning_rate=1e-3), seed=0)
    for source in ("brain", "lm"):
        assert torch.equal(start.encoder[source], start.weights[source])
        assert (trained.encoder[source] - trained.weights[source]).abs().max() > 1e-3
    assert train(*splits, normalization, SMALL, seed=0)[0].encoder is None


def test_batch_top_k_keeps_k_a_row_on_average(splits, normalization):
    settings = replace(SMALL, top_k_over="batch", epochs=25, batch_size=250, learning_rate=1e-2)
    model, log = train(*splits, normalization, settings, seed=0)
    counts = np.count_nonzero(
        model.encode_rows({source: splits[1].source(source) for source in ("brain", "lm")}), axis=1
    )
    assert counts.mean() == pytest.approx(settings.k, rel=0.15) and counts.std() > 0.5
    assert model.threshold == log["threshold"].iloc[-1]
    row, row_log = train(*splits, normalization, SMALL, seed=0)
    assert row.threshold is None and "threshold" not in row_log


def test_a_heavier_source_is_reconstructed_better(splits, normalization):
    # Too few latents for both.
    settings = replace(SMALL, n_latents=4, k=1, epochs=30, batch_size=250, learning_rate=1e-2)
    explained = {
        weight: train(*splits, normalization, replace(settings, source_weights={"lm": weight}), seed=0)[
            1
        ].iloc[-1]
        for weight in (0.05, 1.0, 20.0)
    }
    for source, sign in (("lm", 1), ("brain", -1)):
        course = [explained[weight][f"validation_explained_{source}"] for weight in (0.05, 1.0, 20.0)]
        assert np.all(sign * np.diff(course) > 0)


def test_three_sources_are_trained_as_two_are(splits, rows_of, as_is):
    parts = [
        rows_of(one=rows.source("brain")[:, :25], two=rows.source("brain")[:, 25:], lm=rows.source("lm"))
        for rows in splits
    ]
    widths = {"one": 25, "two": 15, "lm": 24}
    model, log = train(
        *parts, {name: as_is(width) for name, width in widths.items()}, replace(SMALL, epochs=20), seed=0
    )
    assert {name: tuple(w.shape) for name, w in model.weights.items()} == {
        name: (width, 10) for name, width in widths.items()
    }
    assert all(log[f"validation_explained_{name}"].iloc[-1] > 0.3 for name in widths)
    assert set(model.decoder_norms()) == set(widths)


def test_a_weight_for_an_unknown_source_is_an_error(splits, normalization):
    with pytest.raises(InputError, match="source_weights names 'eeg'; the sources are brain, lm"):
        train(*splits, normalization, replace(SMALL, source_weights={"eeg": 2.0}), seed=0)


@pytest.fixture(scope="module")
def r_by_precision(splits, normalization):
    """r of the latents of three models after 180 steps in three precisions, from the same starts."""
    settings = replace(SMALL, n_latents=16, epochs=30, batch_size=250, learning_rate=5e-3)
    r = {"float64": [], "float32": [], "bfloat16": []}
    for precision, values in r.items():
        for seed in range(3):
            model, _ = train(*splits, normalization, replace(settings, precision=precision), seed=seed)
            assert model.weights["brain"].dtype == torch.float32
            norms = model.decoder_norms()
            values.extend(relative_difference(norms["brain"], norms["lm"]))
    return {precision: np.array(values) for precision, values in r.items()}


def test_float32_hardly_moves_r_of_any_latent(r_by_precision):
    assert np.ptp(r_by_precision["float64"]) > 0.5
    difference = np.abs(r_by_precision["float32"] - r_by_precision["float64"])
    assert 0 < difference.max() < 1e-4


def test_bfloat16_moves_r_of_most_latents_little(r_by_precision):
    # There are twice as many latents as planted ones: rounding lets some of them end elsewhere. A class is 0.4 wide.
    difference = np.abs(r_by_precision["bfloat16"] - r_by_precision["float64"])
    assert 0 < np.median(difference) < 0.05
    assert np.mean(difference < 0.2) > 0.75


class QuestionsAsked(TorchDispatchMode):
    """Counts what would make a processor wait until a GPU has come that far."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "is_nonzero")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += any(name in str(function) for name in self.WAITING)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", [{}, {"top_k_over": "batch", "tied": False, "precision": "bfloat16"}])
def test_steps_ask_nothing_of_a_gpu(splits, normalization, options):
    # As many questions an epoch with one step as with 24, dead latents included.
    settings = replace(SMALL, n_latents=100, k=1, k_aux=20, **options)
    asked = {}
    for batch_size in (1500, 64):
        with QuestionsAsked() as questions:
            _, log = train(*splits, normalization, replace(settings, batch_size=batch_size), seed=0)
        assert log["dead_latents"].iloc[0] > 0
        asked[batch_size] = questions.count
    assert asked[64] == asked[1500] > 0


def test_few_rows_a_latent_are_said_and_the_papers_are_not_few():
    assert few_rows_warning(19 * 1024, 1024) == few_rows_warning(44 * 64, 64) == ""
    assert few_rows_warning(14 * 8, 8) == ""
    sentence = few_rows_warning(448, 64)
    assert "448 training rows are 7 for each of 64 latents" in sentence
    assert "lower n_latents" in sentence and "validation" in sentence
