import json
import os
import stat
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from brainlm.crosscoder.model import Crosscoder
from brainlm.errors import InputError
from brainlm.rows.normalization import Normalization

N_LATENTS, K = 12, 3


def slow_top_k(row, k: int, relu: bool) -> np.ndarray:
    result = np.zeros_like(row)
    for latent in sorted(range(len(row)), key=lambda i: row[i], reverse=True)[:k]:
        result[latent] = max(row[latent], 0) if relu else row[latent]
    return result


@pytest.fixture
def model() -> Crosscoder:
    """Five of six voxels and three of three hidden dimensions, with everything that can be stored."""
    random = np.random.default_rng(0)
    brain = Normalization(
        kept=np.array([True, True, False, True, True, True]),
        offset=random.standard_normal(5).astype(np.float32),
        scale=random.uniform(0.5, 2, 5).astype(np.float32),
        mean_norm=2.5,
        standardize="zscore",
    )
    lm = Normalization(np.ones(3, bool), np.zeros(3, np.float32), np.ones(3, np.float32), 11.1, "none")
    return Crosscoder(
        weights={
            "brain": torch.from_numpy(random.standard_normal((5, N_LATENTS)).astype(np.float32)),
            "lm": torch.from_numpy(random.standard_normal((3, N_LATENTS)).astype(np.float32)),
        },
        bias=torch.from_numpy(random.standard_normal(N_LATENTS).astype(np.float32)),
        k=K,
        normalization={"brain": brain, "lm": lm},
        alive=np.arange(N_LATENTS) % 4 > 0,
        provenance={"seed": 3, "settings": {"alpha": 1 / 32, "stories": ["a", "b"]}, "note": None},
    )


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    return {"brain": random.normal(1, 2, (20, 6)), "lm": random.normal(0, 9, (20, 3))}


def preactivations(model: Crosscoder, inputs) -> np.ndarray:
    total = model.bias.numpy().astype(np.float64)
    for source, raw in inputs.items():
        n = model.normalization[source]
        total = total + (raw[:, n.kept] - n.offset) / n.scale / n.mean_norm @ model.weights[source].numpy()
    return total


def test_sizes(model):
    assert model.n_latents == N_LATENTS and model.k == K
    assert model.widths == {"brain": 6, "lm": 3}


def test_decoder_norms(model):
    norms = model.decoder_norms()
    assert set(norms) == {"brain", "lm"}
    for source, weights in model.weights.items():
        np.testing.assert_allclose(norms[source], np.sqrt((weights.numpy() ** 2).sum(axis=0)), rtol=1e-6)


@pytest.mark.parametrize("relu", [False, True])
def test_encode_is_eq_1_in_numpy(model, inputs, relu):
    # So many of the latents that negative values are kept.
    model = Crosscoder(model.weights, model.bias, 9, model.normalization, relu=relu)
    expected = [slow_top_k(row, 9, relu) for row in preactivations(model, inputs)]
    z = model.encode(inputs)
    assert z.shape == (20, N_LATENTS) and z.dtype == np.float32
    np.testing.assert_allclose(z, expected, rtol=1e-4, atol=1e-5)
    assert bool((z < 0).any()) != relu


def test_encode_of_one_source_keeps_the_bias_and_rescales_nothing(model, inputs):
    only_lm = {"lm": inputs["lm"]}
    expected = [slow_top_k(row, K, False) for row in preactivations(model, only_lm)]
    np.testing.assert_allclose(model.encode(only_lm), expected, rtol=1e-4, atol=1e-5)
    # As if the brain were silent, which is not the brain's raw zero.
    silent = {"brain": model.normalization["brain"].invert(np.zeros((20, 5), np.float32)), **only_lm}
    silent["brain"][:, 2] = 0.0
    np.testing.assert_allclose(model.encode(only_lm), model.encode(silent), atol=1e-5)


def test_excluded_columns_do_not_matter(model, inputs):
    expected = model.encode(inputs)
    inputs["brain"][:, 2] = np.nan
    np.testing.assert_array_equal(model.encode(inputs), expected)


