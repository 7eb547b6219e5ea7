"""Which of a model's files are read and downloaded, and what is said when one is not to be had."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import tokenizers
import torch
import transformers

from brainlm.errors import InputError
from brainlm.lm.files import load_first_blocks
from brainlm.lm.reading import load_language_model, read_story
from brainlm.machine import peak_memory
from tests.hub_server import COMMIT, NAME, Hub

WORDS = ["the", "ferry", "left", "the", "harbour", "before", "the", "fog", "had", "lifted"]
VOCABULARY = {word: number for number, word in enumerate(["<unk>", *dict.fromkeys(WORDS)])}
N_BLOCKS, N_WANTED = 5, 3
SIZES = dict(hidden_size=16, num_hidden_layers=N_BLOCKS, num_attention_heads=2)
OPTIONS = dict(vocab_size=32, pad_token_id=None, bos_token_id=None, eos_token_id=None)
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(
        intermediate_size=24, num_key_value_heads=1, initializer_range=0.3, **SIZES, **OPTIONS
    ),
    # Its output layer is its embedding.
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=16, n_layer=N_BLOCKS, n_head=2, n_positions=64, initializer_range=0.3, **OPTIONS
    ),
    # Its list of blocks lies deeper.
    "opt": lambda: transformers.OPTConfig(
        word_embed_proj_dim=16, ffn_dim=24, max_position_embeddings=64, init_std=0.3, **SIZES, **OPTIONS
    ),
    # Its experts are separate arrays in the files, one array in memory.
    "mixtral": lambda: transformers.MixtralConfig(
        intermediate_size=24,
        num_key_value_heads=1,
        num_local_experts=3,
        initializer_range=0.3,
        **SIZES,
        **OPTIONS,
    ),
}
INDEX = "model.safetensors.index.json"


def qwen() -> transformers.PreTrainedConfig:
    kinds = ["full_attention"] * N_BLOCKS
    shape = dict(intermediate_size=24, num_key_value_heads=1, head_dim=8, initializer_range=0.3)
    return transformers.Qwen3_5TextConfig(layer_types=kinds, **shape, **SIZES, **OPTIONS)


def save_model(
    folder: Path,
    config: Callable[[], transformers.PreTrainedConfig] = CONFIGS["llama"],
    shard_size: str = "4KB",
) -> Path:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config())
    model.save_pretrained(folder, max_shard_size=shard_size)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def llama(saved, tmp_path) -> Path:
    """A copy that a test can damage."""
    return Path(shutil.copytree(saved, tmp_path / "llama"))


def file_of_each_array(folder: Path) -> dict[str, str]:
    return json.loads((folder / INDEX).read_text())["weight_map"]


def needed(folder: Path, n_wanted: int = N_WANTED) -> set[str]:
    """The files that hold an embedding or one of the first blocks, of which the number in an array's name tells."""

    def is_needed(array: str) -> bool:
        numbers = [part for part in array.split(".") if part.isdigit()]
        return (
            int(numbers[0]) < n_wanted
            if numbers
            else "embed" in array or array.split(".")[-2] in ("wte", "wpe")
        )

    return {file for array, file in file_of_each_array(folder).items() if is_needed(array)}


def not_needed(folder: Path) -> list[Path]:
    spare = set(file_of_each_array(folder).values()) - needed(folder)
    assert len(spare) >= 2
    return [folder / file for file in sorted(spare)]


