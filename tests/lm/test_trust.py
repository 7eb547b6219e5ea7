"""What a model's files say is tried, not believed: whether it is causal, and whether these are its weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from brainlm.errors import InputError
from brainlm.lm.reading import load_language_model, read_story
from tests.lm.test_files import assert_one_sentence
from tests.lm.test_reading import WORDS, byte_level_tokenizer

N_BLOCKS, N_WANTED = 4, 2
SHAPE = dict(vocab_size=300, hidden_size=32, num_hidden_layers=N_BLOCKS, num_attention_heads=2)
SIZES = SHAPE | dict(intermediate_size=48)
NO_TOKENS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
LLAMA = dict(num_key_value_heads=1, **SIZES, **NO_TOKENS)
EXPERTS = dict(num_experts_per_tok=2, **LLAMA)
VISION = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=N_BLOCKS,
    num_attention_heads=2,
    image_size=28,
    patch_size=14,
)

# transformers' own first values, with which a model mixes least.
ENCODERS = {
    "bert": lambda: transformers.BertConfig(**SIZES),
    "roberta": lambda: transformers.RobertaConfig(**SIZES),
    "electra": lambda: transformers.ElectraConfig(embedding_size=32, **SIZES),
    "modernbert": lambda: transformers.ModernBertConfig(cls_token_id=1, sep_token_id=2, **SIZES, **NO_TOKENS),
    "gemma3 in both directions": lambda: transformers.Gemma3TextConfig(
        head_dim=16, use_bidirectional_attention=True, **LLAMA
    ),
}
CAUSAL = {
    "llama": lambda: transformers.LlamaConfig(**LLAMA),
    "bert as a decoder": lambda: transformers.BertConfig(is_decoder=True, **SIZES),
    "mixtral": lambda: transformers.MixtralConfig(num_local_experts=8, **EXPERTS),
    "qwen3 with experts": lambda: transformers.Qwen3MoeConfig(
        head_dim=16, num_experts=16, moe_intermediate_size=24, **EXPERTS
    ),
    "mamba": lambda: transformers.MambaConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=N_BLOCKS, state_size=8
    ),
    "bloom": lambda: transformers.BloomConfig(vocab_size=300, hidden_size=32, n_layer=N_BLOCKS, n_head=2),
}


def save(folder: Path, config, kind=transformers.AutoModelForCausalLM, **options) -> Path:
    torch.manual_seed(0)
    build = getattr(kind, "from_config", None) or kind._from_config
    build(config).save_pretrained(folder, **options)
    byte_level_tokenizer(bos=False).save_pretrained(folder)
    return folder


def refused(folder: Path, blocks=(1, N_WANTED), **options) -> str:
    with pytest.raises(InputError) as error:
        load_language_model(folder, blocks, device="cpu", **options)
    assert error.value.__cause__ is None
    message = str(error.value)
    assert_one_sentence(message.replace(str(folder), "folder"))
    assert str(folder) in message
    return message


def read(folder: Path, **options) -> np.ndarray:
    """(block, token, hidden) of the first blocks."""
    return read_story(
        load_language_model(folder, range(1, N_WANTED + 1), device="cpu", **options), WORDS
    ).hidden


def edit_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, edit) -> None:
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "llama", CAUSAL["llama"]())


@pytest.fixture
def llama(saved, tmp_path) -> Path:
    """A copy that a test can damage."""
    return Path(shutil.copytree(saved, tmp_path / "llama"))


# Causal or not


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ENCODERS)
def test_a_model_that_looks_ahead_is_refused(tmp_path, family, dtype):
    folder = save(tmp_path, ENCODERS[family](), transformers.AutoModel)
    for blocks in ([1], [N_BLOCKS]):
        assert "not a causal language model" in refused(folder, blocks, dtype=dtype)


def test_an_encoder_without_a_pooler_is_refused_for_what_it_is(tmp_path):
    folder = save(tmp_path, ENCODERS["bert"](), transformers.AutoModelForMaskedLM)
    assert "not a causal language model" in refused(folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", CAUSAL)
def test_a_model_that_reads_from_left_to_right_is_read(tmp_path, family, dtype):
    hidden = read(save(tmp_path, CAUSAL[family]()), dtype=dtype)
    assert hidden.shape[::2] == (N_WANTED, 32)
    assert np.isfinite(hidden).all()


def test_a_model_that_writes_the_same_whatever_the_word_is_refused(llama):
    edit_weights(llama, lambda arrays: {name: torch.zeros_like(array) for name, array in arrays.items()})
    assert "whatever the word" in refused(llama)


def test_a_block_that_writes_another_axis_first_is_refused(tmp_path):
    config = transformers.XLNetConfig(vocab_size=300, d_model=32, n_layer=N_BLOCKS, n_head=2, d_inner=48)
    save(tmp_path, config, transformers.AutoModel)
    with pytest.raises(InputError, match="Block 1 .* one vector for each token"):
        load_language_model(tmp_path, [1], device="cpu")


def test_a_tokenizer_of_another_model_is_an_error(tmp_path):
    folder = save(tmp_path, transformers.LlamaConfig(**LLAMA | {"vocab_size": 150}))
    with pytest.raises(InputError, match="below 150: they do not belong together"):
        read(folder)


# Weights that are no plain numbers, or not those of the model


@pytest.mark.parametrize(
    ("section", "method"),
    [
        *(("quantization_config", method) for method in ("bitsandbytes", "gptq", "awq", "fp8", "someday")),
        ("compression_config", "compressed-tensors"),
    ],
)
def test_a_quantized_checkpoint_is_refused_by_its_method(llama, section, method):
    edit_config(llama, **{section: {"quant_method": method, "bits": 4}})
    message = refused(llama)
    assert f"is quantized ({method})" in message and "bfloat16" in message and ".gguf" in message


UP = "model.layers.1.mlp.up_proj.weight"
PACKED = {
    "8-bit whole numbers": lambda array: {UP: (100 * array).to(torch.int8)},
    "8-bit whole numbers with scales": lambda array: {
        UP: (100 * array).to(torch.int8),
        f"{UP}.SCB": torch.ones(len(array)),
    },
    "8-bit numbers": lambda array: {UP: array.to(torch.float8_e4m3fn)},
    "8-bit numbers with scales": lambda array: {
        UP: array.to(torch.float8_e4m3fn),
        f"{UP}_scale_inv": torch.ones(1, 1),
    },
    "packed": lambda array: {UP.replace(".weight", ".qweight"): torch.zeros(4, 32, dtype=torch.int32)},
    "floating-point parts": lambda array: {UP: array, UP.replace(".weight", ".lora_A"): torch.ones(2, 32)},
    "a bias that the config does not have": lambda array: {
        UP: array,
        UP.replace(".weight", ".bias"): torch.ones(len(array)),
    },
}


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("packing", PACKED)
def test_arrays_of_a_wanted_block_that_would_be_read_wrongly_are_refused_by_name(llama, packing, file):
    expected = read(llama)[:1]

    def pack(arrays):
        return {k: v for k, v in arrays.items() if k != UP} | PACKED[packing](arrays[UP])

    edit_weights(llama, pack)
    if file == "pytorch_model.bin":
        torch.save(load_file(llama / "model.safetensors"), llama / file)
        (llama / "model.safetensors").unlink()
    message = refused(llama)
    assert "quantized" in message and "layers.1.mlp.up_proj" in message
    # Below that block nothing is amiss.
    np.testing.assert_array_equal(
        read_story(load_language_model(llama, [1], device="cpu"), WORDS).hidden, expected
    )


@pytest.mark.parametrize(
    ("config", "arrays"),
    [
        (CAUSAL["llama"], {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}),
        (
            lambda: transformers.GPT2Config(vocab_size=300, n_embd=32, n_layer=N_BLOCKS, n_head=2),
            {
                "h.0.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.bool).tril(),
                "h.1.attn.masked_bias": torch.tensor(-1e4),
            },
        ),
        (
            lambda: transformers.GPTJConfig(
                vocab_size=300, n_embd=32, n_layer=N_BLOCKS, n_head=2, rotary_dim=8
            ),
            {
                "transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril(),
                "transformer.h.1.attn.masked_bias": torch.tensor(-1e9),
            },
        ),
        (
            lambda: transformers.GPTNeoXConfig(**SIZES, **NO_TOKENS),
            {
                "gpt_neox.layers.0.attention.bias": torch.ones(1, 1, 64, 64, dtype=torch.bool).tril(),
                "gpt_neox.layers.1.attention.rotary_emb.inv_freq": torch.ones(4),
            },
        ),
    ],
    ids=["llama", "gpt2", "gptj", "gpt_neox"],
)
def test_masks_and_frequencies_that_old_files_keep_do_no_harm(tmp_path, config, arrays):
    folder = save(tmp_path, config())
    expected = read(folder)
    edit_weights(folder, lambda plain: plain | arrays)
    np.testing.assert_array_equal(read(folder), expected)


@pytest.mark.parametrize("with_weights", [True, False])
def test_an_adapter_is_neither_applied_nor_skipped(llama, with_weights):
    settings = {"peft_type": "LORA", "base_model_name_or_path": "someone/the-base"}
    (llama / "adapter_config.json").write_text(json.dumps(settings))
    if not with_weights:
        (llama / "config.json").unlink()
        (llama / "model.safetensors").unlink()
    message = refused(llama)
    assert "adapter" in message and "someone/the-base" in message and "merge" in message


# Libraries that fail in their own ways


def rewrite(file: str, **changes):
    def edit(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: (folder / "tokenizer.json").write_bytes(b"\xff\xfe"),
        rewrite("tokenizer.json", model={"type": "unheard of"}),
        rewrite("tokenizer.json", truncation=[]),
        rewrite("tokenizer_config.json", bos_token=3),
        rewrite("tokenizer_config.json", tokenizer_class=1.5),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").write_text("{}"),
        rewrite("config.json", model_type="unheard_of"),
        rewrite("config.json", attention_bias=3),
        rewrite("config.json", num_attention_heads=0),
        rewrite("config.json", attn_implementation="flash_attention_2"),
        rewrite("config.json", vocab_size=None),
    ],
)
def test_whatever_a_library_raises_is_an_error_that_names_the_model(llama, damage):
    damage(llama)
    with pytest.raises(InputError) as error:
        load_language_model(llama, [1], device="cpu")
    assert error.value.__cause__ is None
    assert str(llama) in str(error.value) and "\n" not in str(error.value)


def test_a_file_of_python_objects_is_not_run(llama):
    mark = llama / "code_ran"
    torch.save({"weights": Marker(mark)}, llama / "pytorch_model.bin")
    (llama / "model.safetensors").unlink()
    with pytest.raises(InputError, match="pytorch_model.bin cannot be loaded"):
        load_language_model(llama, [1])
    assert not mark.exists()


class Marker:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


CODE = """
from pathlib import Path
Path({mark!r}).touch()
from transformers import {base}
class Own({base}):
    model_type = "its_own"