def test_projections_add_up_to_the_preactivations(model, inputs):
    rows = model.normalize(inputs)
    total = sum(model.project(source, rows[source]) for source in rows) + model.bias
    np.testing.assert_allclose(total, preactivations(model, inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("relu", [False, True])
def test_sparse_rows_are_the_code_in_falling_order(model, inputs, relu):
    model = Crosscoder(model.weights, model.bias, K, model.normalization, relu=relu)
    rows = model.normalize(inputs)
    values, latents = model.active_rows(rows)
    assert values.shape == latents.shape == (20, K)
    assert np.all(np.diff(values, axis=1) <= 0) and latents.dtype == np.int32
    dense = np.zeros((20, N_LATENTS), np.float32)
    np.put_along_axis(dense, latents.astype(int), values, axis=1)
    np.testing.assert_array_equal(dense, model.encode_rows(rows))


def test_a_row_with_fewer_active_latents_ends_in_zeros(model, inputs):
    # A threshold leaves another number of latents in each row.
    model = replace(model, threshold=1.5)
    rows = model.normalize(inputs)
    z = model.encode_rows(rows)
    values, latents = model.active_rows(rows)
    counts = (z != 0).sum(dim=1).numpy()
    assert values.shape[1] == counts.max() > counts.min()
    np.testing.assert_array_equal((values != 0).sum(axis=1), counts)
    dense = np.zeros((20, N_LATENTS), np.float32)
    np.put_along_axis(dense, latents.astype(int), values, axis=1)
    np.testing.assert_array_equal(dense, z)


def test_a_threshold_keeps_what_is_above_it_in_each_row(model, inputs):
    by_value = replace(model, threshold=0.8)
    expected = preactivations(model, inputs)
    expected = np.where(expected > 0.8, expected, 0)
    np.testing.assert_allclose(by_value.encode(inputs), expected, rtol=1e-4, atol=1e-5)
    # Rows do not depend on each other, as they did in training.
    alone = np.concatenate(
        [by_value.encode({s: raw[t : t + 1] for s, raw in inputs.items()}) for t in range(20)]
    )
    np.testing.assert_allclose(by_value.encode(inputs), alone, rtol=1e-5, atol=1e-6)


def test_latents_can_compete_by_their_contribution(model, inputs):
    norms = np.sqrt(sum(norm**2 for norm in model.decoder_norms().values()))
    z = replace(model, select_by="contribution").encode(inputs)
    for row, pre in zip(z, preactivations(model, inputs), strict=True):
        assert set(np.flatnonzero(row)) == set(np.argsort(pre * norms)[-K:])
        np.testing.assert_allclose(row[row != 0], pre[row != 0], rtol=1e-4)
    assert not np.array_equal(z, model.encode(inputs))


def test_an_encoder_of_its_own_encodes_and_the_weights_decode(model, inputs):
    random = np.random.default_rng(4)
    encoder = {
        source: torch.from_numpy(random.standard_normal(weights.shape).astype(np.float32))
        for source, weights in model.weights.items()
    }
    untied = replace(model, encoder=encoder)
    np.testing.assert_array_equal(untied.encode(inputs), replace(model, weights=encoder).encode(inputs))
    z = untied.encode(inputs)
    np.testing.assert_array_equal(untied.decode(z)["lm"], model.decode(z)["lm"])
    assert untied.decoder_norms()["lm"].tolist() == model.decoder_norms()["lm"].tolist()


def test_decode_is_eq_2_and_3_in_raw_units(model, inputs):
    z = model.encode(inputs)
    decoded = model.decode(z)
    brain, lm = model.normalization["brain"], model.normalization["lm"]
    expected = (z @ model.weights["brain"].numpy().T) * brain.mean_norm * brain.scale + brain.offset
    np.testing.assert_allclose(decoded["brain"][:, brain.kept], expected, rtol=1e-4, atol=1e-4)
    assert np.isnan(decoded["brain"][:, 2]).all()
    np.testing.assert_allclose(
        decoded["lm"], z @ model.weights["lm"].numpy().T * lm.mean_norm, rtol=1e-4, atol=1e-4
    )


def test_no_latent_decodes_to_the_offset(model):
    # There is no decoder bias.
    decoded = model.decode(np.zeros((1, N_LATENTS), np.float32))
    np.testing.assert_allclose(decoded["brain"][0, [0, 1, 3, 4, 5]], model.normalization["brain"].offset)
    np.testing.assert_array_equal(decoded["lm"], np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"brain": np.zeros((20, 5))}, r"'brain' must be an array \(time, 6\); got \(20, 5\)"),
        ({"lm": np.zeros(3)}, r"'lm' must be an array \(time, 3\); got \(3,\)"),
        ({"lm": np.zeros((19, 3))}, "same number of rows.*brain 20, lm 19"),
        ({"brain": None}, "'brain' must be an array .* got NoneType"),
        ({"brain": np.zeros((20, 6), complex)}, "'brain' must be an array .* got complex numbers"),
        ({3: np.zeros((20, 3))}, "got brain, lm, 3"),
        ({"eeg": np.zeros((20, 3))}, "sources brain, lm; got brain, lm, eeg"),
    ],
)
def test_inputs_that_do_not_fit_are_errors(model, inputs, changed, message):
    with pytest.raises(InputError, match=message):
        model.encode({**inputs, **changed})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_where_the_model_looks_has_no_code(model, inputs, value):
    whole = model.encode(inputs)
    inputs["brain"][3, 1] = inputs["lm"][17, 0] = value
    inputs["brain"][9, 2] = value  # a column that the model does not use
    z = model.encode(inputs)
    assert np.isnan(z[[3, 17]]).all()
    others = np.delete(np.arange(20), [3, 17])
    np.testing.assert_allclose(z[others], whole[others], rtol=1e-5)
    # Whatever cannot hold NaN says where it is.
    rows = model.normalize(inputs)
    for refuses in (model.active_rows, lambda rows: model.active(model.preactivations(rows))):
        with pytest.raises(InputError, match=r"not finite in 2 rows \(TRs\): 3, 17 \(counted from 0\)"):
            refuses(rows)