def states_of_the_whole_model(folder: Path) -> np.ndarray:
    """(embedding and blocks, token, hidden), the last block's after the final norm."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.tensor([[VOCABULARY[word] for word in WORDS]])
    with torch.inference_mode():
        return torch.cat(model(ids, output_hidden_states=True).hidden_states).numpy()


def states(source: Path | str, n_wanted: int = N_WANTED, **options) -> np.ndarray:
    """(block, token, hidden) of blocks 1 to `n_wanted`."""
    model = load_language_model(source, range(1, n_wanted + 1), device="cpu", **options)
    return read_story(model, WORDS).hidden


def assert_one_sentence(message: str) -> None:
    assert message.endswith(".") and ". " not in message and "\n" not in message


# What is read


DAMAGE = {
    "absent": Path.unlink,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "garbage": lambda path: path.write_bytes(b"\xff" * 1000),
    "no file": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("family", CONFIGS)
def test_files_without_a_wanted_array_may_be_anything(tmp_path, family, damage):
    folder = save_model(tmp_path, CONFIGS[family])
    expected = states_of_the_whole_model(folder)[1 : N_WANTED + 1]
    for path in not_needed(folder):
        DAMAGE[damage](path)
    np.testing.assert_allclose(states(folder), expected, rtol=1e-5, atol=1e-6)


def test_the_files_of_the_final_norm_and_the_output_layer_are_not_needed(llama):
    expected = states(llama, N_BLOCKS)
    file_of = file_of_each_array(llama)
    spare = {file_of["model.norm.weight"], file_of["lm_head.weight"]} - needed(llama, N_BLOCKS)
    assert file_of["lm_head.weight"] in spare
    # The norm shares its file with the last block: alone in one, it is not needed.
    norm_file = llama / file_of["model.norm.weight"]
    arrays = safetensors.torch.load_file(norm_file)
    safetensors.torch.save_file(
        {name: array for name, array in arrays.items() if name != "model.norm.weight"}, norm_file
    )
    for file in spare:
        (llama / file).unlink()
    np.testing.assert_array_equal(states(llama, N_BLOCKS), expected)


def test_a_family_may_store_its_arrays_under_other_names(tmp_path):
    folder = save_model(tmp_path, qwen)
    expected = states_of_the_whole_model(folder)[1 : N_WANTED + 1]
    # As in the files of the models that also see.
    file_of = {}
    for path in folder.glob("*.safetensors"):
        arrays = safetensors.torch.load_file(path)
        arrays = {name.replace("model.", "model.language_model."): array for name, array in arrays.items()}
        safetensors.torch.save_file(arrays, path)
        file_of |= dict.fromkeys(arrays, path.name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": file_of}))
    higher = {file for name, file in file_of.items() if f".layers.{N_WANTED}." in name} - needed(folder)
    assert higher
    for file in higher:
        (folder / file).unlink()
    np.testing.assert_allclose(states(folder), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shard_size", ["1KB", "10KB", "1GB"])
def test_it_does_not_matter_how_the_weights_are_split(tmp_path, llama, shard_size):
    other = save_model(tmp_path / "other", shard_size=shard_size)
    assert (other / "model.safetensors").exists() == (shard_size == "1GB")
    np.testing.assert_array_equal(states(other), states(llama))


def test_a_final_norm_that_was_not_read_cannot_be_used_unnoticed(llama):
    for path in not_needed(llama):
        path.unlink()
    language_model = load_language_model(llama, [N_WANTED], device="cpu")
    with torch.inference_mode():
        after_the_norm = language_model.model(torch.tensor([[1, 2, 3]])).last_hidden_state
    assert after_the_norm.isnan().all()
    assert np.isfinite(read_story(language_model, WORDS).hidden).all()


@pytest.mark.parametrize("family", CONFIGS)
def test_a_needed_file_that_is_absent_is_named(tmp_path, family):
    folder = save_model(tmp_path, CONFIGS[family])
    for file in sorted(needed(folder)):
        content = (folder / file).read_bytes()
        (folder / file).unlink()
        with pytest.raises(InputError, match=f"lacks {file}") as error:
            load_language_model(folder, [N_WANTED])
        assert_one_sentence(str(error.value))
        (folder / file).write_bytes(content)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "no file"])
def test_a_needed_file_that_is_damaged_is_named(llama, damage):
    file = min(needed(llama))
    DAMAGE[damage](llama / file)
    with pytest.raises(InputError, match=f"{file} cannot be loaded") as error:
        load_language_model(llama, [N_WANTED])
    assert_one_sentence(str(error.value))


def edit_file_of(folder: Path, array: str, edit: Callable[[dict], dict]) -> None:
    path = folder / file_of_each_array(folder)[array]
    safetensors.torch.save_file(edit(safetensors.torch.load_file(path)), path)


@pytest.mark.parametrize("array", ["model.embed_tokens.weight", "model.layers.2.mlp.up_proj.weight"])
@pytest.mark.parametrize("edit", ["lost", "another shape"])
def test_an_array_that_is_not_in_its_file_or_of_another_shape_is_refused(llama, array, edit):
    def spoil(arrays: dict) -> dict:
        return {k: v for k, v in arrays.items() if k != array} | (
            {} if edit == "lost" else {array: torch.zeros(5, 3)}
        )

    edit_file_of(llama, array, spoil)
    with pytest.raises(InputError, match=f"incomplete.*{array.removeprefix('model.')}"):
        load_language_model(llama, [N_WANTED])


@pytest.mark.parametrize("array", ["model.embed_tokens.weight", "model.layers.2.mlp.up_proj.weight"])
def test_an_array_that_the_index_lacks_is_refused(llama, array):
    file_of = file_of_each_array(llama)
    edit_file_of(llama, array, lambda arrays: {k: v for k, v in arrays.items() if k != array})
    del file_of[array]
    (llama / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": file_of}))
    with pytest.raises(InputError, match=f"incomplete.*{array.removeprefix('model.')}"):
        load_language_model(llama, [N_WANTED])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 3}', "\xff"])
def test_an_index_that_is_none_is_an_error(llama, content):
    (llama / INDEX).write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=f"{INDEX} does not tell"):
        load_language_model(llama, [1])


# Memory


def hollow_file(path: Path, arrays: dict[str, torch.Tensor]) -> None:
    """A safetensors file of zeros that take no space on the disk; `arrays` are on the meta device."""
    header, end = {}, 0
    names = {torch.float32: "F32", torch.bfloat16: "BF16"}
    for name, array in arrays.items():
        span = [end, end + array.nbytes]
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": span}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def test_half_of_llama_3_1_8b_takes_8_gb_from_two_of_four_files(tmp_path):
    save_model(tmp_path)
    for path in tmp_path.glob("model*"):
        path.unlink()
    config = transformers.LlamaConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
    )
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        whole = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).state_dict()
    split = huggingface_hub.split_torch_state_dict_into_shards(whole, max_shard_size="5GB")
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": split.tensor_to_filename}))
    files = sorted(split.filename_to_tensors)
    assert len(files) == 4
    for file in files[:2]:
        hollow_file(tmp_path / file, {name: whole[name] for name in split.filename_to_tensors[file]})
    before = peak_memory()["the processor"]

    model, _ = load_first_blocks(tmp_path, 16, torch.bfloat16)

    assert sum(weights.nbytes for weights in model.parameters()) == pytest.approx(8.03e9, rel=1e-3)
    assert {weights.dtype for weights in model.parameters()} == {torch.bfloat16}
    # The weights are in the files until a device or a computation asks for them.
    assert peak_memory()["the processor"] < before + 1e9


# The hub and its cache


@pytest.fixture
def cache(hub_cache) -> Path:
    return hub_cache


@pytest.fixture
def hub(llama, serve_as_hub) -> Hub:
    (llama / "original").mkdir()
    (llama / "original" / "params.json").write_text("{}")
    (llama / "flax_model.msgpack").write_bytes(b"the same weights in another format")
    return serve_as_hub(llama)


def fill(cache: Path, model: Path, names: set[str], branch: str | None = "main") -> Path:
    """Lay out files of `model` as the hub's library does; returns the snapshot."""
    repository = cache / f"models--{NAME.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (repository / "blobs", repository / "refs", snapshot):
        folder.mkdir(parents=True)
    if branch:
        (repository / "refs" / branch).write_text(COMMIT)
    for name in names:
        shutil.copy(model / name, repository / "blobs" / f"blob-{name}")
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"blob-{name}"))
    return snapshot