"""


@pytest.mark.parametrize("part", ["config", "tokenizer"])
def test_code_in_a_models_folder_is_not_run_and_nobody_is_asked(llama, part):
    mark = llama / "code_ran"
    base, auto = (
        ("LlamaConfig", {"AutoConfig": "code_of_its_own.Own"})
        if part == "config"
        else ("PreTrainedTokenizerFast", {"AutoTokenizer": [None, "code_of_its_own.Own"]})
    )
    (llama / "code_of_its_own.py").write_text(CODE.format(mark=str(mark), base=base))
    if part == "config":
        edit_config(llama, model_type="its_own", auto_map=auto)
    else:
        rewrite("tokenizer_config.json", tokenizer_class="Own", auto_map=auto)(llama)
    program = (
        "from brainlm.errors import InputError; from brainlm.lm.reading import load_language_model\n"
        f"try: load_language_model({str(llama)!r}, [1])\nexcept InputError as error: print('refused:', error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        input="y\n" * 5,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert not mark.exists()
    assert "[y/N]" not in run.stdout
    if part == "config":
        assert "refused:" in run.stdout and "which is not run" in run.stdout


# Where the weights are


PARTS = {
    "gemma3": lambda: (
        transformers.Gemma3Config(
            text_config=dict(head_dim=16, initializer_range=0.3, **LLAMA),
            vision_config=VISION,
            mm_tokens_per_image=1,
        ),
        transformers.Gemma3ForConditionalGeneration,
    ),
    "qwen2.5-vl": lambda: (
        transformers.Qwen2_5_VLConfig(
            text_config=dict(
                rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
                initializer_range=0.3,
                **LLAMA,
            ),
            vision_config=dict(
                depth=N_BLOCKS, hidden_size=32, intermediate_size=48, num_heads=2, out_hidden_size=32
            ),
        ),
        transformers.Qwen2_5_VLForConditionalGeneration,
    ),
    "mistral3": lambda: (
        transformers.Mistral3Config(
            text_config=transformers.MistralConfig(head_dim=16, initializer_range=0.3, **LLAMA),
            vision_config=transformers.PixtralVisionConfig(**VISION),
        ),
        transformers.Mistral3ForConditionalGeneration,
    ),
    "llava": lambda: (
        transformers.LlavaConfig(
            text_config=transformers.LlamaConfig(initializer_range=0.3, **LLAMA),
            vision_config=transformers.CLIPVisionConfig(**VISION),
        ),
        transformers.LlavaForConditionalGeneration,
    ),
}


@pytest.mark.parametrize("family", PARTS)
def test_of_a_model_that_also_sees_the_part_that_reads_is_read(tmp_path, family):
    config, kind = PARTS[family]()
    folder = save(tmp_path, config, kind, max_shard_size="8KB")
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    ids = byte_level_tokenizer(bos=False)(" ".join(WORDS))["input_ids"]
    with torch.inference_mode():
        expected = torch.cat(model(torch.tensor([ids]), output_hidden_states=True).hidden_states)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {
        file
        for name, file in index.items()
        if "vis" not in name
        and ("embed_tokens" in name or any(f".layers.{n}." in name for n in range(N_WANTED)))
    }
    spare = set(index.values()) - needed
    assert any("vis" in name and file in spare for name, file in index.items())
    for file in spare:
        (folder / file).unlink()

    hidden = read(folder)

    np.testing.assert_allclose(hidden, expected[1 : N_WANTED + 1], rtol=1e-4, atol=1e-5)


def test_a_model_whose_part_that_reads_is_not_to_be_had_alone_says_so(tmp_path):
    config = transformers.MllamaConfig(
        text_config=dict(
            cross_attention_layers=[1], **LLAMA | dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
        ),
        vision_config=dict(num_hidden_layers=1, num_global_layers=1),
    )
    config.save_pretrained(tmp_path)
    byte_level_tokenizer(bos=False).save_pretrained(tmp_path)
    assert "does more than read" in refused(tmp_path)


@pytest.mark.parametrize("shard_size", ["8KB", "1GB"])
def test_a_tied_embedding_may_be_stored_as_the_output_layer(tmp_path, shard_size):
    folder = save(
        tmp_path, transformers.LlamaConfig(tie_word_embeddings=True, **LLAMA), max_shard_size=shard_size
    )
    expected = read(folder)
    for path in folder.glob("*.safetensors"):
        arrays = load_file(path)
        if "model.embed_tokens.weight" in arrays:
            arrays["lm_head.weight"] = arrays.pop("model.embed_tokens.weight")
            save_file(arrays, path, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    assert index.exists() == (shard_size == "8KB")
    if index.exists():
        index.write_text(index.read_text().replace("model.embed_tokens.weight", "lm_head.weight"))
    np.testing.assert_array_equal(read(folder), expected)


def test_an_output_layer_of_its_own_is_no_embedding(llama):
    edit_weights(llama, lambda arrays: {k: v for k, v in arrays.items() if "embed_tokens" not in k})
    assert "lm_head.weight" in load_file(llama / "model.safetensors")
    assert "incomplete" in refused(llama)