def test_batches_without_a_row_have_codes_without_a_row(model, inputs):
    nothing = {source: raw[:0] for source, raw in inputs.items()}
    assert model.encode(nothing).shape == (0, N_LATENTS)
    assert model.decode(model.encode(nothing))["brain"].shape == (0, 6)
    for part in model.active_rows(model.normalize(nothing)):
        assert part.shape == (0, 1)


@pytest.mark.filterwarnings("error")
def test_encode_and_decode_take_other_arrays(model, inputs):
    inputs = {source: raw.astype(np.float32) for source, raw in inputs.items()}
    z = model.encode(inputs)
    brain, lm = inputs["brain"], inputs["lm"]
    frozen = z.astype(">f8")
    frozen.flags.writeable = False
    for held in (
        {"brain": brain.tolist(), "lm": torch.from_numpy(lm).requires_grad_()},
        {"brain": pd.DataFrame(brain), "lm": np.asfortranarray(lm.astype(">f8"))},
        xarray.Dataset({"brain": (("time", "voxel"), brain), "lm": (("time", "hidden"), lm)}),
    ):
        np.testing.assert_allclose(model.encode(held), z, rtol=1e-5)
    for held in (z.tolist(), frozen, torch.from_numpy(z).double().requires_grad_(), z[::-1].copy()[::-1]):
        np.testing.assert_allclose(
            model.decode(held)["brain"], model.decode(z)["brain"], rtol=1e-5, atol=1e-6
        )


def test_hidden_entries_of_a_masked_array_are_missing(model, inputs):
    hidden = np.ma.array(inputs["lm"], mask=np.zeros((20, 3), bool))
    hidden[5] = np.ma.masked
    z = model.encode({"brain": inputs["brain"], "lm": hidden})
    np.testing.assert_array_equal(np.isnan(z).any(axis=1), np.arange(20) == 5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_of_the_code_that_is_not_finite_has_no_reconstruction(model, inputs, value):
    z = model.encode(inputs)
    whole = model.decode(z)
    z[4, 7] = value
    for source, rows in model.decode(z).items():
        assert np.isnan(rows[4]).all()
        np.testing.assert_allclose(
            np.delete(rows, 4, 0), np.delete(whole[source], 4, 0), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("z", [np.zeros(N_LATENTS), np.zeros((5, N_LATENTS + 1)), None, [["a"] * N_LATENTS]])
def test_a_code_that_does_not_fit_is_an_error(model, z):
    with pytest.raises(InputError, match=rf"The code z must be an array \(time, {N_LATENTS}\)"):
        model.decode(z)


def test_rows_that_are_normalized_have_another_width(model, inputs):
    with pytest.raises(
        InputError, match=r"Normalized rows of 'brain' must be an array \(time, 5\); got \(20, 6\)"
    ):
        model.project("brain", inputs["brain"])


def test_an_array_without_its_source_is_an_error(model, inputs):
    with pytest.raises(InputError, match=r"source name -> array; got ndarray.*brain, lm"):
        model.encode(inputs["brain"])


def test_no_input_is_an_error(model):
    with pytest.raises(InputError, match="got none"):
        model.encode({})


@pytest.mark.parametrize("with_alive", [True, False])
def test_a_model_comes_back_bit_for_bit(model, inputs, tmp_path, with_alive):
    model = Crosscoder(
        model.weights,
        model.bias,
        K,
        model.normalization,
        relu=True,
        alive=model.alive if with_alive else None,
        provenance=model.provenance,
    )
    model.save(tmp_path / "model.safetensors")
    loaded = Crosscoder.load(tmp_path / "model.safetensors")
    assert list(loaded.weights) == ["brain", "lm"]
    for source, weights in model.weights.items():
        assert torch.equal(loaded.weights[source], weights)
        before, after = model.normalization[source], loaded.normalization[source]
        for field in ("kept", "offset", "scale"):
            np.testing.assert_array_equal(getattr(after, field), getattr(before, field), strict=True)
        assert (after.mean_norm, after.standardize) == (before.mean_norm, before.standardize)
    assert torch.equal(loaded.bias, model.bias)
    assert (loaded.k, loaded.relu, loaded.provenance) == (K, True, model.provenance)
    if with_alive:
        np.testing.assert_array_equal(loaded.alive, model.alive, strict=True)
    else:
        assert loaded.alive is None
    np.testing.assert_array_equal(loaded.encode(inputs), model.encode(inputs))


def test_variants_come_back(model, inputs, tmp_path):
    encoder = {source: 2 * weights for source, weights in model.weights.items()}
    variant = replace(model, encoder=encoder, select_by="contribution", threshold=0.25)
    variant.save(tmp_path / "model.safetensors")
    loaded = Crosscoder.load(tmp_path / "model.safetensors")
    assert (loaded.select_by, loaded.threshold) == ("contribution", 0.25)
    assert all(torch.equal(loaded.encoder[source], weights) for source, weights in encoder.items())
    np.testing.assert_array_equal(loaded.encode(inputs), variant.encode(inputs))


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    # safetensors shuffles the keys of its metadata, so that two tries are not enough.
    saved = set()
    for _ in range(12):
        model.save(tmp_path / "model.safetensors")
        saved.add((tmp_path / "model.safetensors").read_bytes())
    assert len(saved) == 1
    Crosscoder.load(tmp_path / "model.safetensors").save(tmp_path / "again.safetensors")
    assert saved == {(tmp_path / "again.safetensors").read_bytes()}


def test_weights_that_are_views_are_saved_as_they_are(model, tmp_path):
    turned = {source: weights.T.contiguous().T for source, weights in model.weights.items()}
    Crosscoder(turned, model.bias, K, model.normalization).save(tmp_path / "model.safetensors")
    loaded = Crosscoder.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.weights["brain"], model.weights["brain"])


def test_a_failed_save_leaves_the_old_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    before = path.read_bytes()
    broken = Crosscoder(model.weights, model.bias, K, model.normalization, provenance={"x": {1, 2}})
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_others_may_read_a_saved_model_as_far_as_the_umask_lets_them(model, tmp_path):
    umask = os.umask(0o022)
    try:
        model.save(tmp_path / "model.safetensors")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "model.safetensors").stat().st_mode) == 0o644


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"model\.safetensors does not exist"):
        Crosscoder.load(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="is no file"):
        Crosscoder.load(tmp_path)