def settings_of(model: Path) -> set[str]:
    return {path.name for path in model.iterdir() if path.suffix == ".json"}


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_only_what_is_needed_is_downloaded_and_only_once(hub, cache, revision):
    expected = states(hub.folder)
    np.testing.assert_array_equal(states(NAME, revision=revision), expected)
    assert sorted(hub.downloads) == sorted(settings_of(hub.folder) | needed(hub.folder))
    hub.downloads.clear()
    np.testing.assert_array_equal(states(NAME, revision=revision), expected)
    assert hub.downloads == []
    # A higher block asks for more files.
    states(NAME, N_BLOCKS, revision=revision)
    assert set(hub.downloads) == needed(hub.folder, N_BLOCKS) - needed(hub.folder)


def test_a_model_with_one_file_is_downloaded(hub, tmp_path):
    shutil.rmtree(hub.folder)
    expected = states(save_model(hub.folder, shard_size="1GB"))
    np.testing.assert_array_equal(states(NAME), expected)
    assert "model.safetensors" in hub.downloads


def test_a_model_of_the_hub_in_pytorchs_own_format_is_downloaded(hub):
    expected = states(hub.folder)
    arrays = {}
    for path in hub.folder.glob("model*.safetensors"):
        arrays |= safetensors.torch.load_file(path)
        path.unlink()
    (hub.folder / INDEX).unlink()
    torch.save(arrays, hub.folder / "pytorch_model.bin")
    np.testing.assert_array_equal(states(hub.folder), expected)
    np.testing.assert_array_equal(states(NAME), expected)


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_what_was_downloaded_is_there_without_a_network(hub, cut_off, revision):
    expected = states(NAME, revision=revision)
    cut_off()
    np.testing.assert_array_equal(states(NAME, revision=revision), expected)