@pytest.mark.parametrize("kept_bytes", [0, 5, 100, -1])
def test_a_truncated_file_is_an_error(model, tmp_path, kept_bytes):
    path = tmp_path / "model.safetensors"
    model.save(path)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    with pytest.raises(InputError, match="copied whole"):
        Crosscoder.load(path)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"format": "pt"},
        {"crosscoder": "not JSON"},
        {"crosscoder": "[1]"},
        {"crosscoder": json.dumps({"format": "brainlm crosscoder 99"})},
    ],
)
def test_a_foreign_safetensors_file_is_an_error(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    save_file({"bias": torch.zeros(3)}, path, metadata)
    with pytest.raises(InputError, match="not a crosscoder written by brainlm"):
        Crosscoder.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("kept.brain"), r"lacks 'kept\.brain'"),
        (lambda tensors: tensors.pop("bias"), "lacks 'bias'"),
        (
            lambda tensors: tensors.update({"weights.lm": torch.zeros(4, N_LATENTS)}),
            r"weights of 'lm' are \(4, 12\), but \(3, 12\) is needed",
        ),
        (lambda tensors: tensors.update(bias=torch.zeros(13)), r"'brain' are \(5, 12\), but \(5, 13\)"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_an_error(model, tmp_path, change, message):
    path = tmp_path / "model.safetensors"
    model.save(path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)
    with pytest.raises(InputError, match=rf"model\.safetensors.*{message}"):
        Crosscoder.load(path)


def test_folders_are_made_for_a_model(model, tmp_path):
    model.save(str(tmp_path / "new" / "er" / "model.safetensors"))
    assert Crosscoder.load(str(tmp_path / "new" / "er" / "model.safetensors")).k == K


def test_another_kind_of_file_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("Weights are in the other folder.")
    with pytest.raises(InputError, match=r"notes\.txt cannot be read as a crosscoder"):
        Crosscoder.load(tmp_path / "notes.txt")


def test_tensors_have_the_names_that_other_programs_read(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    tensors = load_file(tmp_path / "model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "weights.brain": (5, N_LATENTS),
        "weights.lm": (3, N_LATENTS),
        "bias": (N_LATENTS,),
        "kept.brain": (6,),
        "offset.brain": (5,),
        "scale.brain": (5,),
        "kept.lm": (3,),
        "offset.lm": (3,),
        "scale.lm": (3,),
        "alive": (N_LATENTS,),
    }