@pytest.mark.parametrize(("branch", "revision"), [("main", None), ("dev", "dev"), (None, COMMIT)])
def test_a_cache_with_the_needed_files_is_enough(llama, cache, cut_off, branch, revision):
    fill(cache, llama, settings_of(llama) | needed(llama), branch)
    cut_off()
    np.testing.assert_array_equal(states(NAME, revision=revision), states(llama))


def test_files_that_the_hub_lists_and_nobody_needs_may_be_absent_from_the_cache(llama, cache, cut_off):
    snapshot = fill(cache, llama, settings_of(llama) - {"generation_config.json"} | needed(llama))
    listed = {path.name: {"size": path.stat().st_size, "blob_id": path.name} for path in llama.iterdir()}
    (snapshot.parents[1] / "trees").mkdir()
    tree = snapshot.parents[1] / "trees" / f"{COMMIT}.json"
    tree.write_text(json.dumps({"format_version": 1, "files": listed}))
    cut_off()
    for revision in ("main", COMMIT):
        np.testing.assert_array_equal(states(NAME, revision=revision), states(llama))


def test_the_environments_cache_is_read_by_a_new_process_without_a_network(llama, tmp_path):
    fill(tmp_path / "home" / "hub", llama, settings_of(llama) | needed(llama))
    program = (
        "import sys, numpy as np; from brainlm.lm.reading import load_language_model, read_story; "
        f"model = load_language_model({NAME!r}, range(1, {N_WANTED + 1}), revision={COMMIT!r}, device='cpu'); "
        f"np.save(sys.argv[1], read_story(model, {WORDS!r}).hidden)"
    )
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))
    }
    environment |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", program, tmp_path / "states.npy"], env=environment, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "states.npy"), states(llama))


def refused(*args, **options) -> str:
    with pytest.raises(InputError) as error:
        load_language_model(*args, **options)
    assert error.value.__cause__ is None and error.value.__context__ is None
    return str(error.value)


def refused_in_one_sentence(*args, **options) -> str:
    message = refused(*args, **options)
    assert_one_sentence(message)
    return message


def test_a_model_out_of_reach_and_not_in_the_cache_tells_what_to_do(cache, cut_off):
    cut_off()
    message = refused_in_one_sentence(NAME, [1], revision=COMMIT)
    for advice in (NAME, str(cache), "hf download", f"--revision {COMMIT}", "HF_HOME", "local folder"):
        assert advice in message


def test_a_needed_file_out_of_reach_is_named(llama, cache, cut_off):
    lacking = max(needed(llama))
    fill(cache, llama, settings_of(llama) | needed(llama) - {lacking})
    cut_off()
    message = refused_in_one_sentence(NAME, [N_WANTED])
    assert message.startswith(lacking)
    assert f"hf download {NAME} {lacking} --revision {COMMIT}" in message


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_tells_where_its_licence_is_and_how_to_log_in(hub, status):
    hub.refusal = (status, "GatedRepo")
    message = refused_in_one_sentence(NAME, [1])
    for advice in ("gated", f"https://huggingface.co/{NAME}", "hf auth login", "HF_TOKEN"):
        assert advice in message
    assert hub.downloads == []


def test_a_gated_file_of_a_model_in_the_cache(hub, cache):
    fill(cache, hub.folder, settings_of(hub.folder))
    hub.refusal = (403, "GatedRepo")
    assert "is gated" in refused_in_one_sentence(NAME, [1], revision=COMMIT)


def test_another_refusal_by_the_hub_is_passed_on(hub):
    hub.refusal = (403, "Forbidden")
    assert "not with this token" in refused(NAME, [1])


def test_a_name_that_the_hub_does_not_know(hub):
    message = refused_in_one_sentence("someone/no-such-model", [1])
    assert "https://huggingface.co/someone/no-such-model" in message and "HF_TOKEN" in message


def test_a_revision_that_the_model_does_not_have(hub):
    assert "no revision 'v9'" in refused_in_one_sentence(NAME, [1], revision="v9")


def test_a_name_that_cannot_be_one_of_the_hub(cache):
    assert "'no name'" in refused("no name", [1])
